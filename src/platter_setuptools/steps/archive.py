"""The archive: a bundle's members as one file, or a folder. Deterministic, streaming, whole or absent.

Members come sorted, with numeric owner 0, modes 0644 and 0755, and one time. Wheels and bytecode are compressed
already, so tar.gz and zip store them; the other formats compress them lightly.
"""

from __future__ import annotations

import bz2
import contextlib
import errno
import hashlib
import lzma
import os
import shutil
import stat
import sys
import tarfile
import tempfile
import time
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

from platter_setuptools.ground.errors import ArchiveError, WheelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from platter_setuptools.steps.members import Member

_CHUNK = 1 << 18
_MARKS = ("info.json", "install.sh", "SHA256SUMS")  # a folder that has all of them is a bundle


def write_archive(members: Sequence[Member], stem: str, kind: str, output: Path, mtime: int) -> tuple[Path, int]:
    """Write `STEM.KIND` into the folder `output`, replacing an older one; gives its path and its size in bytes.

    Raises ArchiveError if it cannot be written, or if a folder of that name is no bundle of ours.
    """
    ordered = sorted(members, key=lambda member: member.name)
    path = output / (stem if kind == "dir" else f"{stem}.{kind}")
    try:
        output.mkdir(parents=True, exist_ok=True)
        if kind == "dir":
            _write_folder(ordered, path, mtime)
            return path, sum(member.size for member in ordered)
        if path.is_dir():
            raise ArchiveError(f"{path} is a folder", hint="move it away, or choose another output folder")
        with _new_file(path) as file:
            _WRITERS[kind](ordered, stem, file, mtime)
    except OSError as error:
        hint = "make room there, or choose another output folder" if error.errno == errno.ENOSPC else None
        raise ArchiveError(
            f"{path} cannot be written: {error.strerror or error}",
            hint=hint or "choose another folder with --output (--dist-dir for the command)",
        ) from error
    return path, path.stat().st_size


@contextlib.contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    handle, name = tempfile.mkstemp(prefix=".platter-", suffix=".tmp", dir=path.parent)
    try:
        with open(handle, "wb") as file:  # noqa: PTH123 - a descriptor
            yield file
        os.chmod(name, 0o666 & ~_umask())  # noqa: PTH101
        os.replace(name, path)  # noqa: PTH105
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)  # noqa: PTH108


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


class _Checked:
    """Reads a member, and raises when its bytes are not those that the manifest names."""

    def __init__(self, member: Member, source: BinaryIO) -> None:
        self._member, self._source, self._digest, self._left = member, source, hashlib.sha256(), member.size

    def read(self, size: int = _CHUNK) -> bytes:
        wanted = min(size, self._left)
        data = self._source.read(size)
        self._digest.update(data)
        self._left -= len(data)
        if self._left <= 0 and (self._left < 0 or self._digest.hexdigest() != self._member.sha256):
            raise WheelError(f"{self._member.name} changed while the bundle was written", hint="build again")
        if len(data) < wanted:
            raise WheelError(f"{self._member.name} became shorter while the bundle was written", hint="build again")
        return data


@contextlib.contextmanager
def _checked(member: Member) -> Iterator[_Checked]:
    try:
        source = member.open()
    except OSError as error:  # not to be taken for an error of the archive's own
        raise WheelError(
            f"{member.name} cannot be read any more: {error.strerror}",
            hint="build again, and let nothing empty the wheel cache meanwhile",
        ) from error
    with source:
        yield _Checked(member, source)


class _Sink(Protocol):
    """A compressor that is told what is worth compressing; as much of a file as tarfile needs to write to it."""

    def write(self, data: bytes) -> int: ...

    def tell(self) -> int: ...

    def pack(self, packed: bool, /) -> None:
        """What follows is packed already, or is not."""

    def close(self) -> None: ...


