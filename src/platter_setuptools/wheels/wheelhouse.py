"""The wheelhouse: a wheel for every entry of a lock, from the wheel cache, fetched, or built from source."""

from __future__ import annotations

import dataclasses
import os
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.pylock import (
    Package,
    PackageDirectory,
    PackageVcs,
    PackageWheel,
)

from platter_setuptools.errors import CommandError, DependencyError, InterruptedBuildError, PlatterError
from platter_setuptools.resolve.credentials import places
from platter_setuptools.runtime.concurrency import CORES, in_threads, threads
from platter_setuptools.runtime.files import sha256_of_file
from platter_setuptools.runtime.progress import Progress, counted, human_size
from platter_setuptools.urls import without_userinfo
from platter_setuptools.values import Origin, Wheel
from platter_setuptools.wheel_cache import WheelCache, key_of, sha256_of_blob
from platter_setuptools.wheels import sources
from platter_setuptools.wheels.build import BuildError, WheelBuilder
from platter_setuptools.wheels.fetch import Download, as_download, check_file, fetch_all
from platter_setuptools.wheels.metadata import open_wheel
from platter_setuptools.wheels.misfits import Built, refuse_misfits

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from packaging.utils import NormalizedName

    from platter_setuptools.resolve.indexes import IndexSettings
    from platter_setuptools.resolve.lock import Lock, Source
    from platter_setuptools.runtime.processes import Runner
    from platter_setuptools.targets.target import Interpreter, Target
    from platter_setuptools.wheels.build_settings import BuildSettings

