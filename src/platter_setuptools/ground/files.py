"""Files: hashing, copying and replacing them so that a reader never sees half of one."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from platter_setuptools.ground.interrupts import signals_held_back

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK = 1 << 20


def sha256_of(source: BinaryIO) -> tuple[str, int]:
    """The SHA-256 (hexadecimal) and the size (bytes) of what is left to read, with constant memory."""
    digest, size = hashlib.sha256(), 0
    while chunk := source.read(_CHUNK):
        digest.update(chunk)
        size += len(chunk)
    return digest.hexdigest(), size


def sha256_of_file(path: Path) -> tuple[str, int]:
    """The SHA-256 (hexadecimal) and the size (bytes) of a file."""
    with path.open("rb") as file:
        return sha256_of(file)


def place(source: Path, destination: Path) -> None:
    """Make `destination` a file with the bytes of `source`: a hard link where that works, else a copy.

    Only for files that nobody writes to afterwards.
    """
    try:
        os.link(source, destination)
    except OSError:
        shutil.copyfile(source, destination)


@contextlib.contextmanager
def temporary_folder(prefix: str, inside: Path | None = None) -> Iterator[Path]:
    """A folder that is gone when the block ends, also when a signal comes while it is being removed."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, suffix=".tmp" if inside else "", dir=inside))
    try:
        yield folder
    finally:
        with signals_held_back():
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name in the folder of `path`, which replaces `path` when the block ends without an error."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:40]}.", suffix=".tmp", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
