"""Delete folders without leaving their filesystem."""

import errno
import os
import pwd
import re
import stat
from typing import Callable, List, Tuple

from ..errors import first

_MOUNTS = "/proc/self/mountinfo"
_POINT = 4  # its column, counted from 0 (proc_pid_mountinfo(5))
_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ANY = getattr(os, "O_PATH", os.O_RDONLY)  # a folder that may not be read can still hold what may be deleted


def mounts(path: str) -> List[str]:
    """Return the mount points at and below a real path, bind mounts of the same device too."""
    try:
        with open(_MOUNTS, encoding="utf-8", errors="surrogateescape") as stream:
            points = [_unescaped(line.split(" ")[_POINT]) for line in stream]
    except (OSError, IndexError):  # no /proc: then at least other devices are seen
        walk = os.walk(path)
        points = [folder for folder, _, _ in walk if os.path.ismount(folder)]
    return sorted({one for one in points if one == path or one.startswith(path.rstrip("/") + "/")})


def _unescaped(point: str) -> str:
    r"""`\040` is a space: bytes that would end the column are written in octal."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found.group(1), 8)), point)


def remove(path: str) -> List[str]:
    """Delete a file or folder as far as that goes; return a sentence for each path that stays, the reason first.

    Never deletes what is in another filesystem or mount, follows no link, and lets nobody exchange a folder for a link
    meanwhile.
    """
    parent, name = os.path.split(path)
    kept: List[str] = []
    if not os.path.lexists(path):
        return kept
    folder = os.open(parent, _ANY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _remove(folder, name, path, _mount(folder, os.fstat(folder)), kept)
    finally:
        os.close(folder)
    return kept


def clear(path: str, *, last: str, spared: str) -> List[str]:
    """Delete all that is in a folder but `spared`, as `remove`; the file named `last` goes if all else went."""
    names = sorted(set(os.listdir(path)) - {last, spared})
    kept = [text for name in names for text in remove(os.path.join(path, name))]
    return kept or remove(os.path.join(path, last))


def shown(kept: List[str]) -> str:
    """Return the first of what could not be deleted, for people."""
    return "; ".join(first(kept, 3))


def reason(error: OSError, path: str) -> str:
    """Return why something cannot be deleted or moved, and what to check."""
    said = {
        errno.EXDEV: "it is in a lower layer of an overlay or on another filesystem, and cannot be renamed",
        errno.EBUSY: "it is mounted, or the kernel uses it",
        errno.EROFS: "it is on a filesystem that is mounted read-only",
        errno.ENOTEMPTY: "something is being written into it, or it holds what could not be removed",
    }
    said[errno.EEXIST] = said[errno.ENOTEMPTY]
    if os.path.basename(path).startswith(".nfs"):
        return "a process still has this deleted file open, here or on another NFS client, and it goes when that ends"
    if error.errno in (errno.EPERM, errno.EACCES):
        return "%s, or it is immutable (lsattr shows that)" % _owner(path)
    return said.get(error.errno or 0, error.strerror or type(error).__name__)


def _owner(path: str) -> str:
    """Return whose permission is missing: to delete a file needs write permission on its folder."""
    try:
        number = os.lstat(os.path.dirname(path)).st_uid
        return "its folder belongs to %s" % pwd.getpwuid(number).pw_name
    except KeyError:
        return "its folder belongs to user %d" % number
    except OSError:
        return "its folder may not be looked into"


def _remove(parent: int, name: str, path: str, mount: Tuple[str, int], kept: List[str]) -> None:
    try:
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if not stat.S_ISDIR(status.st_mode):
            _insist(os.unlink, parent, name)
            return
        folder = _opened(parent, name)
    except FileNotFoundError:
        return
    except OSError as error:
        kept.append("%s: %s" % (path, reason(error, path)))
        return
    before = len(kept)
    try:
        if _mount(folder, os.fstat(folder)) != mount:
            kept.append("%s: another mount or filesystem begins there, which is left alone" % path)
            return
        for one in os.listdir(folder):
            _remove(folder, one, os.path.join(path, one), mount, kept)
        if len(kept) == before:
            _insist(os.rmdir, parent, name)
    except (OSError, RecursionError) as error:
        known = error if isinstance(error, OSError) else OSError(errno.ELOOP, "it is nested too deeply")
        kept.append("%s: %s" % (path, reason(known, path)))
    finally:
        os.close(folder)


def _mount(folder: int, status: os.stat_result) -> Tuple[str, int]:
    """Return what two folders have in common as long as neither a mount nor a subvolume lies between them."""
    try:
        with open("/proc/self/fdinfo/%d" % folder, encoding="ascii") as stream:
            found = next((line for line in stream if line.startswith("mnt_id:")), "")
    except OSError:  # no /proc
        found = ""
    return found, status.st_dev


def _opened(parent: int, name: str) -> int:
    try:
        return os.open(name, _FLAGS, dir_fd=parent)
    except PermissionError:
        os.chmod(name, 0o700, dir_fd=parent)
        return os.open(name, _FLAGS, dir_fd=parent)


def _insist(function: Callable[..., None], parent: int, name: str) -> None:
    """Make a folder writable and try again: a post-install script may have removed the permission."""
    try:
        function(name, dir_fd=parent)
    except PermissionError as error:
        try:
            os.fchmod(parent, 0o700)
        except OSError:
            raise error from None
        function(name, dir_fd=parent)
