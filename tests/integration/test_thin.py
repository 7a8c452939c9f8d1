"""install.sh of a thin bundle: the same release as from the full one, or nothing and exit code 4."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.inspect.known_files import parse_list
from platter_setuptools.payload import thin as notes
from platter_setuptools.thinning import make_thin
from support import handmade, keys
from support.handmade import EXECUTABLE, Member

if TYPE_CHECKING:
    from collections.abc import Callable

Done = subprocess.CompletedProcess[str]
SEND = "hint: send the full bundle"
ENGINE = "engine-1.0-py3-none-any.whl"
# What differs between two installations of the same bundle: times, what may be linked, and what Python compiles.
VARYING = (".platter-release.json", ".platter-contents.json", "_virtualenv.")


class Bundles:
    """Versions of an application as folders: each changes the project, the third also a dependency."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        engine = self._engine("1.0")
        self.full = {
            "1.0": self._bundle("1.0", engine),
            "1.1": self._bundle("1.1", engine),
            "1.2": self._bundle("1.2", self._engine("1.1")),
            "1.3": self._bundle("1.3", engine),
        }

    def _engine(self, version: str) -> Path:
        return handmade.wheel(
            self.folder / "wheels",
            "engine",
            version,
            files={
                "engine/__init__.py": "",
                "engine/gear.py": f"NAME = 'gear {version}'\n" * 40,
                "engine/table.bin": bytes(range(256)) * 5000,
                "engine/ünïcödé.txt": "ä",
            },
            scripts={
                "engine-tune": "#!python\nimport engine.gear\nprint(engine.gear.NAME)\n",
                "engine.sh": "#!/bin/sh\necho engine\n",
            },
            data={"etc/engine.conf": "oil = yes\n"},
            headers={"engine.h": "/* */\n"},
            purelib={"engine/pure.py": "x = 1\n"},
            entry_points="[console_scripts]\nengine = engine.gear:main\n",
            extra=[Member(name="engine/tool", content=b"#!/bin/sh\n", mode=EXECUTABLE)],
        )

    def _bundle(self, version: str, engine: Path) -> Path:
        text = f"import engine.gear\n\n\ndef main():\n    print('{version} with', engine.gear.NAME)\n"
        points = "[console_scripts]\ngreet = greet:main\n"
        wheel = handmade.wheel(self.folder / "wheels", "greet", version, files={"greet.py": text}, entry_points=points)
        words = handmade.wheel(self.folder / "wheels", "words", files={"words.py": "x = 1\n"})
        return handmade.bundle(self.folder, [wheel, engine, words], bytecode=True).path

    def thin(self, version: str, *bases: str, have: str = "") -> handmade.Bundle:
        """Make the thin bundle of a version against other versions, as a folder."""
        full = self.full[version]
        output = self.folder / f"thin-{version}-{'-'.join(bases)}"
        known = parse_list(have.encode(), "have")
        if have or not output.exists():
            make_thin(full, [self.full[one] for one in bases], known, output=output, kind="dir", mtime=315532800)
        return handmade.Bundle(path=output / f"{full.name}-thin", info={})


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Bundles:
    return Bundles(tmp_path_factory.mktemp("thin"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def deploy(bundles: Bundles, root: Path) -> Callable[..., Done]:
    """Run install.sh --root: of the full bundle, or of the thin one against `base`."""

    def run(version: str, *words: str | Path, base: str = "", code: int = 0) -> Done:
        full = handmade.Bundle(path=bundles.full[version], info={})
        done = handmade.run(bundles.thin(version, base) if base else full, "--root", root, *words)
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    return run


def greeting(root: Path) -> str:
    words = [root / "versions" / "current" / "bin" / "greet"]
    return subprocess.run(words, check=True, capture_output=True, text=True, env={}, timeout=60).stdout.strip()


def platter(root: Path, *words: str) -> str:
    environment = {"PATH": os.defpath}
    done = subprocess.run(
        [root / "platter", *words], check=False, capture_output=True, text=True, timeout=60, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tree(folder: Path) -> dict[str, tuple[str, str, int]]:
    """Return mode, hash and, for modules, time of every file of a release."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        name = str(path.relative_to(folder))
        if not path.name.startswith(VARYING):
            file = stat.S_ISREG(status.st_mode)
            module = name.endswith(".py") and "site-packages/" in name
            digest = hashlib.sha256(path.read_bytes()).hexdigest() if file else ""
            found[name] = (stat.filemode(status.st_mode), digest, int(status.st_mtime) if module else 0)
    return found


def remains(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "versions").iterdir())


def site(root: Path, version: str = "1.0") -> Path:
    return next((root / "versions" / version).glob("lib/python*/site-packages"))


@pytest.mark.parametrize("mode", ["auto", "copy", "hardlink"])
def test_the_same_release_as_from_the_full_bundle(deploy: Callable[..., Done], root: Path, mode: str) -> None:
    deploy("1.0")
    deploy("1.1", "--link-mode", mode)
    expected = tree(root / "versions" / "1.1")
    shutil.rmtree(root)
    deploy("1.0")
    said = deploy("1.1", "--link-mode", mode, base="1.0").stdout
    assert "1.1 is active now, 1.0 was before." in said
    assert tree(root / "versions" / "1.1") == expected
    assert greeting(root) == "1.1 with gear 1.0"
    tune = root / "versions" / "1.1" / "bin" / "engine-tune"
    assert subprocess.run([tune], check=True, capture_output=True, text=True, env={}).stdout == "gear 1.0\n"
    assert "1.1: as it was installed" in platter(root, "doctor")


def test_a_chain_of_thin_bundles(deploy: Callable[..., Done], bundles: Bundles, root: Path) -> None:
    """Each release has what the next one needs, though none but the first came whole."""
    deploy("1.0")
    deploy("1.1", base="1.0")
    platter(root, "prune", "--keep", "1")
    shutil.rmtree(root / "versions" / "1.0")
    assert remains(root) == ["1.1", "current"]
    deploy("1.2", base="1.1")
    assert greeting(root) == "1.2 with gear 1.1"
    assert not (bundles.thin("1.2", "1.1").data / "words-1.0-py3-none-any.whl").exists()


def test_what_the_server_says_that_it_has(deploy: Callable[..., Done], bundles: Bundles, root: Path) -> None:
    deploy("1.0")
    thin = bundles.thin("1.1", have=platter(root, "have"))
    left_out = json.loads((thin.path / notes.FILE).read_text())["left_out"]
    against_base = json.loads((bundles.thin("1.1", "1.0").path / notes.FILE).read_text())["left_out"]
    assert left_out == against_base
    assert f"data/{ENGINE}" in left_out
    assert any(name.startswith("data/bootstrap/virtualenv/") for name in left_out)
    done = handmade.run(thin, "--root", root)
    assert done.returncode == 0, done.stderr


@keys.needs_openssh
def test_the_signature_is_that_of_the_full_bundle(
    deploy: Callable[..., Done], bundles: Bundles, root: Path, tmp_path: Path
) -> None:
    key = keys.make(tmp_path)
    full = keys.sign(Path(shutil.copytree(bundles.full["1.1"], tmp_path / bundles.full["1.1"].name)), key)
    thin = make_thin(
        full, [bundles.full["1.0"]], frozenset(), output=tmp_path / "out", kind="dir", mtime=315532800
    ).path
    deploy("1.0")
    words = ("--root", root, "--allowed-signers", keys.allow(tmp_path / "allowed", key))
    assert (thin / "SHA256SUMS.sig").read_bytes() == (full / "SHA256SUMS.sig").read_bytes()
    (thin / "PACKAGE").write_text("other\n")
    assert handmade.run(handmade.Bundle(path=thin, info={}), *words).returncode == 4
    shutil.copy(full / "PACKAGE", thin)
    done = handmade.run(handmade.Bundle(path=thin, info={}), *words)
    assert done.returncode == 0, done.stderr


class TestRefused:
    """Nothing is half-made, and the release before goes on serving."""

    def test_without_a_root(self, bundles: Bundles, tmp_path: Path) -> None:
        for words in ([tmp_path / "dst"], [tmp_path / "dst", "--check"]):
            done = handmade.run(bundles.thin("1.1", "1.0"), *words)
            assert done.returncode == 2
            assert "this is a thin bundle" in done.stderr
            assert "hint: use --root, or send the full bundle" in done.stderr
            assert not (tmp_path / "dst").exists()

    def test_a_root_without_releases(self, deploy: Callable[..., Done], root: Path) -> None:
        for words in ([], ["--check"]):
            said = deploy("1.1", *words, base="1.0", code=4).stderr
            assert "no release has what this thin bundle leaves out" in said
            assert SEND in said
            assert not (root / "versions" / "1.1").exists()

    def test_what_is_missing_is_named(self, deploy: Callable[..., Done], root: Path) -> None:
        deploy("1.0")
        said = deploy("1.2", base="1.2", code=4).stderr
        assert "\n  data/engine-1.1-py3-none-any.whl\n" in said
        assert "words" not in said
        assert SEND in said
        self.check(deploy, root)

    @pytest.mark.parametrize(
        "damage",
        [
            lambda site: (site / "engine" / "gear.py").write_text("NAME = 'gear 9.9'\n"),
            lambda site: os.truncate(site / "engine" / "table.bin", 1000),
            lambda site: (site / "engine" / "tool").unlink(),
            lambda site: next((site / "engine" / "__pycache__").glob("gear.*.pyc")).write_bytes(b""),
            lambda site: (site.parents[2] / "etc" / "engine.conf").write_text("oil = no\n"),
            lambda site: next(site.parents[2].rglob("engine.h")).unlink(),
            lambda site: (site.parents[2] / "bin" / "engine.sh").write_text("#!/bin/sh\necho other\n"),
            lambda site: replace_by_link(site / "engine" / "gear.py"),
            lambda site: replace_by_link(site / "engine"),
        ],
        ids=["edited", "truncated", "removed", "bytecode", "data", "header", "script", "link", "linked folder"],
    )
    def test_a_base_that_was_changed(
        self, deploy: Callable[..., Done], root: Path, damage: Callable[[Path], object]
    ) -> None:
        deploy("1.0")
        damage(site(root))
        for words in (["--check"], []):
            said = deploy("1.1", *words, base="1.0", code=4).stderr
            assert "engine-1.0-py3-none-any." in said
            assert SEND in said
            assert remains(root) == ["1.0", "current"]
        deploy("1.1")
        assert greeting(root) == "1.1 with gear 1.0"

    def test_each_release_has_lost_something_else(self, deploy: Callable[..., Done], root: Path) -> None:
        deploy("1.0")
        deploy("1.1", "--link-mode", "copy")
        (site(root, "1.1") / "engine" / "gear.py").write_text("NAME = 'gear 9.9'\n")
        for script in (root / "versions/1.1/.platter-wheels").glob("*.script"):
            script.unlink()
        (site(root) / "engine" / "table.bin").unlink()
        deploy("1.3", "--check", base="1.0")
        said = deploy("1.3", base="1.0").stderr
        assert "warning: 1 files of 1.1 are not as they were installed: taken from elsewhere" in said
        assert greeting(root) == "1.3 with gear 1.0"
        platter(root, "doctor", "1.3")

    @pytest.mark.parametrize("what", ["RECORD", "index", "bootstrap", "all"])
    def test_what_a_base_keeps_was_changed(self, deploy: Callable[..., Done], root: Path, what: str) -> None:
        deploy("1.0")
        kept = root / "versions" / "1.0" / ".platter-wheels"
        if what == "all":
            shutil.rmtree(kept)
        for path in {"RECORD": kept.glob("*.RECORD"), "index": [kept / "index.json"]}.get(what, []):
            path.write_bytes(path.read_bytes().replace(b"engine", b"en9ine").replace(b"sha256", b"sha255"))
        if what == "bootstrap":
            (kept / "bootstrap").write_bytes((kept / "bootstrap").read_bytes().replace(b"import", b"1mport"))
        for words in (["--check"], []):
            said = deploy("1.1", *words, base="1.0", code=4).stderr
            assert SEND in said
            assert remains(root) == ["1.0", "current"]
        self.check(deploy, root)

    def test_files_that_do_not_belong_to_it(
        self, deploy: Callable[..., Done], bundles: Bundles, tmp_path: Path
    ) -> None:
        deploy("1.0")
        thin = Path(shutil.copytree(bundles.thin("1.1", "1.0").path, tmp_path / "thin"))
        (thin / "extra").touch()
        done = handmade.run(handmade.Bundle(path=thin, info={}), "--root", tmp_path / "root")
        assert (done.returncode, "extra: not listed in SHA256SUMS" in done.stderr) == (4, True)

    @pytest.mark.parametrize(
        "name", ["install.sh", "info.json", "data/bootstrap/platter_payload/__main__.py", "../escaped", "PACKAGE"]
    )
    def test_a_note_that_lies(
        self, deploy: Callable[..., Done], bundles: Bundles, root: Path, tmp_path: Path, name: str
    ) -> None:
        deploy("1.0")
        thin = Path(shutil.copytree(bundles.thin("1.1", "1.0").path, tmp_path / "thin"))
        note = json.loads((thin / notes.FILE).read_text())
        note["left_out"].append(name)
        (thin / notes.FILE).write_text(json.dumps(note))
        if name == "PACKAGE":
            (thin / name).unlink()
        done = handmade.run(handmade.Bundle(path=thin, info={}), "--root", root)
        assert (done.returncode, "thin.json" in done.stderr) == (4, True), done.stderr
        assert remains(root) == ["1.0", "current"]

    def check(self, deploy: Callable[..., Done], root: Path) -> None:
        """The release before serves, nothing else is there, and the full bundle can be installed."""
        assert remains(root) == ["1.0", "current"]
        assert greeting(root) == "1.0 with gear 1.0"
        deploy("1.1")
        assert greeting(root) == "1.1 with gear 1.0"


def test_unpacked_into_the_folder_of_the_full_one(bundles: Bundles, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(bundles.full["1.1"], tmp_path / "both"))
    shutil.copy(bundles.thin("1.1", "1.0").path / notes.FILE, folder)
    done = handmade.run(handmade.Bundle(path=folder, info={}), tmp_path / "dst")
    assert done.returncode == 0, done.stderr


def test_an_installed_release_needs_nothing_more(deploy: Callable[..., Done], root: Path) -> None:
    deploy("1.0")
    deploy("1.1", base="1.0")
    shutil.rmtree(root / "versions" / "1.0")
    assert "is installed in" in deploy("1.1", base="1.0").stdout
    assert "is installed in" in deploy("1.1", "--check", base="1.0").stdout


def replace_by_link(path: Path) -> None:
    path.rename(elsewhere := path.with_name(f"{path.name}.elsewhere"))
    path.symlink_to(elsewhere)
