"""What a resolver says, checked: every file has a secure hash, and what direct URLs name; rivals are told."""

from __future__ import annotations

import dataclasses
import hashlib
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from platter_setuptools.ground.errors import WheelError
from platter_setuptools.ground.files import sha256_of_file
from platter_setuptools.steps.resolving.credentials import Asking
from platter_setuptools.steps.resolving.named_indexes import NamedIndexes, pinned
from platter_setuptools.steps.resolving.pins import find_pins, keep_promises, promised_hashes
from platter_setuptools.steps.wheelhouse.collector import as_download
from platter_setuptools.steps.wheelhouse.fetch import Download, fetch_all, is_secure
from platter_setuptools.steps.wheelhouse.rivals import find_rivals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from packaging.pylock import Package, PackageArchive, PackageSdist, PackageWheel
    from packaging.requirements import Requirement

    from platter_setuptools.ground.progress import Progress
    from platter_setuptools.ground.run import Runner
    from platter_setuptools.steps.resolving.indexes import IndexSettings
    from platter_setuptools.steps.resolving.lock import Lock
    from platter_setuptools.steps.resolving.requirements import Requirements
    from platter_setuptools.steps.resolving.resolver import Request, Resolver
    from platter_setuptools.steps.store import Store
    from platter_setuptools.steps.target import Target

    _File = PackageArchive | PackageSdist | PackageWheel

_F = TypeVar("_F", "PackageArchive", "PackageSdist", "PackageWheel")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedResolver:
    """A Resolver that looks at another one's answer."""

    resolver: Resolver
    target: Target
    settings: Callable[[], IndexSettings]
    store: Store
    progress: Progress
    work: Path
    run: Runner
    indexes: Callable[[Requirements], NamedIndexes] = lambda _said: NamedIndexes()
    _told: set[str] = field(default_factory=set, init=False)  # of rivals, since a build may resolve more than once

    def __call__(self, request: Request) -> Lock:
        lock = self._with_hashes(request, self.resolver(request))
        if not request.no_deps:  # else all is named by its hash
            self._warn_of_rivals(request, lock)
        return lock

    def _with_hashes(self, request: Request, lock: Lock) -> Lock:
        promised = promised_hashes((*request.requirements, *request.sources), request.said)
        lock = self._checked(lock, keep_promises(lock, promised))
        pins = find_pins(request.said, universal=request.universal)
        wanted: dict[int, set[str]] = {}
        unsure: list[_File] = []
        for package in lock.pylock.packages:
            for file in _files(package):
                kinds = pins.unknown_kinds(package, file.hashes) if pins else set[str]()
                if kinds or not is_secure(file.hashes):
                    wanted[id(file)] = kinds
                    unsure.append(file)
        if not unsure:
            return lock
        # Of what the target does not take it need not be found out: it is left out.
        taken = unsure if request.universal else _taken(lock, self.target)
        known = self._fetched(lock, [file for file in unsure if any(file is one for one in taken)], wanted)
        packages = [_with_hashes(package, known) for package in lock.pylock.packages]
        return dataclasses.replace(lock, pylock=dataclasses.replace(lock.pylock, packages=packages))

    def _warn_of_rivals(self, request: Request, lock: Lock) -> None:
        settings = self.settings()
        rivals = find_rivals(
            lock,
            self.indexes(request.said),
            pinned=pinned(request.tree),
            settings=settings,
            ask=Asking(settings, self.run),
            run=self.run,
        )
        for index, packages in rivals.items():
            names = ", ".join(f"{package.name} {package.version}" for package in packages)
            warning = (
                f"{names}: not from {index}, which has {'that name' if len(packages) == 1 else 'these names'}, too. Of "
                "several indexes the highest version wins: the manual (building, indexes) says how to pin a name to one"
            )
            if warning not in self._told:
                self._told.add(warning)
                self.progress.warn(warning)

    def check_required(self, lock: Lock, requirements: Iterable[Requirement]) -> Lock:
        """The lock with the hashes that the URLs of these requirements name. Raises WheelError if a file has others."""
        return self._checked(lock, keep_promises(lock, promised_hashes(requirements)))

    def _checked(self, lock: Lock, kept: Lock) -> Lock:
        """The lock with more hashes of some files; they are fetched, and so compared. Raises WheelError."""
        known = {id(file) for package in lock.pylock.packages for file in _files(package)}
        self._fetched(
            kept, [one for package in kept.pylock.packages for one in _files(package) if id(one) not in known]
        )
        return kept

    def _fetched(
        self, lock: Lock, files: Sequence[_File], kinds: Mapping[int, Iterable[str]] = MappingProxyType({})
    ) -> dict[int, dict[str, str]]:
        """Fetch files, compare their hashes, and give those of each, by its id: SHA-256, and the `kinds` asked for."""
        downloads: dict[Download, _File] = {}
        for file in files:
            if download := as_download(lock, file):
                downloads[dataclasses.replace(download, trusted=False)] = file
        found: dict[int, dict[str, str]] = {}
        if not downloads:
            return found
        count, settings = len(downloads), self.settings()
        with self.progress.step(f"Fetching {count} file{'s' * (count != 1)} to compare hashes"):
            folder = Path(tempfile.mkdtemp(prefix="compared-", dir=self.work))
            for download, path in fetch_all(
                list(downloads), folder, settings=settings, ask=Asking(settings, self.run)
            ).items():
                sha256, _size = sha256_of_file(path)
                key = id(downloads[download])
                found[key] = {**{kind: _digest(path, kind) for kind in kinds.get(key, ())}, "sha256": sha256}
                if path.suffix == ".whl":
                    self.store.add(path, sha256)
        return found


def _digest(path: Path, kind: str) -> str:
    found = hashlib.new(kind)
    with path.open("rb") as file:
        while block := file.read(2**20):
            found.update(block)
    return found.hexdigest()


def _files(package: Package) -> list[_File]:
    return [file for file in (package.archive, package.sdist, *(package.wheels or ())) if file]


def _taken(lock: Lock, target: Target) -> list[object]:
    try:
        return [artifact for _, artifact in lock.select(target)]
    except WheelError:  # who takes it will tell
        return []


def _with_hashes(package: Package, known: Mapping[int, Mapping[str, str]]) -> Package:
    """The package with what is known of its files, and without those of which nothing secure is."""

    def secure(file: _F) -> _F | None:
        if id(file) in known:
            return dataclasses.replace(file, hashes={**file.hashes, **known[id(file)]})
        return file if is_secure(file.hashes) else None

    wheels = [one for wheel in package.wheels or () if (one := secure(wheel))]
    return dataclasses.replace(
        package,
        archive=package.archive and secure(package.archive),
        sdist=package.sdist and secure(package.sdist),
        wheels=wheels or None,
    )
