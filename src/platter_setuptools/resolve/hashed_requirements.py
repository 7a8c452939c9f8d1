"""Hashes that requirements files and direct URLs require: pip's hash-checking mode, applied to a lock."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from platter_setuptools.errors import DependencyError, WheelError
from platter_setuptools.resolve.requirements import NOTHING, Requirements
from platter_setuptools.urls import redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from packaging.pylock import Package

    from platter_setuptools.resolve.lock import Lock
    from platter_setuptools.resolve.requirements import Required

_HINT = "the index offers other files than those that were pinned: find out why before you pin them anew"
# Those of pip. Other parts of a fragment, such as `egg=`, say nothing about a file.
_ALGORITHMS = ("sha512", "sha384", "sha256", "sha224", "sha1", "md5")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pins:
    """The allowed hashes, as `sha256:…`, of each distribution; those of a bare URL or path are under ""."""

    hashes: Mapping[str, frozenset[str]]
    required: bool = True  # of each distribution; else only of those that have some

    def hold(self, lock: Lock) -> Lock:
        """Return the lock without the files that have another hash. Raises WheelError if a package has none left."""
        packages = [self._held(package) for package in lock.pylock.packages]
        lost = [
            f"{one.name} {one.version or ''}".strip()
            for one in packages
            if not (one.archive or one.sdist or one.wheels)
        ]
        if lost:
            raise WheelError(
                f"no file of {', '.join(lost)} has a hash that the requirements and constraints files allow",
                hint=_HINT,
            )
        return lock.with_packages(packages)

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
        archive, sdist = package.archive, package.sdist
        return dataclasses.replace(
            package,
            vcs=None,
            directory=None,
            archive=archive if archive and _fits(archive.hashes, allowed) else None,
            sdist=sdist if sdist and _fits(sdist.hashes, allowed) else None,
            wheels=[wheel for wheel in package.wheels or () if _fits(wheel.hashes, allowed)] or None,
        )


def find_pins(said: Requirements, *, required: bool = False, universal: bool = False) -> Pins | None:
    """Return the hashes that files demand; None if no line has one and none is `required`.

    As pip does it, one hash in any of the files demands one of every requirement, and a fixed version. A file is taken
    only if every requirement and constraint with hashes of its distribution allows it. Requirements whose marker does
    not fit the target count only if the lock is to be `universal`: then those with other markers are alternatives.
    Raises DependencyError with the list of those that lack a hash or a version.
    """
    lines = [(line, line.requirement) for line in said.lines if line.requirement]
    if not (required or said.require_hashes or any(one.hashes for _, one in lines)):
        return None
    lines = [(line, one) for line, one in lines if universal or one.applies]
    wanted = _hashes_by_name((one for line, one in lines if not line.constraint), universal=universal)
    limits = _hashes_by_name((one for line, one in lines if line.constraint), universal=universal)
    pinned = {one.name for _, one in lines if one.pinned}
    problems = []
    for line, one in lines:
        has_hash = one.hashable and (one.hashes or one.fragment or limits.get(one.name))
        problem = "has no hash" if not has_hash else "is not pinned with ==" if one.name not in pinned else ""
        if problem and not line.constraint:
            problems.append(f"  {redact(line.text.partition(' --')[0])} {problem} ({line.where})")
    if problems:
        raise DependencyError(
            "where one requirement or constraint has a hash, all requirements need one, and a fixed version:\n"
            + "\n".join(problems),
            hint="`uv pip compile --generate-hashes` and `pip-compile --generate-hashes` write such a file",
        )
    both = {name: wanted[name] & limits[name] for name in wanted.keys() & limits.keys()}
    return Pins(hashes={**wanted, **limits, **both})


def _hashes_by_name(requirements: Iterable[Required], *, universal: bool) -> dict[str, frozenset[str]]:
    """Return the hashes that every requirement of a name allows, or any of those with other markers or URLs."""
    found: dict[tuple[str, str], frozenset[str]] = {}
    for one in requirements:
        hashes = one.hashes | one.fragment
        if hashes and one.hashable:
            # Bare URLs name no distribution: each is one of its own.
            key = one.name, (one.marker if universal else "") if one.name else one.url
            found[key] = found[key] & hashes if key in found else hashes
    by_name: dict[str, frozenset[str]] = {}
    for (name, _), hashes in found.items():
        by_name[name] = by_name.get(name, frozenset()) | hashes
    return by_name


def promised_hashes(
    requirements: Iterable[Requirement | str], said: Requirements = NOTHING
) -> dict[tuple[str, str], set[str]]:
    """Return the hashes, as `md5:…`, that the fragments of direct URLs name, by distribution and file name."""
    found: dict[tuple[str, str], set[str]] = {}
    for one in requirements:
        try:
            requirement = Requirement(one) if isinstance(one, str) else one
        except InvalidRequirement:  # the resolver reports it
            continue
        url, _, fragment = (requirement.url or "").partition("#")
        parts = (part.partition("=") for part in fragment.split("&"))
        hashes = {f"{kind}:{value}".lower() for kind, _, value in parts if kind in _ALGORITHMS and value}
        found.setdefault((canonicalize_name(requirement.name), _file_name(url)), set()).update(hashes)
    for required in (line.requirement for line in said.lines if line.requirement):
        found.setdefault((required.name, _file_name(required.url)), set()).update(required.fragment)
    return found


def keep_promises(lock: Lock, promised: Mapping[tuple[str, str], Iterable[str]]) -> Lock:
    """Return the lock with these hashes of archives, too, so that they are compared where the archives are fetched.

    Raises WheelError where the lock knows that an archive has another one.
    """
    packages = []
    for package in lock.pylock.packages:
        if archive := package.archive:
            name = _file_name(lock.url_of(archive))
            hashes = dict(archive.hashes)
            # A bare URL may say nothing of the name.
            for one in (*promised.get((package.name, name), ()), *promised.get(("", name), ())):
                kind, _, value = one.partition(":")
                if hashes.setdefault(kind, value).lower() != value:
                    raise WheelError(
                        f"{package.name} does not match its URL's {kind}: expected {value}, found {hashes[kind]}",
                        hint="find out why the file is another one before you change the URL",
                    )
            if hashes != archive.hashes:
                package = dataclasses.replace(package, archive=dataclasses.replace(archive, hashes=hashes))  # noqa: PLW2901
        packages.append(package)
    return lock.with_packages(packages)


def _file_name(url: str) -> str:
    return unquote(urlsplit(url.partition("#")[0]).path.rpartition("/")[2])


def _fits(hashes: Mapping[str, str], allowed: frozenset[str]) -> bool:
    return any(f"{kind}:{value}".lower() in allowed for kind, value in hashes.items())
