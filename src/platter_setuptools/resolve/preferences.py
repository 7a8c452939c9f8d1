"""What an earlier lock says for the next one: the versions to keep; and how the two differ.

uv keeps a version that is in its output file, if it still fits: `uv lock` and `uv pip compile` do so, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from platter_setuptools.errors import UsageError
from platter_setuptools.urls import redact

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from packaging.pylock import Package

    from platter_setuptools.resolve.lock import Lock


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """Versions to keep, as `NAME==VERSION` with a marker; and requirements whose names are not kept."""

    kept: tuple[str, ...] = ()
    upgraded: tuple[str, ...] = ()

    def as_constraints(self) -> list[str]:
        """Return constraints that keep every version, but for those of the upgraded names."""
        names = {canonicalize_name(Requirement(one).name) for one in self.upgraded}
        kept = [one for one in self.kept if Requirement(one).name not in names]
        return [*kept, *(one for one in self.upgraded if Requirement(one).specifier)]

    def write_lock(self, path: Path) -> None:
        """Write the versions to keep where uv looks for them: into the file that it is to write."""
        import tomli_w  # noqa: PLC0415

        if self.kept:
            path.write_text(
                tomli_w.dumps({"lock-version": "1.0", "created-by": "platter", "packages": self._packages()})
            )

    def _packages(self) -> list[dict[str, str]]:
        packages = []
        for one in map(Requirement, self.kept):
            marker = {"marker": str(one.marker)} if one.marker else {}
            packages.append({"name": one.name, "version": str(one.specifier).removeprefix("=="), **marker})
        return packages


NO_PREFERENCES = Preferences()


def preferences_of(lock: Lock | None, upgraded: Sequence[str]) -> Preferences:
    """Return what to keep of a lock, if there is one: the versions of what comes from an index.

    `upgraded` are requirements, mostly bare names. Raise UsageError for what is none.
    """
    for one in upgraded:
        try:
            usable = not Requirement(one).url
        except InvalidRequirement:
            usable = False
        if not usable:
            raise UsageError(
                f"--upgrade-package: {redact(one)!r} is not a name, with or without a version",
                hint="such as --upgrade-package rich, or --upgrade-package 'rich<14'",
            )
    packages = lock.pylock.packages if lock else ()
    return Preferences(kept=tuple(map(_pin, filter(_from_index, packages))), upgraded=tuple(upgraded))


def unknown_to(lock: Lock, upgraded: Sequence[str]) -> list[str]:
    """Return the names of these requirements that a lock does not have."""
    names = {package.name for package in lock.pylock.packages}
    return sorted({canonicalize_name(Requirement(one).name) for one in upgraded} - names)


def _from_index(package: Package) -> bool:
    return bool(package.version and (package.wheels or package.sdist))


def _pin(package: Package) -> str:
    marker = str(package.marker or "")
    # Whether an extra is asked for is nothing that a requirement can tell.
    known = marker and "extras" not in marker and "dependency_groups" not in marker
    return f"{package.name}=={package.version}{f' ; {marker}' if known else ''}"


def differences(old: Lock, new: Lock) -> Iterator[str]:
    """Yield how a new lock, in the same folder, differs from an old one, as far as it matters.

    That an index has got more files for a version does not matter, nor that it has lost some.
    """
    before, after = _told(old), _told(new)
    for key in sorted(before.keys() | after.keys()):
        one, other = before.get(key, ()), after.get(key, ())
        if one != other:
            yield f"{key}: {', '.join(one) or 'not there'} -> {', '.join(other) or 'not there'}"
    files = {(package.name, name): hashes for package in old.pylock.packages for name, hashes in _hashes(package)}
    for package in new.pylock.packages:
        for name, hashes in _hashes(package):
            known = files.get((package.name, name), {})
            if any(known[kind] != value for kind, value in hashes.items() if kind in known):
                yield f"{package.name}: {name} has another hash"


def _told(lock: Lock) -> dict[str, tuple[str, ...]]:
    """Return all that a lock says but for files, as texts: of each distribution, and below its own keys."""
    data: dict[str, Any] = dict(lock.pylock.to_dict())
    found: dict[str, list[str]] = {}
    for key in ("requires-python", "environments", "extras", "dependency-groups", "default-groups"):
        if value := data.get(key):
            found[f"[{key}]"] = list(map(str, value)) if isinstance(value, (list, tuple)) else [str(value)]
    for package in data["packages"]:
        found.setdefault(package["name"], []).append(_entry(package))
    return {key: tuple(sorted(texts)) for key, texts in found.items()}


def _entry(package: dict[str, Any]) -> str:
    vcs, archive, folder = (package.get(kind) or {} for kind in ("vcs", "archive", "directory"))
    words = [
        package.get("version", ""),
        *(str(one.get("path") or redact(str(one["url"]))) for one in (vcs, archive, folder) if one),
        vcs.get("commit-id", ""),
        *sorted(f"{kind}:{value}" for kind, value in archive.get("hashes", {}).items()),
        *(str(one["subdirectory"]) for one in (vcs, archive, folder) if one.get("subdirectory")),
        f"if {package['marker']}" if package.get("marker") else "",
    ]
    return " ".join(filter(None, words))


def _hashes(package: Package) -> Iterator[tuple[str, dict[str, str]]]:
    for file in (package.sdist, *(package.wheels or ())):
        if file:
            yield file.filename, dict(file.hashes)
