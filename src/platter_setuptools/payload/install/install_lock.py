"""Locks with flock: one installation per destination, one change per root at a time; the kernel releases them.

The locked files have mode 0600, so that users who can only read a folder cannot hold its lock. They exist while the
lock is held. Worker processes inherit the descriptors, so the lock also lasts until the last orphan of a killed run
has ended.
"""

import contextlib
import errno
import fcntl
import os
import time
from typing import List, Tuple

from ..errors import DestinationError, HostError
from .install_state import LOCK
from .owners import user_name

_TAKEN = (errno.EACCES, errno.EAGAIN)
_MODE = 0o600
_LONGEST = 400  # bytes of what a lock file says
# Seconds that the workers of a killed run may need to notice.
_PATIENCE = 1.0
_PAUSE = 0.05


class Lock:
    """A lock file beside the destination, and one inside once the destination exists.

    The one beside is used while there is no folder, the one inside by a user who may not write beside it.
    """

    def __init__(self, destination: str) -> None:
        parent, name = os.path.split(destination)
        self.destination = destination
        self.file = os.path.join(parent, ".%s.platter-lock" % name)
        self.inner = os.path.join(destination, LOCK)
        self._held: List[Tuple[str, int]] = []

    def acquire(self) -> None:
        folder = os.path.isdir(self.destination)
        try:
            self._acquire(self.file)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS) or not folder:
                raise
        if folder:
            self.acquire_folder()

    def acquire_folder(self) -> None:
        """Lock the destination itself, which exists."""
        try:
            self._acquire(self.inner)
        except OSError as error:
            # What may not be written to is not installed into either; then the file beside it is enough.
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS) or not self._held:
                raise

    def release_folder(self) -> None:
        """Let go of the folder that is the destination now, so that it can be removed."""
        if self._held and self._held[-1][0] == self.inner:
            self._release()

    def release(self) -> None:
        while self._held:
            self._release()

    def _release(self) -> None:
        path, descriptor = self._held.pop()
        # Unlinked while it is still held: whoever waits on this inode notices that the name is gone.
        with contextlib.suppress(OSError):
            os.unlink(path)
        os.close(descriptor)

    def _acquire(self, path: str) -> None:
        try:
            self._held.append((path, open_locked(path)))
        except BlockingIOError as error:
            raise DestinationError(
                "%s: another installation into this folder is running%s" % (self.destination, error.strerror),
                hint="wait until it has ended, then try again",
            ) from error


def open_locked(path: str) -> int:
    """Return a descriptor of this file, made if need be, that holds the file's lock.

    BlockingIOError, whose text names the process, if another one holds it; HostError if the filesystem has no locks
    or modes, or if the file belongs to another user, who could hold it for ever.
    """
    while True:
        descriptor = _opened(path)
        try:
            _flock(descriptor)
            if _names(path, descriptor):
                os.fchmod(descriptor, _MODE)  # a default ACL may have given it another one
                with contextlib.suppress(OSError):  # a full disk must not hinder a rollback, nor a prune
                    os.ftruncate(descriptor, 0)
                    os.pwrite(descriptor, ("process %d on %s" % (os.getpid(), os.uname().nodename)).encode(), 0)
                return descriptor
        except OSError as error:
            holder = _holder(descriptor)
            if error.errno in _TAKEN:
                os.close(descriptor)
                raise BlockingIOError(errno.EAGAIN, holder, path) from error
            if _names(path, descriptor):
                os.unlink(path)
            os.close(descriptor)
            raise HostError(
                "%s: its filesystem has no locks, or no modes: %s" % (path, error.strerror),
                hint="choose a folder on another filesystem, or mount this one with both",
            ) from error
        # Its owner removed the name between our open and our flock: that lock is of no use to anybody.
        os.close(descriptor)


def _opened(path: str) -> int:
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    while True:
        # A file that is made here is ours, whatever owner a network filesystem gives it.
        with contextlib.suppress(FileExistsError):
            return os.open(path, flags | os.O_CREAT | os.O_EXCL, _MODE)
        with contextlib.suppress(FileNotFoundError):  # it went meanwhile
            owner = os.lstat(path).st_uid
            if owner != os.geteuid():
                raise HostError(
                    "%s belongs to %s, and this runs as %s" % (path, user_name(owner), user_name(os.geteuid())),
                    hint="do this as that user; or remove the file, if no installation is running",
                )
            return os.open(path, flags)


def _holder(descriptor: int) -> str:
    """Return what the holder wrote into the file, in brackets; empty if it has not come to that."""
    with contextlib.suppress(OSError):
        text = os.pread(descriptor, _LONGEST, 0).decode("utf-8", "replace")
        if text.isprintable() and text:
            return " (%s)" % text
    return ""


def _flock(descriptor: int) -> None:
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:  # noqa: PERF203 - it waits anyway
            if error.errno not in _TAKEN or time.monotonic() > end:
                raise
            time.sleep(_PAUSE)
        else:
            return


def _names(path: str, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path, follow_symlinks=False), os.fstat(descriptor))
    except FileNotFoundError:
        return False
