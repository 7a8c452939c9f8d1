"""Virtual environments on the building machine: throw-away ones for builds, and the one that build scripts see."""

from __future__ import annotations

import json
import os
import shutil
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from platter_setuptools.ground.threads import Later
from platter_setuptools.steps.resolving.uv import run_uv, without

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from platter_setuptools.ground.run import Runner
    from platter_setuptools.ground.values import Wheel
    from platter_setuptools.steps.target import Target


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment of the target's interpreter; an IsolatedEnv in the words of pypa/build."""

    folder: Path

    @property
    def python_executable(self) -> str:
        return os.fspath(self.folder / "bin" / "python")

    def make_extra_environ(self) -> Mapping[str, str]:
        """The variables that make it the active one."""
        return {
            "VIRTUAL_ENV": os.fspath(self.folder),
            "PATH": os.pathsep.join([os.fspath(self.folder / "bin"), os.environ.get("PATH", os.defpath)]),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Environments:
    """Isolated environments for builds.

    What a build requires is resolved and collected like everything else, so that it is checked against hashes, and
    there without a network when the store has it: `wheels_for` does that.
    """

    target: Target
    run: Runner
    folder: Path
    wheels_for: Callable[[Collection[str]], Sequence[Wheel]]
    _made: dict[frozenset[str], Later[Environment]] = field(default_factory=dict, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def having(self, requirements: Collection[str]) -> Environment:
        """An environment with these requirements (PEP 508) and what they require; builds that want the same share it.

        So it is made once, and the backend's modules are compiled once.
        """
        key = frozenset(requirements)
        with self._lock:
            if key not in self._made:
                folder = self.folder / str(len(self._made))
                self._made[key] = Later(lambda: self._make(folder, sorted(key)))
            made = self._made[key]
        return made.result()

    def _make(self, folder: Path, requirements: Sequence[str]) -> Environment:
        command = ("venv", "--quiet", "--no-project", "--no-config", "--no-python-downloads")
        run_uv(self.run, [*command, "--python", self.target.executable, folder], env=without(builds=False))
        environment = Environment(folder)
        if requirements:
            install_wheels(environment, self.wheels_for(requirements), self.run)
        return environment


def install_wheels(environment: Environment, wheels: Sequence[Wheel], run: Runner) -> None:
    """Install wheels that are at hand, and nothing else."""
    command = ("pip", "install", "--quiet", "--no-config", "--offline", "--no-index", "--no-deps")
    # Not as paths: uv takes a semicolon in one for the beginning of a marker.
    requirements = [f"{wheel.name} @ {wheel.path.as_uri()}" for wheel in wheels]
    run_uv(run, [*command, "--python", environment.python_executable, "--", *requirements], env=without(builds=False))


def create_virtualenv(folder: Path, target: Target, virtualenv: Sequence[Wheel], run: Runner) -> Environment:
    """A virtual environment with pip in it, made by the virtualenv release that the target's Python can run.

    `virtualenv` holds the wheels of virtualenv and its dependencies: it runs straight from them.
    """
    code = (
        "import json, sys; sys.path[:0], arguments = json.load(sys.stdin); import virtualenv;"
        " virtualenv.cli_run(arguments)"
    )
    app_data = folder.with_name(f"{folder.name}.app-data")
    arguments = ["--quiet", "--no-periodic-update", "--app-data", os.fspath(app_data), os.fspath(folder)]
    stdin = json.dumps([[os.fspath(wheel.path) for wheel in virtualenv], arguments])
    run([target.executable, "-I", "-c", code], env={"VIRTUALENV_CONFIG_FILE": os.devnull}, stdin=stdin)
    shutil.rmtree(app_data, ignore_errors=True)
    return Environment(folder)
