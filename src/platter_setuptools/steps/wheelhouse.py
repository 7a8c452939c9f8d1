"""The wheelhouse: a wheel for every entry of a lock, from the store, by fetching, or by building from source."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from packaging.pylock import (
    Package,
    PackageArchive,
    PackageDirectory,
    PackageSdist,
    PackageVcs,
    PackageWheel,
)

from platter_setuptools.ground.errors import DependencyError, PlatterError
from platter_setuptools.ground.progress import Progress, human_size
from platter_setuptools.ground.threads import in_threads
from platter_setuptools.ground.urls import without_userinfo
from platter_setuptools.ground.values import Origin, Wheel
from platter_setuptools.steps import sources
from platter_setuptools.steps.build import BuildError, WheelBuilder
from platter_setuptools.steps.fetch import Download, fetch_all
from platter_setuptools.steps.store import Store, key_of
from platter_setuptools.steps.wheelfile import open_wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from packaging.utils import NormalizedName

    from platter_setuptools.ground.run import Runner
    from platter_setuptools.steps.indexes import IndexSettings
    from platter_setuptools.steps.lock import Lock, Source
    from platter_setuptools.steps.target import Target

# What a compiled wheel depends on besides its source, target and build options.
_COMPILER_VARIABLES = ("CC", "CXX", "CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "ARCHFLAGS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Collector:
    """Turns locks into wheels. The builder is asked for only when something has to be built."""

    target: Target
    store: Store
    settings: IndexSettings
    builder: Callable[[], WheelBuilder]
    run: Runner
    progress: Progress
    work: Path
    offline: bool = False

    def collect(
        self, lock: Lock, *, extras: Collection[str] = (), leave_out: Collection[NormalizedName] = ()
    ) -> list[Wheel]:
        """The wheels that the target takes of the lock with these extras, less those of `leave_out`, in its order.

        Every wheel has been checked against the lock's hash, now or when the store took it. Raises DependencyError,
        and WheelError for a wrong hash.
        """
        entries = [
            (package, artifact, _as_download(lock, artifact))
            for package, artifact in lock.select(self.target, extras)
            if package.name not in leave_out
        ]
        wheels = in_threads(lambda entry: self._from_store(lock, *entry), entries, self.run)

        missing = [(index, entry) for index, entry in enumerate(entries) if wheels[index] is None]
        if self.offline:
            self._refuse_downloads([entry for _, entry in missing])
        downloads = [download for _, (_, _, download) in missing if download]
        fetched = self._fetch(downloads)
        to_build = []
        for index, (package, artifact, download) in missing:
            if download and download.filename.endswith(".whl"):
                wheels[index] = self._keep(fetched[download])
            else:
                to_build.append((index, package, artifact, fetched[download] if download else None))
        built = self._build(lock, [entry[1:] for entry in to_build])
        for (index, *_), wheel in zip(to_build, built, strict=True):
            wheels[index] = wheel
        return [wheel for wheel in wheels if wheel is not None]

    def _from_store(
        self, lock: Lock, package: Package, artifact: PackageWheel | Source, download: Download | None
    ) -> Wheel | None:
        if download and download.filename.endswith(".whl"):
            sha256 = download.hashes.get("sha256", "").lower()
            path = self.store.find(sha256, download.filename)
            return open_wheel(path, Origin.STORE, sha256=sha256) if path else None
        path = self.store.find_derived("built", self._source_key(lock, artifact))
        if path is None:
            return None
        wheel = open_wheel(path, Origin.STORE)
        return wheel if wheel.name == package.name else None

    def _refuse_downloads(self, missing: Sequence[tuple[Package, PackageWheel | Source, Download | None]]) -> None:
        names = [
            f"{package.name} {package.version or ''}".strip()
            for package, artifact, download in missing
            if isinstance(artifact, PackageVcs) or (download and not download.url.startswith("file:"))
        ]
        if names:
            raise DependencyError(
                f"the wheel cache lacks {', '.join(names)}",
                hint="run the build once without no-download, so that the wheel cache gets them",
            )

    def _fetch(self, downloads: Sequence[Download]) -> dict[Download, Path]:
        if not downloads:
            return {}
        total = len(downloads)
        self.progress.step(f"Fetching {_count(total, 'file')}")

        def tell(done: int, _total: int, size: int) -> None:
            self.progress.advance(f"Fetching {done} of {total}, {human_size(size)}")

        folder = Path(tempfile.mkdtemp(prefix="fetched-", dir=self.work))
        return fetch_all(downloads, folder, settings=self.settings, progress=tell)

    def _keep(self, path: Path) -> Wheel:
        wheel = open_wheel(path, Origin.FETCHED)
        self.store.add(path, wheel.sha256)
        return wheel

    def _build(self, lock: Lock, entries: Sequence[tuple[Package, PackageWheel | Source, Path | None]]) -> list[Wheel]:
        if not entries:
            return []
        self.progress.step(f"Building {_count(len(entries), 'wheel')}: {_names(package for package, _, _ in entries)}")
        builder = self.builder()
        done: Counter[str] = Counter()

        def build(entry: tuple[Package, PackageWheel | Source, Path | None]) -> Wheel:
            package, artifact, archive = entry
            wheel = self._build_one(builder, lock, package, artifact, archive)
            done["wheels"] += 1
            self.progress.advance(f"Building wheels, {done['wheels']} of {len(entries)}: {package.name} is done")
            return wheel

        return in_threads(build, entries, self.run, threads=os.cpu_count() or 1)

    def _build_one(
        self,
        builder: WheelBuilder,
        lock: Lock,
        package: Package,
        artifact: PackageWheel | Source,
        archive: Path | None,
    ) -> Wheel:
        scratch = Path(tempfile.mkdtemp(prefix="source-", dir=self.work))
        tree = self._source_tree(lock, artifact, archive, scratch / "tree")
        output = scratch / "wheel"
        try:
            path = builder.build(tree, output)
        except BuildError as error:
            raise DependencyError(
                f"{package.name} {package.version or ''} has no wheel for {self.target} and cannot be built:"
                f" {error.message}",
                hint="install what its build needs (a compiler, headers), or choose a version that has a wheel",
                output=error.output,
            ) from error
        kept = self.store.keep_derived("built", self._source_key(lock, artifact), path)
        return open_wheel(kept, Origin.BUILT)

    def _source_tree(self, lock: Lock, artifact: PackageWheel | Source, archive: Path | None, folder: Path) -> Path:
        if archive:
            tree = sources.unpack(archive, folder)
        elif isinstance(artifact, PackageDirectory):
            tree = sources.copy_tree(lock.folder_of(artifact), folder)
        elif isinstance(artifact, PackageVcs):
            tree = sources.check_out(
                artifact.type, str(artifact.url or artifact.path), artifact.commit_id, folder, self.run
            )
        else:
            raise PlatterError(f"a lock entry of an unknown kind: {artifact!r}")
        return tree / (getattr(artifact, "subdirectory", None) or "")

    def _source_key(self, lock: Lock, artifact: PackageWheel | Source) -> str:
        if isinstance(artifact, PackageVcs):
            source: tuple[str, ...] = ("vcs", artifact.type, artifact.commit_id)
        elif isinstance(artifact, PackageDirectory):
            source = ("directory", sources.hash_tree(lock.folder_of(artifact)))
        else:
            source = ("archive", *sorted(f"{name}:{value}" for name, value in artifact.hashes.items()))
        return key_of(
            *source,
            getattr(artifact, "subdirectory", None) or "",
            self.target.key,
            *self.settings.config_settings,
            f"isolated: {not self.settings.no_build_isolation}",
            *(f"{name}={os.environ[name]}" for name in _COMPILER_VARIABLES if name in os.environ),
        )


def _as_download(lock: Lock, artifact: PackageWheel | Source) -> Download | None:
    """What has to be fetched for a lock entry; None for a folder or a repository."""
    if not isinstance(artifact, (PackageWheel, PackageSdist, PackageArchive)):
        return None
    url = lock.url_of(artifact)
    filename = unquote(urlsplit(url).path.rpartition("/")[2])
    if not filename:
        raise DependencyError(f"{without_userinfo(url)} does not end in a file name")
    return Download(url=url, hashes=artifact.hashes, filename=filename, size=artifact.size)


def _names(packages: Iterable[Package]) -> str:
    return ", ".join(package.name for package in packages)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
