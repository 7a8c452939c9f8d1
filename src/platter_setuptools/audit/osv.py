"""OSV records: which versions of a distribution an advisory is about (OSV schema 1, section "Evaluation").

Versions compare as in PEP 440. Like a specifier of PEP 440, a version without a local part stands for those with one,
too: an advisory for 1.0 is also about 1.0+cu118. What cannot be compared counts as affected.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

ECOSYSTEM = "PyPI"
_RANGES = {"ECOSYSTEM", "SEMVER"}  # the third type, GIT, is about commits
_EVENTS = ("introduced", "fixed", "last_affected", "limit")
_LONGEST = 120  # characters of a title

Event = tuple[str, str]  # one of _EVENTS, and a version


@dataclass(frozen=True, slots=True, kw_only=True)
class Affected:
    """A distribution (`name` is normalized, PEP 503), and its versions that are affected."""

    name: str
    versions: tuple[str, ...]
    ranges: tuple[tuple[Event, ...], ...]

    def includes(self, version: Version) -> bool:
        """Return whether a version is affected."""
        if any(_equal(version, one) for one in self.versions):
            return True
        answers = [_in_range(version, events) for events in self.ranges]
        if any(answers):
            return True
        undecided = None in answers or not answers
        return undecided and not self.versions  # else the list of versions has decided it

    def fixes(self, version: Version) -> Iterator[Version]:
        """Yield the versions after this one that fix it."""
        for kind, text in (event for events in self.ranges for event in events):
            fix = _version(text)
            if kind == "fixed" and fix and fix > version:
                yield fix


@dataclass(frozen=True, slots=True, kw_only=True)
class Advisory:
    """A record about at least one distribution on PyPI. `modified` is a time in UTC (RFC 3339)."""

    id: str
    aliases: tuple[str, ...]
    title: str
    modified: str
    affected: tuple[Affected, ...]

    @property
    def ids(self) -> frozenset[str]:
        return frozenset({self.id, *self.aliases})


def read_advisory(content: bytes) -> Advisory | None:
    """Return the advisory of a record; None if it is withdrawn, or about other ecosystems.

    Raises ValueError for what is not a record of OSV schema 1.
    """
    try:
        record = json.loads(content)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    if not isinstance(record, dict):
        raise ValueError("it is not an object")  # noqa: TRY004 - what it is, is a value
    id_, modified = _get(record, "id", str), _get(record, "modified", str)
    aliases = _strings(record, "aliases")
    if not "".join((id_, *aliases)).isprintable():
        raise ValueError("an id has control characters")
    if _get(record, "schema_version", str, "1.0.0").partition(".")[0] != "1":
        raise ValueError("it has another schema_version than 1")
    affected = tuple(_affected(_get(record, "affected", list, [])))
    if record.get("withdrawn") is not None or not affected:
        return None
    title = _get(record, "summary", str, "") or _get(record, "details", str, "")
    return Advisory(id=id_, aliases=aliases, title=_first_line(title), modified=modified, affected=affected)


def merged(advisories: Iterable[Advisory]) -> list[list[Advisory]]:
    """Return the advisories in groups of those that are about the same vulnerability, by their ids and aliases."""
    groups: list[list[Advisory]] = []
    for advisory in advisories:
        same = [group for group in groups if any(advisory.ids & one.ids for one in group)]
        groups = [group for group in groups if group not in same]
        groups.append([one for group in same for one in group] + [advisory])
    return groups


def _affected(tables: Sequence[Any]) -> Iterator[Affected]:
    for table in tables:
        if not isinstance(table, dict):
            raise ValueError("affected: not an object")  # noqa: TRY004
        package = _get(table, "package", dict, {})
        if not package:  # an affected repository
            continue
        name, ecosystem = _get(package, "name", str), _get(package, "ecosystem", str)
        if ecosystem.partition(":")[0] == ECOSYSTEM:
            ranges = [one for one in _get(table, "ranges", list, []) if _get(one, "type", str) in _RANGES]
            yield Affected(
                name=canonicalize_name(name),
                versions=_strings(table, "versions"),
                ranges=tuple(tuple(map(_event, _get(one, "events", list))) for one in ranges),
            )


def _event(table: Any) -> Event:
    kinds = [kind for kind in _EVENTS if isinstance(table, dict) and kind in table]
    if len(kinds) != 1:
        raise ValueError(f"events: expected one of {', '.join(_EVENTS)} in each")
    return kinds[0], _get(table, kinds[0], str)


def _get(table: Any, key: str, kind: type, default: Any = None) -> Any:
    """Return a value. Raises ValueError if it is of another type, or absent where there is no default."""
    value = table.get(key) if isinstance(table, dict) else None
    value = default if value is None else value
    if not isinstance(value, kind):
        raise ValueError(f"{key}: {'missing' if value is None else 'of a wrong type'}")  # noqa: TRY004
    return value


def _strings(table: Any, key: str) -> tuple[str, ...]:
    values = _get(table, key, list, [])
    if not all(isinstance(one, str) for one in values):
        raise ValueError(f"{key}: not a list of strings")
    return tuple(values)


def _first_line(text: str) -> str:
    line = " ".join(text.strip().partition("\n")[0].split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def _in_range(version: Version, events: Iterable[Event]) -> bool | None:
    """Return whether a version is in a range; None if that cannot be decided, since a version is not of PEP 440."""
    limits, changes = [], []
    for kind, text in events:
        edge = _version(text)
        everything = (kind, text) == ("introduced", "0") or (kind == "limit" and "*" in text)
        if edge is None and not everything:
            return None
        if kind == "limit":
            limits.append(everything or (edge is not None and _compared(version, edge) < edge))
        else:
            changes.append((not everything, edge or Version("0"), kind))
    if not any(kind == "introduced" for _, _, kind in changes):
        return None
    vulnerable = False
    for later, edge, kind in sorted(changes, key=lambda change: change[:2]):  # the first is before any version
        mine = _compared(version, edge)
        if kind == "introduced" and (not later or mine >= edge):
            vulnerable = True
        elif (kind == "fixed" and mine >= edge) or (kind == "last_affected" and mine > edge):
            vulnerable = False
    return vulnerable and (any(limits) or not limits)


def _equal(version: Version, text: str) -> bool:
    other = _version(text)
    return other is not None and _compared(version, other) == other


def _compared(version: Version, other: Version) -> Version:
    """Return the version as it is compared with another: without its local part if that has none."""
    return version if other.local or not version.local else Version(version.public)


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None
