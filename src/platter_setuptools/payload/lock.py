"""One installation per destination at a time, held by flock: the kernel lets go of it however its owner ends.

Worker processes inherit the descriptors, so the lock also lasts until the last orphan of a killed run has stopped.
"""

import contextlib
import errno
import fcntl
import os
import time
from typing import List

from .errors import DestinationError, HostError

_TAKEN = (errno.EACCES, errno.EAGAIN)
# Seconds that the workers of a killed run may need to notice.
_PATIENCE = 1.0
_PAUSE = 0.05


class Lock:
    """A lock file beside the destination, and the destination's own folder once it is there.

    The file serves while there is no folder yet; the folder serves a user who may not write beside it.
    """

    def __init__(self, destination: str) -> None:
        parent, name = os.path.split(destination)
        self.destination = destination
        self.file = os.path.join(parent, ".%s.platter-lock" % name)
        self._descriptors: List[int] = []
        self._owns_file = False

    def acquire(self) -> None:
        try:
            self._acquire_file()
        except PermissionError:
            if not os.path.isdir(self.destination):
                raise
        except OSError as error:
            if error.errno != errno.EROFS or not os.path.isdir(self.destination):
                raise
        if os.path.isdir(self.destination):
            self.acquire_folder()

    def acquire_folder(self) -> None:
        descriptor = os.open(self.destination, os.O_RDONLY | os.O_DIRECTORY)
        self._descriptors.append(descriptor)
        try:
            _flock(descriptor)
        except OSError as error:
            if error.errno in _TAKEN:
                raise self._busy() from error
            # Some network filesystems cannot lock a folder; then the file alone has to do.
            if not self._owns_file:
                parent, _ = os.path.split(self.destination)
                raise HostError(
                    "%s: its filesystem cannot lock a folder (%s), and no lock file can be made in %s"
                    % (self.destination, os.strerror(error.errno or 0), parent),
                    hint="install into a folder in it, such as %s/app, or as a user who may write to %s"
                    % (self.destination, parent),
                ) from error

    def release(self) -> None:
        if self._owns_file:
            # Unlinked while it is still held: whoever waits on this inode notices that the name is gone.
            with contextlib.suppress(OSError):
                os.unlink(self.file)
        self._owns_file = False
        while self._descriptors:
            os.close(self._descriptors.pop())

    def _acquire_file(self) -> None:
        try:
            self._descriptors.append(open_locked(self.file))
        except BlockingIOError as error:
            raise self._busy() from error
        self._owns_file = True

    def _busy(self) -> DestinationError:
        return DestinationError(
            "%s: another installation into this folder is running" % self.destination,
            hint="wait until it has ended, then try again",
        )


def open_locked(path: str, flags: int = 0, mode: int = 0o600) -> int:
    """Return a descriptor of this file, made if need be, that holds the file's lock.

    Raise BlockingIOError if another process holds it, HostError if the filesystem has no locks.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | flags, mode)
        try:
            _flock(descriptor)
        except OSError as error:
            if error.errno in _TAKEN:
                os.close(descriptor)
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN), path) from error
            if os.fstat(descriptor).st_size == 0 and _names(path, descriptor):
                os.unlink(path)
            os.close(descriptor)
            raise HostError(
                "%s: its filesystem has no locks (flock: %s)" % (path, error.strerror),
                hint="choose a folder on another filesystem, or mount this one with locks",
            ) from error
        if _names(path, descriptor):
            return descriptor
        # Its owner removed the name between our open and our flock: that lock is of no use to anybody.
        os.close(descriptor)


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
