"""Hashes that requirements files and direct URLs demand: pip's hash-checking mode, and what of a lock has them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from platter_setuptools.ground.errors import DependencyError, WheelError
from platter_setuptools.ground.urls import redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from packaging.pylock import Package

    from platter_setuptools.steps.resolving.lock import Lock
    from platter_setuptools.steps.resolving.requirements import Line, Required, Requirements

_HINT = "the index offers other files than those that were pinned: find out why before you pin them anew"
# As pip has them. Of other fragments, `egg=` for one, no file is known.
_ALGORITHMS = ("sha512", "sha384", "sha256", "sha224", "sha1", "md5")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pins:
    """The hashes, as `sha256:…`, that each distribution may have; those of a bare URL or path stand under ""."""

    hashes: Mapping[str, frozenset[str]]
    required: bool = True  # of each distribution; else only of those that have some

    def hold(self, lock: Lock) -> Lock:
        """Return the lock without the files that have another hash. Raises WheelError if a package has none left."""
        packages = [self._held(package) for package in lock.pylock.packages]
        lost = [f"{one.name} {one.version or ''}".strip() for one in packages if not _has_files(one)]
        if lost:
            raise WheelError(
                f"no file of {', '.join(lost)} has a hash that the requirements and constraints files allow",
                hint=_HINT,
            )
        return dataclasses.replace(lock, pylock=dataclasses.replace(lock.pylock, packages=packages))

    def unknown_kinds(self, package: Package, hashes: Mapping[str, str]) -> set[str]:
        """Return the algorithms by which a file of the package may be allowed, and by which no hash of it is known."""
        allowed = self._allowed(package)
        return set() if _fits(hashes, allowed) else {one.partition(":")[0] for one in allowed} - {*hashes}

    def _allowed(self, package: Package) -> frozenset[str]:
        return self.hashes.get(package.name, frozenset()) | self.hashes.get("", frozenset())

    def _held(self, package: Package) -> Package:
        if not self.required and package.name not in self.hashes:
            return package
        allowed = self._allowed(package)

        def fits(hashes: Mapping[str, str]) -> bool:
            return _fits(hashes, allowed)

        return dataclasses.replace(
            package,
            vcs=None,
            directory=None,
            archive=package.archive if package.archive and fits(package.archive.hashes) else None,
            sdist=package.sdist if package.sdist and fits(package.sdist.hashes) else None,
            wheels=[wheel for wheel in package.wheels or () if fits(wheel.hashes)] or None,
        )


def find_pins(said: Requirements, *, required: bool = False, universal: bool = False) -> Pins | None:
    """Return the hashes that files demand; None if no line has one and none is `required`.

    As pip does it, one hash in any of the files demands one of every requirement, and a fixed version. A file is taken
    only if every requirement and constraint with hashes of its distribution allows it. Requirements whose marker does
    not fit the target count only if the lock is to be `universal`: then those with other markers are alternatives.
    Raises DependencyError with the list of those that lack a hash or a version.
    """
    lines = [line for line in said.lines if line.requirement]
    required = required or said.require_hashes or any(_of(line).hashes for line in lines)
    if not required:
        return None
    lines = [line for line in lines if universal or _of(line).applies]
    wanted = _hashes_by_name((line for line in lines if not line.constraint), universal=universal)
    limits = _hashes_by_name((line for line in lines if line.constraint), universal=universal)
    pinned = {_of(line).name for line in lines if _of(line).pinned}
    problems = [
        f"{redact(line.text.partition(' --')[0])} {problem} ({line.where})"
        for line in lines
        if not line.constraint and (problem := _problem(line, limits, pinned))
    ]
    if problems:
        raise DependencyError(
            "where one requirement or constraint has a hash, all requirements need one, and a fixed version:\n"
            + "\n".join(f"  {problem}" for problem in problems),
            hint="`uv pip compile --generate-hashes` and `pip-compile --generate-hashes` write such a file",
        )
    names = {*wanted, *limits}
    return Pins(hashes={name: _both(wanted.get(name), limits.get(name)) for name in names})


def promised_hashes(
    requirements: Iterable[Requirement | str], said: Requirements | None = None
) -> dict[tuple[str, str], set[str]]:
    """Return the hashes, as `md5:…`, that the fragments of direct URLs name, by distribution and file name."""
    found: dict[tuple[str, str], set[str]] = {}
    key: tuple[str, str]
    for one in requirements:
        try:
            requirement = Requirement(one) if isinstance(one, str) else one
        except InvalidRequirement:  # whoever resolves will tell
            continue
        url, _, fragment = (requirement.url or "").partition("#")
        for part in fragment.split("&"):
            kind, _, value = part.partition("=")
            if kind in _ALGORITHMS and value:
                key = canonicalize_name(requirement.name), _file_name(url)
                found.setdefault(key, set()).add(f"{kind}:{value}".lower())
    for line in said.lines if said else ():
        if line.requirement and line.requirement.fragment:
            key = line.requirement.name, _file_name(line.requirement.url)
            found.setdefault(key, set()).update(line.requirement.fragment)
    return found


def keep_promises(lock: Lock, promised: Mapping[tuple[str, str], Iterable[str]]) -> Lock:
    """Return the lock with these hashes of archives, too, so that they are compared where the archives are fetched.

    Raises WheelError where the lock knows that an archive has another one.
    """
    packages = []
    for package in lock.pylock.packages:
        archive = package.archive
        if archive:
            name = _file_name(lock.url_of(archive))
            hashes = dict(archive.hashes)
            # A bare URL may say nothing of the name.
            for one in (*promised.get((package.name, name), ()), *promised.get(("", name), ())):
                kind, _, value = one.partition(":")
                if hashes.setdefault(kind, value).lower() != value:
                    raise WheelError(
                        f"{package.name} has not the {kind} that its URL names: expected {value}, found {hashes[kind]}",
                        hint="find out why the file is another one before you change the URL",
                    )
            if hashes != archive.hashes:
                archive = dataclasses.replace(archive, hashes=hashes)
        packages.append(dataclasses.replace(package, archive=archive))
    return dataclasses.replace(lock, pylock=dataclasses.replace(lock.pylock, packages=packages))


def _file_name(url: str) -> str:
    return unquote(urlsplit(url.partition("#")[0]).path.rpartition("/")[2])


def _of(line: Line) -> Required:
    assert line.requirement  # noqa: S101 - those without one were left out
    return line.requirement


def _hashes_by_name(lines: Iterable[Line], *, universal: bool) -> dict[str, frozenset[str]]:
    found: dict[tuple[str, str], frozenset[str]] = {}
    for line in lines:
        requirement = _of(line)
        hashes = requirement.hashes | requirement.fragment if requirement.hashable else frozenset()
        if hashes:
            # Bare URLs name no distribution: each is one of its own.
            key = requirement.name, (requirement.marker if universal else "") if requirement.name else requirement.url
            found[key] = found[key] & hashes if key in found else hashes
    by_name: dict[str, frozenset[str]] = {}
    for (name, _), hashes in found.items():
        by_name[name] = by_name.get(name, frozenset()) | hashes
    return by_name


def _problem(line: Line, limits: Mapping[str, frozenset[str]], pinned: set[str]) -> str:
    requirement = _of(line)
    own = requirement.hashes or requirement.fragment
    if not requirement.hashable or not (own or limits.get(requirement.name)):
        return "has no hash"
    return "" if requirement.name in pinned else "is not pinned with =="


def _both(wanted: frozenset[str] | None, limits: frozenset[str] | None) -> frozenset[str]:
    if wanted is None or limits is None:
        return wanted or limits or frozenset()
    return wanted & limits


def _fits(hashes: Mapping[str, str], allowed: frozenset[str]) -> bool:
    return any(f"{kind}:{value}".lower() in allowed for kind, value in hashes.items())


def _has_files(package: Package) -> bool:
    return bool(package.archive or package.sdist or package.wheels)
