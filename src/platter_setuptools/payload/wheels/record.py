"""RECORD: the files of a distribution (PyPA specification "Recording installed projects")."""

import base64
import binascii
import csv
import hashlib
import io
import os
import stat
from typing import Dict, Iterable, Iterator, Tuple

_COLUMNS = ("path", "hash", "size")
Row = Tuple[str, str, str]


def parse(content: bytes, errors: str = "surrogateescape") -> Dict[str, Row]:
    """Return the rows by path. Raises csv.Error, or UnicodeDecodeError depending on `errors`."""
    lines = io.TextIOWrapper(io.BytesIO(content), "utf-8", errors, newline="")  # a StringIO takes four times as much
    rows = (fields for fields in csv.reader(lines) if len(fields) == len(_COLUMNS))
    return {path: (path, digest, size) for path, digest, size in rows}


def names_sha256(names: Iterable[str]) -> str:
    """Return the SHA-256 of a list of names, as `executables_sha256` in info.json."""
    return hashlib.sha256("".join(name + "\0" for name in names).encode("utf-8", "surrogatepass")).hexdigest()


class Measured:
    """Passes on the chunks of a file, and has its row of RECORD afterwards."""

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


def sha256_of(recorded: str) -> bytes:
    """Return a SHA-256 as bytes from the form that it has in RECORD. Raise ValueError for anything else."""
    algorithm, _, encoded = recorded.partition("=")
    if algorithm != "sha256":
        raise ValueError(recorded)
    return binascii.a2b_base64(encoded.replace("-", "+").replace("_", "/") + "=")


def matches(file: str, recorded: str) -> bool:
    """Whether a file has this hash; one without a hash only has to be there. OSError if it cannot be read."""
    algorithm, _, expected = recorded.partition("=")
    if not expected or algorithm not in hashlib.algorithms_guaranteed:
        return stat.S_ISREG(os.lstat(file).st_mode)
    return digest(file, algorithm) == recorded


def digest(file: str, algorithm: str = "sha256") -> str:
    """Return the hash of a regular file as RECORD has it, empty for what is no file. OSError if it cannot be read."""
    state = hashlib.new(algorithm)
    # A pipe is not waited for, and neither a link nor a device is read.
    with os.fdopen(os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            return ""
        for chunk in iter(lambda: stream.read(1 << 20), b""):
            state.update(chunk)
    return algorithm + "=" + base64.urlsafe_b64encode(state.digest()).rstrip(b"=").decode("ascii")


def _row(path: str, digest: bytes, size: int) -> Row:
    return path, "sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii"), str(size)
