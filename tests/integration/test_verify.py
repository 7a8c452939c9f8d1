"""`platter verify`: bundles of every format in order, and everything that can be wrong with one."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from platter_setuptools.bundle.members import from_folder
from platter_setuptools.cli.command_line import main
from platter_setuptools.config.options import FORMATS
from platter_setuptools.errors import ArchiveError, BundleError, PlatterError
from platter_setuptools.inspect.verify import Verdict, verify
from platter_setuptools.runtime.processes import Runner
from platter_setuptools.thinning import make_thin
from support import handmade, keys, linked, projects
from support.archives import write_archive
from support.fakes import Diary
from support.front_ends import PLATTER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from support.index import Index

DOCS = Path(__file__).parents[2] / "docs"
LEAF = "leaf-1.0-py3-none-any.whl"
SEED = 20261122


class Bundle:
    """A bundle as a folder, to be changed at will."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.info: dict[str, Any] = json.loads((path / "info.json").read_text())

    def entry(self, file: str) -> dict[str, Any]:
        return next(one for one in self.info["wheels"] if one["file"] == file)

    def swap(self, file: str, wheel: Path) -> None:
        """Put another wheel in a wheel's place, so that info.json, the lock and the bill of materials agree with it."""
        entry, old = self.entry(file), self.path / "data" / file
        before = entry["sha256"]
        content = wheel.read_bytes()
        entry["sha256"], entry["size"] = hashlib.sha256(content).hexdigest(), len(content)
        for key in ("record_sha256", "executables_sha256"):  # as in older bundles
            entry.pop(key)
        for name in ("pylock.toml", "sbom.cdx.json"):
            text = (self.path / "data" / name).read_text()
            (self.path / "data" / name).write_text(text.replace(before, entry["sha256"]))
        old.write_bytes(content)

    def bill_anew(self, change: Callable[[Any], object]) -> None:
        file = self.path / "data" / "sbom.cdx.json"
        bill = json.loads(file.read_text())
        change(bill)
        file.write_text(json.dumps(bill))

    def sum_up(self) -> None:
        for key in ("installed_size", "installed_files"):
            self.info[key] = sum(one[key] for one in self.info["wheels"])

    def seal(self) -> None:
        handmade.Bundle(path=self.path, info=self.info).seal()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, index: Index, caches: Mapping[str, str]) -> Path:
    """A real bundle, as a folder, with a file that a build script added and a link to it."""
    folder = tmp_path_factory.mktemp("built")
    script = "cd data; mkdir conf; echo value >conf/file; chmod 755 conf/file; ln -s conf/file link\n"
    project = projects.hello(folder / "project", {"post.sh": script, "more.txt": "branch\n"})
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "PIP_CONFIG_FILE": os.devnull, **caches}
    done = subprocess.run(
        [PLATTER, "build", "-q", "--no-pip", "--format=dir", "--postbuild-script=post.sh", "-r", "more.txt"],
        cwd=project,
        env={**environ, "PIP_INDEX_URL": index.url},
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return Path(done.stdout.strip())


@pytest.fixture
def bundle(built: Path, tmp_path: Path) -> Bundle:
    return Bundle(linked.copy(built, tmp_path / built.name))


def look(path: Path, *, allowed: Path | None = None) -> Verdict:
    scratch = path.parent / f"scratch-{path.name}"
    scratch.mkdir(exist_ok=True)
    try:
        return verify(path, allowed_signers=allowed, run=Runner(), progress=Diary(), work=scratch)
    finally:
        assert not [left for left in scratch.iterdir() if left.is_file()]


def findings(path: Path) -> str:
    with pytest.raises(BundleError) as caught:
        look(path)
    first, _, rest = caught.value.message.partition("\n")
    assert first == f"{path} is not in order:"
    assert (caught.value.exit_code, bool(caught.value.hint)) == (5, True)
    return rest


def packed(bundle: Path, kind: str, folder: Path) -> Path:
    return write_archive(list(from_folder(bundle)), bundle.name, kind, folder, 315532800)[0]


class TestInOrder:
    @pytest.mark.parametrize("kind", FORMATS)
    def test_every_format(self, built: Path, tmp_path: Path, kind: str) -> None:
        files = sum(path.is_file() and not path.is_symlink() for path in built.rglob("*"))
        assert look(packed(built, kind, tmp_path)) == Verdict(
            title="hello 1.0", files=files, wheels=3, signed=False, signer=None
        )

    def test_json(self, built: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["verify", "--json", str(built)]) == 0
        result = json.loads(capsys.readouterr().out)
        jsonschema.validate(result, json.loads((DOCS / "verify.schema.json").read_text()))
        facts = {"title": "hello 1.0", "files": look(built).files, "wheels": 3, "signed": False}
        facts |= {"signer": None, "left_out": []}
        assert result == {"path": str(built), **facts}

    def test_the_command(self, built: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["verify", str(built)]) == 0
        said = f"{built} is in order: hello 1.0, {look(built).files} files, 3 wheels, not signed\n"
        assert capsys.readouterr() == ("", said)

    @pytest.mark.parametrize("kind", FORMATS)
    def test_a_thin_one(self, built: Path, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
        thin = make_thin(built, [built], frozenset(), output=tmp_path, kind=kind, mtime=315532800)
        found = look(thin.path)
        assert (found.title, found.wheels) == ("hello 1.0", 0)
        assert len(found.left_out) == thin.left_out
        assert found.files == look(built).files - thin.left_out + 1
        assert main(["verify", str(thin.path)]) == 0
        said = f"not signed; not checked: {thin.left_out} files that this thin bundle leaves out\n"
        assert capsys.readouterr().err.endswith(said)
        assert main(["verify", "--json", str(thin.path)]) == 0
        result = json.loads(capsys.readouterr().out)
        jsonschema.validate(result, json.loads((DOCS / "verify.schema.json").read_text()))
        assert f"data/{LEAF}" in result["left_out"]

    def test_a_wheel_that_writes_its_name_in_capitals(self, bundle: Bundle) -> None:
        bundle.bill_anew(lambda bill: [one.update(name=one["name"].upper()) for one in bill["components"]])
        bundle.seal()
        assert look(bundle.path).wheels == 3

    def test_two_owners_of_one_file_are_warned_about(self, bundle: Bundle, tmp_path: Path) -> None:
        files = {"leaf.py": "NAME = 'leaf 1.0'\n", "branch.py": ""}
        bundle.swap(LEAF, handmade.wheel(tmp_path, "leaf", "1.0", files=files))
        bundle.entry(LEAF).update(bytecode=None, bytecode_record_sha256=None)
        with zipfile.ZipFile(bundle.path / "data" / LEAF) as archive:
            sizes = [one.file_size for one in archive.infolist()]
        bundle.entry(LEAF).update(installed_size=sum(sizes), installed_files=len(sizes))
        bundle.sum_up()
        (bundle.path / "data" / "bytecode").joinpath(
            f"{LEAF[:-4]}.{bundle.info['targets'][0]['cache_tag']}.zip"
        ).unlink()
        bundle.seal()
        diary = Diary()
        verify(bundle.path, allowed_signers=None, run=Runner(), progress=diary, work=tmp_path)
        assert diary.said("warn") == ["branch and leaf both have site-packages/branch.py: leaf's will be installed"]


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


class TestThin:
    @pytest.fixture
    def thin(self, built: Path, tmp_path: Path) -> Bundle:
        made = make_thin(built, [built], frozenset(), output=tmp_path, kind="dir", mtime=315532800)
        return Bundle(made.path)

    def change(self, thin: Bundle, **changes: Any) -> None:
        note = json.loads((thin.path / "thin.json").read_text())
        (thin.path / "thin.json").write_text(json.dumps(note | changes))

    def test_what_is_there_is_checked(self, thin: Bundle) -> None:
        flip(thin.path / "data" / "conf" / "file")
        (thin.path / "PLATFORM").unlink()
        told = findings(thin.path)
        assert "  data/conf/file: altered\n" in told
        assert "  PLATFORM: missing\n" in told

    def test_unpacked_into_the_folder_of_the_full_one(self, thin: Bundle, bundle: Bundle) -> None:
        shutil.copy(thin.path / "thin.json", bundle.path)
        found = look(bundle.path)
        assert (found.wheels, found.left_out) == (3, ())
        flip(bundle.path / "data" / LEAF)
        assert f"data/{LEAF}: altered" in findings(bundle.path)

    def test_what_is_missing_and_not_left_out(self, thin: Bundle) -> None:
        self.change(thin, left_out=[])
        assert "  data/bootstrap/distlib/__init__.py: missing\n" in findings(thin.path)

    @pytest.mark.parametrize("name", ["install.sh", "data/conf/file", "data/nowhere-1.0-py3-none-any.whl"])
    def test_what_cannot_be_left_out(self, thin: Bundle, name: str) -> None:
        self.change(thin, left_out=[name])
        assert f"thin.json: left_out: {name} " in findings(thin.path)

    def test_a_wheel_without_its_bytecode(self, thin: Bundle, built: Path) -> None:
        shutil.copy(built / "data" / LEAF, thin.path / "data" / LEAF)
        assert look(thin.path).wheels == 1

    def test_inspected(self, thin: Bundle, built: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["inspect", str(thin.path)]) == 0
        left_out = json.loads((thin.path / "thin.json").read_text())["left_out"]
        said = f"\n  thin       {len(left_out)} files are left out, 3 of them wheels, compared with 1.0\n"
        assert said in capsys.readouterr().out
        assert main(["inspect", "--json", str(thin.path)]) == 0
        result = json.loads(capsys.readouterr().out)
        jsonschema.validate(result, json.loads((DOCS / "inspect.schema.json").read_text()))
        assert result["thin"]["left_out"] == left_out
        assert [one["version"] for one in result["thin"]["base"]] == ["1.0"]
        assert main(["inspect", "--sbom", str(thin.path)]) == 0
        assert capsys.readouterr().out == (built / "data" / "sbom.cdx.json").read_text()
        assert main(["diff", str(thin.path), str(built)]) == 0
        assert main(["inspect", "--files", str(thin.path)]) == 2
        assert "is a thin bundle: it leaves out 3 wheels" in capsys.readouterr().err


class TestDamage:
    @pytest.mark.parametrize(
        ("kind", "name"),
        [
            *(("dir", one) for one in ("PACKAGE", "install.sh", "info.json", "data/pylock.toml", "data/conf/file")),
            *(("dir", one) for one in (f"data/{LEAF}", "data/bootstrap/platter_payload/__main__.py")),
            ("tar.gz", f"data/{LEAF}"),
        ],
    )
    def test_flipped_cut_and_missing(self, bundle: Bundle, tmp_path: Path, kind: str, name: str) -> None:
        def told() -> str:
            return findings(packed(bundle.path, kind, tmp_path / "out"))

        path = bundle.path / name
        whole = path.read_bytes()
        flip(path)
        assert f"  {name}: altered\n" in told() + "\n"
        path.write_bytes(whole[:-1])
        assert f"  {name}: altered\n" in told() + "\n"
        path.unlink()
        if name == "data/conf/file":
            (bundle.path / "data" / "link").unlink()
        assert f"  {name}: missing\n" in told() + "\n"

    @pytest.mark.parametrize("name", ["extra", "data/extra.whl", "data/bytecode/extra.zip", "data/bootstrap/site.py"])
    def test_extra(self, bundle: Bundle, name: str) -> None:
        (bundle.path / name).write_text("extra")
        assert f"  {name}: not listed in SHA256SUMS" in findings(bundle.path)

    def test_sums_themselves(self, bundle: Bundle) -> None:
        sums = bundle.path / "SHA256SUMS"
        whole = sums.read_text()
        for text, finding in (
            (whole[:-5], "cut off in its last line"),
            (whole + "0123  x\n", "not a checksum"),
            (whole + whole.splitlines()[0] + "\n", "is listed twice"),
            (whole.replace("  PACKAGE", "  ../PACKAGE"), "could leave its folder"),
            ("", "PACKAGE: not listed"),
        ):
            sums.write_text(text)
            assert finding in findings(bundle.path)
        sums.unlink()
        assert "SHA256SUMS: missing" in findings(bundle.path)

    def test_a_long_list_is_cut(self, bundle: Bundle) -> None:
        (bundle.path / "SHA256SUMS").write_text("")
        assert findings(bundle.path).splitlines()[20].endswith(" more")

    def test_single_bits(self, bundle: Bundle) -> None:
        chance = random.Random(SEED)
        files = sorted(path for path in bundle.path.rglob("*") if path.is_file() and not path.is_symlink())
        for _ in range(20):
            path = chance.choice([one for one in files if one.stat().st_size])
            whole = path.read_bytes()
            at = chance.randrange(len(whole))
            path.unlink()
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << chance.randrange(8)]) + whole[at + 1 :])
            with pytest.raises(BundleError, match="is not in order"):
                look(bundle.path)
            path.write_bytes(whole)
        look(bundle.path)

    @pytest.mark.parametrize("kind", ["tar.gz", "tar.zst", "tar", "zip"])
    def test_archives_that_end_too_early(self, built: Path, tmp_path: Path, kind: str) -> None:
        path, chance = packed(built, kind, tmp_path), random.Random(SEED)
        whole = path.read_bytes()
        # A tar without its last blocks, which are empty, is a whole one.
        lengths = [0, 600, *(chance.randrange(len(whole) - 10240) for _ in range(2))]
        for length in lengths + [len(whole) - 1] * (kind != "tar"):
            path.write_bytes(whole[:length])
            with pytest.raises(PlatterError) as caught:
                look(path)
            assert caught.value.exit_code in {5, 6}
            assert str(path) in caught.value.message


