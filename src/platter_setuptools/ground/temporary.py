"""Temporary folders: gone when their run ends, and if it was killed, when the next one begins.

A run locks (flock) each folder that it makes, and the kernel lets go of the lock however the run ends. So what bears
our name, is this user's and can be locked is left of a dead run.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from platter_setuptools.ground.errors import PlatterError
from platter_setuptools.ground.interrupts import signals_held_back

if TYPE_CHECKING:
    from collections.abc import Iterator

_OURS = re.compile(r"\.?platter-[a-z0-9_]{8}\.tmp")  # those beside something of the user's are hidden
_ASIDE = ".aside"
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
_HINT = "make room there, or set TMPDIR to a folder that has it"


@contextlib.contextmanager
def temporary_folder(parent: Path | None = None) -> Iterator[Path]:
    """A folder that is gone when the block ends, also when a signal comes while it is being removed.

    It lies in `parent`, or else where all temporary files do. Those of dead runs beside it are removed first.
    Raises PlatterError if there is no room where all temporary files are.
    """
    where = parent or _usual_place()
    clear(where)
    folder, lock = None, None
    try:
        with signals_held_back():
            folder, lock = _make(where, "platter-" if parent is None else ".platter-")
        yield folder
    except OSError as error:
        if parent is not None or error.errno not in _NO_ROOM:
            raise
        raise PlatterError(f"no temporary file can be written to {where}: {error.strerror}", hint=_HINT) from error
    finally:
        with signals_held_back():
            if folder is not None and lock is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`, for what replaces it when the block ends without an error.

    What is written there may be a file or a folder; it has the mode that new files have.
    """
    with temporary_folder(path.parent) as folder:
        yield folder / path.name
        if path.is_dir():  # no folder is replaced in one step
            _swap(folder, path)
        else:
            (folder / path.name).replace(path)


def clear(parent: Path) -> None:
    """Remove the temporary folders of dead runs in this folder. What cannot be removed stays."""
    with contextlib.suppress(OSError), os.scandir(parent) as entries:
        found = [Path(entry.path) for entry in entries if _OURS.fullmatch(entry.name)]
        for folder in found:
            with contextlib.suppress(OSError):
                _clear(folder)


def _clear(folder: Path) -> None:
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(lock).st_uid == os.geteuid():
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for path in (folder / _ASIDE).glob("*"):
                _give_back(path, folder.parent / path.name)
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)


def _usual_place() -> Path:
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError as error:  # it has tried to write to each
        raise PlatterError(
            "no temporary file can be written anywhere", hint="set TMPDIR to a folder with room"
        ) from error


def _make(parent: Path, prefix: str) -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, suffix=".tmp", dir=parent))
        # Another run, or another thread of ours, may take it for dead before it is locked: then we make another one.
        try:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue
        # Some network filesystems cannot lock a folder: then nobody can, and nobody takes it for dead.
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(folder.stat(), os.fstat(lock)):
                return folder, lock
        os.close(lock)


def _swap(folder: Path, path: Path) -> None:
    """Let the new folder take the place of the old one. If we are killed between the two steps, `clear` goes back."""
    aside = folder / _ASIDE
    aside.mkdir()
    try:
        path.rename(aside / path.name)
        (folder / path.name).rename(path)
    except BaseException:
        _give_back(aside / path.name, path)
        raise


def _give_back(aside: Path, path: Path) -> None:
    if not os.path.lexists(path) and os.path.lexists(aside):
        aside.rename(path)
