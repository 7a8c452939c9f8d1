"""Compress a tar archive; store what is compressed already."""

from __future__ import annotations

import bz2
import lzma
import tarfile
import zlib
from typing import TYPE_CHECKING, Protocol, cast

from platter_setuptools.runtime import libraries

if TYPE_CHECKING:
    from collections.abc import Callable

STORED = 0xFFFF  # bytes: the most that a stored block of a deflate stream holds


class Output(Protocol):
    """The output of a sink."""

    def write(self, data: bytes, /) -> int: ...


class Sink(Protocol):
    """A compressor that gets told what is worth compressing; has the file methods that tarfile needs."""

    def write(self, data: bytes) -> int: ...

    def tell(self) -> int: ...

    def pack(self, packed: bool, deflated: bytes | None = None, /) -> None:
        """Say whether what follows is compressed already; `deflated` is the result of that function for it."""

    def close(self) -> None: ...


class Plain:
    """No compression."""

    def __init__(self, file: Output) -> None:
        self._file = file

    def write(self, data: bytes) -> int:
        return self._file.write(data)

    def tell(self) -> int:
        return 0

    def pack(self, packed: bool, deflated: bytes | None = None, /) -> None: ...

    def close(self) -> None: ...


class Gzip:
    """One gzip member (RFC 1952) whose deflate blocks are compressed or stored, as `pack` says.

    A deflate stream (RFC 1951) may be cut at any block that ends on a byte, which a full flush causes: what follows
    does not refer to anything before. What is compressed already is written between such cuts as stored blocks, which
    costs no more than copying it.
    """

    def __init__(self, file: Output) -> None:
        self._file, self._crc, self._size = file, 0, 0
        self._write = self._compress
        # Level 4 takes half the time of 6, and little is left to compress: four per cent more of it.
        self._deflate = zlib.compressobj(4, zlib.DEFLATED, -zlib.MAX_WBITS)
        # No name and no time; 0xFF: the system is not told.
        file.write(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff")

    def write(self, data: bytes) -> int:
        self._crc = zlib.crc32(data, self._crc)
        self._size += len(data)
        self._write(data)
        return len(data)

    def tell(self) -> int:
        return 0

    def pack(self, packed: bool, deflated: bytes | None = None, /) -> None:
        write = self._pass_over if deflated is not None else self._store if packed else self._compress
        if self._write == self._compress != write:
            self._file.write(self._deflate.flush(zlib.Z_FULL_FLUSH))
        self._write = write
        if deflated:
            self._file.write(deflated)

    def close(self) -> None:
        self._file.write(self._deflate.flush(zlib.Z_FINISH))
        self._file.write(self._crc.to_bytes(4, "little") + (self._size & 0xFFFFFFFF).to_bytes(4, "little"))

    def _compress(self, data: bytes) -> None:
        if compressed := self._deflate.compress(data):
            self._file.write(compressed)

    def _store(self, data: bytes) -> None:
        blocks: list[bytes | memoryview] = []
        view = memoryview(data)
        for start in range(0, len(data), STORED):
            block = view[start : start + STORED]
            length = len(block)
            # Not the last block, stored: three bits, filled up to a byte; the length, and its complement.
            blocks += b"\0", length.to_bytes(2, "little"), (length ^ 0xFFFF).to_bytes(2, "little"), block
        self._file.write(b"".join(blocks))

    def _pass_over(self, data: bytes) -> None:
        """It was written when it was announced."""


def deflated(content: bytes) -> bytes:
    """Return a file deflated ahead for a Gzip sink: padded to tar's blocks, and independent of its surroundings."""
    # More than Gzip's own level, since this is done once: it makes up for what is lost at the cuts.
    deflate = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflate.compress(content + bytes(-len(content) % tarfile.BLOCKSIZE)) + deflate.flush(zlib.Z_FULL_FLUSH)


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


class Streams:
    """Streams one after the other, each with its own compressor: bzip2, xz and zstd read them as one."""

    def __init__(self, file: Output, compressor: Callable[[bool], _Compressor]) -> None:
        self._file, self._make, self._packed = file, compressor, False
        self._compressor = compressor(False)

    def write(self, data: bytes) -> int:
        self._file.write(self._compressor.compress(data))
        return len(data)

    def tell(self) -> int:
        return 0

    def pack(self, packed: bool, deflated: bytes | None = None, /) -> None:  # noqa: ARG002 - deflate is not theirs
        if packed != self._packed:
            self.close()
            self._packed = packed
            self._compressor = self._make(packed)

    def close(self) -> None:
        self._file.write(self._compressor.flush())


def bzip2(packed: bool) -> _Compressor:
    return bz2.BZ2Compressor(1 if packed else 9)


def xz(packed: bool) -> _Compressor:
    return lzma.LZMACompressor(preset=0 if packed else 6, check=lzma.CHECK_CRC64)


def zstd(packed: bool) -> _Compressor:
    return cast("_Compressor", libraries.zstd().ZstdCompressor(level=1 if packed else 9))
