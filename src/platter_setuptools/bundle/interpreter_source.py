"""Lay out a copy of the interpreter that `with-python` names, in the layout that servers get.

That is a folder `python` with `bin/pythonX.Y` in it, as in python-build-standalone's archives called install_only.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from platter_setuptools.bundle.members import stays_within
from platter_setuptools.errors import CommandError, DependencyError, UsageError
from platter_setuptools.payload import untrusted
from platter_setuptools.payload.errors import BundleError
from platter_setuptools.payload.names import relative
from platter_setuptools.resolve.uv import run_uv
from platter_setuptools.wheels.sources import unpack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from platter_setuptools.runtime.processes import Runner

UV = "uv"
TOP = "python"
PROGRAM = "bin/python3"  # which install.sh starts
BUILT_AS = b"/install"  # the prefix that python-build-standalone builds with, and that is nowhere
_LARGEST = 2 << 30  # bytes
_ANOTHER = (
    "name the folder or archive of a relocatable CPython: one of python-build-standalone's called install_only, or"
    " one that `uv python install` has installed"
)
# In sysconfig's data, in pkgconfig's, and in the Makefile.
_PREFIX = re.compile(rb"""^ *['"]?prefix['"]?[ \t]*[:=][ \t]*['"]?(/[^'"\s,]+)""", re.MULTILINE)
# Where the prefix is written down; uv does that when it installs an interpreter.
_PREFIXED = re.compile(
    r"lib/(python3\.\d+t?/(_sysconfig(data|_vars)_[^/]+|config-[^/]+/Makefile|build-details\.json)|pkgconfig/[^/]+\.pc)"
)


def copy_interpreter(source: Path, version: str, run: Runner, work: Path) -> Path:
    """Copy the interpreter to `work/python`. Return the path of its program there, `bin/pythonX.Y`.

    `source` is a folder, a tar archive, or the word uv; `version`, such as 3.12, is the one that uv looks for. Compiled
    bytecode is left out, and scripts that name their interpreter by its path. Raise UsageError if it is none.
    """
    place = work / TOP
    if os.fspath(source) == UV:
        source = _of_uv(version, run)
    tree = source if source.is_dir() else _unpacked(source, work / "unpacked")
    _copy(tree if (tree / "bin").is_dir() else tree / TOP, place, source)
    programs = {path.resolve() for path in place.glob("bin/python3*") if re.fullmatch(r"python3(\.\d+t?)?", path.name)}
    if len(programs) != 1:
        found = ", ".join(sorted(path.name for path in programs)) or "none"
        raise UsageError(f"{source}: expected one program bin/python3.X in it, found {found}", hint=_ANOTHER)
    (program,) = programs
    if not (place / PROGRAM).exists():
        (place / PROGRAM).symlink_to(program.name)
    return program


def _of_uv(version: str, run: Runner) -> Path:
    """Return the folder of the interpreter that uv has installed."""
    try:
        command = ("python", "find", "--managed-python", "--no-python-downloads", "--no-project", version)
        found = run_uv(run, command).strip()
    except CommandError as error:
        raise UsageError(
            f"uv has no Python {version} of its own",
            hint=f"run `uv python install {version}`; or name the folder or archive of an interpreter",
            output=error.output,
        ) from error
    return Path(os.path.realpath(found)).parent.parent


def _unpacked(archive: Path, folder: Path) -> Path:
    if not archive.exists():
        raise UsageError(f"{archive} does not exist", hint=_ANOTHER)
    try:
        return unpack(archive, folder)
    except DependencyError as error:
        raise UsageError(error.message, hint=_ANOTHER) from error


def _copy(source: Path, place: Path, named: Path) -> None:
    if not (source / "bin").is_dir():
        raise UsageError(f"{named} holds no interpreter: there is no bin in it", hint=_ANOTHER)
    if (source / "pyvenv.cfg").is_file():
        raise UsageError(f"{named} is a virtual environment, which needs another Python on the server", hint=_ANOTHER)
    place.mkdir()
    count = size = 0
    for name, path in _files(source):
        _check_name(name, named)
        status = path.lstat()
        if not stat.S_ISDIR(status.st_mode):
            count, size = count + 1, size + status.st_size
        if count > untrusted.FILES or size > _LARGEST:
            what = f"{untrusted.FILES} files" if count > untrusted.FILES else f"{_LARGEST >> 30} GiB"
            raise UsageError(f"{named} holds more than {what}: it is not the folder of one interpreter", hint=_ANOTHER)
        _copy_one(name, source, place / name, named)
    for path in list(place.rglob("*")):
        if path.is_symlink() and not path.exists():  # to what was left out
            path.unlink()


def _copy_one(name: str, source: Path, destination: Path, named: Path) -> None:
    path = source / name
    mode = path.lstat().st_mode
    if stat.S_ISDIR(mode):
        destination.mkdir()
    elif stat.S_ISLNK(mode):
        target = os.readlink(path)  # noqa: PTH115 - as it is written
        if not stays_within(path, source):
            raise UsageError(
                f"{named} is not relocatable: {name} is a link to {target}, which leads out of it or nowhere",
                hint=_ANOTHER,
            )
        destination.symlink_to(target)
    elif not stat.S_ISREG(mode):
        raise UsageError(f"{named}: {name} is neither a file, a folder nor a link", hint=_ANOTHER)
    elif not (name.startswith("bin/") and _names_a_path(path)):
        if _PREFIXED.fullmatch(name):
            destination.write_bytes(_with_prefix_nowhere(path.read_bytes(), source))
        else:
            shutil.copyfile(path, destination)
        destination.chmod(0o755 if mode & stat.S_IXUSR else 0o644)


def _with_prefix_nowhere(content: bytes, source: Path) -> bytes:
    """Replace the prefix that an interpreter was built or installed with, which may be another one on a server.

    virtualenv looks there for libpython.
    """
    built = _PREFIX.search(content)
    prefixes = [os.fsencode(path) for path in (os.path.abspath(source), os.path.realpath(source))]  # noqa: PTH100
    for prefix in [*prefixes, *([built[1]] if built else [])]:
        content = re.sub(re.escape(prefix) + rb"(?![\w.-])", BUILT_AS, content)
    return content


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield what is in the folder, parents first, by their names below it; without bytecode."""
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(one for one in folders if one != "__pycache__")
        for entry in sorted([*folders, *(one for one in files if not one.endswith(".pyc"))]):
            path = Path(where, entry)
            yield path.relative_to(folder).as_posix(), path


def _check_name(name: str, named: Path) -> None:
    try:
        relative(name, f"{named}")
    except BundleError as error:
        raise UsageError(error.message, hint=_ANOTHER) from error
    if not name.isprintable():
        raise UsageError(f"{named}: the name {name!r} cannot be printed", hint=_ANOTHER)


def _names_a_path(path: Path) -> bool:
    """Whether a file is a script whose first line names a program that is not the system's."""
    with path.open("rb") as file:
        first = file.readline(1_000)
    return first.startswith(b"#!/") and not re.match(rb"#!\s*/(usr/)?bin/", first)
