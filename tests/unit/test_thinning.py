"""Thin bundles: what they leave out, in every format, and what is refused."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from platter_setuptools.bundle.members import from_bytes, from_folder
from platter_setuptools.cli.command_line import main
from platter_setuptools.config.options import FORMATS
from platter_setuptools.errors import ArchiveError, BundleError, PlatterError, UsageError
from platter_setuptools.inspect.archive_reader import Kind, open_bundle
from platter_setuptools.inspect.known_files import parse_list
from platter_setuptools.payload import checksums, thin
from platter_setuptools.thinning import ThinBundle, make_thin
from support import handmade
from support.archives import write_archive

if TYPE_CHECKING:
    from collections.abc import Iterator

MTIME = 315532800
STEM = "tiny-1.1-linux-x86_64"
PROJECT, LEAF, BRANCH = (f"{name}-py3-none-any.whl" for name in ("tiny-1.1", "leaf-1.0", "branch-2.0"))
VIRTUALENV = ("data/bootstrap/virtualenv/__init__.py", "data/bootstrap/virtualenv/run.py")


class Yard:
    """The bundle of a release and the one of the release before, as folders."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tag = handmade.running_target()["cache_tag"]
        self.old, self.new = (
            handmade.Bundle(path=path, info=json.loads((path / "info.json").read_text()))
            for path in sorted(folder.glob("*/tiny-1.*"))
        )

    @classmethod
    def made(cls, folder: Path) -> Yard:
        """Make both bundles in an empty folder."""
        bootstrap = folder / "bootstrap"
        (bootstrap / "virtualenv").mkdir(parents=True)
        (bootstrap / "virtualenv" / "__init__.py").touch()
        (bootstrap / "virtualenv" / "run.py").write_text("run = 1\n" * 2000)
        leaf = handmade.wheel(folder, "leaf")
        for version, branch in (("1.0", "1.0"), ("1.1", "2.0")):
            wheels = [handmade.wheel(folder, version=version), leaf, handmade.wheel(folder, "branch", branch)]
            path = handmade.bundle(folder / version, wheels, bytecode=True, bootstrap=bootstrap).path
            path.rename(path.with_name(f"tiny-{version}-linux-x86_64"))
        return cls(folder)

    def bytecode(self, wheel: str) -> str:
        return f"data/bytecode/{wheel.removesuffix('.whl')}.{self.tag}.zip"

    def packed(self, bundle: handmade.Bundle, kind: str = "tar.gz") -> Path:
        members = list(from_folder(bundle.path))
        return write_archive(members, bundle.path.name, kind, self.folder / f"{bundle.path.parent.name}-packed", MTIME)[
            0
        ]

    def thin(self, bundle: Path, *bases: Path, have: Path | None = None, kind: str | None = None) -> ThinBundle:
        known = parse_list(have.read_bytes() if have else b"", f"{have}")
        return make_thin(bundle, bases, known, output=self.folder / "out", kind=kind, mtime=MTIME)

    def have(self, *lines: str) -> Path:
        path = self.folder / "have.txt"
        path.write_text("".join(f"{line}\n" for line in lines))
        return path

    @property
    def sums(self) -> dict[str, str]:
        return checksums.read(str(self.new.path))


@pytest.fixture(scope="module", name="made")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Yard.made(tmp_path_factory.mktemp("made")).folder


@pytest.fixture(name="yard")
def _yard(made: Path, tmp_path: Path) -> Yard:
    return Yard(Path(shutil.copytree(made, tmp_path / "yard")))


def files(path: Path) -> dict[str, tuple[bytes, int | None]]:
    """Return content and permissions of all files of a bundle."""

    def found() -> Iterator[tuple[str, tuple[bytes, int | None]]]:
        with open_bundle(path) as entries:
            for entry in entries:
                if entry.kind is Kind.FILE:
                    with entry.open() as source:
                        yield entry.name.partition("/")[2], (source.read(), entry.mode)

    return dict(found())


def note(path: Path) -> thin.Thin:
    data = json.loads(files(path)[thin.FILE][0])
    return thin.Thin(tuple(thin.Base(**one) for one in data["base"]), frozenset(data["left_out"]))


