"""Hash and place files."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from pathlib import Path
from typing import BinaryIO

_CHUNK = 1 << 20
_FIRST = 1 << 16  # most files are smaller, and to get room for more takes longer than to hash them


def obstacle(folder: Path) -> str | None:
    """Return what prevents writing to this absolute path, a folder that may not exist yet; None if nothing does."""
    nearest = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
    if not nearest.is_dir():
        return f"{nearest} is no folder"
    return None if os.access(nearest, os.W_OK | os.X_OK) else f"{nearest} may not be written to"


def sha256_of(source: BinaryIO) -> tuple[str, int]:
    """Return the SHA-256 (hexadecimal) and the size (bytes) of the rest of a file, with constant memory."""
    digest, size = hashlib.sha256(), 0
    chunk = source.read(_FIRST)
    while chunk:
        digest.update(chunk)
        size += len(chunk)
        chunk = source.read(_CHUNK)
    return digest.hexdigest(), size


def sha256_of_file(path: Path) -> tuple[str, int]:
    """Return the SHA-256 (hexadecimal) and the size (bytes) of a file."""
    with path.open("rb") as file:
        return sha256_of(file)


def digest_of_file(path: Path, algorithm: str) -> str:
    """Return the hash (hexadecimal) of a file by any algorithm of hashlib."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def link_or_copy(source: Path, destination: Path) -> None:
    """Make `destination` a file with the bytes of `source`: a hard link where that works, else a copy.

    Only for files that nobody writes to afterwards.
    """
    try:
        os.link(source, destination)
    except OSError:
        shutil.copyfile(source, destination)


def absolute(path: str, base: Path) -> Path:
    """Return the path from the folder `base`; `~` is the home folder, links are not followed."""
    # Unlike Path.expanduser, which raises for a user who is not there, and Path.resolve, which follows links.
    return Path(os.path.abspath(base / os.path.expanduser(path)))  # noqa: PTH100, PTH111


def located(value: str, base: Path) -> str:
    """Return a path as an absolute one that starts at `base`, and a URL unchanged; uv's indexes may have NAME=URL."""
    name, _, place = value.rpartition("=") if re.match(r"[\w.-]+=", value) and "://" not in value else ("", "", value)
    if not place or "://" in place or place.startswith("file:"):
        return value
    return f"{name}={absolute(place, base)}" if name else str(absolute(place, base))


def real_path(path: Path) -> Path:
    """Return the path without links. Links in a circle stay, at which Path.resolve fails before Python 3.13."""
    return Path(os.path.realpath(path))
