"""The destination folder, from its state before to its state after an installation or a failure.

Beside DST there are, while they are needed: `.NAME.platter-lock`; `.NAME.platter-replaced`, what --force replaces; and
`.NAME.platter-trash`, what is waiting to be deleted. A run may be killed between any two steps:

- DST is empty or has an unfinished marker, and a replaced folder exists: the new release is incomplete, so the old one
  is restored.
- DST has a complete marker and a replaced folder exists: the new release is complete, so the old one is deleted.
- The marker is deleted last from an unfinished DST, so a partly deleted DST is still known as unfinished.
- The replaced folder is renamed to trash before it is deleted, so a partly deleted one is never restored.

See beside.py for these files.
"""

import contextlib
import errno
import os
from typing import Callable, List

from ..errors import DestinationError, InstallError
from . import disk, install_state, removal
from .beside import Beside
from .install_lock import Lock
from .install_state import Marker, State
from .tree import make_folder

_ATTEMPTS = 10


def real_path(path: str) -> str:
    """Return the absolute path without links: a virtualenv contains its path, and links in it may change."""
    return os.path.realpath(path)


class Destination:
    """Call `acquire`, `prepare`, then either `finish` or `rollback`, and `release` in every case."""

    def __init__(self, path: str, bundle: str, warn: Callable[[str], None] = lambda _: None) -> None:
        """`warn` gets what could not be deleted."""
        self.path = path
        self.warn = warn
        self.bundle = bundle
        self.parent = os.path.dirname(path)
        self._beside = Beside(path, warn)
        self._lock = Lock(path)
        self._parents: List[str] = []
        self._created = False
        self._aside = False
        self._started = False

    def state(self) -> State:
        return install_state.state(self.path, self.bundle)

    def acquire(self) -> None:
        """Lock the destination, and clear what a killed run has left."""
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
        """Clear what a killed run left beside a complete installation, if permitted."""
        if any(map(os.path.lexists, (self._lock.file, self._lock.inner, self._beside.replaced, self._beside.trash))):
            with contextlib.suppress(InstallError, OSError):  # it may just be ending, or belong to somebody else
                self.acquire()
            self.release()

    def prepare(self, unfinished: Marker, state: State, *, force: bool) -> None:
        """Make DST, whose state this is, an empty folder with a marker that says unfinished.

        What --force replaces is moved aside.
        """
        if state in (State.INSTALLED, State.OTHER, State.FOREIGN):
            if not force:
                raise self.in_the_way(state)
            self._set_aside()
            state = State.ABSENT
        if state is State.UNFINISHED:
            before = install_state.read(self.path)
            self._created = before is not None and before.created
            self._vacate()
            state = self.state()
        if state is State.ABSENT:
            make_folder(self.path)
            self._created = True
            self._lock.acquire_folder()
        self._started = True
        install_state.write(self.path, unfinished._replace(created=self._created))

    def finish(self, complete: Marker) -> None:
        """Delete what was replaced: from now on DST is the new installation."""
        disk.flush(self.path)
        install_state.write(self.path, complete._replace(created=self._created))
        disk.sync_folder(self.path)
        disk.sync_folder(self.parent)
        self._started = False
        self._parents.clear()
        self._beside.discard_replaced()

    def rollback(self) -> None:
        """Restore DST and its parents; warn of what prevents it."""
        try:
            if self._started:
                self._vacate()
                self._started = False
            if self._aside and not os.path.lexists(self.path):
                os.rename(self._beside.replaced, self.path)
        except (DestinationError, OSError) as error:
            self.warn("%s could not be made what it was before: %s" % (self.path, error))

    def discard(self) -> None:
        """Delete DST, which is no installation any more from the first moment on."""
        self._refuse_mounts()
        self._beside.sweep()
        try:
            os.rename(self.path, self._beside.trash)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise DestinationError(
                    "%s cannot be removed: %s" % (self.path, removal.reason(error, self.path)),
                    hint="remove it by hand",
                ) from error
            # In the lower layer of an overlay nothing is renamed, but all can be deleted.
            install_state.write(self.path, (install_state.read(self.path) or Marker())._replace(state="unfinished"))
            self._created = True
            self._vacate()
        self._beside.sweep()

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
            there = install_state.read(self.path)
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
                make_folder(folder)
            except FileExistsError:
                continue
            self._parents.append(folder)

    def _refuse_mounts(self) -> None:
        mounted = removal.mounts(self.path)
        if mounted:
            raise mounts_in_the_way(self.path, mounted)

    def _set_aside(self) -> None:
        if os.path.lexists(self._beside.replaced):
            raise self._beside.leftover()
        self._refuse_mounts()
        try:
            os.rename(self.path, self._beside.replaced)
        except OSError as error:
            if error.errno == errno.EXDEV and os.path.isdir(self.path):
                self._copy_aside()
                return
            raise DestinationError(
                "%s cannot be moved aside: %s" % (self.path, removal.reason(error, self.path)),
                hint="empty it yourself, or choose another folder",
            ) from error
        self._aside = True

    def _copy_aside(self) -> None:
        """Copy a folder and delete the original, since folders in the lower layer of an overlay cannot be renamed.

        Killed at any moment, the copy is trash, or DST is complete, or DST is unfinished and the copy is restored.
        """
        from . import overlay  # noqa: PLC0415 - few filesystems need it

        self._beside.sweep()
        try:
            overlay.copy(self.path, self._beside.trash, install_state.LOCK)
        except OSError as error:
            removal.remove(self._beside.trash)
            raise DestinationError(
                "%s lies in a lower layer of an overlay, and cannot be copied: %s" % (self.path, error),
                hint="empty it yourself, or choose another folder",
            ) from error
        os.rename(self._beside.trash, self._beside.replaced)
        self._aside = True
        install_state.write(self.path, (install_state.read(self.path) or Marker())._replace(state="unfinished"))
        self._created = self._started = True
        self._vacate()

    def _vacate(self) -> None:
        """Clear the unfinished DST; delete it if an installation had created it."""
        self._refuse_mounts()
        if not os.access(self.path, os.W_OK | os.X_OK):
            with contextlib.suppress(OSError):
                os.chmod(self.path, 0o700)
        kept = removal.clear(self.path, last=install_state.FILE, spared=install_state.LOCK)
        if not kept and self._created:
            self._lock.release_folder()
            os.rmdir(self.path)
        elif kept and self._created:
            self._beside.leave(self.path, kept)
        elif kept:
            raise DestinationError(
                "%s cannot be cleared: %s" % (self.path, removal.shown(kept)), hint="clear it by hand"
            )

    def _repair(self) -> None:
        self._beside.sweep()
        if not os.path.lexists(self._beside.replaced):
            return
        self._beside.distrust_replaced()
        state = self.state()
        if state is State.FOREIGN:
            raise self._beside.leftover()
        if state in (State.INSTALLED, State.OTHER):
            self._beside.discard_replaced()
            return
        if state is not State.ABSENT:
            self._created = True
            self._vacate()
            self._created = False
        os.rename(self._beside.replaced, self.path)
        if os.path.isdir(self.path):
            self._lock.acquire_folder()


def mounts_in_the_way(path: str, mounted: List[str]) -> DestinationError:
    """Return the error for a folder that would have to be deleted, but holds these mount points."""
    return DestinationError(
        "%s holds what is mounted: %s" % (path, ", ".join(mounted)), hint="unmount that first, or choose another folder"
    )
