"""Read data from others within limits of length, depth and number. docs/format.md lists them."""

import json
import math
import os
import re
import stat
from typing import Any, BinaryIO, Dict, List, NoReturn, Tuple

TEXT = 2 << 20  # bytes of info.json, pylock.toml and the like
METADATA = 512 << 10  # bytes of METADATA, WHEEL, entry_points.txt and direct_url.json of a wheel
LIST = 8 << 20  # bytes of SHA256SUMS, RECORD and the bill of materials
MARKER = 64 << 10  # bytes of .platter-release.json
SIGNATURE = 64 << 10  # bytes of SHA256SUMS.sig; install.sh has this number, TEXT and LIST again
BOOTSTRAP = 64 << 20  # bytes of a kept bootstrap, and of a file of it
MODULE = 8 << 20  # bytes of a module that is compiled when a bundle is built
FILES = 50_000  # of a wheel, or of a bundle
WHEELS = 2_000
SHARED = 64  # paths; the marker of a release names them
TAGS = 200  # that the name of a wheel stands for: it may join three sets
NUMBER = 1 << 50  # a size in bytes, or a count
STRING = 1_000  # characters
VERSION = 100  # characters
DIGITS = 20  # of any number
KEY_PARTS = 32  # of a dotted key in TOML: tomllib takes time by the square of them
HEADER = 64 << 10  # bytes of a tar header that goes on in blocks of its own: pax, or GNU's long names
DEPTH = 50  # objects and arrays of a JSON text within each other
PART, PATH = 255, 1_024  # bytes of a name, and of a path in a bundle or a wheel
RATIO, RATIO_FROM = 200, 64 << 20  # a wheel unpacks to no more than so many times its size, or so many bytes

_BRACKETS = re.compile(r'\\.|["{}\[\]]', re.DOTALL)


def read_file(path: str, limit: int, flags: int = 0) -> bytes:
    """Return the content of a regular file; `flags` are further ones for open(2).

    Raises OSError if it cannot be read; ValueError if it is not a file, or longer than the limit.
    """
    with open_file(path, flags) as stream:
        return within(stream.read(limit + 1), limit)


def open_file(path: str, flags: int = 0) -> BinaryIO:
    """Open a regular file for reading, as `read_file`. A pipe is not waited for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ValueError("it is not a file")
    return os.fdopen(descriptor, "rb")


def within(content: bytes, limit: int) -> bytes:
    """Return the content. Raises ValueError if it is longer than the limit, in bytes."""
    if len(content) > limit:
        raise ValueError("it is longer than %d bytes" % limit)
    return content


def parse_json(content: bytes) -> Any:
    """Return the value of a JSON text (RFC 8259) in UTF-8 without a byte order mark. Raises ValueError.

    Numbers have at most 20 digits and are finite. No object has a key twice: readers differ on which value counts.
    """
    text = content.decode("utf-8")
    if text.startswith("\ufeff"):
        raise ValueError("it begins with a byte order mark")
    depth, quoted = 0, False
    for found in _BRACKETS.finditer(text):
        mark = found.group()
        if mark == '"':
            quoted = not quoted
        elif not quoted and mark in "{[":
            depth += 1
            if depth > DEPTH:
                raise ValueError("it is nested more than %d levels deep" % DEPTH)
        elif not quoted and mark in "}]":
            depth -= 1
    return json.loads(text, parse_int=_integer, parse_float=_real, parse_constant=_no_number, object_pairs_hook=_object)


def _integer(text: str) -> int:
    return int(_within_digits(text))


def _real(text: str) -> float:
    number = float(_within_digits(text))
    return number if math.isfinite(number) else _no_number(text)


def _within_digits(text: str) -> str:
    if len(text) > DIGITS:
        raise ValueError("a number has more than %d digits" % DIGITS)
    return text


def _no_number(name: str) -> NoReturn:
    raise ValueError("%s is not a number" % name)


def _object(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has a key twice")
    return found
