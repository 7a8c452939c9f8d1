"""Soundness: a wheel is what its RECORD says, and can be installed beside the others.

A wheel is installed into nothing, by the very code that installs it on the server: what that would refuse there is
refused here, when the one who can do something about it is still there. Once per wheel: the store notes what was found.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import os
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from platter_setuptools.ground.errors import WheelError
from platter_setuptools.ground.threads import in_threads
from platter_setuptools.ground.urls import has_secret
from platter_setuptools.payload import wheel as unpacking
from platter_setuptools.payload.archive import Archive
from platter_setuptools.payload.environment import Scheme
from platter_setuptools.payload.errors import BundleError
from platter_setuptools.payload.scripts import with_pip_names
from platter_setuptools.payload.tree import Tree
from platter_setuptools.steps.store import Store, key_of
from platter_setuptools.steps.wheels.system_commands import is_system_command

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from platter_setuptools.ground.progress import Progress
    from platter_setuptools.ground.run import Runner
    from platter_setuptools.ground.values import Wheel

_RULES = "2"  # to be raised when a check is added: then what was found before does not count
_KIND = "sound"
_ROOT = "/venv"
_SITE = f"{_ROOT}/lib/python3.0/site-packages"
# Whichever Python it is for: a wheel may name the folder itself, as data.
_INSIDE_SITE = re.compile(r"lib(64)?/(python|pypy)[\d.]+t?/(?=site-packages/)", re.ASCII)
_SCHEME = Scheme(_ROOT, f"{_ROOT}/bin/python", _SITE, _SITE, f"{_ROOT}/bin", f"{_ROOT}/include", _ROOT)
_UNSIGNED = ("", ".jws", ".p7s")  # RECORD and its signatures cannot hold their own hashes
_ALGORITHMS = frozenset({"sha256", "sha384", "sha512"})
_HINT = "do not ship it: fetch or build it again, or tell those who published it"
_SHOWN = 5
_BIN = "bin/"

# Where the files of each wheel will lie below the virtualenv, such as `bin/flask` and `site-packages/flask/app.py`.
Places = tuple[str, ...]
Watch = Callable[
    [str, Iterable[bytes]], Iterable[bytes]
]  # gives what it is given: a file's name in the wheel, its content


def _unwatched(_name: str, content: Iterable[bytes]) -> Iterable[bytes]:
    return content


def examine_wheels(wheels: Sequence[Wheel], store: Store, run: Runner) -> Mapping[Wheel, Places]:
    """The places of every wheel. Raises WheelError for one that is not sound."""
    return dict(zip(wheels, in_threads(lambda wheel: places_of(wheel, store), wheels, run), strict=True))


@functools.cache
def places_of(wheel: Wheel, store: Store) -> Places:
    """The places of a wheel that the store knows as sound, or that is now found to be. Raises WheelError."""
    known = store.recall(_KIND, _key(wheel))
    if isinstance(known, list) and all(isinstance(place, str) for place in known):
        return tuple(known)
    return examine_once(wheel, store)


def examine_once(wheel: Wheel, store: Store, watch: Watch = _unwatched) -> Places:
    """As `examine`; the store notes what is found. Raises WheelError."""
    places = examine(wheel, watch)
    store.note(_KIND, _key(wheel), places)
    return places


def examine(wheel: Wheel, watch: Watch = _unwatched) -> Places:
    """Install a wheel into nothing, and compare all that is in it with its RECORD. Raises WheelError.

    `watch` sees every file's content on its way.
    """
    census = _Census()
    try:
        with Archive(os.fspath(wheel.path), wheel.sha256) as archive:
            opened = unpacking.Wheel(archive, _SCHEME)
            installation = unpacking.Installation(opened, _SCHEME, census)
            installation.members()
            installation.entry_points(opened.entry_points)
            _check_record(opened, watch)
            _check_origin(opened)
    except BundleError as error:
        raise WheelError(f"{wheel.filename}: {error.message.removeprefix(f'{wheel.path}: ')}", hint=_HINT) from error
    return tuple(sorted(census.places))


def installed(wheel: Wheel, python: tuple[int, int], *, requested: bool) -> Places:
    """The places of all that installing a wheel writes, but for bytecode. Nothing is hashed. Raises WheelError."""
    census = _Census()
    try:
        with Archive(os.fspath(wheel.path)) as archive:
            opened = unpacking.Wheel(archive, _SCHEME)
            installation = unpacking.Installation(opened, _SCHEME, census)
            installation.members()
            is_pip = wheel.name == "pip"
            installation.entry_points(with_pip_names(opened.entry_points, python) if is_pip else opened.entry_points)
            installation.dist_info(requested=requested)
    except BundleError as error:
        raise WheelError(f"{wheel.filename}: {error.message.removeprefix(f'{wheel.path}: ')}", hint=_HINT) from error
    return tuple(sorted(census.places))


def check_places(wheels: Iterable[Wheel], places: Mapping[Wheel, Places], progress: Progress) -> None:
    """Warn of places that two wheels own, and of scripts that hide commands of the base system.

    `wheels` are in the order in which the later one's file stays.

    Raises WheelError where one has a file and another a folder: nothing can be installed then.
    """
    owners: dict[str, Wheel] = {}
    folders: dict[str, Wheel] = {}
    shared: dict[tuple[str, str], list[str]] = {}
    for wheel in wheels:
        if hidden := _commands(places[wheel]):
            progress.warn(
                f"{wheel.name} brings {', '.join(hidden)}: with the virtualenv active it is run instead of the system's"
            )
        for place in places[wheel]:
            if other := owners.get(place):
                shared.setdefault((other.name, wheel.name), []).append(place)
            owners[place] = wheel
            folder = place.rpartition("/")[0]
            while folder and folder not in folders:
                folders[folder] = wheel
                folder = folder.rpartition("/")[0]
    for place in sorted(owners.keys() & folders.keys()):
        raise WheelError(
            f"{owners[place].filename} has a file where {folders[place].filename} has a folder: {place}",
            hint="the two cannot be installed together: leave one of them out, or choose another version",
        )
    for (loser, winner), several in shared.items():
        named = ", ".join(several[:_SHOWN]) + (f" and {len(several) - _SHOWN} more" if len(several) > _SHOWN else "")
        progress.warn(f"{loser} and {winner} both have {named}: {winner}'s will be installed")


def check_case(places: Iterable[Places], platform: str, progress: Progress) -> bool:
    """Return whether names of files differ only in case, and warn of them.

    Raises WheelError unless the platform is Linux: elsewhere most disks do not keep such names apart.
    """
    names: dict[str, str] = {}
    alike = []
    for place in (place for several in places for place in several):
        other = names.setdefault(place.casefold(), place)
        if other != place:
            alike.append(f"{other} and {place}")
    if not alike:
        return False
    more = f", and {len(alike) - _SHOWN} more," if len(alike) > _SHOWN else ""
    text = f"{', '.join(alike[:_SHOWN])}{more} differ only in case"
    if not platform.startswith("linux"):
        raise WheelError(text, hint=f"disks of {platform} do not keep such names apart: leave that distribution out")
    progress.warn(f"{text}: install.sh refuses a disk that does not keep such names apart")
    return True


def _commands(places: Places) -> Sequence[str]:
    """The names of scripts that a base system has, too."""
    names = [place.removeprefix(_BIN) for place in places if place.startswith(_BIN)]
    return [name for name in names if is_system_command(name)]


def _key(wheel: Wheel) -> str:
    return key_of(_RULES, wheel.filename, wheel.sha256)


class _Census(Tree):
    """A tree that takes down what would be written, and writes nothing."""

    def __init__(self) -> None:
        super().__init__(frozenset())
        self.places: list[str] = []

    def write(self, path: str, chunks: Iterable[bytes], *, executable: bool = False, mtime: int | None = None) -> None:
        del chunks, executable, mtime
        self.places.append(_INSIDE_SITE.sub("", path.removeprefix(f"{_ROOT}/"), count=1))


def _check_record(wheel: unpacking.Wheel, watch: Watch) -> None:
    """RECORD lists every file with its hash, and no file that is not there (PyPA: binary distribution format)."""
    archive, rows = wheel.archive, wheel.recorded()
    for name in rows:
        if name not in archive.members and not name.endswith("/"):
            raise archive.damaged(f"{name} is in its RECORD, but not in the wheel")
    unsigned = {f"{wheel.dist_info}/RECORD{suffix}" for suffix in _UNSIGNED}
    for name, info in archive.members.items():
        if name not in unsigned:
            if name not in rows:
                raise archive.damaged(f"{name} is not in its RECORD")
            _, digest, size = rows[name]
            if wrong := _unlike(watch(name, archive.chunks(info)), info.file_size, digest, size):
                raise archive.damaged(f"{name} {wrong}")


def _unlike(content: Iterable[bytes], length: int, digest: str, size: str) -> str:
    """What is wrong with a member, going by its row in RECORD; empty if nothing is."""
    algorithm, _, expected = digest.partition("=")
    if algorithm not in _ALGORITHMS:
        return f"has no hash in RECORD that could be trusted ({algorithm or 'none at all'})"
    state = hashlib.new(algorithm)
    for chunk in content:
        state.update(chunk)
    found = base64.urlsafe_b64encode(state.digest()).decode().rstrip("=")
    if found != expected.rstrip("=") or size not in {"", str(length)}:
        return "is not what its RECORD says"
    return ""


def _check_origin(wheel: unpacking.Wheel) -> None:
    """No wheel tells where it came from with the password to it."""
    name = f"{wheel.dist_info}/direct_url.json"
    info = wheel.archive.members.get(name)
    if info and has_secret(wheel.archive.read(info).decode("utf-8", "replace")):
        raise wheel.archive.damaged(f"{name} holds a URL with a user or password in it")
