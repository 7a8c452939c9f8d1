"""Check a resolver's answer: secure hashes, those in direct URLs too, and what private indexes have."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urljoin, urlsplit

from packaging.utils import canonicalize_name

from platter_setuptools.errors import PlatterError, WheelError
from platter_setuptools.resolve.hashed_requirements import find_pins, keep_promises, promised_hashes
from platter_setuptools.resolve.uv_project import pinned
from platter_setuptools.runtime.concurrency import in_threads
from platter_setuptools.runtime.files import digest_of_file
from platter_setuptools.runtime.progress import Progress, counted
from platter_setuptools.urls import without_userinfo
from platter_setuptools.wheels.fetch import CONNECTIONS, as_download, fetch_all, is_secure

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from packaging.pylock import Package, PackageArchive, PackageSdist, PackageWheel
    from packaging.requirements import Requirement

    from platter_setuptools.resolve.indexes import IndexSettings
    from platter_setuptools.resolve.lock import Lock
    from platter_setuptools.resolve.requirements import Requirements
    from platter_setuptools.resolve.resolver import Request, Resolver
    from platter_setuptools.runtime.processes import Runner
    from platter_setuptools.targets.target import Target
    from platter_setuptools.wheel_cache import WheelCache
    from platter_setuptools.wheels.transfer import Transfers

    _File = PackageArchive | PackageSdist | PackageWheel

_F = TypeVar("_F", "PackageArchive", "PackageSdist", "PackageWheel")
_LONGEST_PAGE = 32 << 20  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedResolver:
    """A Resolver that checks and completes another one's answer."""

    resolver: Resolver
    target: Target
    settings: Callable[[], IndexSettings]
    cache: WheelCache
    progress: Progress
    work: Path
    run: Runner
    private_indexes: Callable[[Requirements], Sequence[str]]

    def __call__(self, request: Request) -> Lock:
        promised = promised_hashes((*request.requirements, *request.sources), request.said)
        lock = self._checked(self.resolver(request), promised)
        lock = self._with_hashes(request, lock)
        if not request.no_deps:  # else everything is named by its hash
            self._warn_of_rivals(request, lock)
        return lock

    def check_required(self, lock: Lock, requirements: Iterable[Requirement]) -> Lock:
        """Return the lock with the hashes in the URLs of these requirements. Raise WheelError if a file has others."""
        return self._checked(lock, promised_hashes(requirements))

    def _checked(self, lock: Lock, promised: Mapping[tuple[str, str], set[str]]) -> Lock:
        """Return the lock with these hashes, too. Fetch the files that get one to compare it."""
        kept = keep_promises(lock, promised)
        known = {id(file) for file in _files(lock)}
        self._fetched(kept, [file for file in _files(kept) if id(file) not in known])
        return kept

    def _with_hashes(self, request: Request, lock: Lock) -> Lock:
        """Return the lock with a secure hash of each file, and with one of a kind that requirements files allow."""
        pins = find_pins(request.said, universal=request.universal)
        kinds = {"sha256"}
        unsure: list[_File] = []
        for package in lock.pylock.packages:
            for file in _files_of(package):
                unknown = pins.unknown_kinds(package, file.hashes) if pins else set[str]()
                if unknown or not is_secure(file.hashes):
                    kinds |= unknown
                    unsure.append(file)
        if not unsure:
            return lock
        if not request.universal:  # what the target does not take is left out
            taken = _taken(lock, self.target)
            unsure = [file for file in unsure if any(file is one for one in taken)]
        known = self._fetched(lock, unsure, kinds)
        packages = [_with_hashes(package, known) for package in lock.pylock.packages]
        return lock.with_packages(packages)

    def _warn_of_rivals(self, request: Request, lock: Lock) -> None:
        """Warn if a private index has a distribution that was taken from another index.

        Resolvers use the highest version of any index, so whoever can publish on one of them can replace a private
        distribution ("dependency confusion").
        """
        for index, packages in self._rivals(request, lock).items():
            names = ", ".join(f"{package.name} {package.version}" for package in packages)
            self.progress.warn(
                f"{names}: not from {index}, which has {'that name' if len(packages) == 1 else 'these names'}, too. Of "
                "several indexes the highest version wins: the manual (building, indexes) says how to pin a name to one"
            )

    def _rivals(self, request: Request, lock: Lock) -> dict[str, list[Package]]:
        """Return the distributions that were not taken from a private index which has their names, by that index's URL.

        The URLs have no user and password. Names that are pinned to an index are not looked for. An index that gives no
        answer has none.
        """
        known = pinned(request.tree)
        wanted = [
            (index, package)
            for index in self.private_indexes(request.said)
            if urlsplit(index).scheme in {"http", "https"}
            for package in lock.pylock.packages
            if package.name not in known and _from_index(package) and not _is(package.index, index)
        ]
        if not wanted:
            return {}
        from platter_setuptools.wheels.transfer import Transfers  # noqa: PLC0415 - loads requests

        # Without patience: what the resolver could read a moment ago is there, or is not worth waiting for.
        transfers = Transfers(dataclasses.replace(self.settings(), retries=0), self.run)

        def is_rival(index_and_package: tuple[str, Package]) -> bool:
            index, package = index_and_package
            links = _links(transfers, f"{index.rstrip('/')}/{canonicalize_name(package.name)}/")
            return bool(links) and not _has_one_of(links, package)

        with contextlib.closing(transfers):
            answers = in_threads(is_rival, wanted, self.run, number=CONNECTIONS)
        found: dict[str, list[Package]] = {}
        for (index, package), rival in zip(wanted, answers, strict=True):
            if rival:
                found.setdefault(without_userinfo(index.rstrip("/")), []).append(package)
        return found

    def _fetched(
        self, lock: Lock, files: Iterable[_File], kinds: Collection[str] = ("sha256",)
    ) -> dict[int, dict[str, str]]:
        """Fetch files and compare their hashes. Return hashes of these kinds by the files' ids."""
        wanted = [(file, as_download(lock, file)) for file in files]
        # An index may have given no secure hash.
        downloads = {dataclasses.replace(one, trusted=False): file for file, one in wanted if one}
        if not downloads:
            return {}
        found = {}
        with self.progress.step(f"Fetching {counted(len(downloads), 'file')} to compare hashes"):
            folder = Path(tempfile.mkdtemp(prefix="compared-", dir=self.work))
            fetched = fetch_all(list(downloads), folder, settings=self.settings(), run=self.run)
            for download, path in fetched.items():
                hashes = {kind: digest_of_file(path, kind) for kind in kinds}
                found[id(downloads[download])] = hashes
                if path.suffix == ".whl":
                    self.cache.add(path, hashes["sha256"])
        return found