class TestContradictions:
    """Bundles whose checksums are right, and which are wrong all the same."""

    @staticmethod
    def lying(bundle: Bundle) -> None:
        bundle.swap(LEAF, handmade.wheel(bundle.path.parent, "leaf", "1.0", drop=["leaf.py"]))

    @staticmethod
    def hostile(bundle: Bundle) -> None:
        member = handmade.Member(name="../../leaf.py")
        bundle.swap(LEAF, handmade.wheel(bundle.path.parent, "leaf", "1.0", extra=[member]))

    @staticmethod
    def demanding(bundle: Bundle) -> None:
        bundle.swap(LEAF, handmade.wheel(bundle.path.parent, "leaf", "1.0", requires=["absent>=1"]))

    @staticmethod
    def unfitting(bundle: Bundle) -> None:
        metadata = "Metadata-Version: 2.1\nName: leaf\nVersion: 1.0\nRequires-Python: <3\n"
        bundle.swap(LEAF, handmade.wheel(bundle.path.parent, "leaf", "1.0", metadata=metadata))

    @staticmethod
    def other_times(bundle: Bundle) -> None:
        files = {"leaf.py": "NAME = 'leaf 1.0.1'\n"}
        bundle.swap(LEAF, handmade.wheel(bundle.path.parent, "leaf", "1.0", files=files))

    @staticmethod
    def blocking(bundle: Bundle) -> None:
        files = {"hello.py": "", "branch.py/below.txt": "", "leaf.py": ""}
        bundle.swap(LEAF, handmade.wheel(bundle.path.parent, "leaf", "1.0", files=files))

    @staticmethod
    def recorded_otherwise(bundle: Bundle) -> None:
        path = bundle.path / "data" / str(bundle.entry(LEAF)["bytecode"])
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        members["RECORD"] = members["RECORD"].replace(b"sha256=", b"sha256=x")
        handmade.archive(path, [handmade.Member(name=name, content=members[name]) for name in members])
        bundle.entry(LEAF)["bytecode_record_sha256"] = hashlib.sha256(members["RECORD"]).hexdigest()

    @staticmethod
    def incomplete(bundle: Bundle) -> None:
        bundle.info["wheels"].remove(bundle.entry(LEAF))
        bundle.sum_up()

    @staticmethod
    def unlike(bundle: Bundle) -> None:
        bundle.entry(LEAF)["installed_size"] += 1
        bundle.sum_up()

    @staticmethod
    def wrong(key: str, value: object) -> Callable[[Bundle], None]:
        return lambda bundle: bundle.entry(LEAF).update({key: value})

    @staticmethod
    def targeted(key: str, value: object) -> Callable[[Bundle], None]:
        return lambda bundle: bundle.info["targets"][0].update({key: value})

    @staticmethod
    def saying(name: str, text: str) -> Callable[[Bundle], object]:
        return lambda bundle: (bundle.path / name).write_text(text)

    @staticmethod
    def billed(change: Callable[[Any], object]) -> Callable[[Bundle], None]:
        return lambda bundle: bundle.bill_anew(change)

    CASES: Sequence[tuple[Callable[[Bundle], object], str]] = (
        (lying, f"{LEAF}: leaf.py is in its RECORD, but not in the wheel"),
        (hostile, f"{LEAF}: the name '../../leaf.py' could leave its folder"),
        (demanding, "leaf 1.0 requires absent>=1, which is missing"),
        (unfitting, "leaf 1.0 requires Python <3"),
        (other_times, f"leaf.{{tag}}.pyc was not compiled from what is in data/{LEAF}"),
        (blocking, "site-packages/branch.py"),
        (unlike, f"data/{LEAF} has another installed size"),
        (incomplete, "hello 1.0 requires leaf, which is missing"),
        (wrong("sha256", "0" * 64), f"data/{LEAF} has another hash or size"),
        (wrong("size", 1), f"data/{LEAF} has another hash or size"),
        (wrong("version", "3.0"), f"data/{LEAF} is leaf 1.0, not leaf 3.0"),
        (wrong("file", "leaf-9-py3-none-any.whl"), "data/leaf-9-py3-none-any.whl is missing"),
        (wrong("installed_size", 1), "installed_size: expected "),
        (wrong("record_sha256", "0" * 64), f"record_sha256 is not that of data/{LEAF}"),
        (wrong("executables_sha256", "0" * 64), f"executables_sha256 is not that of data/{LEAF}"),
        (wrong("bytecode_record_sha256", "0" * 64), "bytecode_record_sha256 is not that of data/bytecode/leaf"),
        (recorded_otherwise, "its RECORD is not of its modules"),
        (wrong("bytecode", "bytecode/none.zip"), "data/bytecode/none.zip: missing"),
        (wrong("bytecode", None), ".zip: belongs to no wheel"),
        (wrong("requested", "perhaps"), "requested: expected bool"),
        (targeted("magic", "00000000"), "or not for this target"),
        (targeted("python", "3.7"), "info.json: python: expected the Python of a target"),
        (saying("PACKAGE", "other\n"), "PACKAGE: info.json says hello"),
        (saying("VERSION", "1.0"), "VERSION: info.json says 1.0"),
        (
            saying("data/pylock.toml", 'lock-version = "1.0"\ncreated-by = ""\npackages = []\n'),
            "does not lock the wheels",
        ),
        (saying("data/pylock.toml", "broken"), "data/pylock.toml is not valid TOML"),
        (saying("data/pylock.toml", "deep = " + "[" * 20_000), "data/pylock.toml is not valid TOML"),
        (saying("data/sbom.cdx.json", "[" * 200_000), "data/sbom.cdx.json: not legible, or not as platter writes it"),
        (saying("data/sbom.cdx.json", "{}"), "data/sbom.cdx.json: not legible, or not as platter writes it"),
        (lambda bundle: (bundle.path / "data" / "sbom.cdx.json").unlink(), "data/sbom.cdx.json: not legible"),
        (billed(lambda bill: bill["components"][0].update(version="9")), "sbom.cdx.json: does not list the wheels"),
        (billed(lambda bill: bill["components"].pop()), "sbom.cdx.json: does not list the wheels"),
        (billed(lambda bill: bill["dependencies"][0]["dependsOn"].clear()), "sbom.cdx.json: does not lead to each"),
        (billed(lambda bill: bill["components"][0].pop("bom-ref")), "data/sbom.cdx.json: not legible"),
        (billed(lambda bill: bill["dependencies"].pop()), "data/sbom.cdx.json: not legible"),
        (saying("data/requirements.txt", "-i https://me:s3cr3t@host/\n"), "requirements.txt: holds a URL with a user"),
        (saying("post-install.sh", "pip download -i http://tok3n@host/ x\n"), "post-install.sh: holds a URL with"),
        (saying("data/conf/direct_url.json", '{"url":"git+https://a:b@host/x"}'), "direct_url.json: holds a URL with"),
    )

    @pytest.mark.parametrize(("change", "finding"), CASES)
    def test_all(self, bundle: Bundle, change: Callable[[Bundle], object], finding: str) -> None:
        getattr(change, "__func__", change)(bundle)
        bundle.seal()
        said = findings(bundle.path)
        assert finding.replace("{tag}", bundle.info["targets"][0]["cache_tag"]) in said
        assert "s3cr3t" not in said
        assert "tok3n" not in said

    def test_info_that_is_none(self, bundle: Bundle) -> None:
        for text in ("", "{", "[]", '{"format": 2}', "[" * 200_000):
            (bundle.path / "info.json").write_text(text)
            assert "  info.json: " in findings(bundle.path)

    def test_a_folder_of_another_name(self, bundle: Bundle) -> None:
        other = bundle.path.rename(bundle.path.with_name("other"))
        (line,) = (one for one in findings(other).splitlines() if "by info.json the folder should be" in one)
        assert bundle.path.name in line.partition("should be ")[2].split(" or ")

    def test_a_bundle_without_its_payload(self, bundle: Bundle) -> None:
        shutil.rmtree(bundle.path / "data" / "bootstrap" / "platter_payload")
        bundle.seal()
        assert "platter_payload/__main__.py: missing" in findings(bundle.path)


