"""Where the benchmark works: what is kept between runs (`build/bench`), and a folder in memory for what is measured."""

from __future__ import annotations

import functools
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import measure
from benchmarks.measure import BenchError, Figures

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

ROOT = Path(__file__).resolve().parents[1]
_NEEDED = 6 << 30  # bytes of memory disk for the largest pair
# Settings of the person who starts the benchmark; pip's own stay, since they say where the index is.
_FOREIGN = ("PYTHON", "PLATTER_", "UV_", "VIRTUALENV_", "VIRTUAL_ENV", "PEX_", "SHIV_", "SOURCE_DATE_EPOCH", "XDG_")


class Yard:
    """Folders, interpreters and the environment of everything that is started here."""

    def __init__(self, *, quick: bool) -> None:
        self.quick = quick
        self.kept = ROOT / "build" / "bench"
        self.kept.mkdir(parents=True, exist_ok=True)
        self.work = Path(tempfile.mkdtemp(prefix="platter-bench-", dir=_memory_disk()))
        self._numbers = itertools.count()
        (self.work / "tmp").mkdir()

    def close(self) -> None:
        shutil.rmtree(self.work, ignore_errors=True)

    @functools.cached_property
    def python(self) -> Path:
        """The interpreter that everything is built for and installed with: ours, outside of any virtualenv."""
        base = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
        named = base.with_name(f"python{sys.version_info[0]}.{sys.version_info[1]}")
        return named if named.exists() else base

    def environ(self, **more: str | Path) -> dict[str, str]:
        """The environment of a command: neither PYTHON* nor a tool's settings, but pip's index, and these."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        settings = {
            "TMPDIR": self.work / "tmp",
            "VIRTUALENV_OVERRIDE_APP_DATA": self.work / "app-data",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            # A lost DNS question costs either side one second, not five: it is chance, and not to be measured.
            "RES_OPTIONS": "timeout:1 attempts:5",
            **more,
        }
        return kept | {name: os.fspath(value) for name, value in settings.items()}

    def run(
        self,
        *words: str | Path,
        cwd: Path | None = None,
        environ: Mapping[str, str] | None = None,
        accepted: Collection[int] = (0,),
    ) -> Figures:
        """Run a command and measure it."""
        return measure.run(words, cwd=cwd or self.work, environ=environ or self.environ(), accepted=accepted)

    def output(self, *words: str | Path, cwd: Path | None = None, environ: Mapping[str, str] | None = None) -> str:
        """Run a command that is not measured, and give what it prints."""
        return measure.output(words, cwd=cwd or self.work, environ=environ or self.environ())

    def fresh(self, name: str) -> Path:
        """An empty folder of that name, whatever was there before."""
        folder = self.work / name
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        return folder

    def gone(self, name: str) -> Path:
        """A path of that name with nothing at it."""
        folder = self.fresh(name)
        folder.rmdir()
        return folder

    def next_number(self) -> int:
        """A number that was not given before."""
        return next(self._numbers)


def find_python(version: str) -> Path | None:
    """Another interpreter of that version, if the machine has one."""
    for found in _candidates(version):
        # A shim may be there without an interpreter behind it.
        program = "import sys; print(sys.executable)"
        done = subprocess.run([found, "-c", program], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return Path(done.stdout.strip())
    return None


def _candidates(version: str) -> Iterator[Path]:
    name = f"python{version}"
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        if (path := Path(folder, name)).is_file():
            yield path
    if root := os.environ.get("PYENV_ROOT"):
        yield from sorted(Path(root, "versions").glob(f"{version}*/bin/{name}"))


def _memory_disk() -> Path:
    """A folder on tmpfs with enough room. Raises BenchError: on a disk the figures would be the disk's."""
    for folder in (Path(os.environ.get("TMPDIR", "/tmp")), Path("/dev/shm")):  # noqa: S108 - mkdtemp follows
        if folder.is_dir() and _kind(folder) == "tmpfs" and shutil.disk_usage(folder).free >= _NEEDED:
            return folder
    raise BenchError(f"neither TMPDIR nor /dev/shm is a tmpfs with {_NEEDED >> 30} GiB free")


def _kind(folder: Path) -> str:
    """The type of the filesystem that a folder is on, by the longest mount point above it."""
    found = ("", "")
    for line in Path("/proc/mounts").read_text("utf-8").splitlines():
        _device, point, kind, *_rest = line.split()
        if folder.resolve().is_relative_to(point) and len(point) >= len(found[0]):
            found = (point, kind)
    return found[1]
