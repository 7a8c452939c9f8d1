"""Find targets and interpreters: by what the options name, and by what is on this machine."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from platter_setuptools._in_process import interpreter
from platter_setuptools.errors import CommandError, PlatterError, UsageError
from platter_setuptools.payload.errors import BundleError
from platter_setuptools.targets.description import fields_of, from_name, read_description
from platter_setuptools.targets.target import OLDEST, Interpreter, Target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from platter_setuptools.runtime.processes import Runner

_LONGEST = 1 << 20  # bytes of a description


class Machines(NamedTuple):
    """What a bundle is for, and what builds it: the same interpreter, unless the target is named or described."""

    target: Target
    host: Interpreter

    @property
    def compiler(self) -> Interpreter | None:
        """Return what compiles the target's bytecode, the same on every machine; None if it is not here."""
        same = (self.host.magic, self.host.cache_tag) == (self.target.magic, self.target.cache_tag)
        return self.host if same and self.host.version == self.target.version else None


def find_machines(pythons: Sequence[str | None], targets: Sequence[str], run: Runner) -> list[Machines]:
    """Return the targets of these interpreters and of these names or files, each once, in this order.

    Without any it is our own interpreter. See find_interpreter and find_target.
    """
    found: dict[tuple[object, ...], Machines] = {}
    named = [*pythons] if pythons or targets else [None]
    for one in (*(find_interpreter(python, run) for python in named), *map(find_target, targets)):
        machines = Machines(one, one) if isinstance(one, Interpreter) else _with_host(one, run)
        found.setdefault(one.tags, machines)
    return [*found.values()]


def find_target(name: str) -> Target:
    """Return the target of a name (see from_name), or of a file with a description (docs/target.schema.json).

    Raise UsageError if there is no such target.
    """
    if not name.endswith(".json"):
        return from_name(name)
    path = Path(name)
    try:
        with path.open("rb") as file:
            data = json.loads(file.read(_LONGEST))
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not JSON"
        raise UsageError(
            f"the target {path} cannot be read: {reason}",
            hint="write it with ./install.sh --describe on the server, or with platter describe -p PYTHON",
        ) from error
    return read_description(data, path.name)


def find_interpreter(python: str | None, run: Runner) -> Interpreter:
    """Return the interpreter that the option `python` names: a path, a command, or a version such as 3.12.

    None is our own.

    Raise UsageError if there is none, if it does not start, or if it is too old.
    """
    return _from_facts(_facts_of(python, run))


def describe(python: str | None, run: Runner) -> dict[str, Any]:
    """Return the description (docs/target.schema.json) of an interpreter; see find_interpreter."""
    facts = _facts_of(python, run)
    _from_facts(dict(facts))
    return {name: value for name, value in facts.items() if name not in {"executable", "full_version"}}


def _facts_of(python: str | None, run: Runner) -> dict[str, Any]:
    """Return what _in_process/interpreter.py says of an interpreter."""
    if python is None:
        return interpreter.describe()
    executable = _find_executable(python)
    try:
        facts: dict[str, Any] = json.loads(run([executable, "-I", Path(interpreter.__file__)]))
    except (CommandError, ValueError) as error:
        raise UsageError(
            f"{executable} is not a working Python interpreter",
            hint=f"name CPython {OLDEST[0]}.{OLDEST[1]} or newer; try: {executable} --version",
            output=error.output if isinstance(error, CommandError) else (),
        ) from error
    return facts


def _with_host(target: Target, run: Runner) -> Machines:
    """Return the target with an interpreter of this machine: of the target's Python version if there is one, or ours.

    The target's bytecode is that of such an interpreter, if the target does not say what its own is.
    """
    ours = find_interpreter(None, run)
    if not _is_alike(ours, target):
        with contextlib.suppress(PlatterError):  # what version managers put on PATH may not start
            other = find_interpreter(target.version + "t" * target.free_threaded, run)
            if _is_alike(other, target):
                ours = other
    if _is_alike(ours, target):
        target = dataclasses.replace(
            target, cache_tag=target.cache_tag or ours.cache_tag, magic=target.magic or ours.magic
        )
    return Machines(target, ours)


def _is_alike(one: Target, other: Target) -> bool:
    return (one.version, one.free_threaded, one.debug) == (other.version, other.free_threaded, other.debug)


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


def _from_facts(facts: dict[str, Any]) -> Interpreter:
    executable = facts["executable"]
    if "id" not in facts:
        raise UsageError(
            f"{executable} is {facts['implementation']} {facts['full_version']}, which is not supported",
            hint=f"a bundle needs CPython {OLDEST[0]}.{OLDEST[1]} or newer on the server: choose one with -p",
        )
    try:
        return Interpreter(executable=Path(executable), **fields_of(facts, executable))
    except BundleError as error:
        raise UsageError(
            error.message, hint="this interpreter describes itself oddly: choose another with -p"
        ) from error
