"""Requirements that the user replaces or drops: uv's overrides, excluded dependencies and dependency metadata.

They replace a wheel's own requirements wherever requirements are compared with a set of wheels. The rules are those of
uv's documentation, "Resolution", "Dependency overrides".
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import InvalidVersion, Version

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_EXTRA = re.compile(r"""extra == (?:"([^"]+)"|'([^']+)')""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Amendment:
    """Requirements that replace others for one distribution; `instead` may be empty."""

    name: NormalizedName | None  # the distribution that is required; None for all that `of` requires
    of: NormalizedName | None = None  # the distribution that requires it; None for every one
    version: Version | None = None  # of `of`; None for every one
    instead: tuple[Requirement, ...] = ()

    def __str__(self) -> str:
        of = f"{self.of}=={self.version}" if self.version else self.of or "every distribution"
        return f"{of}: {', '.join(map(str, self.instead)) or 'nothing'} instead of {self.name or 'its requirements'}"


def read_amendment(of: str | None, version: str | None, name: str | None, instead: Sequence[str]) -> Amendment:
    """Return the Amendment that these texts of info.json mean. Raises ValueError."""
    return Amendment(
        name=None if name is None else canonicalize_name(name),
        of=None if of is None else canonicalize_name(of),
        version=None if version is None else Version(version),
        instead=tuple(map(Requirement, instead)),
    )


def amended(
    requires: Sequence[Requirement], name: NormalizedName, version: Version, amendments: Sequence[Amendment]
) -> Iterator[Requirement]:
    """Return the effective requirements of one distribution: of several amendments the most specific, the first."""
    ours = [one for one in amendments if one.of in {None, name} and one.version in {None, version}]
    ours.sort(key=lambda one: (not one.version, not one.of))
    requires = next((one.instead for one in ours if one.name is None), requires)
    for requirement in requires:
        wanted = canonicalize_name(requirement.name)
        found = next((one for one in ours if one.name == wanted), None)
        if found is None:
            yield requirement
        else:
            yield from (_under_extra(one, requirement) for one in found.instead)


def _under_extra(instead: Requirement, original: Requirement) -> Requirement:
    """Put a replacement under the extra of the requirement that it replaces; drop the rest of the marker."""
    extra = _EXTRA.search(str(original.marker or ""))
    if not extra:
        return instead
    bare = Requirement(str(instead))
    bare.marker = None
    also = f" and ({instead.marker})" if instead.marker else ""
    return Requirement(f'{bare} ; extra == "{extra[1] or extra[2]}"{also}')


def amendments_of(table: Mapping[str, Any]) -> tuple[Amendment, ...]:
    """Return the amendments in a table with the keys of uv.toml. Leave out what uv itself reports as wrong."""
    return (*_excluded(table), *_overridden(table), *_stated(table))


def manifest_amendments(manifest: Mapping[str, Any]) -> tuple[Amendment, ...]:
    """Return what the `[manifest]` of a uv.lock says was overridden or excluded."""
    return amendments_of(
        {
            "override-dependencies": manifest.get("overrides"),
            "exclude-dependencies": manifest.get("excludes"),
            "dependency-metadata": manifest.get("dependency-metadata"),
        }
    )


def _excluded(table: Mapping[str, Any]) -> Iterator[Amendment]:
    for of, version, names in _scoped(_list(table, "exclude-dependencies")):
        for name in names:
            if isinstance(name, str):
                yield Amendment(name=canonicalize_name(name), of=of, version=version)


def _overridden(table: Mapping[str, Any]) -> Iterator[Amendment]:
    """Yield one Amendment for all overrides of a name, which differ in their markers."""
    grouped: dict[tuple[NormalizedName, NormalizedName | None, Version | None], list[Requirement]] = {}
    for of, version, texts in _scoped(_list(table, "override-dependencies")):
        for requirement in _requirements(texts):
            grouped.setdefault((canonicalize_name(requirement.name), of, version), []).append(requirement)
    for (name, of, version), instead in grouped.items():
        yield Amendment(name=name, of=of, version=version, instead=tuple(instead))


def _stated(table: Mapping[str, Any]) -> Iterator[Amendment]:
    for entry in _list(table, "dependency-metadata"):
        if package := _package(entry):
            instead = tuple(_requirements(_list(entry, "requires-dist")))
            yield Amendment(name=None, of=package[0], version=package[1], instead=instead)


def _scoped(entries: Iterable[Any]) -> Iterator[tuple[NormalizedName | None, Version | None, list[Any]]]:
    """Yield what each entry is about: the distribution that requires, if only one is meant, its version, the list."""
    for entry in entries:
        if not isinstance(entry, dict) or "package" not in entry:
            yield None, None, [entry]
        elif package := _package(entry["package"]):
            yield *package, _list(entry, "dependencies")


def _package(table: Any) -> tuple[NormalizedName, Version | None] | None:
    """Return the name and the version in a table; None if they are not valid."""
    if not isinstance(table, dict) or not isinstance(table.get("name"), str):
        return None
    try:
        return canonicalize_name(table["name"]), Version(str(table["version"])) if table.get("version") else None
    except InvalidVersion:
        return None


def _requirements(entries: Iterable[Any]) -> Iterator[Requirement]:
    for entry in entries:
        with contextlib.suppress(InvalidRequirement):  # uv reports it
            yield Requirement(_requirement_text(entry) if isinstance(entry, dict) else str(entry))


def _requirement_text(entry: Mapping[str, Any]) -> str:
    """Return a table of uv.lock with the parts of a requirement in the form of PEP 508."""
    extras = f"[{','.join(map(str, _list(entry, 'extras') or _list(entry, 'extra')))}]".replace("[]", "")
    where = next((str(entry[key]) for key in ("url", "git") if entry.get(key)), "")
    marker = f" ; {entry['marker']}" if entry.get("marker") else ""
    # Of a path, a folder or a member of the workspace any version will do.
    return f"{entry.get('name', '')}{extras}{f' @ {where}' if where else entry.get('specifier', '')}{marker}"


def _list(table: Any, key: str) -> list[Any]:
    value = table.get(key) if isinstance(table, dict) else None
    return value if isinstance(value, list) else []
