"""Read the entries of a bundle of any format, in one pass, without unpacking it."""

from __future__ import annotations

import contextlib
import enum
import io
import os
import posixpath
import stat
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from platter_setuptools.errors import ArchiveError
from platter_setuptools.payload import untrusted
from platter_setuptools.payload.errors import BundleError
from platter_setuptools.payload.names import relative
from platter_setuptools.runtime import libraries
from platter_setuptools.runtime.temporary import NO_ROOM

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from platter_setuptools.bundle.members import Member

_CHUNK = 1 << 20
_TAR_BUFFER = 1 << 16  # bytes: tarfile copies what is left of it for each header
_MAGIC = 6  # bytes at the beginning that identify the format
_LONGEST_LINK = 4096
_CONTINUED = {
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
}
_HINT = "name a bundle that platter has built; if it is one, copy it here again"


class Kind(enum.Enum):
    """The kind of an entry."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "symbolic link"
    OTHER = "something else"  # a hard link, a device, a pipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry. `name` has slashes, none at its end, and begins with the top folder."""

    name: str
    kind: Kind
    mode: int | None  # permissions; None in a folder, where they are those of whoever put it there
    anonymous: bool = True  # owned by number 0, and by no name
    link: str = ""
    open: Callable[[], BinaryIO] = io.BytesIO

    @property
    def inside(self) -> str:
        """Return the name below the top folder; empty for that folder."""
        return self.name.partition("/")[2]


@contextlib.contextmanager
def open_bundle(path: Path) -> Iterator[Iterator[Entry]]:
    """Yield the entries of a bundle in their order; each can be read until the next one is requested.

    Raises ArchiveError, within the block, too, if `path` is nothing that a bundle can be in, or cannot be read on.
    """
    try:
        if path.is_dir():
            yield _in_folder(path)
            return
        with path.open("rb") as file:
            start = file.read(_MAGIC)  # not zipfile.is_zipfile, which is true for a tar that ends with a wheel
            file.seek(0)
            if start.startswith((b"PK", b"#!")):  # a script comes before the archive in STEM.run
                with zipfile.ZipFile(file) as archive:
                    yield _in_zip(archive)
            else:
                with (
                    _decompressed(file, start) as stream,
                    tarfile.open(fileobj=stream, mode="r|", bufsize=_TAR_BUFFER, tarinfo=_Header) as tar,
                ):
                    yield _in_tar(tar, stream)
    except _unreadable() as error:
        if isinstance(error, OSError) and error.errno in NO_ROOM:  # where the reader of its entries writes to
            raise
        reason = getattr(error, "strerror", None) or str(error) or "it ends too early"
        raise ArchiveError(f"{path} cannot be read as a bundle: {reason}", hint=_HINT) from error


def read_files(path: Path, names: Collection[str]) -> dict[str, bytes]:
    """Return those of these files that a bundle has, each to one byte more than a list may be long, and read no others.

    Raises ArchiveError if it cannot be read.
    """
    found: dict[str, bytes] = {}
    with open_bundle(path) as entries:
        for entry in entries:
            if entry.inside in names and entry.kind is Kind.FILE:
                with entry.open() as source:
                    found[entry.inside] = source.read(untrusted.LIST + 1)
                if len(found) == len(names):
                    break
    return found


def size_of(path: Path) -> int:
    """Return the size of a bundle in bytes: of a folder, that of its files."""
    if path.is_dir():
        return sum(one.lstat().st_size for one in path.rglob("*") if not one.is_dir())
    return path.stat().st_size


def impossible(entry: Entry, top: str, members: Mapping[str, Member]) -> str:
    """Return why an entry cannot be unpacked correctly, after these members; empty if it can."""
    first, _, name = entry.name.partition("/")
    try:
        relative(entry.name, "")
    except BundleError:
        return "the name could leave its folder"
    if first != top or not (name or entry.kind is Kind.FOLDER):
        return "lies outside of the bundle's one folder"
    if name in members:
        return "is in it twice"
    if entry.kind is Kind.OTHER:
        return "is neither a file nor a folder nor a symbolic link"
    folders = (members.get(folder) for folder in above(name))
    return "lies in what is no folder" if any(folder and not folder.is_folder for folder in folders) else ""


def above(name: str) -> Iterator[str]:
    """Return the parent folders of a name, the innermost first."""
    while name := posixpath.dirname(name):
        yield name


