"""The peers, each in a virtualenv of its own below build/bench, and this project in one more."""

from __future__ import annotations

import functools
import json
import shutil
import zipfile
from typing import TYPE_CHECKING

from benchmarks.measure import BenchError
from benchmarks.yard import ROOT, find_python

if TYPE_CHECKING:
    from pathlib import Path

from benchmarks.yard import Yard

_REQUIREMENTS = {
    "pip": ("pip", "virtualenv"),
    "pex": ("pex",),
    "shiv": ("shiv", "pip", "setuptools"),
    "uv": ("uv",),
}
# The last virtualenv that Platter 1.0 can use, and the last one that runs on Python 2.7.
_OLD_VIRTUALENV = "16.7.12"
_OURS = ("src", "pyproject.toml", "setup.py", "setup.cfg", "README.md", "LICENSE")


class Peers:
    """Sets each peer up when it is first asked for. What is set up stays for the next run."""

    def __init__(self, yard: Yard) -> None:
        self._yard = yard

    @functools.cached_property
    def ours(self) -> Path:
        """Ours: this checkout as a user has it, installed from a wheel, not editable. Made anew every time."""
        source = self._yard.fresh("checkout")
        for name in _OURS:
            if (ROOT / name).is_dir():
                ignored = shutil.ignore_patterns("*.egg-info", "__pycache__")
                shutil.copytree(ROOT / name, source / name, ignore=ignored)
            elif (ROOT / name).is_file():
                shutil.copy(ROOT / name, source)
        folder = self._venv("ours", ("setuptools",))
        self._yard.run(*_pip(folder), "install", "--quiet", source)
        self._yard.run(*_pip(folder), "install", "--quiet", "--force-reinstall", "--no-deps", source)
        return folder / "bin"

    @functools.cached_property
    def without_us(self) -> Path:
        """A virtualenv with the same setuptools and nothing else."""
        version = self.versions(self.ours)["setuptools"]
        return self._venv("without-us", (f"setuptools=={version}",)) / "bin"

    def bin(self, name: str) -> Path:
        """The `bin` folder of a peer's virtualenv."""
        return self._venv(name, _REQUIREMENTS[name]) / "bin"

    @functools.cached_property
    def platter(self) -> tuple[Path, Path]:
        """Platter 1.0 under Python 2.7, and the Python 3.8 that it can build for. Raises BenchError without them."""
        old, target = find_python("2.7"), find_python("3.8")
        if old is None or target is None:
            raise BenchError("Platter 1.0 needs Python 2.7 and 3.8, and this machine lacks one of them")
        folder = self._yard.kept / "platter"
        if not (folder / "ready").exists():
            shutil.rmtree(folder, ignore_errors=True)
            (folder / "wheels").mkdir(parents=True)
            download = ("download", "--quiet", "--no-deps", "--dest", folder / "wheels")
            self._yard.run(self.bin("pip") / "pip", *download, f"virtualenv=={_OLD_VIRTUALENV}")
            (wheel,) = (folder / "wheels").iterdir()
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(folder / "virtualenv")
            self._yard.run(old, folder / "virtualenv" / "virtualenv.py", folder / "venv")
            self._yard.run(folder / "venv" / "bin" / "pip", "install", "--quiet", "platter==1.0")
            (folder / "ready").touch()
        return folder / "venv" / "bin" / "platter", target

    @property
    def platter_options(self) -> tuple[str, ...]:
        return ("--virtualenv-version", _OLD_VIRTUALENV)

    def versions(self, binaries: Path) -> dict[str, str]:
        """Name and version of everything in a virtualenv."""
        program = (
            "import importlib.metadata as m, json;"
            "print(json.dumps({d.metadata['Name'].lower(): d.version for d in m.distributions()}))"
        )
        found: dict[str, str] = json.loads(self._yard.output(binaries / "python", "-I", "-c", program))
        return found

    def all_versions(self) -> dict[str, str]:
        """The peers that were set up, for the report."""
        found = {}
        for name in ("pip", "virtualenv", "pex", "shiv", "uv"):
            folder = self._yard.kept / "venvs" / ("pip" if name == "virtualenv" else name)
            if folder.is_dir():
                found[name] = self.versions(folder / "bin")[name]
        return found

    def _venv(self, name: str, requirements: tuple[str, ...]) -> Path:
        folder = self._yard.kept / "venvs" / name
        note = folder / "requirements.json"
        if not note.exists() or json.loads(note.read_text("utf-8")) != [*requirements]:
            shutil.rmtree(folder, ignore_errors=True)
            self._yard.run(self._yard.python, "-m", "venv", folder)
            self._yard.run(*_pip(folder), "install", "--quiet", "--upgrade", "pip")
            self._yard.run(*_pip(folder), "install", "--quiet", *requirements)
            note.write_text(json.dumps(requirements), "utf-8")
        return folder


def _pip(folder: Path) -> tuple[Path, str, str]:
    return folder / "bin" / "python", "-m", "pip"
