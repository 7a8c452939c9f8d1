"""Prefetch in the background what a build will probably need, from what the last one used.

While the project's wheel is being built, a wheel with the last one's METADATA and the new version is resolved, and the
wheels of the last build are hashed and read, and their bytecode is found. A prefetched answer is used only if the
project's wheel asks the same question, and the last build's wheels only if the answer names them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import re
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.version import Version

from platter_setuptools.config.files import declared_version
from platter_setuptools.errors import PlatterError
from platter_setuptools.resolve.answer_cache import metadata_of
from platter_setuptools.values import Origin
from platter_setuptools.wheel_cache import key_of
from platter_setuptools.wheels.bytecode import find_compiled
from platter_setuptools.wheels.metadata import open_wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from platter_setuptools.resolve.lock import Lock
    from platter_setuptools.resolve.resolver import Request
    from platter_setuptools.runtime.concurrency import Background
    from platter_setuptools.targets.target import Target
    from platter_setuptools.values import Wheel
    from platter_setuptools.wheel_cache import WheelCache
    from platter_setuptools.wheels.analysis import Analyser
    from platter_setuptools.wheels.check import WheelWithMetadata

_KIND = "last"
# A note may hold anything. If it is wrong, the build goes on without it.
_UNUSABLE = (PlatterError, LookupError, ValueError, TypeError, AttributeError, OSError)


@dataclass(slots=True, kw_only=True)
class Prefetch:
    """What the wheel cache knows of the last build of the project in the folder `source` for this target."""

    source: Path
    target: Target
    cache: WheelCache
    resolve: Callable[[Request], Lock]
    analyser: Analyser
    background: Background
    _answer: Future[tuple[object, Lock]] | None = field(default=None, init=False)
    _wheels: Future[list[WheelWithMetadata]] | None = field(default=None, init=False)
    _virtualenv: Future[tuple[Wheel, ...]] | None = field(default=None, init=False)

    def start(self, request_for: Callable[[Path], Request] | None, work: Path, version: str | None = None) -> None:
        """Start. `request_for` returns what to resolve for a wheel of the project; without it nothing is resolved.

        `version` is what the project's version most likely is now; else pyproject.toml's is taken, or the last one's.
        """
        note = self.cache.recall(_KIND, self._key)
        with contextlib.suppress(*_UNUSABLE):
            if request_for:
                wheel = _stand_in(note["filename"], note["metadata"], version or declared_version(self.source), work)
                self._answer = self.background.start(lambda: self._ask(request_for(wheel)))
        with contextlib.suppress(*_UNUSABLE):
            tools = note["virtualenv"]
            self._virtualenv = self.background.start(lambda: tuple(itertools.starmap(self._find, tools)))
        with contextlib.suppress(*_UNUSABLE):
            wheels = note["wheels"]
            self._wheels = self.background.start(lambda: [self._look_at(sha256, name) for sha256, name in wheels])

    def lock_for(self, request: Request) -> Lock | None:
        """Wait for the resolver and return its answer, if it was asked this very request."""
        if self._answer:
            with contextlib.suppress(*_UNUSABLE):  # resolving again tells why
                asked, lock = self._answer.result()
                return lock if asked == _question(request) else None
        return None

    def wheels_for(self, project: WheelWithMetadata) -> list[WheelWithMetadata] | None:
        """Return what the bundle holds if the resolver answers as last time; None if the wheel cache lacks a wheel."""
        with contextlib.suppress(*_UNUSABLE):
            return [*self._wheels.result(), project] if self._wheels else None
        return None

    def virtualenv(self) -> tuple[Wheel, ...] | None:
        """Return the last bundle's wheels of virtualenv and what it requires; None if the wheel cache lacks one."""
        with contextlib.suppress(*_UNUSABLE):
            return self._virtualenv.result() if self._virtualenv else None
        return None

    def wait(self) -> None:
        """Wait until the last bundle's wheels are analysed: to collect them now would do the same work twice."""
        if self._wheels:
            with contextlib.suppress(*_UNUSABLE):
                self._wheels.result()

    def remember(
        self, project: WheelWithMetadata, wheels: Sequence[WheelWithMetadata], virtualenv: Sequence[Wheel]
    ) -> None:
        """Note what this build took, for the next one."""
        note = {
            "filename": project.wheel.filename,
            "metadata": metadata_of(project.wheel.path).decode("utf-8", "surrogateescape"),
            "wheels": [[one.wheel.sha256, one.wheel.filename] for one in wheels if one is not project],
            "virtualenv": [[one.sha256, one.filename] for one in virtualenv],
        }
        self.cache.note(_KIND, self._key, note)

    @property
    def _key(self) -> str:
        return key_of(str(self.source), self.target.id)

    def _ask(self, request: Request) -> tuple[object, Lock]:
        if request.tree:  # its backend is at work on the tree right now
            raise LookupError(request.tree)
        lock = self.resolve(request)
        return _question(request), lock

    def _find(self, sha256: str, filename: str) -> Wheel:
        path = self.cache.find(sha256, filename)
        if path is None:
            raise LookupError(filename)
        return open_wheel(path, Origin.STORE, sha256=sha256)

    def _look_at(self, sha256: str, filename: str) -> WheelWithMetadata:
        wheel = self._find(sha256, filename)
        find_compiled(wheel, self.target, self.cache)
        return self.analyser.describe(wheel)


def _question(request: Request) -> object:
    """Return the request with the METADATA of the project's wheel, byte for byte, instead of its path."""
    project = request.project
    if project is None:
        return request
    own = request.requirements[0].partition("@")[0]
    rest = dataclasses.replace(request, project=None, requirements=(own, *request.requirements[1:]))
    return rest, project.name, metadata_of(project)


def _stand_in(filename: str, metadata: str, new: str, work: Path) -> Path:
    """Write a wheel with this METADATA, of the `new` version if there is one, for the resolver to read.

    Raise ValueError for a wrong file name or version.
    """
    name, version, *rest = filename.split("-")
    if "/" in filename or not filename.endswith(".whl"):
        raise ValueError(filename)
    if new:
        version = str(Version(new))
        filename = "-".join([name, version, *rest])
        metadata = re.sub(r"^Version: .*$", f"Version: {version}", metadata, count=1, flags=re.MULTILINE)
    folder = work / "foreseen"
    folder.mkdir()
    path = folder / filename
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}-{version}.dist-info/METADATA", metadata.encode("utf-8", "surrogateescape"))
        archive.writestr(f"{name}-{version}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n")
        archive.writestr(f"{name}-{version}.dist-info/RECORD", "")
    return path
