"""The differences between two bundles, or between a bundle and an installed release."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.version import InvalidVersion, Version

from platter_setuptools.inspect.html import columns
from platter_setuptools.runtime.progress import human_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from platter_setuptools.inspect.snapshot import InstalledDistribution, Snapshot

ADDED, REMOVED, UPGRADED, DOWNGRADED, ALTERED = "added", "removed", "upgraded", "downgraded", "altered"
_MARKS = {ADDED: "+", REMOVED: "-", UPGRADED: "↑", DOWNGRADED: "↓", ALTERED: "≠"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A wheel that differs; `altered` is one of the same version with other content. Sizes in bytes, installed."""

    name: str
    kind: str
    old: str | None
    new: str | None
    size_change: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """`facts` have an old and a new value; `files` are those that build scripts added, and the project's scripts."""

    facts: Mapping[str, tuple[str, str]]
    wheels: tuple[Change, ...]
    files: Mapping[str, str]
    installer: bool

    @property
    def size_change(self) -> int:
        return sum(one.size_change for one in self.wheels)

    @property
    def is_none(self) -> bool:
        return not (self.facts or self.wheels or self.files or self.installer)


def compare(old: Snapshot, new: Snapshot) -> Difference:
    """Return the differences in what both sides have."""
    facts = {
        name: (old.facts[name], new.facts[name])
        for name in old.facts
        if name in new.facts and old.facts[name] != new.facts[name]
    }
    files = {} if old.files is None or new.files is None else dict(_files(old.files, new.files))
    return Difference(
        facts=facts,
        wheels=tuple(_changes(old.wheels, new.wheels)),
        files=dict(sorted([*files.items(), *_files(old.scripts, new.scripts)])),
        installer=None not in {old.installer, new.installer} and old.installer != new.installer,
    )


def _changes(old: Mapping[str, InstalledDistribution], new: Mapping[str, InstalledDistribution]) -> Iterator[Change]:
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if kind := _kind(before, after):
            yield Change(
                name=name,
                kind=kind,
                old=before.version if before else None,
                new=after.version if after else None,
                size_change=(after.size if after else 0) - (before.size if before else 0),
            )


def _kind(before: InstalledDistribution | None, after: InstalledDistribution | None) -> str:
    if before is None or after is None:
        return REMOVED if after is None else ADDED
    if before.version == after.version:
        return ALTERED if before.content != after.content else ""
    try:
        return UPGRADED if Version(before.version) < Version(after.version) else DOWNGRADED
    except InvalidVersion:
        return ALTERED


def _files(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield name, ADDED if name not in old else REMOVED if name not in new else ALTERED


def as_json(difference: Difference) -> dict[str, Any]:
    """Return the object of docs/diff.schema.json. Sizes are in bytes."""
    return {
        "equal": difference.is_none,
        "facts": {name: {"old": old, "new": new} for name, (old, new) in difference.facts.items()},
        "wheels": [
            {"name": one.name, "change": one.kind, "old": one.old, "new": one.new, "size_change": one.size_change}
            for one in difference.wheels
        ],
        "files": [{"name": name, "change": kind} for name, kind in difference.files.items()],
        "installer_changed": difference.installer,
        "size_change": difference.size_change,
    }


def text(difference: Difference) -> str:
    """Return the differences as text: facts, wheels, files, and the size."""
    facts = [f"{name}: {old or 'none'} -> {new or 'none'}" for name, (old, new) in difference.facts.items()]
    rows = [
        (_MARKS[one.kind], one.name, _versions(one), _signed(one.size_change), one.kind) for one in difference.wheels
    ]
    wheels = columns(rows, right={3}) if rows else []
    files = [f"{_MARKS[kind]}  {name}  {kind}" for name, kind in difference.files.items()]
    installer = ["≠  install.sh and what it runs"] * difference.installer
    total = [f"installed: {_signed(difference.size_change)}"] * (difference.size_change != 0)
    return "\n".join([*facts, *wheels, *files, *installer, *total]) or "no difference"


def _versions(change: Change) -> str:
    return " -> ".join(dict.fromkeys(filter(None, (change.old, change.new))))


def _signed(size: int) -> str:
    return f"{'-' if size < 0 else '+'}{human_size(abs(size))}" if size else ""
