"""Read a wheel, which is a zip file, with few system calls per member.

The standard library reads the list of members; the members are read here, because zipfile needs more time per small
file than the rest of an installation together. Every name is checked before anything is read.
"""

import calendar
import os
import stat
import struct
import zipfile
import zlib
from typing import Callable, Dict, Iterable, Iterator, List, Set, Tuple

from .. import checksums, untrusted
from ..bundle_files import Opened
from ..errors import BundleError, advice, reason
from ..install.tree import Stamp, Tree
from ..names import relative
from .record import Row, parse

try:
    from lzma import LZMAError  # zipfile has loaded it
except ImportError:  # a Python that was built without it; zipfile then says RuntimeError
    LZMAError = RuntimeError  # type: ignore[assignment,misc]

_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_SIGNATURE = b"PK\x03\x04"
_SLACK = 64
# Above this size a member goes through memory in pieces.
_WHOLE = 4 << 20
_PIECE = 1 << 20
# zipfile unpacks what it reads of bzip2 and LZMA at once, however much it becomes.
_EXOTIC_PIECE = 1 << 12


def _open(path: str) -> Opened:
    stream = open(path, "rb")  # noqa: SIM115 - closed in close()
    return Opened(stream, 0, os.fstat(stream.fileno()).st_size)


class Archive:
    """An open zip file, whose bytes have the SHA-256 if one is given. `opened` gives the file with this path."""

    is_released = False  # see released.py
    most = untrusted.FILES

    def __init__(self, path: str, sha256: str = "", opened: Callable[[str], Opened] = _open) -> None:
        self.path = path
        self.sha256 = sha256
        try:
            self._stream, self._start, self._size = opened(path)
        except (OSError, ValueError) as error:
            raise BundleError("%s cannot be read: %s" % (path, reason(error)), hint=advice(error)) from error
        try:
            if sha256 and checksums.digest(self._stream, self._size) != sha256:
                raise self.damaged("altered", "copy the bundle to this machine again")  # noqa: TRY301 - the file is closed below
            self._descriptor = self._stream.fileno()
            self.members = self._members()
        except BaseException:
            self._stream.close()
            raise

    def __enter__(self) -> "Archive":  # noqa: PYI034 - Self came with Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._stream.close()

    def damaged(
        self, what: str, hint: str = "do not use this bundle; build it again from sources you trust"
    ) -> BundleError:
        return BundleError("%s: %s" % (self.path, what), hint=hint)

    def _members(self) -> Dict[str, zipfile.ZipInfo]:
        """Return the files by name. Raises BundleError for paths outside, duplicates, and anything but files."""
        try:
            with zipfile.ZipFile(self._stream) as archive:
                infos = archive.infolist()
        except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError, struct.error) as error:
            raise self.damaged("not a zip file: %s" % error) from error
        size = self._size
        if len(infos) > self.most:
            raise self.damaged("it has more than %d members" % self.most)
        if sum(info.file_size for info in infos) > max(untrusted.RATIO_FROM, untrusted.RATIO * size):
            raise self.damaged("it unpacks to more than %d times its size" % untrusted.RATIO)
        seen: Set[str] = set()
        members: Dict[str, zipfile.ZipInfo] = {}
        for info in infos:
            # zipfile cuts names off at a NUL; the original tells.
            name = info.orig_filename
            folder = name.endswith("/")
            relative(name[:-1] if folder else name, self.path)
            if name in seen:
                raise self.damaged("%s is in it twice" % name)
            seen.add(name)
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFDIR if folder else stat.S_IFREG):
                raise self.damaged("%s is neither a file nor a folder" % name)
            if info.flag_bits & 0x1:
                raise self.damaged("%s is encrypted" % name)
            if not 0 <= info.header_offset <= size:
                raise self.damaged("%s is not within the file" % name)
            if not folder:
                members[name] = info
        return members

    def executables(self) -> List[str]:
        """Return the names of the files that are marked as programs, sorted."""
        return sorted(name for name, info in self.members.items() if self.is_executable(info))

    def read(self, info: zipfile.ZipInfo, limit: int = untrusted.METADATA) -> bytes:
        """Return all of a member's content. Raises BundleError if it is longer than the limit, in bytes."""
        if info.file_size > limit:
            raise self.damaged("%s is longer than %d bytes" % (info.filename, limit))
        return b"".join(self.chunks(info))

    def chunks(self, info: zipfile.ZipInfo) -> Iterator[bytes]:
        """Yield the member's content, a small one at once. Raises BundleError unless length and CRC are right."""
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            yield from self._exotic(info)
            return
        length = info.compress_size
        guess = _LOCAL_HEADER.size + len(info.orig_filename) * 4 + _SLACK
        data = self._pread(guess + (length if length <= _WHOLE else 0), info.header_offset)
        if len(data) < _LOCAL_HEADER.size or data[:4] != _SIGNATURE:
            raise self.damaged("%s is not where the list of members says" % info.filename)
        name_length, extra_length = _LOCAL_HEADER.unpack_from(data)[-2:]
        start = _LOCAL_HEADER.size + name_length + extra_length
        # Hardly a name is not ASCII, where all is one; Python's cp437 is slow.
        encoding = "utf-8" if info.flag_bits & 0x800 or info.orig_filename.isascii() else "cp437"
        if data[_LOCAL_HEADER.size : _LOCAL_HEADER.size + name_length] != info.orig_filename.encode(encoding):
            raise self.damaged("%s has two names" % ascii(info.filename))
        if length <= _WHOLE and info.file_size <= _WHOLE:
            if len(data) < start + length:
                data = self._pread(start + length, info.header_offset)
            yield self._whole(info, data[start : start + length])
        else:
            yield from self._pieces(info, info.header_offset + start)

    def is_executable(self, info: zipfile.ZipInfo) -> bool:
        return bool(info.external_attr >> 16 & 0o111)

    def length(self, info: zipfile.ZipInfo) -> int:
        """Return a member's size in bytes."""
        return info.file_size

    def rows(self, name: str) -> Dict[str, Row]:
        """Return the rows of the RECORD of this name, by path. Raises csv.Error and UnicodeDecodeError."""
        return parse(self.read(self.members[name], untrusted.LIST), "strict")

    def fetch(self, info: zipfile.ZipInfo) -> Tuple[Iterator[bytes], Stamp]:
        """Return a member's content as `chunks`, and its time."""
        return self.chunks(info), timestamp(info)

    def link(self, names: Iterable[str], site: str, tree: Tree) -> Dict[str, Tuple[int, bytes]]:
        """Link members into site-packages as far as that goes: what a release has, and only then.

        Return the time of each in nanoseconds, and its first bytes. The rest is to be written.
        """
        del names, site, tree
        return {}

    def _pread(self, size: int, offset: int) -> bytes:
        """Return so many bytes, or as many as there are: behind them another file may begin."""
        return os.pread(self._descriptor, max(0, min(size, self._size - offset)), self._start + offset)

    def _whole(self, info: zipfile.ZipInfo, data: bytes) -> bytes:
        if info.compress_type == zipfile.ZIP_DEFLATED:
            inflater = zlib.decompressobj(-zlib.MAX_WBITS)
            try:
                data = inflater.decompress(data, info.file_size + 1)
            except zlib.error as error:
                raise self.damaged("%s: %s" % (info.filename, error)) from error
        self._check(info, len(data), zlib.crc32(data))
        return data

    def _pieces(self, info: zipfile.ZipInfo, offset: int) -> Iterator[bytes]:
        left, size, crc = info.compress_size, 0, 0
        inflater = zlib.decompressobj(-zlib.MAX_WBITS) if info.compress_type == zipfile.ZIP_DEFLATED else None
        while left:
            data = self._pread(min(left, _PIECE), offset)
            if not data:
                break
            offset += len(data)
            left -= len(data)
            while data:
                if inflater is None:
                    piece, data = data, b""
                else:
                    try:
                        piece = inflater.decompress(data, _PIECE)
                    except zlib.error as error:
                        raise self.damaged("%s: %s" % (info.filename, error)) from error
                    data = inflater.unconsumed_tail
                size += len(piece)
                if size > info.file_size:
                    self._check(info, size, crc)  # raises: the rest is not even looked at
                crc = zlib.crc32(piece, crc)
                yield piece
        if inflater is not None:
            piece = inflater.flush()
            size += len(piece)
            crc = zlib.crc32(piece, crc)
            yield piece
        self._check(info, size, crc)

    def _exotic(self, info: zipfile.ZipInfo) -> Iterator[bytes]:
        """Read bzip2 and LZMA, which few wheels use, with zipfile, which checks them, too."""
        try:
            with zipfile.ZipFile(self._stream) as archive, archive.open(info) as member:
                while True:
                    piece = member.read(_EXOTIC_PIECE)
                    if not piece:
                        return
                    yield piece
        except (
            *(zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, OSError),
            *(struct.error, LZMAError),
        ) as error:
            raise self.damaged("%s: %s" % (info.filename, error)) from error

    def _check(self, info: zipfile.ZipInfo, size: int, crc: int) -> None:
        if size != info.file_size or crc != info.CRC:
            raise self.damaged("%s does not have the announced length and CRC" % info.filename)


def timestamp(info: zipfile.ZipInfo) -> Stamp:
    """Return a member's time, taken as UTC, for which bytecode is compiled; None if it is not a date."""
    try:
        return calendar.timegm((*info.date_time, 0, 0, 0))
    except ValueError:
        return None
