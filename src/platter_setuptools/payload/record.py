"""RECORD: what a distribution consists of (PyPA specification "Recording installed projects")."""

import base64
import csv
import hashlib
import io
from typing import Dict, Iterable, Tuple

_COLUMNS = ("path", "hash", "size")
Row = Tuple[str, str, str]


def parse(text: str) -> Dict[str, Row]:
    """Rows by path; a wheel's RECORD lists its members."""
    rows = (fields for fields in csv.reader(io.StringIO(text, newline="")) if len(fields) == len(_COLUMNS))
    return {path: (path, digest, size) for path, digest, size in rows}


def dump(rows: Iterable[Row]) -> bytes:
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n").writerows(sorted(rows))
    return stream.getvalue().encode("utf-8", "surrogateescape")


def row(path: str, content: bytes) -> Row:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode("ascii")
    return path, "sha256=" + digest, str(len(content))