class TestWhatIsLeftOut:
    @pytest.mark.parametrize("kind", FORMATS)
    def test_what_a_base_has_with_the_same_hash(self, yard: Yard, kind: str) -> None:
        full, base = yard.packed(yard.new, kind), yard.packed(yard.old)
        made = yard.thin(full, base)
        assert made.path == yard.folder / "out" / (f"{STEM}-thin.{kind}" if kind != "dir" else f"{STEM}-thin")
        left_out = {f"data/{LEAF}", yard.bytecode(LEAF), *VIRTUALENV}
        found, whole = files(made.path), files(full)
        about = found.pop(thin.FILE)
        assert found == {name: file for name, file in whole.items() if name not in left_out}
        identity = checksums.identity(str(yard.old.path))
        assert note(made.path) == thin.Thin((thin.Base("tiny", "1.0", identity),), frozenset(left_out))
        assert json.loads(about[0])["left_out"] == sorted(left_out)
        assert (made.wheels, made.all_wheels, made.left_out) == (2, 3, 4)
        if kind != "dir":
            assert (made.size, made.full_size) == (made.path.stat().st_size, full.stat().st_size)
            with open_bundle(made.path) as entries:
                assert {entry.name.partition("/")[0] for entry in entries} == {STEM}

    @pytest.mark.parametrize("kind", FORMATS)
    def test_the_base_may_have_any_format_and_be_thin_itself(self, yard: Yard, kind: str) -> None:
        expected = files(yard.thin(yard.packed(yard.new), yard.packed(yard.old)).path)
        base = yard.packed(yard.old, kind)
        assert files(yard.thin(yard.packed(yard.new), base).path) == expected
        base = yard.thin(base, yard.old.path).path
        assert files(yard.thin(yard.packed(yard.new), base).path) == expected

    @pytest.mark.parametrize("kind", FORMATS)
    def test_same_input_same_bytes(self, yard: Yard, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
        full, base = yard.packed(yard.new, kind), yard.packed(yard.old)
        first = yard.thin(full, base).path
        content = files(first) if kind == "dir" else first.read_bytes()
        monkeypatch.chdir(yard.folder)
        mask = os.umask(0o077)
        try:
            (yard.folder / "elsewhere").mkdir(mode=0o700)
            again = make_thin(
                Path(os.path.relpath(full)),
                [base],
                frozenset(),
                output=yard.folder / "elsewhere",
                kind=None,
                mtime=MTIME,
            )
        finally:
            os.umask(mask)
        assert (files(again.path) if kind == "dir" else again.path.read_bytes()) == content
        other = make_thin(
            yard.new.path, [yard.old.path], frozenset(), output=yard.folder / "two", kind=kind, mtime=MTIME
        )
        assert (files(other.path) if kind == "dir" else other.path.read_bytes()) == content

    def test_what_several_bases_have(self, yard: Yard) -> None:
        yard.new.path.joinpath("data", "bootstrap", "virtualenv", "run.py").write_text("run = 2\n")
        (yard.old.data / PROJECT).write_bytes((yard.new.data / PROJECT).read_bytes())
        yard.new.seal()
        shutil.copytree(yard.old.path, yard.folder / "older" / yard.old.path.name)
        (yard.old.data / LEAF).unlink()
        yard.old.seal()
        made = yard.thin(yard.new.path, yard.old.path, yard.folder / "older" / yard.old.path.name)
        # The project's bytecode is the same in both versions.
        wheels = (PROJECT, LEAF)
        expected = {*(f"data/{one}" for one in wheels), *map(yard.bytecode, wheels)}
        assert note(made.path).left_out == expected
        assert len(note(made.path).base) == 2

    def test_what_a_list_says(self, yard: Yard) -> None:
        sums = yard.sums
        have = yard.have(
            f"{sums[f'data/{BRANCH}']}  wheel  {BRANCH}",
            f"{sums[yard.bytecode(BRANCH)]}  bytecode  a name with spaces",
            f"{sums[yard.bytecode(LEAF)]}  bytecode  the wheel of which is not there",
            f"{thin.bootstrap_sha256(sums)}  bootstrap  data/bootstrap",
            f"{sums['install.sh']}  bootstrap  install.sh",
            f"{sums['info.json']}  later",
        )
        made = yard.thin(yard.packed(yard.new), have=have)
        left_out = {f"data/{BRANCH}", yard.bytecode(BRANCH), *VIRTUALENV}
        assert note(made.path) == thin.Thin((), frozenset(left_out))

    def test_what_only_other_targets_need(self, tmp_path: Path) -> None:
        """A server that is one of a bundle's targets needs none of their wheels, whether it has them or not."""
        wheels = [handmade.wheel(tmp_path, name) for name in ("tiny", "both", "mine", "other")]
        tiny, both, mine, other = (path.name for path in wheels)
        targets: list[dict[str, Any]] = [
            {"wheels": [tiny, both, mine]},
            {"python": "3.99", "abi": "cp399", "magic": "00", "wheels": [tiny, both, other]},
        ]
        (tmp_path / "none").mkdir()
        made = handmade.bundle(tmp_path, wheels, bootstrap=tmp_path / "none", bytecode=True, targets=targets)
        here, there = (one["id"] for one in made.info["targets"])
        code = {one["wheel"]: f"data/{one['file']}" for one in made.info["targets"][0]["bytecode"]}

        def left_out(*ids: str, wheel: str = "") -> set[str]:
            known = {(thin.TARGET, thin.target_sha256(one)) for one in ids}
            known |= {(thin.WHEEL, checksums.read(str(made.path))[f"data/{one}"]) for one in (wheel,) if one}
            work = tmp_path / f"{len(list(tmp_path.iterdir()))}"
            return set(
                note(make_thin(made.path, [], frozenset(known), output=work, kind=None, mtime=MTIME).path).left_out
            )

        assert left_out(here) == {f"data/{other}"}
        assert left_out(here, "cp27-elsewhere", wheel=both) == {f"data/{other}", f"data/{both}"}
        assert left_out(there) == {f"data/{mine}", *code.values()}
        assert left_out(here, there) == left_out("cp27-elsewhere") == left_out() == set()

    def test_a_base_for_another_python(self, yard: Yard) -> None:
        """Only hashes decide: its wheels are the same, its bytecode is not."""
        yard.old.info["targets"][0]["magic"] = "00000000"
        for archive in (yard.old.data / "bytecode").iterdir():
            archive.rename(archive.with_name(archive.name.replace(yard.tag, "cpython-399"))).write_bytes(b"other")
        yard.old.seal()
        made = yard.thin(yard.packed(yard.new), yard.old.path)
        assert note(made.path).left_out == {f"data/{LEAF}", *VIRTUALENV}

    def test_nothing(self, yard: Yard) -> None:
        made = yard.thin(yard.packed(yard.new), have=yard.have())
        found = files(made.path)
        assert json.loads(found.pop(thin.FILE)[0]) == {"format": 1, "base": [], "left_out": []}
        assert found == files(yard.packed(yard.new))
        assert (made.wheels, made.left_out) == (3, 0)

    def test_what_a_link_leads_to_is_kept(self, yard: Yard) -> None:
        (yard.new.data / "leaf.whl").symlink_to(LEAF)
        (yard.new.data / "venv").symlink_to("bootstrap/virtualenv")
        yard.new.seal()
        made = yard.thin(yard.packed(yard.new), yard.old.path)
        assert note(made.path).left_out == frozenset()
        with tarfile.open(made.path) as archive:
            assert archive.getmember(f"{STEM}/data/leaf.whl").linkname == LEAF

    def test_an_archive_in_another_order(self, yard: Yard) -> None:
        """Somebody may have packed it again: SHA256SUMS comes last."""
        path = yard.folder / f"{STEM}.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            archive.add(yard.new.path, STEM, recursive=False)
            for name in sorted(files(yard.new.path), reverse=True):
                archive.add(yard.new.path / name, f"{STEM}/{name}")
        assert files(yard.thin(path, yard.old.path).path) == files(
            yard.thin(yard.new.path, yard.old.path, kind="tar").path
        )

    def test_bytecode_of_a_wheel_that_is_not_left_out_is_read_in_a_second_pass(self, yard: Yard) -> None:
        sums = yard.sums
        have = yard.have(f"{sums[yard.bytecode(LEAF)]}  bytecode", f"{sums[f'data/{BRANCH}']}  wheel")
        made = yard.thin(yard.packed(yard.new), have=have)
        assert note(made.path).left_out == {f"data/{BRANCH}"}
        assert files(made.path)[yard.bytecode(LEAF)] == files(yard.packed(yard.new))[yard.bytecode(LEAF)]

    def test_a_bundle_without_the_hashes_of_records(self, yard: Yard) -> None:
        """Nothing could tell whether what a server has is what was in the wheel."""
        sums = yard.sums
        have = yard.have(
            f"{thin.bootstrap_sha256(sums)}  bootstrap",
            *(f"{sums[name]}  {thin.kind_of(name)}" for name in sums if thin.kind_of(name)),
        )
        leaf = next(one for one in yard.new.info["wheels"] if one["name"] == "leaf")
        everything = {f"data/{one}" for one in (PROJECT, LEAF, BRANCH)} | set(VIRTUALENV)
        everything |= set(map(yard.bytecode, (PROJECT, LEAF, BRANCH)))
        assert note(yard.thin(yard.packed(yard.new), have=have).path).left_out == everything
        del leaf["bytecode_record_sha256"]
        yard.new.seal()
        assert note(yard.thin(yard.packed(yard.new), have=have).path).left_out == everything - {yard.bytecode(LEAF)}
        del leaf["record_sha256"]
        yard.new.seal()
        left_out = everything - {yard.bytecode(LEAF), f"data/{LEAF}"}
        assert note(yard.thin(yard.packed(yard.new), have=have).path).left_out == left_out

    def test_empty_folders_stay_and_emptied_ones_do_not(self, yard: Yard) -> None:
        (yard.new.data / "empty").mkdir()
        made = yard.thin(yard.packed(yard.new), yard.old.path)
        with open_bundle(made.path) as entries:
            folders = {entry.name for entry in entries if entry.kind is Kind.FOLDER}
        assert f"{STEM}/data/empty" in folders
        assert f"{STEM}/data/bootstrap/virtualenv" not in folders


class TestWhatIsRefused:
    def refused(self, yard: Yard, bundle: Path, *bases: Path, have: Path | None = None) -> PlatterError:
        with pytest.raises(PlatterError) as caught:
            yard.thin(bundle, *(bases or (yard.old.path,)), have=have)
        assert caught.value.hint
        assert not (yard.folder / "out").exists() or not list((yard.folder / "out").iterdir())
        return caught.value

    @pytest.mark.parametrize("kind", ["tar.gz", "zip", "dir"])
    def test_a_thin_bundle(self, yard: Yard, kind: str) -> None:
        made = yard.thin(yard.new.path, yard.old.path, kind=kind)
        path = made.path.rename(yard.folder / made.path.name)
        error = self.refused(yard, path)
        assert isinstance(error, UsageError)
        assert error.message == f"{path} is a thin bundle"

    @pytest.mark.parametrize("kind", ["tar.gz", "zip", "dir"])
    def test_a_base_of_another_project(self, yard: Yard, kind: str) -> None:
        other = handmade.bundle(
            yard.folder / "other", [handmade.wheel(yard.folder, "other")], bootstrap=yard.folder / "bootstrap"
        )
        error = self.refused(yard, yard.packed(yard.new), yard.old.path, yard.packed(other, kind))
        assert isinstance(error, UsageError)
        assert "is a bundle of other, not of tiny" in error.message

    def test_the_same_project_in_another_spelling(self, yard: Yard) -> None:
        (yard.old.path / "PACKAGE").write_text("TINY\n")
        assert yard.thin(yard.new.path, yard.old.path).left_out == 4

    @pytest.mark.parametrize("kind", ["tar.gz", "zip", "dir"])
    @pytest.mark.parametrize(
        "name", [f"data/{BRANCH}", "install.sh", "info.json", "data/bootstrap/platter_payload/names.py"]
    )
    def test_a_damaged_bundle(self, yard: Yard, kind: str, name: str) -> None:
        with (yard.new.path / name).open("a") as file:
            file.write(" ")
        error = self.refused(yard, yard.packed(yard.new, kind))
        assert isinstance(error, BundleError)
        assert f"{name} is altered" in error.message
        (yard.new.path / name).unlink()
        assert "has no info.json" in (message := self.refused(yard, yard.packed(yard.new, kind)).message) or (
            f"{name} is missing" in message
        )

    def test_what_is_not_listed(self, yard: Yard) -> None:
        (yard.new.data / "extra").touch()
        assert "data/extra is not listed in SHA256SUMS" in self.refused(yard, yard.packed(yard.new)).message

    def test_a_wheel_that_is_left_out_must_be_there(self, yard: Yard) -> None:
        (yard.new.data / LEAF).unlink()
        assert f"data/{LEAF} is missing" in self.refused(yard, yard.packed(yard.new)).message

    def test_a_file_of_a_script_that_is_called_as_ours(self, yard: Yard) -> None:
        (yard.new.path / thin.FILE).write_text("{}")
        yard.new.seal()
        assert "has a file of its own that is called thin.json" in self.refused(yard, yard.packed(yard.new)).message

    @pytest.mark.parametrize(
        ("name", "finding"),
        [
            (f"{STEM}/../escaped", "could leave its folder"),
            ("/etc/escaped", "could leave its folder"),
            ("elsewhere/file", "outside of the bundle's one folder"),
            (f"{STEM}/PACKAGE", "is in it twice"),
            (f"{STEM}/data/{LEAF}", "is in it twice"),
            (f"{STEM}/PACKAGE/file", "lies in what is no folder"),
        ],
    )
    def test_members_that_no_build_writes(self, yard: Yard, name: str, finding: str) -> None:
        path = yard.packed(yard.new, "tar")
        with tarfile.open(path, "a") as archive:
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
        assert finding in self.refused(yard, path).message

    def test_a_top_folder_that_leads_elsewhere(self, yard: Yard) -> None:
        path = write_archive([from_bytes("PACKAGE", b"x")], "..", "tar", yard.folder / "hostile", MTIME)[0]
        assert "could leave its folder" in self.refused(yard, path).message

    @pytest.mark.parametrize("kind", ["tar.gz", "zip", "tar.xz"])
    def test_cut_off(self, yard: Yard, kind: str) -> None:
        path = yard.packed(yard.new, kind)
        path.write_bytes(path.read_bytes()[:-100])
        assert isinstance(self.refused(yard, path), ArchiveError)

    def test_what_is_no_bundle(self, yard: Yard) -> None:
        for path in (
            yard.folder / "bootstrap",
            write_archive([from_bytes("x", b"")], "x-1.0", "zip", yard.folder, MTIME)[0],
        ):
            assert isinstance(self.refused(yard, path), ArchiveError)
            error = self.refused(yard, yard.new.path, path)
            assert isinstance(error, ArchiveError)
            assert "is not a bundle: it has no PACKAGE" in error.message

    def test_a_base_whose_checksums_are_none(self, yard: Yard) -> None:
        (yard.old.path / "SHA256SUMS").write_bytes(b"x" * 100)
        assert isinstance(self.refused(yard, yard.new.path), BundleError)

    @pytest.mark.parametrize(
        "line", ["", "x", "ab" * 32, f"{'AB' * 32} wheel x", f"{'ab' * 31} wheel x", "ü" * 64 + " wheel"]
    )
    def test_a_list_that_is_none(self, yard: Yard, line: str) -> None:
        have = yard.have(f"{'ab' * 32}  wheel  x", line)
        error = self.refused(yard, yard.new.path, have=have)
        assert isinstance(error, UsageError)
        assert error.message == f"{have}, line 2: not a SHA-256 and a kind"

    def test_what_would_be_replaced(self, yard: Yard) -> None:
        (yard.folder / "out").mkdir()
        (there := yard.folder / "out" / f"{STEM}-thin.tar.gz").write_text("mine")
        with pytest.raises(ArchiveError, match="is in the way"):
            yard.thin(yard.packed(yard.new), yard.old.path)
        assert there.read_text() == "mine"

    def test_a_name_without_a_format(self, yard: Yard) -> None:
        path = yard.packed(yard.new).rename(yard.folder / "download")
        assert self.refused(yard, path).hint == "use --format"
        assert yard.thin(path, yard.old.path, kind="zip").path.suffix == ".zip"


class TestCommand:
    def test_it_prints_the_path(
        self, yard: Yard, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        full, base = yard.packed(yard.new), yard.packed(yard.old)
        monkeypatch.chdir(full.parent)
        assert main(["thin", full.name, "--base", str(base)]) == 0
        out, err = capsys.readouterr()
        assert out == f"{full.with_name(f'{STEM}-thin.tar.gz')}\n"
        assert err.startswith("2 of 3 wheels, ")
        assert main(["thin", full.name, "--base", str(base), "-o", str(yard.folder / "other"), "--format", "zip"]) == 0
        assert capsys.readouterr().out == f"{yard.folder / 'other' / f'{STEM}-thin.zip'}\n"

    def test_nothing_said_about_the_server(self, yard: Yard, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["thin", str(yard.new.path)]) == 2
        assert "--base" in capsys.readouterr().err

    def test_what_is_not_there(self, yard: Yard, capsys: pytest.CaptureFixture[str]) -> None:
        there = str(yard.new.path)
        for words in (["nowhere", "--base", there], [there, "--base", "nowhere"], [there, "--have", "nowhere"]):
            assert main(["thin", *words]) == 2
            assert "nowhere does not exist" in capsys.readouterr().err
