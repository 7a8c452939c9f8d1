"""The ways to give a release a file of another one: a reflink, a hard link, or a copy.

A hard link shares the file itself: its content, its mode and its time. So only a file that is exactly as this
installation would write it is linked. Reflinks share at most blocks of content.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import stat
from typing import NamedTuple, Set, Tuple

from ..options import AUTO, CLONE, COPY, HARDLINK
from .tree import NEW

WAYS = {AUTO: (CLONE, HARDLINK), CLONE: (CLONE,), HARDLINK: (HARDLINK,), COPY: ()}  # the last resort is a copy
_FICLONE = getattr(fcntl, "FICLONE", 0x40049409)  # ioctl_ficlone(2); Python has it since 3.12
NO_REFLINKS = (errno.EOPNOTSUPP, errno.ENOTTY, errno.ENOSYS)  # this filesystem has no reflinks
READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
_WHOLE = 64 << 10  # bytes: longer files go through a buffer, so that little memory is asked for
_BUFFER = bytearray(256 << 10)
_START = 16


class Read(NamedTuple):
    """A file that was read: its first bytes, all of them if it is short, and its SHA-256."""

    start: bytes
    sha256: bytes


def read(descriptor: int, size: int) -> Read:
    """Read a file of this size in bytes, from where it is to its end. Raise ValueError if it has another size."""
    if size < _WHOLE:
        data = os.read(descriptor, size + 1)
        if len(data) != size:
            raise ValueError(size)
        return Read(data, hashlib.sha256(data).digest())
    state, start = hashlib.sha256(), b""
    with memoryview(_BUFFER) as view:
        while True:
            count = os.readv(descriptor, [view])
            if not count:
                return Read(start, state.digest())
            start = start or bytes(view[:_START])
            state.update(view[:count])


def hardlink(
    name: str,
    source: int,
    target: Tuple[int, int],
    mode: int,
    size: int,
    sha256: bytes,
    linked: Set[int],
) -> Tuple[int, bytes]:
    """Link the file of this name from one folder into another. Return its time in nanoseconds and its first bytes.

    `source` is a descriptor of a folder, `target` that of another one and the group that a new file there would have.
    The link comes first, and what is linked is compared, so nobody can exchange it in between. `linked` are the inodes
    that the target's release has by now: no two names of a release share a file. Raise ValueError if it is not to be
    linked, OSError if it cannot be; then there is no link.
    """
    folder, group = target
    os.link(name, name, src_dir_fd=source, dst_dir_fd=folder, follow_symlinks=False)
    descriptor = -1
    try:
        descriptor = os.open(name, READ, dir_fd=folder)
        status = os.fstat(descriptor)
        if (
            status.st_mode != stat.S_IFREG | mode
            or status.st_uid != os.geteuid()
            or status.st_gid != group
            or status.st_size != size
            or status.st_ino in linked
            or (mode & 0o111 and _has_capabilities(descriptor))
        ):
            raise ValueError(name)  # noqa: TRY301 - the link is removed below
        found = read(descriptor, size)
        if found.sha256 != sha256:
            raise ValueError(name)  # noqa: TRY301 - as above
    except BaseException:
        os.unlink(name, dir_fd=folder)
        raise
    finally:
        if descriptor >= 0:
            os.close(descriptor)
    linked.add(status.st_ino)
    return status.st_mtime_ns, found.start


def clone(name: str, source: int, target: Tuple[int, int], mode: int, size: int, sha256: bytes) -> Tuple[int, bytes]:
    """Make a reflink, as `hardlink`. Raise OSError, with one of NO_REFLINKS where there are none."""
    old = os.open(name, READ, dir_fd=source)
    try:
        status = os.fstat(old)
        if not stat.S_ISREG(status.st_mode) or status.st_size != size:
            raise ValueError(name)
        found = read(old, size)
        if found.sha256 != sha256:
            raise ValueError(name)
        new = os.open(name, NEW, mode, dir_fd=target[0])
        try:
            fcntl.ioctl(new, _FICLONE, old)
            os.fchmod(new, mode)
            os.utime(new, ns=(status.st_mtime_ns, status.st_mtime_ns))
            # It may belong to somebody else, who cannot set the time of the last change (ctime).
            if os.fstat(old).st_ctime_ns != status.st_ctime_ns:
                raise ValueError(name)  # noqa: TRY301 - what was made is removed below
        except BaseException:
            os.unlink(name, dir_fd=target[0])
            raise
        finally:
            os.close(new)
    finally:
        os.close(old)
    return status.st_mtime_ns, found.start


def _has_capabilities(descriptor: int) -> bool:
    """Whether a program has rights that who starts it lacks: capabilities(7). An ACL gives no more than the mode."""
    with contextlib.suppress(AttributeError, OSError):  # a system, or a filesystem, without
        return "security.capability" in os.listxattr(descriptor)
    return False
