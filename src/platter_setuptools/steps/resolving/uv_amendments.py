"""What uv was told to put in the place of distributions' own requirements: in its configuration, or when it locked."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from platter_setuptools.ground.amendments import Amendment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence


def amendments_of(table: Mapping[str, Any]) -> tuple[Amendment, ...]:
    """What a table with the keys of uv.toml says. What uv does not understand, and so tells, is left out."""
    return (*_excluded(table), *_overridden(table), *_stated(_list(table.get("dependency-metadata"))))


def manifest_amendments(manifest: Mapping[str, Any]) -> tuple[Amendment, ...]:
    """What the `[manifest]` of a uv.lock says was overridden or excluded when it was made."""
    return amendments_of(
        {
            "override-dependencies": _list(manifest.get("overrides")),
            "exclude-dependencies": _list(manifest.get("excludes")),
            "dependency-metadata": _list(manifest.get("dependency-metadata")),
        }
    )


def _excluded(table: Mapping[str, Any]) -> Iterator[Amendment]:
    for entry in _list(table.get("exclude-dependencies")):
        if isinstance(entry, str):
            yield Amendment(name=canonicalize_name(entry))
        elif scope := _scope(entry):
            for name in _list(entry.get("dependencies")):
                yield Amendment(name=canonicalize_name(str(name)), of=scope[0], version=scope[1])


def _overridden(table: Mapping[str, Any]) -> Iterator[Amendment]:
    grouped: dict[tuple[Any, ...], list[Requirement]] = {}
    for entry in _list(table.get("override-dependencies")):
        scoped = isinstance(entry, dict) and "package" in entry
        scope = _scope(entry) if scoped else (None, None)
        texts = [entry] if not scoped else _list(entry.get("dependencies")) if scope else []
        for requirement in _requirements(map(_requirement_text, texts)):
            grouped.setdefault((*(scope or ()), canonicalize_name(requirement.name)), []).append(requirement)
    for (of, version, name), instead in grouped.items():
        yield Amendment(name=name, of=of, version=version, instead=tuple(instead))


def _stated(entries: Sequence[Any]) -> Iterator[Amendment]:
    for entry in entries:
        if isinstance(entry, dict) and (scope := _scope({"package": entry})):
            texts = map(_requirement_text, _list(entry.get("requires-dist")))
            yield Amendment(name=None, of=scope[0], version=scope[1], instead=tuple(_requirements(texts)))


def _scope(entry: Any) -> tuple[Any, Any] | None:
    package = entry.get("package") if isinstance(entry, dict) else None
    if not isinstance(package, dict) or not isinstance(package.get("name"), str):
        return None
    try:
        version = Version(str(package["version"])) if package.get("version") else None
    except InvalidVersion:
        return None
    return canonicalize_name(package["name"]), version


def _requirement_text(entry: Any) -> str:
    """A requirement as PEP 508 writes it; uv.lock has tables of its parts."""
    if not isinstance(entry, dict):
        return str(entry)
    extras = f"[{','.join(map(str, _list(entry.get('extras') or entry.get('extra'))))}]".replace("[]", "")
    where = next((str(entry[key]) for key in ("url", "git") if entry.get(key)), "")
    marker = f" ; {entry['marker']}" if entry.get("marker") else ""
    # A path, a folder or a workspace's member: any version will do.
    return f"{entry.get('name', '')}{extras}{f' @ {where}' if where else entry.get('specifier', '')}{marker}"


def _requirements(texts: Iterable[str]) -> Iterator[Requirement]:
    for text in texts:
        with contextlib.suppress(InvalidRequirement):  # uv tells what it does not understand
            yield Requirement(text)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