def header(name: str, kind: bytes = tarfile.REGTYPE, **values: Any) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.mode = kind, 0o755 if kind == tarfile.DIRTYPE else 0o777 if kind == tarfile.SYMTYPE else 0o644
    for key, value in values.items():
        setattr(made, key, value)
    return made


class TestEntries:
    """What an archive can say besides what is in its files."""

    @pytest.mark.parametrize(
        ("entry", "finding"),
        [
            (header("TOP/more", uid=1000), "TOP/more: its owner is not 0, or has a name"),
            (header("TOP/more", gname="staff"), "TOP/more: its owner is not 0, or has a name"),
            (header("TOP/more", mode=0o4755), "TOP/more: its mode is 4755 instead of 0644 or 0755"),
            (header("TOP/more", mode=0o666), "TOP/more: its mode is 0666 instead of 0644 or 0755"),
            (header("TOP/more", tarfile.DIRTYPE, mode=0o777), "TOP/more: its mode is 0777 instead of 0755"),
            (header("TOP/PACKAGE"), "TOP/PACKAGE: is in it twice"),
            (header("other/more"), "other/more: lies outside of the bundle's one folder"),
            (header("TOP"), "TOP: lies outside of the bundle's one folder"),
            (header("TOP/../more"), "TOP/../more: the name could leave its folder"),
            (header("/etc/more"), "/etc/more: the name could leave its folder"),
            (
                header("TOP/more", tarfile.LNKTYPE, linkname="TOP/PACKAGE"),
                "TOP/more: is neither a file nor a folder nor",
            ),
            (header("TOP/more", tarfile.CHRTYPE), "TOP/more: is neither a file nor a folder nor"),
            (header("TOP/more", tarfile.FIFOTYPE), "TOP/more: is neither a file nor a folder nor"),
            (header("TOP/more", tarfile.SYMTYPE, linkname="../../etc"), "TOP/more: the link leads out of the bundle"),
            (header("TOP/more", tarfile.SYMTYPE, linkname="/etc"), "TOP/more: the link leads out of the bundle"),
            (header("TOP/more", tarfile.SYMTYPE, linkname="more"), "more leads in a circle"),
            (header("TOP/more", tarfile.SYMTYPE, linkname="nowhere"), "more: a link that is not listed in SHA256SUMS"),
            (
                header("TOP/data/bootstrap/more", tarfile.SYMTYPE, linkname="../conf"),
                "data/bootstrap/more: a link that is not listed in SHA256SUMS",
            ),
            (header("TOP/data/link/more"), "TOP/data/link/more: lies in what is no folder"),
        ],
    )
    def test_in_a_tar(self, built: Path, tmp_path: Path, entry: tarfile.TarInfo, finding: str) -> None:
        path = packed(built, "tar", tmp_path)
        entry.name = entry.name.replace("TOP", built.name)
        with tarfile.open(path, "a") as tar:
            tar.addfile(entry, io.BytesIO())
        assert finding.replace("TOP", built.name) in findings(path)

    @pytest.mark.parametrize(
        ("name", "mode", "finding"),
        [
            ("TOP/more", 0o100600, "TOP/more: its mode is 0600 instead of 0644 or 0755"),
            ("TOP/more", 0o020666, "TOP/more: is neither a file nor a folder nor"),
            ("TOP/more", 0o120777, "TOP/more: the link leads out of the bundle (../../etc)"),
            ("TOP/../more", 0o100644, "TOP/../more: the name could leave its folder"),
        ],
    )
    def test_in_a_zip(self, built: Path, tmp_path: Path, name: str, mode: int, finding: str) -> None:
        path = packed(built, "zip", tmp_path)
        entry = zipfile.ZipInfo(name.replace("TOP", built.name))
        entry.external_attr = mode << 16
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(entry, "../../etc")
        assert finding.replace("TOP", built.name) in findings(path)

    def test_in_a_folder(self, bundle: Bundle) -> None:
        os.mkfifo(bundle.path / "pipe")
        (bundle.path / "link").symlink_to("/etc/passwd")
        said = findings(bundle.path)
        assert f"{bundle.path.name}/pipe: is neither a file nor a folder nor" in said
        assert f"{bundle.path.name}/link: the link leads out of the bundle (/etc/passwd)" in said


