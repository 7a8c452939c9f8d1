"""The folder that is installed into, from its state before to its state after, whatever happens between.

Beside DST stand, while they are needed: ``.NAME.platter-lock``; ``.NAME.platter-replaced``, what --force replaces;
and ``.NAME.platter-trash``, what is only waiting to be deleted. A run may be killed between any two steps:

- DST holds nothing, or a marker that says unfinished, and a replaced folder stands beside: the new one never
  became whole, so the old one comes back.
- DST is marked complete and a replaced folder stands beside: the new one is whole, so the old one goes.
- The marker is the last file to go when an unfinished DST is cleared, so a half cleared one is known as unfinished.
- The replaced folder is renamed to trash before it is deleted, so a half deleted one can never come back.
"""

import contextlib
import enum
import os
import shutil
import stat
from typing import Any, Callable, List

from . import marker
from .errors import DestinationError, InstallError
from .lock import Lock
from .marker import Marker

_ATTEMPTS = 10


class State(enum.Enum):
    ABSENT = "absent"
    EMPTY = "empty"
    UNFINISHED = "unfinished"
    INSTALLED = "installed"  # this very bundle, complete
    OTHER = "other"  # another bundle, complete
    FOREIGN = "foreign"  # anything that we did not put there


def real_path(path: str) -> str:
    """Absolute, links resolved: a virtualenv remembers where it is, and links in its path may change."""
    return os.path.realpath(path)


