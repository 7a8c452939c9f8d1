"""Foresight: get ready in the background what a build will most likely need, by what the last one took.

While the project's wheel is being built, a wheel with the last one's METADATA is resolved anew, and the wheels that the
last build took are hashed, read, and their bytecode is found. What is prepared never decides: an answer counts only if
the project's wheel asks the very same question, and the last build's wheels only if the answer names them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from platter_setuptools.ground.errors import PlatterError
from platter_setuptools.ground.threads import Later
from platter_setuptools.ground.values import Origin
from platter_setuptools.steps.resolving.remembered import metadata_of
from platter_setuptools.steps.store import key_of
from platter_setuptools.steps.wheels.bytecode import find_compiled
from platter_setuptools.steps.wheels.check import Described
from platter_setuptools.steps.wheels.looking import look_into
from platter_setuptools.steps.wheels.wheelfile import describe_once, open_wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from platter_setuptools.ground.values import Wheel
    from platter_setuptools.steps.resolving.lock import Lock
    from platter_setuptools.steps.resolving.resolver import Request
    from platter_setuptools.steps.store import Store
    from platter_setuptools.steps.target import Target

_KIND = "last"
_READERS = 2  # threads: for each wheel files are hashed, which two can do at once, and notes are read
# A note may hold anything: whatever is wrong with it, the build goes on without it.
_UNUSABLE = (PlatterError, LookupError, ValueError, TypeError, AttributeError, OSError)


@dataclass(slots=True, kw_only=True)
class Foresight:
    """The last build of the project in the folder `source` for this target, as far as the store knows of it."""

    source: Path
    target: Target
    store: Store
    resolve: Callable[[Request], Lock]
    _answer: Later[tuple[object, Lock]] | None = field(default=None, init=False)
    _wheels: Sequence[Later[list[Described]]] = field(default=(), init=False)
    _virtualenv: Later[tuple[Wheel, ...]] | None = field(default=None, init=False)

    def look_ahead(self, request_for: Callable[[Path], Request] | None, work: Path) -> None:
        """Begin. `request_for` says what is to be resolved for a wheel of the project; without it nothing is."""
        note = self.store.recall(_KIND, self._key)
        with contextlib.suppress(*_UNUSABLE):
            if request_for:
                wheel = _stand_in(note["filename"], note["metadata"], work)
                self._answer = Later(lambda: self._ask(request_for(wheel)))
        with contextlib.suppress(*_UNUSABLE):
            tools = note["virtualenv"]
            self._virtualenv = Later(lambda: tuple(itertools.starmap(self._find, tools)))
        with contextlib.suppress(*_UNUSABLE):
            shares = [note["wheels"][number::_READERS] for number in range(_READERS)]
            self._wheels = [Later(functools.partial(self._read, share, work)) for share in shares]

    def lock_for(self, request: Request) -> Lock | None:
        """The answer to the request, if that is what was foreseen; waits until it is there."""
        if self._answer:
            with contextlib.suppress(*_UNUSABLE):  # the next to ask will be told
                asked, lock = self._answer.result()
                return lock if asked == _question(request) else None
        return None

    def wheels_for(self, project: Described) -> list[Described] | None:
        """All that the bundle will hold, if the resolver says what it said last time, and the store has all of it."""
        with contextlib.suppress(*_UNUSABLE):
            turns = itertools.zip_longest(*(share.result() for share in self._wheels))
            wheels = [one for turn in turns for one in turn if one]
            return [*wheels, project] if wheels else None
        return None

    def virtualenv(self) -> tuple[Wheel, ...] | None:
        """The wheels of virtualenv, and of what it requires, if the store has all that the last bundle had."""
        with contextlib.suppress(*_UNUSABLE):
            return self._virtualenv.result() if self._virtualenv else None
        return None

    def wait(self) -> None:
        """Wait until the wheels of last time are read: who needs them now would only do the same beside."""
        for share in self._wheels:
            with contextlib.suppress(*_UNUSABLE):
                share.result()

    def remember(self, project: Described, wheels: Sequence[Described], virtualenv: Sequence[Wheel]) -> None:
        """Note what this build took."""
        note = {
            "filename": project.wheel.filename,
            "metadata": metadata_of(project.wheel.path).decode("utf-8", "surrogateescape"),
            "wheels": [[one.wheel.sha256, one.wheel.filename] for one in wheels if one is not project],
            "virtualenv": [[one.sha256, one.filename] for one in virtualenv],
        }
        self.store.note(_KIND, self._key, note)

    @property
    def _key(self) -> str:
        return key_of(str(self.source), self.target.key)

    def _ask(self, request: Request) -> tuple[object, Lock]:
        if request.tree:  # its backend is at work on the tree right now
            raise LookupError(request.tree)
        lock = self.resolve(request)
        return _question(request), lock

    def _read(self, wheels: Sequence[Sequence[str]], work: Path) -> list[Described]:
        return [self._look_at(sha256, filename, work) for sha256, filename in wheels]

    def _find(self, sha256: str, filename: str) -> Wheel:
        path = self.store.find(sha256, filename)
        if path is None:
            raise LookupError(filename)
        return open_wheel(path, Origin.STORE, sha256=sha256)

    def _look_at(self, sha256: str, filename: str, work: Path) -> Described:
        wheel = self._find(sha256, filename)
        look_into(wheel, self.target.platform, self.target.executable, self.store, work)
        find_compiled(wheel, self.target, self.store)
        return Described(wheel=wheel, description=describe_once(wheel, self.store))


def _question(request: Request) -> object:
    """All of a request, with the METADATA of the project's wheel, byte for byte, in the place of its path."""
    project = request.project
    if project is None:
        return request
    own = request.requirements[0].partition("@")[0]
    rest = dataclasses.replace(request, project=None, requirements=(own, *request.requirements[1:]))
    return rest, project.name, metadata_of(project)


def _stand_in(filename: str, metadata: str, work: Path) -> Path:
    """A wheel of METADATA alone, which to a resolver is the project's own. Raises ValueError for a note of no use."""
    name, version, *_ = filename.split("-")
    if "/" in filename or not filename.endswith(".whl"):
        raise ValueError(filename)
    folder = work / "foreseen"
    folder.mkdir()
    path = folder / filename
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}-{version}.dist-info/METADATA", metadata.encode("utf-8", "surrogateescape"))
        archive.writestr(f"{name}-{version}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n")
        archive.writestr(f"{name}-{version}.dist-info/RECORD", "")
    return path
