"""Check whether a copy of an interpreter can run wherever it is put: it must find nothing where it came from."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platter_setuptools._in_process import relocation
from platter_setuptools.bundle.interpreter_source import BUILT_AS
from platter_setuptools.errors import CommandError, UsageError
from platter_setuptools.payload.install.environment import NEEDED
from platter_setuptools.runtime.progress import first_few
from platter_setuptools.wheels.elf import Loading, machine_name, read_linkage, read_loading
from platter_setuptools.wheels.system_libraries import Linkage, find_system_libraries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from platter_setuptools.runtime.processes import Runner
    from platter_setuptools.targets.target import Target
    from platter_setuptools.wheels.system_libraries import SystemLibraries

_MODULES = ("zlib", "ssl", "ctypes", "fcntl", "pwd", "select", "zipfile", *NEEDED)
_ANOTHER = "use one of python-build-standalone's called install_only, such as uv installs, or another complete one"


def check_machine(program: Path, named: Path) -> Loading | None:
    """Return how the program is loaded. Raise UsageError if it is for another machine."""
    found, ours = _loading(program), _loading(Path(sys.executable))
    if found and ours and found.machine != ours.machine:
        raise UsageError(
            f"{named} is an interpreter for {machine_name(found)}, and this machine is {machine_name(ours)}",
            hint="with-python checks the interpreter by starting it: build on a machine of its kind",
        )
    return found


def check_start(program: Path, named: Path, run: Runner) -> None:
    """Start the copy. Raise UsageError if it finds its parts elsewhere, or lacks some."""
    place = os.path.realpath(program.parent.parent)
    try:
        said: dict[str, Any] = json.loads(run([program, "-I", "-B", Path(relocation.__file__), *_MODULES]))
    except (CommandError, ValueError) as error:
        raise UsageError(
            f"{named} is not relocatable: a copy of it does not start",
            hint=_ANOTHER,
            output=error.output if isinstance(error, CommandError) else (),
        ) from error
    outside = [path for path in (said["prefix"], *said["folders"]) if not _is_below(path, place)]
    if outside:
        raise UsageError(
            f"{named} is not relocatable: a copy of it uses {first_few(outside)}, which is outside of it", hint=_ANOTHER
        )
    if missing := said["missing"]:
        reasons = first_few([f"{name} ({reason})" for name, reason in missing.items()])
        raise UsageError(f"{named} lacks modules that an installation needs: {reasons}", hint=_ANOTHER)
    built = [f"{name}={path}" for name, path in said["build"].items() if not _is_below(path, place, BUILT_AS.decode())]
    if built:
        raise UsageError(
            f"{named} is not relocatable: its sysconfig has {first_few(built)}, where virtualenv looks for its library",
            hint=_ANOTHER,
        )


def find_needs(place: Path, program: Path, target: Target, named: Path) -> SystemLibraries | None:
    """Return what its compiled files need of a Linux system; None on others.

    Raise UsageError for a file that is loaded by a path out of the interpreter, or for another machine.
    """
    ours, total, wrong = _loading(program), Linkage(), dict[str, str]()
    for path in sorted(place.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        with path.open("rb") as file:
            loading = read_loading(file)
            if loading and ours and loading.machine == ours.machine:
                wrong |= {text: f"{path.relative_to(place)}" for text in _leading_out(loading, path, place)}
                file.seek(0)
                total |= read_linkage(path.name, file, target.platform)
    if wrong:
        shown = first_few([f"{text} ({file})" for text, file in wrong.items()])
        raise UsageError(f"{named} is not relocatable: {shown}", hint=_ANOTHER)
    return find_system_libraries({place: total}, target).get(place)


def _leading_out(loading: Loading, path: Path, place: Path) -> Iterator[str]:
    """Yield where a file looks for libraries outside of the interpreter."""
    for folder in loading.folders:
        here = folder.replace("${ORIGIN}", "$ORIGIN").replace("$ORIGIN", os.fspath(path.parent))
        if "$ORIGIN" not in folder.replace("{", "").replace("}", "") or not _is_below(here, os.fspath(place)):
            yield f"a RUNPATH is {folder}"
    for name in loading.absolute:
        yield f"a file needs {name}"
    if loading.loader and not loading.loader.startswith(("/lib", "/usr/lib")):
        yield f"a loader is {loading.loader}"


def _loading(path: Path) -> Loading | None:
    with path.open("rb") as file:
        return read_loading(file)


def _is_below(path: str, *folders: str) -> bool:
    path = os.path.normpath(path)
    return any(f"{path}/".startswith(f"{folder}/") for folder in folders)
