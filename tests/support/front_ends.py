"""The front ends as a user meets them: processes with an environment of their own; and the server's side of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from support import forking

if TYPE_CHECKING:
    from collections.abc import Mapping

PLATTER = Path(sys.executable).with_name("platter")
Done = subprocess.CompletedProcess[str]
_PATIENCE = 300.0  # seconds
WITH_PIP = {"PLATTER_BUILD_NO_PIP": ""}  # which a yard leaves out otherwise


@dataclass(frozen=True, kw_only=True)
class Yard:
    """Where a test builds: folders of its own, and an environment in which nothing of this machine's is set."""

    folder: Path
    environ: Mapping[str, str]

    @property
    def scratch(self) -> Path:
        """TMPDIR of all processes: empty again when they have ended."""
        return self.folder / "scratch"

    def run(self, *command: str | Path, cwd: Path, code: int = 0, **environ: str) -> Done:
        """Run a command to its end, and see that it ends with this exit code."""
        done = self.run_at_all(*command, cwd=cwd, **environ)
        assert done.returncode == code, f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done

    def run_at_all(self, *command: str | Path, cwd: Path, **environ: str) -> Done:
        """Run a command to its end, whatever that is."""
        environment = {**self.environ, **environ}
        program, *arguments = [os.fspath(word) for word in command]
        if program == sys.executable and arguments[:1] == ["setup.py"]:
            program = arguments.pop(0)
        if program in (str(PLATTER), "setup.py") and forking.fits(environment):
            return forking.run(Path(program), arguments, cwd=cwd, environ=environment, timeout=_PATIENCE)
        return subprocess.run(
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_PATIENCE,
        )

    def platter(self, *arguments: str | Path, cwd: Path, code: int = 0, **environ: str) -> Done:
        """The console script."""
        return self.run(PLATTER, *arguments, cwd=cwd, code=code, **environ)

    def build(self, cwd: Path, *arguments: str | Path, **environ: str) -> Path:
        """`platter build` that works; gives the artifact."""
        return Path(self.platter("build", *arguments, cwd=cwd, code=0, **environ).stdout.removesuffix("\n"))

    def refuse(self, code: int, cwd: Path, *arguments: str | Path, **environ: str) -> str:
        """`platter build` that fails with this exit code: it leaves nothing on stdout, and no new file in dist.

        Gives what it says.
        """
        before = listing(cwd / "dist")
        done = self.platter("build", *arguments, cwd=cwd, code=code, **environ)
        assert done.stdout == ""
        assert not re.search("^Traceback", done.stderr, re.MULTILINE)  # the tool's own lines are indented
        assert listing(cwd / "dist") == before
        return done.stderr

    def setup_py(self, cwd: Path, *arguments: str | Path, code: int = 0, **environ: str) -> Done:
        """`python setup.py …`."""
        return self.run(sys.executable, "setup.py", *arguments, cwd=cwd, code=code, **environ)

    def command(self, cwd: Path, *arguments: str | Path, **environ: str) -> Path:
        """`python setup.py bdist_platter` that works; gives the one bundle in dist."""
        self.setup_py(cwd, "-q", "bdist_platter", *arguments, code=0, **environ)
        (bundle,) = (path for path in (cwd / "dist").iterdir() if path.suffix != ".whl")
        return bundle

    def install(
        self, artifact: Path, *options: str, name: str = "server", code: int = 0, python: Path | None = None
    ) -> Path:
        """Unpack a bundle and run its install.sh, with nothing around it but a PATH; gives the virtualenv."""
        bundle = unpack(artifact, self.folder / name)
        target = self.folder / name / "app"
        words: list[str | Path] = [bundle / "install.sh", "-p", python or sys.executable, *options, target]
        done = subprocess.run(
            words,
            cwd="/",
            env={"PATH": self.environ["PATH"], "TMPDIR": str(self.scratch)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == code, f"install.sh ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return target

    def say(self, artifact: Path, program: str = "hello", *, name: str = "server", python: Path | None = None) -> str:
        """Install a bundle and run one of its programs; gives what it prints."""
        return output(self.install(artifact, name=name, python=python) / "bin" / program)


def output(*command: str | Path) -> str:
    """What a command prints, run with nothing in its environment."""
    done = subprocess.run(command, cwd="/", env={}, check=True, capture_output=True, text=True, timeout=60)
    return done.stdout.strip()


def unpack(artifact: Path, folder: Path) -> Path:
    """Unpack a bundle of any format into a folder; gives the bundle's own folder in it."""
    folder.mkdir(parents=True, exist_ok=True)
    if artifact.is_dir():
        return Path(shutil.copytree(artifact, folder / artifact.name, symlinks=True))
    if artifact.suffix in {".zip", ".run"}:
        with zipfile.ZipFile(artifact) as archive:
            for member in archive.infolist():
                _restore(archive, member, folder)
            stems = {name.partition("/")[0] for name in archive.namelist()}
    else:
        if artifact.suffix == ".zst":
            subprocess.run([sys.executable, "-c", _UNZSTD, artifact, folder / "bundle.tar"], check=True)
            artifact = folder / "bundle.tar"
        with tarfile.open(artifact) as tar:
            tar.extractall(folder, filter="tar")
            stems = {name.partition("/")[0] for name in tar.getnames()}
    (stem,) = stems
    return folder / stem


# The builder has a zstd library; the tests ask it, since not every machine has a program for it.
_UNZSTD = """
import shutil, sys
if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd
with zstd.open(sys.argv[1]) as packed, open(sys.argv[2], "wb") as plain:
    shutil.copyfileobj(packed, plain)
"""


def _restore(archive: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path) -> None:
    mode = member.external_attr >> 16
    if stat.S_ISLNK(mode):
        path = folder / member.filename
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(archive.read(member).decode())
    else:
        Path(archive.extract(member, folder)).chmod(stat.S_IMODE(mode))


def info(bundle: Path) -> dict[str, Any]:
    """A bundle's info.json, from its folder or its archive."""
    if bundle.is_dir():
        return cast("dict[str, Any]", json.loads((bundle / "info.json").read_text()))
    with tarfile.open(bundle) as archive:
        name = next(name for name in archive.getnames() if name.count("/") == 1 and name.endswith("/info.json"))
        file = archive.extractfile(name)
        assert file
        return cast("dict[str, Any]", json.load(file))


def wheels(bundle: Path) -> dict[str, str]:
    """Name and version of every wheel in a bundle."""
    return {wheel["name"]: wheel["version"] for wheel in info(bundle)["wheels"]}


def listing(folder: Path) -> dict[str, tuple[str, int, bytes]]:
    """Everything below a folder: kind and mode, time, and content or target of a link."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content = b""
        if path.is_symlink():
            content = os.fsencode(path.readlink())
        elif path.is_file():
            content = path.read_bytes()
        time = 0 if path.is_dir() else status.st_mtime_ns
        found[str(path.relative_to(folder))] = (stat.filemode(status.st_mode), time, content)
    return found
