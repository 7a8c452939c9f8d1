"""The target: the interpreter and platform that a bundle is for."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging import tags
from packaging.version import Version

from platter_setuptools.ground.errors import CommandError, UsageError
from platter_setuptools.steps.foreign import interpreter
from platter_setuptools.steps.store import Store, key_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from platter_setuptools.ground.run import Runner

_KIND = "interpreter"
# What a target is told by, of all that markers may ask for.
FACTS = ("python_version", "platform_python_implementation", "sys_platform", "platform_machine")
OLDEST = (3, 8)  # what virtualenv and the payload still serve


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An interpreter as it describes itself: `environment` by the markers of PEP 508, `tags` by PEP 425, best first."""

    executable: Path
    implementation: str  # cpython
    version: str  # 3.11
    full_version: str  # 3.11.7
    platform: str  # linux-x86_64, as sysconfig.get_platform() has it
    abi: str  # cp311
    cache_tag: str | None  # cpython-311
    magic: str  # of its bytecode, hexadecimal
    debug: bool
    free_threaded: bool
    libc: tuple[str, str] | None  # ("glibc", "2.36")
    environment: Mapping[str, str]
    tags: tuple[tags.Tag, ...]

    def __str__(self) -> str:
        version = self.version + "t" * self.free_threaded
        return f"{self.environment['platform_python_implementation']} {version} on {self.platform}"

    def marker(self, facts: Iterable[str] = FACTS) -> str:
        """The target as a marker tells it by these facts: in any patch release of its Python."""
        return " and ".join(f"{fact} == '{self.environment[fact]}'" for fact in facts)

    @property
    def other_patches(self) -> tuple[Mapping[str, str], ...]:
        """Marker values under the first and under a far later patch release of this Python version."""
        return tuple(
            {
                **self.environment,
                "python_full_version": f"{self.version}.{patch}",
                "implementation_version": f"{self.version}.{patch}",
            }
            for patch in (0, 999)
        )

    @property
    def key(self) -> str:
        """What a compiled wheel depends on, as part of a name: `cp311-linux-x86_64`."""
        interpreter_tag = self.tags[0].interpreter
        return f"{interpreter_tag}-{self.abi}-{self.platform}"


def find_target(python: str | None, run: Runner, store: Store | None = None) -> Target:
    """The target that the option `python` names: a path, a command, a version such as 3.12, or None for our own.

    What an interpreter says of itself is noted in the store, until it or this system changes.

    Raises UsageError if there is no such interpreter, if it does not start, or if it is too old.
    """
    if python is None:
        return _from_facts(interpreter.describe())
    executable = _find_executable(python)
    key = _state_of(executable)
    if store and key:
        with contextlib.suppress(LookupError, TypeError, ValueError, AttributeError):  # a note may hold anything
            return _from_facts(store.recall(_KIND, key))
    facts = _ask(executable, run)
    target = _from_facts(facts)
    if store and key:
        store.note(_KIND, key, facts)
    return target


def find_targets(pythons: Iterable[str | None], run: Runner) -> list[tuple[str | None, Target]]:
    """The targets that these name, each once and with its name, the lowest Python first; see find_target."""
    found: dict[tuple[tags.Tag, ...], tuple[str | None, Target]] = {}
    for python in pythons:
        target = find_target(python, run)
        found.setdefault(target.tags, (python, target))
    return sorted(found.values(), key=lambda one: Version(one[1].version))


def _ask(executable: str, run: Runner) -> dict[str, Any]:
    try:
        facts: dict[str, Any] = json.loads(run([executable, "-I", Path(interpreter.__file__)]))
    except (CommandError, ValueError) as error:
        raise UsageError(
            f"{executable} is not a Python interpreter that works",
            hint=f"it has to be CPython {OLDEST[0]}.{OLDEST[1]} or newer; try: {executable} --version",
            output=error.output if isinstance(error, CommandError) else (),
        ) from error
    return facts


def _state_of(executable: str) -> str | None:
    """A key that changes with the interpreter and with the system.

    None for a script, such as pyenv's: it may start another interpreter tomorrow.
    """
    path = Path(executable)
    with path.open("rb") as file:
        if file.read(2) == b"#!":
            return None
    status = path.stat()
    state = (os.path.abspath(path), status.st_mtime_ns, status.st_size, *os.uname(), *platform.libc_ver())  # noqa: PTH100 - a virtual environment is a link
    return key_of(*map(str, state), Path(interpreter.__file__).read_text("utf-8"))


def _find_executable(python: str) -> str:
    if re.fullmatch(r"\d+\.\d+t?", python):
        python = f"python{python}"
    found = shutil.which(python)
    if found is None:
        raise UsageError(
            f"there is no interpreter {python}",
            hint="name it by a path, a command on PATH or a version, such as -p python3.12"
            f" (this command runs on {sys.executable})",
        )
    return found


def _from_facts(facts: dict[str, Any]) -> Target:
    version = tuple(map(int, facts["version"].split(".")))
    if version < OLDEST or facts["implementation"] != "cpython":
        raise UsageError(
            f"{facts['executable']} is {facts['implementation']} {facts['full_version']}: we cannot build for it",
            hint=f"a bundle needs CPython {OLDEST[0]}.{OLDEST[1]} or newer on the server: choose one with -p",
        )
    # Since Python 3.8 a debug build loads what was compiled for a release build, too.
    abi = f"cp{version[0]}{version[1]}" + "t" * facts["free_threaded"]
    abis = [abi + "d", abi] if facts["debug"] else [abi]
    platforms = list(tags.platform_tags())
    return Target(
        executable=Path(facts["executable"]),
        implementation=facts["implementation"],
        version=facts["version"],
        full_version=facts["full_version"],
        platform=facts["platform"],
        abi=abis[0],
        cache_tag=facts["cache_tag"],
        magic=facts["magic"],
        debug=facts["debug"],
        free_threaded=facts["free_threaded"],
        libc=tuple(facts["libc"]) if facts["libc"] else None,
        environment=facts["environment"],
        tags=(
            *tags.cpython_tags(version, abis, platforms),
            *tags.compatible_tags(version, f"cp{version[0]}{version[1]}", platforms),
        ),
    )
