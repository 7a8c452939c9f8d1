"""Bundles that are one file: `sh STEM.run`."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.bundle.members import from_folder
from platter_setuptools.thinning import make_thin
from support import handmade, keys
from support.archives import write_archive

if TYPE_CHECKING:
    from collections.abc import Sequence

Done = subprocess.CompletedProcess[str]
MTIME = 315532800
SHELLS = [["dash"], ["bash"], ["busybox", "sh"], ["mksh"], ["yash"], ["posh"]]
POST_INSTALL = """\
#!/bin/sh
ls "$HERE" "$DATA_DIR" >"$VIRTUAL_ENV/seen"
cat "$HERE/note" >>"$VIRTUAL_ENV/seen"
"""


def start(file: Path, *words: str | Path, shell: Sequence[str] = ("sh",), **options: object) -> Done:
    command = [*shell, file, "-p", sys.executable, *words]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120, **options)  # type: ignore[call-overload,no-any-return]


def as_file(made: handmade.Bundle, folder: Path) -> Path:
    return write_archive(list(from_folder(made.path)), made.path.name, "run", folder, MTIME)[0]


def bundle(folder: Path, version: str, **more: str) -> handmade.Bundle:
    """A bundle of the project `app`, and of a dependency that all versions have in common."""
    engine = handmade.wheel(folder / "wheels", "engine", files={"engine.py": "x = 1\n" * 99, "engine.bin": b"e" * 9999})
    points = "[console_scripts]\napp = app:main\n"
    app = handmade.wheel(
        folder / "wheels", "app", version, files={"app.py": f"def main(): print('{version}')\n"}, entry_points=points
    )
    made = handmade.bundle(folder / version, [app, engine], bytecode=True, **more)  # type: ignore[arg-type]
    (made.path / "note").write_text("a note\n")
    made.seal()
    return made


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[handmade.Bundle, Path]:
    """A bundle as a folder, and as a file with a space in its path."""
    folder = tmp_path_factory.mktemp("made")
    one = bundle(folder, "1.0", post_install=POST_INSTALL)
    return one, as_file(one, folder / "a file")


def test_releases(made: tuple[handmade.Bundle, Path], tmp_path: Path) -> None:
    """The first one from the file, the next from a thin one; nothing is written elsewhere."""
    file = made[1]
    root, empty = tmp_path / "a root", tmp_path / "tmp"
    empty.mkdir(mode=0o500)
    env = {"PATH": os.environ["PATH"], "TMPDIR": str(empty), "HOME": "/nonexistent"}
    done = start(file, "--root", root, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    release = root / "versions" / "current"
    assert subprocess.check_output([release / "bin" / "app"], text=True) == "1.0\n"
    seen = (release / "seen").read_text()
    assert "install.sh" in seen
    assert "pylock.toml" in seen
    assert ".whl" not in seen
    assert seen.endswith("a note\n")
    assert not (release / ".platter-work").exists()
    assert "1.0" in subprocess.check_output([root / "platter", "list"], text=True)
    again = start(file, "--root", root)
    assert (again.returncode, again.stderr) == (0, "")
    assert "is installed" in again.stdout

    new = as_file(bundle(tmp_path, "1.1"), tmp_path)
    made_thin = make_thin(new, [file], frozenset(), output=tmp_path, kind=None, mtime=MTIME)
    assert made_thin.path.name.endswith("-thin.run")
    assert made_thin.size < new.stat().st_size / 2
    done = start(made_thin.path, "--root", root, "--keep", "1", env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert subprocess.check_output([release / "bin" / "app"], text=True) == "1.1\n"
    (engine,) = release.glob("lib/python*/site-packages/engine.py")
    assert engine.stat().st_nlink == 2 or json.loads((release / ".platter-release.json").read_text())["shared_files"]
    refused = start(made_thin.path, tmp_path / "dst")
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"{made_thin.path.name}: this is a thin bundle")
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_in_every_shell(
    made: tuple[handmade.Bundle, Path], tmp_path_factory: pytest.TempPathFactory, shell: list[str]
) -> None:
    if shutil.which(shell[0]) is None:
        pytest.skip(f"{shell[0]} is not here")
    file = made[1]
    done = start(file, "--verify", shell=shell)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("files are as they were built.\n")
    assert start(Path(file.name), "--version", shell=shell, cwd=file.parent).stdout == "app 1.0\n"
    page = start(file, "--help", shell=shell).stdout
    assert page.startswith(f"usage: sh {file.name} [OPTIONS] DST\n")
    assert "install.sh [" not in page
    folder = tmp_path_factory.mktemp("away")
    with file.open("rb") as stream:
        piped = subprocess.run(shell, stdin=stream, cwd=folder, check=False, capture_output=True, text=True)
    assert (piped.returncode, piped.stdout) == (2, "")
    assert "hint: save it as bundle.run" in piped.stderr
    assert not list(folder.iterdir())


def test_extraction(made: tuple[handmade.Bundle, Path], tmp_path: Path) -> None:
    one, file = made
    done = start(file, "--extract", tmp_path / "new")
    assert (done.returncode, done.stderr) == (0, "")
    folder = tmp_path / "new" / one.path.name
    subprocess.run(["diff", "-r", one.path, folder], check=True)
    assert stat.S_IMODE((folder / "install.sh").stat().st_mode) == 0o755
    assert start(file, "--extract", tmp_path / "new").returncode == 6
    assert start(file, "--extract", tmp_path / "new", "--force").returncode == 2
    assert start(file, "--extract=").returncode == 2
    unpacked = handmade.run(handmade.Bundle(path=folder, info={}), "--verify")
    assert (unpacked.returncode, unpacked.stderr) == (0, "")
    refused = handmade.run(handmade.Bundle(path=folder, info={}), "--extract", tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")


class TestDamage:
    """Exit code 4, and nothing installed."""

    @staticmethod
    def refused(file: Path, dst: Path, *words: str | Path) -> str:
        done = start(file, *words, dst)
        assert (done.returncode, dst.exists()) == (4, False)
        assert done.stderr.startswith(f"{file.name}: ")
        assert "\nhint: " in done.stderr
        return done.stderr

    @pytest.mark.parametrize("part", [0.2, 0.999])
    def test_cut_off(self, made: tuple[handmade.Bundle, Path], tmp_path: Path, part: float) -> None:
        content = made[1].read_bytes()
        (file := tmp_path / "x.run").write_bytes(content[: int(len(content) * part)])
        self.refused(file, tmp_path / "dst")

    @pytest.mark.parametrize(
        "what",
        [
            b"# The bundle's folder, or its file",  # the script
            b"a note\n",
            b"sys.path.remove(bootstrap)",  # the entry
            b"def install(options: Options",  # a module of the installer
            b"engine-1.0-py3-none-any.whl",  # SHA256SUMS
        ],
    )
    def test_altered(self, made: tuple[handmade.Bundle, Path], tmp_path: Path, what: bytes) -> None:
        content = made[1].read_bytes()
        assert what in content
        (file := tmp_path / "x.run").write_bytes(content.replace(what, what.replace(b"e", b"f"), 1))
        self.refused(file, tmp_path / "dst")


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with signed.run, and the signers `allowed` and `others`."""
    folder = tmp_path_factory.mktemp("signed")
    one = bundle(folder, "1.0")
    for name in ("alice", "mallory"):
        keys.make(folder, name=name)
    keys.allow(folder / "allowed", folder / "alice")
    keys.allow(folder / "others", folder / "mallory")
    keys.sign(one.path, folder / "alice")
    as_file(one, folder).rename(folder / "signed.run")
    return folder


