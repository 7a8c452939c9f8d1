"""The script at the beginning of `STEM.run`: install.sh, which is told where the files lie that it reads."""

from __future__ import annotations

import re
import zipfile
from typing import TYPE_CHECKING

from platter_setuptools.bundle.bootstrap import FOLDER, PACKAGE
from platter_setuptools.payload.checksums import FILE, SIGNATURE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import BinaryIO

    from platter_setuptools.bundle.members import Member

INSTALLER = "install.sh"
# Names without spaces and quotes: they become a part of the script.
_READ = re.compile(
    rf"{FILE}|{re.escape(SIGNATURE)}|PACKAGE|VERSION|info\.json|{FOLDER}/{PACKAGE}/__main__\.py|data/python/[\w.+-]+",
    re.ASCII,
)
_EMPTY = b"\nparts=''\n"
_WIDTH = len("=+ ") + 2 * 13  # of a place: 13 digits are enough for 9 TB
_HEADER = zipfile.sizeFileHeader  # type: ignore[attr-defined]  # bytes before the name of a member


def in_order(members: Iterable[Member]) -> list[Member]:
    """Return the members with those first that the script reads: not every tail(1) skips what lies before."""
    return sorted(members, key=lambda member: (not _READ.fullmatch(member.name), member.name))


def begin(file: BinaryIO, members: Sequence[Member]) -> None:
    """Write the script, with room for the places."""
    file.write(_script(members, {}))


def complete(file: BinaryIO, members: Sequence[Member], top: str, infos: Mapping[str, zipfile.ZipInfo]) -> None:
    """Write the script again, with the places of the files in the archive behind it, by their names in that."""
    places = {}
    for name in _names(members):
        info = infos[f"{top}/{name}"]
        file.seek(info.header_offset + _HEADER - 4)
        lengths = file.read(4)
        offset = info.header_offset + _HEADER + sum(int.from_bytes(lengths[at : at + 2], "little") for at in (0, 2))
        places[name] = f"{offset + 1}+{info.file_size}"
    file.seek(0)
    file.write(_script(members, places))


def _names(members: Sequence[Member]) -> list[str]:
    return sorted(member.name for member in members if _READ.fullmatch(member.name) and member.sha256)


def _script(members: Sequence[Member], places: Mapping[str, str]) -> bytes:
    installer = b""
    for member in members:
        if member.name == INSTALLER:
            with member.open() as source:
                installer = source.read()
    names = _names(members)
    told = " ".join(f"{name}={places[name]}" for name in names if name in places)
    width = sum(len(name) + _WIDTH for name in names)
    return installer.replace(_EMPTY, f"\nparts='{told:<{width}}'\n".encode(), 1)
