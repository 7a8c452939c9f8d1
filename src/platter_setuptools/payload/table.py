"""A JSON object from others, whose values are checked by type, range and form."""

import re
from typing import Any, Dict, Optional, Tuple, Type, TypeVar

from . import untrusted
from .errors import BundleError
from .names import is_project, is_version

T = TypeVar("T")
HINT = "do not use this bundle; build it again from sources you trust"
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SHOWN = 60  # characters of a value that is wrong


class Table:
    """A JSON object that knows its place, for messages such as `info.json: wheels[2].file: missing`."""

    def __init__(self, data: Any, where: str) -> None:
        if not isinstance(data, dict):
            raise BundleError("%s: not a JSON object" % where, hint=HINT)
        self.data: Dict[str, Any] = data
        self.where = where

    def get(self, key: str, kind: Type[T]) -> T:
        value = self.data.get(key)
        # bool is an int to isinstance, but not to us.
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise self.unexpected(key, kind.__name__)
        if isinstance(value, str) and not _is_shown(value):
            raise self.unexpected(key, "a line of at most %d printable characters" % untrusted.STRING)
        return value

    def unexpected(self, key: str, expected: str) -> BundleError:
        found = self.data.get(key)
        shown = ascii(found)[:_SHOWN] if isinstance(found, (str, int, bool, type(None))) else type(found).__name__
        return BundleError("%s: %s: expected %s, found %s" % (self.where, key, expected, shown), hint=HINT)

    def number(self, key: str) -> int:
        """Return a size or a count."""
        value = self.get(key, int)
        if not 0 <= value <= untrusted.NUMBER:
            raise self.unexpected(key, "a number from 0 to %d" % untrusted.NUMBER)
        return value

    def matching(self, key: str, pattern: "re.Pattern[str]") -> str:
        value = self.get(key, str)
        if not pattern.fullmatch(value):
            raise self.unexpected(key, "another form")
        return value

    def sha256(self, key: str, *, optional: bool = False) -> str:
        """Return a SHA-256 in hexadecimal; empty if it is `optional` and there is none."""
        return "" if optional and not self.data.get(key) else self.matching(key, _SHA256)

    def project(self, key: str) -> str:
        value = self.get(key, str)
        if not is_project(value):
            raise self.unexpected(key, "a name (PEP 508)")
        return value

    def version(self, key: str) -> str:
        value = self.get(key, str)
        if not is_version(value):
            raise self.unexpected(key, "a version (PEP 440)")
        return value

    def optional(self, key: str, kind: Type[T]) -> Optional[T]:
        return None if self.data.get(key) is None else self.get(key, kind)

    def strings(self, key: str) -> Tuple[str, ...]:
        values = self.optional(key, list) or []
        if len(values) > untrusted.WHEELS or not all(isinstance(value, str) and _is_shown(value) for value in values):
            raise self.unexpected(key, "strings, at most %d of them" % untrusted.WHEELS)
        return tuple(values)

    def tables(self, key: str) -> "Tuple[Table, ...]":
        items = self.get(key, list)
        if len(items) > untrusted.WHEELS:
            raise self.unexpected(key, "at most %d" % untrusted.WHEELS)
        return tuple(Table(item, "%s: %s[%d]" % (self.where, key, index)) for index, item in enumerate(items))


def _is_shown(text: str) -> bool:
    return len(text) <= untrusted.STRING and text.isprintable()