class TestNoBundle:
    def test_nothing_there(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["verify", str(tmp_path / "none")]) == 2
        assert main(["verify", str(tmp_path), "--allowed-signers", str(tmp_path / "none")]) == 2
        assert capsys.readouterr().err.count("none does not exist") == 2

    def test_something_else(self, tmp_path: Path) -> None:
        (tmp_path / "folder").mkdir()
        (tmp_path / "empty").touch()
        (tmp_path / "text").write_text("a text\n" * 1000)
        handmade.wheel(tmp_path, "leaf")
        with tarfile.open(tmp_path / "some.tar.gz", "w:gz") as tar:
            tar.addfile(header("some/file"))
        for path in tmp_path.iterdir():
            with pytest.raises(ArchiveError, match=r"is not a bundle|cannot be read as a bundle") as caught:
                look(path)
            assert caught.value.exit_code == 6
            if path.name == "folder":
                path.joinpath("x").touch()


@keys.needs_openssh
class TestSignatures:
    @pytest.fixture
    def key(self, tmp_path: Path) -> Path:
        return keys.make(tmp_path)

    @pytest.mark.parametrize("kind", ["tar", "dir"])
    def test_signed(self, bundle: Bundle, key: Path, tmp_path: Path, kind: str) -> None:
        path = packed(keys.sign(bundle.path, key), kind, tmp_path / "out")
        verdict = look(path, allowed=keys.allow(tmp_path / "allowed", key, who="a@example.com,b@example.com"))
        assert (verdict.signed, verdict.signer) == (True, "a@example.com")
        assert (look(path).signed, look(path).signer) == (True, None)

    def test_by_nobody(self, bundle: Bundle, key: Path, tmp_path: Path) -> None:
        with pytest.raises(ArchiveError, match="is not signed"):
            look(bundle.path, allowed=keys.allow(tmp_path / "allowed", key))

    def test_by_somebody_else(self, bundle: Bundle, key: Path, tmp_path: Path) -> None:
        other = keys.make(tmp_path, name="other")
        for who, options in ((other, ""), (key, 'namespaces="git"')):
            allowed = keys.allow(tmp_path / "allowed", who, options=options)
            with pytest.raises(
                ArchiveError, match=f"signed with ED25519 key {keys.fingerprint(key)}, which".replace("+", r"\+")
            ):
                look(keys.sign(bundle.path, key), allowed=allowed)

    def test_of_something_else(self, bundle: Bundle, key: Path, tmp_path: Path) -> None:
        allowed = keys.allow(tmp_path / "allowed", key)
        keys.sign(bundle.path, key)
        (bundle.path / "PACKAGE").write_text("tampered\n")
        bundle.seal()
        with pytest.raises(PlatterError, match=r"SHA256SUMS\.sig is no signature of SHA256SUMS") as caught:
            look(bundle.path, allowed=allowed)
        assert caught.value.exit_code == 6
        with pytest.raises(ArchiveError, match=r"SHA256SUMS\.sig is no signature of SHA256SUMS"):
            look(bundle.path)

    @pytest.mark.parametrize("content", ["garbage", "", "-----BEGIN SSH SIGNATURE-----\nAAAA\n"])
    def test_of_nothing(self, bundle: Bundle, content: str) -> None:
        (bundle.path / "SHA256SUMS.sig").write_text(content)
        with pytest.raises(ArchiveError, match=r"SHA256SUMS\.sig is no signature of SHA256SUMS") as caught:
            look(bundle.path)
        assert caught.value.exit_code == 6

    def test_nobody_can_look(self, bundle: Bundle, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        keys.sign(bundle.path, key)
        monkeypatch.setenv("PATH", str(tmp_path))
        diary = Diary()
        verify(bundle.path, allowed_signers=None, run=Runner(), progress=diary, work=tmp_path)
        assert diary.said("warn") == [
            "the signature was not checked: ssh-keygen, which checks signatures, is not on this machine"
        ]

    def test_without_ssh_keygen(
        self, bundle: Bundle, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        keys.sign(bundle.path, key)
        allowed = keys.allow(tmp_path / "allowed", key)
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(PlatterError, match="ssh-keygen, which checks signatures, is not on this") as caught:
            look(bundle.path, allowed=allowed)
        assert caught.value.exit_code == 2