def _unreadable() -> tuple[type[Exception], ...]:
    """Return what the libraries raise for files that are damaged, encrypted, or compressed by an unknown method."""
    import lzma  # noqa: PLC0415

    zstd_error: type[Exception] = libraries.zstd().ZstdError
    damage = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, zstd_error, EOFError)
    return (*damage, RuntimeError, NotImplementedError, OSError)


def _decompressed(file: BinaryIO, start: bytes) -> contextlib.AbstractContextManager[BinaryIO]:
    import bz2  # noqa: PLC0415
    import gzip  # noqa: PLC0415
    import lzma  # noqa: PLC0415

    if start.startswith(b"\x1f\x8b"):
        return cast("BinaryIO", gzip.GzipFile(fileobj=file))
    if start.startswith(b"BZh"):
        return cast("BinaryIO", bz2.BZ2File(file))
    if start.startswith(b"\xfd7zXZ\0"):
        return cast("BinaryIO", lzma.LZMAFile(file))
    if start.startswith(b"\x28\xb5\x2f\xfd"):
        return cast("BinaryIO", libraries.zstd().ZstdFile(file))
    return file


class _Header(tarfile.TarInfo):
    """A header of at most 64 KiB: tarfile reads one into memory, and it may claim gigabytes."""

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo:
        if self.size < 0 or (self.type in _CONTINUED and self.size > untrusted.HEADER):
            raise tarfile.ReadError(f"a header of {self.size} bytes")
        header: tarfile.TarInfo = super()._proc_member(tar)  # type: ignore[misc]  # what tarfile says to override
        return header


def _next(tar: tarfile.TarFile) -> tarfile.TarInfo | None:
    """Return the next header; None at the end. Raises TarError for every error of tarfile."""
    tar.members = []  # type: ignore[attr-defined]  # tarfile would keep them
    try:
        return tar.next()
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise tarfile.ReadError(f"a damaged header: {error}") from error


def _in_tar(tar: tarfile.TarFile, stream: BinaryIO) -> Iterator[Entry]:
    kinds = {tarfile.REGTYPE: Kind.FILE, tarfile.AREGTYPE: Kind.FILE, tarfile.DIRTYPE: Kind.FOLDER}
    kinds[tarfile.SYMTYPE] = Kind.LINK
    while (header := _next(tar)) is not None:

        def read(header: tarfile.TarInfo = header) -> BinaryIO:
            return cast("BinaryIO", tar.extractfile(header))

        yield Entry(
            name=header.name,
            kind=Kind.OTHER if header.issparse() else kinds.get(header.type, Kind.OTHER),
            mode=header.mode,
            anonymous=(header.uid, header.gid, header.uname, header.gname) == (0, 0, "", ""),
            link=header.linkname,
            open=read,
        )
    while stream.read(_CHUNK):
        pass  # the compressor's checksum comes last


def _in_zip(archive: zipfile.ZipFile) -> Iterator[Entry]:
    kinds = {stat.S_IFREG: Kind.FILE, stat.S_IFDIR: Kind.FOLDER, stat.S_IFLNK: Kind.LINK}
    for header in archive.infolist():

        def read(header: zipfile.ZipInfo = header) -> BinaryIO:
            return cast("BinaryIO", archive.open(header))

        mode = header.external_attr >> 16
        kind = kinds.get(stat.S_IFMT(mode), Kind.OTHER)
        link = ""
        if kind is Kind.LINK:
            with archive.open(header) as content:
                link = os.fsdecode(content.read(_LONGEST_LINK))
        yield Entry(
            name=header.orig_filename.removesuffix("/"), kind=kind, mode=stat.S_IMODE(mode), link=link, open=read
        )


def _in_folder(top: Path) -> Iterator[Entry]:
    name = top.resolve().name
    yield Entry(name=name, kind=Kind.FOLDER, mode=None)
    for where, folders, files in os.walk(top):
        folders.sort()
        for one in sorted([*folders, *files]):
            path = Path(where, one)
            mode = path.lstat().st_mode
            known = {stat.S_IFREG: Kind.FILE, stat.S_IFDIR: Kind.FOLDER, stat.S_IFLNK: Kind.LINK}
            kind = known.get(stat.S_IFMT(mode), Kind.OTHER)
            yield Entry(
                name=f"{name}/{path.relative_to(top).as_posix()}",
                kind=kind,
                mode=None,
                link=os.readlink(path) if kind is Kind.LINK else "",  # noqa: PTH115 - as it is written
                open=lambda path=path: path.open("rb"),  # type: ignore[misc]
            )