class _Plain:
    """No compression."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, data: bytes) -> int:
        return self._file.write(data)

    def tell(self) -> int:
        return 0

    def pack(self, packed: bool, /) -> None: ...

    def close(self) -> None: ...


class _Gzip:
    """One gzip member (RFC 1952) whose deflate blocks are compressed or stored, as `pack` says.

    A deflate stream may be cut at any block that ends on a byte, which a full flush brings about: so two compressors,
    one of level 6 and one of level 0, write one stream in turns.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._crc, self._size, self._packed = file, 0, 0, False
        self._deflate = self._compressor()
        # No name and no time; 0xFF: the system is not told.
        file.write(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff")

    def write(self, data: bytes) -> int:
        self._crc = zlib.crc32(data, self._crc)
        self._size += len(data)
        self._file.write(self._deflate.compress(data))
        return len(data)

    def tell(self) -> int:
        return 0

    def pack(self, packed: bool, /) -> None:
        if packed != self._packed:
            self._file.write(self._deflate.flush(zlib.Z_FULL_FLUSH))
            self._packed = packed
            self._deflate = self._compressor()

    def close(self) -> None:
        self._file.write(self._deflate.flush(zlib.Z_FINISH))
        self._file.write(self._crc.to_bytes(4, "little") + (self._size & 0xFFFFFFFF).to_bytes(4, "little"))

    def _compressor(self) -> zlib._Compress:
        return zlib.compressobj(0 if self._packed else 6, zlib.DEFLATED, -zlib.MAX_WBITS)


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


class _Streams:
    """Streams one after the other, each with a compressor of its own: bzip2, xz and zstd read them as one."""

    def __init__(self, file: BinaryIO, compressor: Callable[[bool], _Compressor]) -> None:
        self._file, self._make, self._packed = file, compressor, False
        self._compressor = compressor(False)

    def write(self, data: bytes) -> int:
        self._file.write(self._compressor.compress(data))
        return len(data)

    def tell(self) -> int:
        return 0

    def pack(self, packed: bool, /) -> None:
        if packed != self._packed:
            self.close()
            self._packed = packed
            self._compressor = self._make(packed)

    def close(self) -> None:
        self._file.write(self._compressor.flush())


def _bzip2(packed: bool) -> _Compressor:
    return bz2.BZ2Compressor(1 if packed else 9)


def _xz(packed: bool) -> _Compressor:
    return lzma.LZMACompressor(preset=0 if packed else 6, check=lzma.CHECK_CRC64)


def _zstd(packed: bool) -> _Compressor:
    if sys.version_info >= (3, 14):
        from compression import zstd  # noqa: PLC0415
    else:
        from backports import zstd  # noqa: PLC0415

    return cast("_Compressor", zstd.ZstdCompressor(level=1 if packed else 9))


def _write_tar(members: Sequence[Member], stem: str, sink: _Sink, mtime: int) -> None:
    with tarfile.open(fileobj=cast("BinaryIO", sink), mode="w", format=tarfile.PAX_FORMAT) as tar:
        for folder in _folders(members):
            tar.addfile(_header(f"{stem}/{folder}".rstrip("/"), mtime, tarfile.DIRTYPE, 0o755))
        for member in members:
            if member.link is not None:
                header = _header(f"{stem}/{member.name}", mtime, tarfile.SYMTYPE, 0o777)
                header.linkname = member.link
                tar.addfile(header)
            elif not member.is_folder:
                header = _header(f"{stem}/{member.name}", mtime, tarfile.REGTYPE, member.mode)
                header.size = member.size
                sink.pack(member.packed)
                with _checked(member) as source:
                    tar.addfile(header, cast("BinaryIO", source))
                sink.pack(False)
    sink.close()


def _header(name: str, mtime: int, kind: bytes, mode: int) -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.type, header.mode, header.mtime = kind, mode, mtime
    return header


def _folders(members: Sequence[Member]) -> list[str]:
    """All folders, the top one as the empty string, each before what is in it."""
    found = {""}
    for member in members:
        name = member.name if member.is_folder else os.path.dirname(member.name)  # noqa: PTH120
        while name:
            found.add(name)
            name = os.path.dirname(name)  # noqa: PTH120
    return sorted(found)


def _write_zip(members: Sequence[Member], stem: str, file: BinaryIO, mtime: int) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        for folder in _folders(members):
            name = f"{stem}/{folder}".rstrip("/") + "/"
            archive.writestr(_entry(name, mtime, stat.S_IFDIR | 0o755, zipfile.ZIP_STORED), b"")
        for member in members:
            name = f"{stem}/{member.name}"
            if member.link is not None:
                entry = _entry(name, mtime, stat.S_IFLNK | 0o777, zipfile.ZIP_STORED)
                archive.writestr(entry, os.fsencode(member.link))
            elif not member.is_folder:
                method = zipfile.ZIP_STORED if member.packed else zipfile.ZIP_DEFLATED
                entry = _entry(name, mtime, stat.S_IFREG | member.mode, method)
                entry.file_size = member.size
                with _checked(member) as source, archive.open(entry, "w") as destination:
                    shutil.copyfileobj(cast("BinaryIO", source), destination, _CHUNK)


def _entry(name: str, mtime: int, mode: int, method: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, time.gmtime(mtime)[:6])
    entry.create_system = 3  # Unix: external_attr holds a mode
    entry.external_attr = mode << 16
    entry.compress_type = method
    return entry


def _write_folder(members: Sequence[Member], path: Path, mtime: int) -> None:
    if path.exists() and not all((path / name).is_file() for name in _MARKS):
        raise ArchiveError(f"{path} exists and is no bundle", hint="move it away, or choose another output folder")
    temporary = Path(tempfile.mkdtemp(prefix=".platter-", suffix=".tmp", dir=path.parent))
    try:
        new = temporary / "new"
        for folder in _folders(members):
            (new / folder).mkdir()
            (new / folder).chmod(0o755)
        for member in members:
            destination = new / member.name
            if member.link is not None:
                destination.symlink_to(member.link)
            elif not member.is_folder:
                with _checked(member) as source, destination.open("wb") as file:
                    shutil.copyfileobj(cast("BinaryIO", source), file, _CHUNK)
                destination.chmod(member.mode)
                os.utime(destination, (mtime, mtime))
        for folder in reversed(_folders(members)):
            os.utime(new / folder, (mtime, mtime))
        old = temporary / "old"
        try:
            if path.exists():
                path.rename(old)
            new.rename(path)
        except BaseException:
            if old.exists() and not path.exists():
                old.rename(path)
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


_WRITERS: dict[str, Callable[[Sequence[Member], str, BinaryIO, int], None]] = {
    "tar": lambda members, stem, file, mtime: _write_tar(members, stem, _Plain(file), mtime),
    "tar.gz": lambda members, stem, file, mtime: _write_tar(members, stem, _Gzip(file), mtime),
    "tar.bz2": lambda members, stem, file, mtime: _write_tar(members, stem, _Streams(file, _bzip2), mtime),
    "tar.xz": lambda members, stem, file, mtime: _write_tar(members, stem, _Streams(file, _xz), mtime),
    "tar.zst": lambda members, stem, file, mtime: _write_tar(members, stem, _Streams(file, _zstd), mtime),
    "zip": _write_zip,
}