def _files(lock: Lock) -> list[_File]:
    return [file for package in lock.pylock.packages for file in _files_of(package)]


def _files_of(package: Package) -> list[_File]:
    return [file for file in (package.archive, package.sdist, *(package.wheels or ())) if file]


def _taken(lock: Lock, target: Target) -> list[object]:
    try:
        return [artifact for _, artifact in lock.select(target)]
    except WheelError:  # raised again where the wheels are chosen
        return []


def _with_hashes(package: Package, known: Mapping[int, Mapping[str, str]]) -> Package:
    """Return the package with the known hashes of its files, and without files that have no secure hash."""

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


def _is(index: str | None, url: str) -> bool:
    return index is not None and without_userinfo(index).rstrip("/") == without_userinfo(url).rstrip("/")


def _from_index(package: Package) -> list[PackageSdist | PackageWheel]:
    files = [file for file in (package.sdist, *(package.wheels or ())) if file]
    return [file for file in files if file.url and not file.url.startswith("file:")]


def _has_one_of(links: Sequence[str], package: Package) -> bool:
    """Return whether a file of the package is among the links of an index's page: the same URL or the same hash."""
    places = {without_userinfo(link).partition("#")[0] for link in links}
    hashes = {link.partition("#")[2].partition("=")[2].lower() for link in links}
    return any(
        without_userinfo(str(file.url)).partition("#")[0] in places
        or not hashes.isdisjoint(value.lower() for value in file.hashes.values())
        for file in _from_index(package)
    )


def _links(transfers: Transfers, url: str) -> list[str]:
    """Return the links of an index's page of one distribution; none if there is no such page."""
    content = bytearray()
    try:
        for chunk in transfers.chunks(url, label=without_userinfo(url), pause=lambda _seconds: True):
            content += chunk
            if len(content) > _LONGEST_PAGE:
                break
    except PlatterError:
        return []
    page = _Page(url)
    page.feed(content.decode(errors="replace"))
    return page.links


class _Page(HTMLParser):
    """The links of a page (PEP 503), as absolute URLs."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url, self.links = url, list[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.links += [urljoin(self.url, value) for name, value in attrs if name == "href" and value]