@keys.needs_openssh
class TestSigned:
    @pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
    def test_in_every_shell(self, signed: Path, shell: list[str]) -> None:
        if shutil.which(shell[0]) is None:
            pytest.skip(f"{shell[0]} is not here")
        file = signed / "signed.run"
        assert start(file, "--verify", "--allowed-signers", signed / "allowed", shell=shell).returncode == 0
        done = start(file, "--verify", "--allowed-signers", signed / "others", shell=shell)
        assert (done.returncode, done.stdout) == (4, "")
        assert "does not allow" in done.stderr

    def test_unsigned(self, made: tuple[handmade.Bundle, Path], signed: Path) -> None:
        done = start(made[1], "--verify", "--allowed-signers", signed / "allowed")
        assert (done.returncode, done.stdout) == (4, "")
        assert "is not signed" in done.stderr

    @pytest.mark.parametrize("what", ["platter_payload/__main__.py", "platter_payload/options.py"])
    def test_nothing_of_the_bundle_runs_before(self, signed: Path, tmp_path: Path, what: str) -> None:
        """A payload that was changed with its line in SHA256SUMS, which somebody else has signed."""
        folder = Path(shutil.copytree(signed / "1.0", tmp_path / "1.0"))
        (path,) = folder.iterdir()
        module = path / "data" / "bootstrap" / what
        spy = rf"\nopen({str(tmp_path / 'ran')!r}, 'w')\n\1"
        module.write_text(re.sub(r"\n(import contextlib|from typing)", spy, module.read_text(), count=1))
        (module.parent / "__pycache__" / f"{module.stem}.{sys.implementation.cache_tag}.pyc").unlink()
        one = handmade.Bundle(path=path, info=json.loads((path / "info.json").read_text()))
        file = as_file(one, tmp_path)
        assert start(file, "--verify", "--allowed-signers", signed / "allowed").returncode == 4
        one.seal()
        keys.sign(path, signed / "mallory")
        file = as_file(one, tmp_path)
        assert start(file, "--verify", "--allowed-signers", signed / "allowed").returncode == 4
        assert not (tmp_path / "ran").exists()
        assert start(file, "--verify", "--allowed-signers", signed / "others").returncode == 0
        assert (tmp_path / "ran").exists()
