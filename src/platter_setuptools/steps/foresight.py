"""Foresight: get ready in the background what a build will most likely need, by what the last one took.

Most builds of a project ask for what the last one asked for, and take the same wheels. So while the project's wheel
is being built, the last one's requirements are resolved anew, and its wheels are hashed, read, and their bytecode is
found. What turns out different is done again in its turn: a wrong guess costs nothing but what it took.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from platter_setuptools.ground.errors import PlatterError
from platter_setuptools.ground.threads import Later
from platter_setuptools.ground.values import Origin
from platter_setuptools.steps.store import key_of
from platter_setuptools.steps.wheels.bytecode import find_compiled
from platter_setuptools.steps.wheels.check import Described
from platter_setuptools.steps.wheels.looking import look_into
from platter_setuptools.steps.wheels.wheelfile import describe_once, open_wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from platter_setuptools.steps.resolving.lock import Lock
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
    _asked: object = field(default=None, init=False)
    _lock: Later[Lock] | None = field(default=None, init=False)
    _wheels: Sequence[Later[list[Described]]] = field(default=(), init=False)

    def look_ahead(self, resolve: Callable[[Path, str], Lock] | None, work: Path) -> None:
        """Begin. `resolve` is given a wheel that asks for what the project's last one did, and its name."""
        note = self.store.recall(_KIND, self._key)
        with contextlib.suppress(*_UNUSABLE):
            if resolve and note["asked"]:
                self._asked, wheel = note["asked"], _stand_in(note["asked"], work)
                self._lock = Later(lambda: resolve(wheel, canonicalize_name(note["asked"]["name"])))
            shares = [note["wheels"][number::_READERS] for number in range(_READERS)]
            self._wheels = [Later(functools.partial(self._read, share, work)) for share in shares]

    def lock_for(self, project: Described) -> Lock | None:
        """The lock of what this project's wheel asks for, if that is what was foreseen; waits until it is there."""
        if self._lock and self._asked == _asks_for(project):
            with contextlib.suppress(PlatterError):  # the next to ask will be told
                return self._lock.result()
        return None

    def wheels_for(self, project: Described) -> list[Described] | None:
        """All that the bundle will hold, if the resolver says what it said last time, and the store has all of it.

        None if the project asks for something else than last time.
        """
        if self._wheels and self._asked == _asks_for(project):
            with contextlib.suppress(*_UNUSABLE):
                turns = itertools.zip_longest(*(share.result() for share in self._wheels))
                wheels = [one for turn in turns for one in turn if one]
                return [*wheels, project] if wheels else None
        return None

    def wait(self) -> None:
        """Wait until the wheels of last time are read: who needs them now would only do the same beside."""
        for share in self._wheels:
            with contextlib.suppress(*_UNUSABLE):
                share.result()

    def remember(self, project: Described, wheels: Sequence[Described]) -> None:
        """Note what this build took."""
        name = project.wheel.name
        # Where a dependency has a word about the project's own version, another version is another question.
        circular = any(
            one.specifier and canonicalize_name(one.name) == name
            for each in wheels
            for one in each.description.requires
        )
        note = {
            "asked": None if circular else _asks_for(project),
            "wheels": [[one.wheel.sha256, one.wheel.filename] for one in wheels if one is not project],
        }
        self.store.note(_KIND, self._key, note)

    @property
    def _key(self) -> str:
        return key_of(str(self.source), self.target.key)

    def _read(self, wheels: Sequence[Sequence[str]], work: Path) -> list[Described]:
        return [self._look_at(sha256, filename, work) for sha256, filename in wheels]

    def _look_at(self, sha256: str, filename: str, work: Path) -> Described:
        path = self.store.find(sha256, filename)
        if path is None:
            raise LookupError(filename)
        wheel = open_wheel(path, Origin.STORE, sha256=sha256)
        look_into(wheel, self.target.platform, self.target.executable, self.store, work)
        find_compiled(wheel, self.target, self.store)
        return Described(wheel=wheel, description=describe_once(wheel, self.store))


def _asks_for(project: Described) -> dict[str, Any]:
    description = project.description
    return {
        "name": description.name,
        "requires_python": str(description.requires_python or ""),
        "requires": sorted(map(str, description.requires)),
        "extras": sorted(description.extras),
    }


def _stand_in(asked: dict[str, Any], work: Path) -> Path:
    """A wheel of METADATA alone, which to a resolver is the project's own."""
    name = canonicalize_name(asked["name"]).replace("-", "_")
    lines = ["Metadata-Version: 2.1", f"Name: {asked['name']}", "Version: 0"]
    lines += [f"Requires-Python: {asked['requires_python']}"] * bool(asked["requires_python"])
    lines += [f"Requires-Dist: {one}" for one in asked["requires"]]
    lines += [f"Provides-Extra: {one}" for one in asked["extras"]]
    folder = work / "foreseen"
    folder.mkdir()
    path = folder / f"{name}-0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}-0.dist-info/METADATA", "\n".join(lines) + "\n")
        archive.writestr(f"{name}-0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{name}-0.dist-info/RECORD", "")
    return path
