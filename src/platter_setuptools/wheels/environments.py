"""Virtual environments on the build machine: temporary ones for builds, and the one for build scripts."""

from __future__ import annotations

import contextlib
import itertools
import os
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from platter_setuptools.errors import PlatterError
from platter_setuptools.resolve.uv import run_uv, without
from platter_setuptools.runtime.concurrency import OncePerKey
from platter_setuptools.values import Origin
from platter_setuptools.wheel_cache import key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from platter_setuptools.runtime.concurrency import Background
    from platter_setuptools.runtime.processes import Runner
    from platter_setuptools.targets.target import Interpreter
    from platter_setuptools.values import Wheel


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment of an interpreter of this machine; an IsolatedEnv of pypa/build."""

    folder: Path

    @property
    def python_executable(self) -> str:
        return os.fspath(self.folder / "bin" / "python")

    def add_bytecode(self, archives: Iterable[Path]) -> None:
        """Unpack the bytecode of wheels into its site-packages, while uv unpacks the wheels."""
        for packages, path in itertools.product(self.folder.glob("lib/*/site-packages"), archives):
            with zipfile.ZipFile(path) as archive:
                names = [name for name in archive.namelist() if name.endswith(".pyc")]
                for name in (one for one in names if not one.startswith("/") and ".." not in one.split("/")):
                    file = packages / name
                    file.parent.mkdir(parents=True, exist_ok=True)
                    # Of a wheel with bytecode uv links files from its cache, which must not be written to.
                    with contextlib.suppress(FileExistsError), file.open("xb") as new:
                        new.write(archive.read(name))

    def make_extra_environ(self) -> Mapping[str, str]:
        """Return the variables that activate it."""
        return {
            "VIRTUAL_ENV": os.fspath(self.folder),
            "PATH": os.pathsep.join([os.fspath(self.folder / "bin"), os.environ.get("PATH", os.defpath)]),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Environments:
    """Isolated environments for builds.

    What a build requires is resolved and collected like everything else (`wheels_for`), so that it is checked against
    hashes, and available without a network if the wheel cache has it.
    """

    host: Interpreter
    run: Runner
    folder: Path
    wheels_for: Callable[[Collection[str]], Sequence[Wheel]]
    bytecode_for: Callable[[Sequence[Wheel]], Sequence[Path]]
    background: Background
    _made: OncePerKey[Environment] = field(default_factory=OncePerKey, init=False)

    def having(self, requirements: Collection[str]) -> Environment:
        """Return an environment with these requirements (PEP 508) and theirs; builds with the same ones share it.

        So it is made once, and the backend's modules are compiled once.
        """
        key = frozenset(requirements)
        return self._made.get(key, lambda: self._make(sorted(key)))

    def _make(self, requirements: Sequence[str]) -> Environment:
        folder = self.folder / key_of(*requirements)[:8]
        wheels = self.background.start(lambda: self.wheels_for(requirements)) if requirements else None
        environment = create_environment(folder, self.host, self.run)
        if wheels:
            # What was just fetched may not be used again, and import compiles less of it.
            used_before = [wheel for wheel in wheels.result() if wheel.origin is Origin.STORE]
            bytecode = self.background.start(lambda: environment.add_bytecode(self.bytecode_for(used_before)))
            install_wheels(environment, wheels.result(), self.run)
            with contextlib.suppress(PlatterError, OSError):  # import compiles what is missing
                bytecode.result()
        return environment


def create_environment(folder: Path, host: Interpreter, run: Runner) -> Environment:
    """Make a virtual environment with nothing in it."""
    command = ("venv", "--quiet", "--no-project", "--no-config", "--no-python-downloads")
    run_uv(run, [*command, "--python", host.executable, folder], env=without(builds=False))
    return Environment(folder)


def install_wheels(environment: Environment, wheels: Sequence[Wheel], run: Runner) -> None:
    """Install wheels that are at hand, and nothing else."""
    command = ("pip", "install", "--quiet", "--no-config", "--offline", "--no-index", "--no-deps")
    # Not as paths: uv takes a semicolon in one for the beginning of a marker.
    requirements = [f"{wheel.name} @ {wheel.path.as_uri()}" for wheel in wheels]
    run_uv(run, [*command, "--python", environment.python_executable, "--", *requirements], env=without(builds=False))
