"""Unpack all wheels into the virtualenv, several at a time."""

import collections
import os
from types import MappingProxyType
from typing import (
    AbstractSet,
    Any,
    Callable,
    Counter,
    Dict,
    FrozenSet,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Set,
    Tuple,
)

from .. import worker_pool
from ..bundle_files import files
from ..errors import BundleError
from ..install import environment
from ..install.environment import Scheme
from ..install.tree import Tree
from ..manifest import Manifest
from ..options import COPY
from . import wheel
from .archive import Archive
from .kept import Keeper, Kept
from .release_files import ReleaseFiles
from .released import Links, Provider, Released
from .wheel import Installed, Source


class Unpacked(NamedTuple):
    """What was unpacked; `kept` are the wheels that later releases can take files from.

    `ways` is how many files were taken from releases in each way (see links.py), `altered` how many of each release
    were not as they had been installed, by its folder.
    """

    installed: List[Installed]
    kept: List[Kept]
    ways: Mapping[str, int]
    altered: Mapping[str, int]

    @property
    def shared_files(self) -> int:
        """How many files are shared with other releases."""
        return sum(self.ways.values())

    @property
    def link_mode(self) -> str:
        """The way in which most files are shared; empty if none are."""
        return max(self.ways, key=lambda way: self.ways[way]) if self.ways else ""


def deferred(plan: Manifest) -> FrozenSet[str]:
    """Return the files of the bundle that are verified when they are unpacked; paths as in SHA256SUMS."""
    names = [one.file for one in plan.wheels] + [one.bytecode for one in plan.wheels if one.bytecode]
    return frozenset("data/" + name for name in names)


def sources(bundle: str, sums: Dict[str, str], plan: Manifest, *, bytecode: bool, compiling: bool) -> List[Source]:
    """Return the wheels in the order of the manifest, each with its checksum in SHA256SUMS.

    Their bytecode is included if it fits this interpreter; with `compiling` the rest is compiled here.
    """
    found = []
    for one in plan.wheels:
        name = "data/" + one.file
        code = "data/" + one.bytecode if one.bytecode and bytecode else None
        if sums[name] != one.sha256:
            raise BundleError(
                "%s: info.json and SHA256SUMS disagree about it" % os.path.join(bundle, name),
                hint="build the bundle again",
            )
        found.append(
            Source(
                path=os.path.join(bundle, name),
                sha256=one.sha256,
                requested=one.requested,
                bytecode=None if code is None else os.path.join(bundle, code),
                bytecode_sha256="" if code is None else sums[code],
                weight=one.installed_size,
                compiling=compiling,
            )
        )
    return found


class Archives:
    """The archives of a bundle, and releases that have some of them.

    `bundle` is its folder or file; `providers` are the releases that have an archive, by its path; `mode` is the way to
    take files from them: see links.py.
    """

    def __init__(self, bundle: str, providers: Mapping[str, Provider] = MappingProxyType({}), mode: str = COPY) -> None:
        self._bundle = bundle
        self._files = files(bundle)
        self._providers = providers
        self._releases: Dict[str, ReleaseFiles] = {}
        self._links, self._copies = Links(mode), Links(COPY)

    def close(self) -> None:
        """Close the folders of releases that are open."""
        for one in self._releases.values():
            one.close()

    def open(self, path: str, sha256: str) -> Archive:
        """Return the archive, as a release has it, or else the bundle."""
        provider = self._providers.get(path)
        if provider is None:
            return self.bundled(path, sha256)
        release = self._releases.setdefault(provider.release, ReleaseFiles(provider.release, provider.others))
        shared = self._links if provider.shared else self._copies
        return Released(path, sha256, provider, release, shared, self._if_bundled)

    def bundled(self, path: str, sha256: str) -> Archive:
        """Return the archive that is in the bundle."""
        return Archive(path, sha256, lambda path: self._files.open(self._name(path)))

    def _if_bundled(self, path: str, sha256: str) -> Optional[Archive]:
        return self.bundled(path, sha256) if self._files.has(self._name(path)) else None

    def _name(self, path: str) -> str:
        return os.path.relpath(path, self._bundle)

    def account(self) -> Tuple[Dict[str, int], Dict[str, int]]:
        """Return `ways` and `altered`, as in Unpacked, since the last call."""
        ways, self._links.counts = self._links.counts, {}
        altered = {release: len(one.altered) for release, one in self._releases.items() if one.altered}
        for one in self._releases.values():
            one.altered.clear()
        return ways, altered


def unpack(
    scheme: Scheme, wheels: Sequence[Source], version: Tuple[int, int], archives: Archives, *, keeping: bool = False
) -> Unpacked:
    """Install the wheels; where two own the same path, the later one's file stays, as if they came one by one.

    With `keeping` keep what later releases need to take files from this one.
    """
    protected = environment.files(scheme)
    order = _order(wheels)
    keeper = Keeper(scheme.root) if keeping else None

    def work(job: int) -> Any:
        tree = Tree(protected)
        source = wheels[order[job]]
        known = {"file": os.path.basename(source.path), "sha256": source.sha256}

        def opened(path: str, sha256: str) -> Archive:
            archive = archives.open(path, sha256)
            if keeper:
                known.update(keeper.keep(archive, compiled=path == source.bytecode))
            return archive

        installed = wheel.install(source, scheme, tree, version, opened)
        tree.close()
        return [list(installed), tree.contested, known, *archives.account()]

    found: Dict[int, Installed] = {}
    kept: Dict[int, Kept] = {}
    contested: Set[str] = set()
    ways: Counter[str] = collections.Counter()
    altered: Counter[str] = collections.Counter()
    for job, (installed, paths, known, *accounts) in worker_pool.run(len(wheels), work, worker_pool.cores()):
        found[order[job]] = Installed(*installed)
        contested.update(paths)
        ways.update(accounts[0])
        altered.update(accounts[1])
        if keeping:
            kept[order[job]] = Kept(**known)
    if contested:
        for index in _settle(scheme, wheels, version, contested, protected, archives.bundled):
            kept.pop(index, None)  # some of its files may be another one's
    return Unpacked([found[index] for index in sorted(found)], [kept[index] for index in sorted(kept)], ways, altered)


def _settle(
    scheme: Scheme,
    wheels: Sequence[Source],
    version: Tuple[int, int],
    contested: AbstractSet[str],
    protected: AbstractSet[str],
    opened: Callable[[str, str], Archive],
) -> List[int]:
    """Write files that several wheels own once more, in order. Return the numbers of these wheels."""
    tree = Tree(protected, replace=True)
    return [
        index
        for index, source in enumerate(wheels)
        if wheel.install(source, scheme, tree, version, opened, only=contested).files
    ]


def _order(wheels: Sequence[Source]) -> List[int]:
    """Sort by size, the largest first, so that no process ends long after the others."""
    return sorted(range(len(wheels)), key=lambda index: -wheels[index].weight)
