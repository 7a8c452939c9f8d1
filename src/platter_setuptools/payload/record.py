"""RECORD: what a distribution consists of (PyPA specification "Recording installed projects")."""

import base64
import csv
import hashlib
import io
from typing import Dict, Iterable, Iterator, Tuple

_COLUMNS = ("path", "hash", "size")
Row = Tuple[str, str, str]


def parse(text: str) -> Dict[str, Row]:
    """Rows by path; a wheel's RECORD lists its members."""
    rows = (fields for fields in csv.reader(io.StringIO(text, newline="")) if len(fields) == len(_COLUMNS))
    return {path: (path, digest, size) for path, digest, size in rows}


class Measured:
    """Chunks of a file on their way, and its row of RECORD when all have passed."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self._state = hashlib.sha256()
        self._size = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._state.update(chunk)
            self._size += len(chunk)
            yield chunk

    def row(self, path: str) -> Row:
        return _row(path, self._state.digest(), self._size)


def dump(rows: Iterable[Row]) -> bytes:
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n").writerows(sorted(rows))
    return stream.getvalue().encode("utf-8", "surrogateescape")


def row(path: str, content: bytes) -> Row:
    return _row(path, hashlib.sha256(content).digest(), len(content))


def _row(path: str, digest: bytes, size: int) -> Row:
    return path, "sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii"), str(size)
