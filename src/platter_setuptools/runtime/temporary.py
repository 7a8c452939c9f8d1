"""Temporary folders: removed when their run ends or, if it was killed, by the next run.

A run locks (flock) each folder that it makes; the kernel releases the lock however the run ends. So a folder with our
name that belongs to this user and can be locked was left by a killed run.
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

from platter_setuptools.errors import PlatterError
from platter_setuptools.runtime.signals import signals_held_back

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_OURS = re.compile(r"\.?platter-[a-z0-9_]{8}\.tmp")  # those beside something of the user's are hidden
_ASIDE = ".aside"
NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
_SAID = tuple(map(os.strerror, NO_ROOM))
_LITTLE = 1 << 20  # bytes: a tool that failed may have removed what did not fit


@contextlib.contextmanager
def temporary_folder(parent: Path | None = None) -> Iterator[Path]:
    """Make a folder that is removed when the block ends, also if a signal comes during the removal.

    It is in `parent`, or in the folder for temporary files. Those of killed runs beside it are removed first. Raises
    PlatterError if there is no space for temporary files. That is also the hint of one that tells of a tool without.
    """
    where = parent or _usual_place()
    hint = f"make room in {where}, or set TMPDIR to a folder that has it"
    clear(where)
    folder, lock = None, None
    try:
        with signals_held_back():
            folder, lock = _make(where, "platter-" if parent is None else ".platter-")
        yield folder
    except OSError as error:
        if parent is not None or error.errno not in NO_ROOM:
            raise
        raise PlatterError(f"no temporary file can be written to {where}: {error.strerror}", hint=hint) from error
    except PlatterError as error:
        if parent is None and folder and _lacked_room(error.output, folder):
            error.hint = hint
        raise
    finally:
        with signals_held_back():
            if folder is not None and lock is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)


def _lacked_room(output: Sequence[str], folder: Path) -> bool:
    """Return whether a tool that printed these lines found no space in the folder."""
    said = [line for line in output if any(one in line for one in _SAID)]
    full = bool(said) and shutil.disk_usage(folder).free < _LITTLE
    return full or any(os.fspath(folder) in line for line in said)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`, which replaces `path` when the block ends without an error.

    It may become a file or a folder; it has the mode of new files.
    """
    with temporary_folder(path.parent) as folder:
        yield folder / path.name
        put_in_place(folder / path.name, path)


def put_in_place(new: Path, path: Path) -> None:
    """Let `new`, which lies in a `temporary_folder` beside `path`, take its place."""
    if path.is_dir():  # no folder is replaced in one step
        _swap(new.parent, path)
    else:
        new.replace(path)


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
        with signals_held_back():  # it writes a file there, to see whether that goes, and removes it
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