_TAGS = "tags"  # of notes in the wheel cache
_COMMIT = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")
# Variables by which compilers and build backends go; for SOURCE_DATE_EPOCH the times in a wheel.
_VARIABLES = re.compile(
    r"(CC|CXX|FC|AR|LD|LDSHARED|\w*FLAGS|SOURCE_DATE_EPOCH|PBR_VERSION|\w+_PRETEND_VERSION\w*|MACOSX_DEPLOYMENT_TARGET)"
    r"|(CARGO|CMAKE|CYTHON|DISTUTILS|FLIT|HATCH|MATURIN|MESON|PDM|PKG_CONFIG|POETRY|RUST|SETUPTOOLS|SKBUILD)_\w+"
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Entry:
    """What a target needs of a lock for one distribution; `download` is None for a folder or a repository."""

    lock: Lock
    package: Package
    artifact: PackageWheel | Source
    download: Download | None

    @property
    def is_wheel(self) -> bool:
        return self.download is not None and self.download.filename.endswith(".whl")

    @property
    def title(self) -> str:
        return f"{self.package.name} {self.package.version or ''}".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Collector:
    """Turns locks into wheels. The builder is asked for only when something has to be built."""

    target: Target
    host: Interpreter  # which builds
    cache: WheelCache
    settings: IndexSettings
    builder: Callable[[], WheelBuilder]
    build_settings: Callable[[NormalizedName, Lock], BuildSettings]
    run: Runner
    progress: Progress
    work: Path
    offline: bool
    _tags: dict[str, str] = field(default_factory=dict, init=False, repr=False)

    def collect(
        self,
        lock: Lock,
        *,
        extras: Collection[str] = (),
        groups: Collection[str] = (),
        leave_out: Collection[NormalizedName] = (),
        look: Callable[[Sequence[Wheel]], object] = lambda _new: None,
        purpose: str = "",
    ) -> list[Wheel]:
        """Return the wheels that the target takes from the lock, in its order. Raise DependencyError and WheelError.

        That is with these extras and dependency groups, and without the distributions in `leave_out`. Every wheel was
        compared with the lock's hashes. New ones are passed to `look`, in any thread, while others are still being
        built. `purpose` is shown with the number of files to fetch: `for virtualenv and pip`.
        """
        entries = [
            _Entry(lock=lock, package=package, artifact=artifact, download=as_download(lock, artifact))
            for package, artifact in lock.without(leave_out).select(self.target, extras, groups)
        ]
        found = in_threads(self._from_cache, entries, self.run)
        missing = [entry for entry, wheel in zip(entries, found, strict=True) if wheel is None]
        if self.offline:
            _refuse_downloads(missing)
        made = self._make(missing, look, f" {purpose}" if purpose else "")
        results = {entry: wheel or made[entry] for entry, wheel in zip(entries, found, strict=True)}
        refuse_misfits({entry.title: result for entry, result in results.items() if not entry.is_wheel}, self.target)
        return [result for result in results.values() if isinstance(result, Wheel)]

    def _from_cache(self, entry: _Entry) -> Wheel | None:
        if entry.download and entry.is_wheel:
            sha256 = entry.download.hashes.get("sha256", "").lower()
            path = self.cache.find(sha256, entry.download.filename)
            if path:
                check_file(path, entry.download, compared=["sha256"])
            return open_wheel(path, Origin.STORE, sha256=sha256) if path else None
        if isinstance(entry.artifact, PackageDirectory):
            return None  # what it makes depends on more than its files: it is built anew each time
        path = self.cache.find_derived("built", self._source_key(entry))
        wheel = open_wheel(path, Origin.STORE, sha256=sha256_of_blob(path)) if path else None
        return wheel if wheel and wheel.name == entry.package.name else None

    def _make(
        self, entries: Sequence[_Entry], look: Callable[[Sequence[Wheel]], object], purpose: str
    ) -> dict[_Entry, Built]:
        """Fetch and build; a build begins as soon as its sdist is there. For another target errors are results."""
        if not entries:
            return {}
        if any(not entry.is_wheel for entry in entries):
            self.builder()  # made before several threads ask for it

        def build(entry: _Entry, archive: Path | None) -> Built:
            try:
                with self.progress.step(f"Building {entry.title}"):
                    wheel = self._build(entry, archive)
            except DependencyError as error:
                if self.target is self.host:
                    raise
                return error
            look([wheel])
            return wheel

        made: dict[_Entry, Wheel] = {}
        with threads(CORES, self.run) as builders:
            building = {entry: builders.begin(build, entry, None) for entry in entries if not entry.download}

            def arrived(entry: _Entry, path: Path) -> None:
                if entry.is_wheel:
                    made[entry] = self._keep(entry, path)
                else:
                    building[entry] = builders.begin(build, entry, path)

            if to_fetch := {entry.download: entry for entry in entries if entry.download}:
                self._fetch(to_fetch, purpose, arrived, builders.check)
            if made:
                look(list(made.values()))
            return {**made, **{entry: future.result() for entry, future in building.items()}}

    def _fetch(
        self,
        entries: Mapping[Download, _Entry],
        purpose: str,
        arrived: Callable[[_Entry, Path], None],
        check: Callable[[], None],
    ) -> None:
        """Fetch the files. `arrived` is told of each; `check` is called often, and may raise an error that ends it."""

        def report(done: int, total: int, size: int) -> None:
            check()
            if self.run.stopped:  # while this went on in the background
                raise InterruptedBuildError("the build is being stopped", hint="run it again when you like")
            tell(f"Fetching {done} of {total}{purpose}, {human_size(size)}")

        # What takes long comes first: sdists, which have to be built, and of both kinds the largest.
        order = sorted(entries, key=lambda download: (entries[download].is_wheel, -(download.size or 0)))
        with self.progress.step(f"Fetching {counted(len(entries), 'file')}{purpose}") as tell:
            fetch_all(
                order,
                Path(tempfile.mkdtemp(prefix="fetched-", dir=self.work)),
                settings=self.settings,
                run=self.run,
                progress=report,
                arrived=lambda download, path: arrived(entries[download], path),
            )

    def _keep(self, entry: _Entry, path: Path) -> Wheel:
        # What was fetched has this hash, if the lock names one of this kind.
        known = entry.download.hashes.get("sha256") if entry.download else None
        wheel = open_wheel(path, Origin.FETCHED, sha256=known.lower() if known else None)
        self.cache.add(path, wheel.sha256)
        return wheel

    def _build(self, entry: _Entry, archive: Path | None) -> Wheel:
        scratch = Path(tempfile.mkdtemp(prefix="source-", dir=self.work))
        tree = self._source_tree(entry, archive, scratch / "tree")
        try:
            settings = self.build_settings(entry.package.name, entry.lock)
            if isinstance(entry.artifact, PackageDirectory):  # it stays as it is
                variables = {"PYTHONDONTWRITEBYTECODE": "1", **settings.variables}
                settings = dataclasses.replace(settings, variables=variables)
            path = self.builder().build(tree, scratch / "wheel", settings, name=entry.title)
        except BuildError as error:
            hint = "install the compiler and the headers that it needs" if error.compiler else error.hint
            if isinstance(entry.artifact, PackageDirectory):
                raise DependencyError(
                    f"the wheel of {tree} cannot be built: {error.message}",
                    hint=f"{hint}; `python -m build --wheel` in that folder should fail in the same way",
                    output=error.output,
                ) from error
            raise DependencyError(
                f"{entry.title} has no wheel for {self.target} and cannot be built: {error.message}",
                hint=f"choose a version that has a wheel, or {hint}",
                output=error.output,
            ) from error
        if isinstance(entry.artifact, PackageDirectory):
            kept = self.cache.add(path, sha256_of_file(path)[0])
        else:
            kept = self.cache.keep_derived("built", self._source_key(entry), path)
        return open_wheel(kept, Origin.BUILT, sha256=sha256_of_blob(kept))

    def _source_tree(self, entry: _Entry, archive: Path | None, folder: Path) -> Path:
        artifact = entry.artifact
        if archive:
            tree = sources.unpack(archive, folder)
        elif isinstance(artifact, PackageDirectory):
            tree = entry.lock.folder_of(artifact)  # where it lies, as pip and uv do: what is around it counts
            if not tree.is_dir():
                raise DependencyError(
                    f"the lock names the folder {tree}, which is not there", hint="put it there, or lock again"
                )
        elif isinstance(artifact, PackageVcs):
            url, known = str(artifact.url or artifact.path), places(self.settings)
            tree = sources.check_out(artifact.type, url, artifact.commit_id, folder, self.run, known)
        else:
            raise PlatterError(f"a lock entry of an unknown kind: {artifact!r}", hint="lock again with platter lock")
        return tree / (getattr(artifact, "subdirectory", None) or "")

    def _source_key(self, entry: _Entry) -> str:
        artifact = entry.artifact
        if isinstance(artifact, PackageVcs):
            if artifact.type == "git" and not _COMMIT.fullmatch(artifact.commit_id):
                raise DependencyError(
                    f"the lock names {artifact.commit_id!r} as the commit of {entry.package.name}",
                    hint="a commit is 40 or 64 hexadecimal digits, no branch and no tag: lock again",
                )
            url = str(artifact.url or artifact.path)
            tags = self._tags_of(url) if artifact.type == "git" else ""
            source: tuple[str, ...] = ("vcs", artifact.type, without_userinfo(url), artifact.commit_id, tags)
        else:
            hashes = {} if isinstance(artifact, PackageDirectory) else artifact.hashes
            source = ("archive", *sorted(f"{name}:{value}" for name, value in hashes.items()))
        return key_of(
            *source,
            getattr(artifact, "subdirectory", None) or "",
            self.host.id,
            self.build_settings(entry.package.name, entry.lock).key,
            self.host.libc or "",
            *(f"{name}={value}" for name, value in sorted(os.environ.items()) if _VARIABLES.fullmatch(name)),
        )

    def _tags_of(self, url: str) -> str:
        """Return a repository's tags, from which versions are read; the last answer if it cannot be asked."""
        key = key_of(without_userinfo(url))
        if key not in self._tags:
            try:
                found = None if self.offline else sources.git_tags(url, self.run, places(self.settings))
            except CommandError:
                found = None
            if found is not None:
                self.cache.note(_TAGS, key, found)
            self._tags[key] = str(self.cache.recall(_TAGS, key)) if found is None else found
        return self._tags[key]


def _refuse_downloads(missing: Iterable[_Entry]) -> None:
    names = [
        entry.title
        for entry in missing
        if isinstance(entry.artifact, PackageVcs) or (entry.download and not entry.download.url.startswith("file:"))
    ]
    if names:
        raise DependencyError(
            f"the wheel cache lacks {', '.join(names)}",
            hint="run the build once without no-download, so that the wheel cache gets them",
        )