class Destination:
    """Call ``acquire``, ``prepare``, then either ``finish`` or ``rollback``, and ``release`` in every case."""

    def __init__(self, path: str, bundle: str) -> None:
        self.path = path
        self.bundle = bundle
        parent, name = os.path.split(path)
        self.parent = parent
        self.replaced = os.path.join(parent, ".%s.platter-replaced" % name)
        self.trash = os.path.join(parent, ".%s.platter-trash" % name)
        self._lock = Lock(path)
        self._parents: List[str] = []
        self._created = False
        self._aside = False
        self._started = False

    def state(self) -> State:
        if not os.path.lexists(self.path):
            return State.ABSENT
        try:
            names = set(os.listdir(self.path))
        except OSError:  # a file, or a folder that is not for us
            return State.FOREIGN
        if not names:
            return State.EMPTY
        found = marker.read(self.path)
        if found is None:
            # A run that was killed while it wrote its first marker.
            return State.UNFINISHED if names == {marker.DRAFT} else State.FOREIGN
        if not found.complete:
            return State.UNFINISHED
        return State.INSTALLED if found.bundle == self.bundle else State.OTHER

    def acquire(self) -> None:
        """Lock, and bring order into what a killed run has left."""
        for attempt in range(_ATTEMPTS):
            self._make_parents()
            try:
                self._lock.acquire()
            except FileNotFoundError:  # a run that failed beside us removed the parent that it had made
                if attempt == _ATTEMPTS - 1:
                    raise
            else:
                break
        self._repair()

    def tidy(self) -> None:
        """Clear what a run that was killed in its last moments left beside a complete installation, if we may."""
        if any(map(os.path.lexists, (self._lock.file, self.replaced, self.trash))):
            with contextlib.suppress(InstallError, OSError):  # it may just be ending, or belong to somebody else
                self.acquire()
            self.release()

    def prepare(self, unfinished: Marker, *, force: bool) -> None:
        """Make DST an empty folder with a marker that says unfinished; what --force replaces steps aside."""
        state = self.state()
        if state in (State.INSTALLED, State.OTHER, State.FOREIGN):
            if not force:
                raise self.in_the_way(state)
            self._set_aside()
            state = State.ABSENT
        if state is State.UNFINISHED:
            before = marker.read(self.path)
            self._created = before is not None and before.created
            _clear(self.path)
        elif state is State.ABSENT:
            os.mkdir(self.path, 0o755)
            self._created = True
            self._lock.acquire_folder()
        self._started = True
        marker.write(self.path, unfinished._replace(created=self._created))

    def finish(self, complete: Marker) -> None:
        """From here on DST is the new installation; what it replaced is deleted."""
        marker.write(self.path, complete._replace(created=self._created))
        self._started = False
        self._parents.clear()
        self._discard_replaced()

    def rollback(self) -> None:
        """DST and its parents as they were before."""
        if self._started:
            _clear(self.path)
            if self._created:
                os.rmdir(self.path)
            self._started = False
        if self._aside and not os.path.lexists(self.path):
            os.rename(self.replaced, self.path)

    def discard(self) -> None:
        """Delete DST, which is no installation any more from the first moment on."""
        os.rename(self.path, self.trash)
        _delete(self.trash)

    def release(self) -> None:
        self._lock.release()
        for parent in reversed(self._parents):
            with contextlib.suppress(OSError):  # somebody may use it by now
                os.rmdir(parent)

    def in_the_way(self, state: State) -> DestinationError:
        found = {
            State.INSTALLED: "this bundle is installed there already",
            State.OTHER: "another version is installed there",
            State.FOREIGN: "something that platter did not install is there",
        }[state]
        if state is State.OTHER:
            there = marker.read(self.path)
            if there is not None:
                found = "%s %s is installed there, from another build" % (there.name, there.version)
        return DestinationError(
            "%s is in the way: %s" % (self.path, found),
            hint="choose another folder, or replace this one with --force",
        )

    def _make_parents(self) -> None:
        missing: List[str] = []
        parent = self.parent
        while not os.path.isdir(parent):
            missing.append(parent)
            parent = os.path.dirname(parent)
        for folder in reversed(missing):
            try:
                os.mkdir(folder, 0o755)
            except FileExistsError:
                continue
            self._parents.append(folder)

    def _set_aside(self) -> None:
        if os.path.lexists(self.replaced):
            raise self._leftover()
        try:
            os.rename(self.path, self.replaced)
        except OSError as error:
            raise DestinationError(
                "%s cannot be moved aside: %s" % (self.path, error.strerror),
                hint="a mounted folder cannot be replaced; empty it yourself, or choose another one",
            ) from error
        self._aside = True

    def _repair(self) -> None:
        if os.path.lexists(self.trash):
            _delete(self.trash)
        if not os.path.lexists(self.replaced):
            return
        self._distrust_replaced()
        state = self.state()
        if state is State.FOREIGN:
            raise self._leftover()
        if state in (State.INSTALLED, State.OTHER):
            self._discard_replaced()
            return
        if state is not State.ABSENT:
            _clear(self.path)
            os.rmdir(self.path)
        os.rename(self.replaced, self.path)
        if os.path.isdir(self.path):
            self._lock.acquire_folder()

    def _distrust_replaced(self) -> None:
        """In a folder where everybody may write, such as /tmp, anybody may have put this name there."""
        beside, owner = os.stat(self.parent).st_mode, os.lstat(self.replaced).st_uid
        if beside & stat.S_IWOTH and owner not in (0, os.geteuid()):
            raise self._leftover()

    def _leftover(self) -> DestinationError:
        return DestinationError(
            "%s stands beside %s, and both may be wanted" % (self.replaced, self.path),
            hint="an earlier --force set it aside; move or delete one of the two by hand",
        )

    def _discard_replaced(self) -> None:
        if os.path.lexists(self.replaced):
            os.rename(self.replaced, self.trash)
            _delete(self.trash)


def _clear(folder: str) -> None:
    """Delete all that is in a folder; the marker goes last."""
    names = os.listdir(folder)
    for name in sorted(names, key=lambda one: one == marker.FILE):
        _delete(os.path.join(folder, name))


def _delete(path: str) -> None:
    if os.path.islink(path) or not os.path.isdir(path):
        os.unlink(path)
    else:
        shutil.rmtree(path, onerror=_insist)


def _insist(function: Callable[..., Any], path: str, _error: object) -> None:
    """A folder without write permission, which a post-install script may have made, still has to go."""
    if function is os.lstat:
        return
    for locked in (os.path.dirname(path), path):
        if not os.path.islink(locked) and os.path.isdir(locked):
            os.chmod(locked, 0o700)
    if function in (os.rmdir, os.unlink):
        function(path)
    else:
        shutil.rmtree(path)
