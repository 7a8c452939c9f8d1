"""Writing files below the installation, few system calls for each."""

import os
import stat
from typing import AbstractSet, Iterable, List, Optional, Set

from .errors import BundleError, DestinationError, InstallError, advice

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
Stamp = Optional[int]
_CLASH = "build the bundle without one of the two"


class Tree:
    """Creates files, never writes into one that is there: that could be a link to the system's own interpreter.

    ``contested`` collects the paths that another wheel had taken. With ``replace`` an older file gives way.
    """

    def __init__(self, protected: AbstractSet[str], *, replace: bool = False) -> None:
        self.contested: List[str] = []
        self._protected = protected
        self._replace = replace
        self._folders: Set[str] = set()

    def write(self, path: str, chunks: Iterable[bytes], *, executable: bool = False, mtime: Stamp = None) -> None:
        """Modes are 0644 or 0755, whatever umask and default ACL are. ``mtime`` is in seconds since 1970."""
        folder = os.path.dirname(path)
        if folder not in self._folders:
            self._make(folder)
        mode = 0o755 if executable else 0o644
        try:
            descriptor = os.open(path, _FLAGS, mode)
        except FileExistsError:
            if path in self._protected or os.path.isdir(path):
                raise BundleError(
                    "a wheel would overwrite %s, which belongs to the virtualenv" % path
                    if path in self._protected
                    else "a wheel has a file where another has a folder: %s" % path,
                    hint=_CLASH,
                ) from None
            if not self._replace:
                self.contested.append(path)
                return
            os.unlink(path)
            descriptor = os.open(path, _FLAGS, mode)
        try:
            os.fchmod(descriptor, mode)
            for chunk in chunks:
                _write(descriptor, chunk)
            if mtime is not None:
                os.utime(descriptor, (mtime, mtime))
        except OSError as error:  # the kernel does not say which file
            raise InstallError("%s: %s" % (path, error.strerror), hint=advice(error)) from error
        finally:
            os.close(descriptor)

    def _make(self, folder: str) -> None:
        try:
            make_folders(folder)
        except (FileExistsError, NotADirectoryError):
            raise BundleError("a wheel has a folder where another has a file: %s" % folder, hint=_CLASH) from None
        self._folders.add(folder)


def make_folder(path: str) -> None:
    """Make a folder with mode 0755, whatever umask and default ACL are; a setgid bit of its parent's is kept."""
    os.mkdir(path, 0o755)
    try:
        open_to_all(path)
    except OSError:  # a filesystem without modes
        os.rmdir(path)
        raise


def open_to_all(folder: str) -> None:
    """Set the mode 0755; a setgid bit, which makes group owners be inherited, stays."""
    os.chmod(folder, 0o755 | os.stat(folder).st_mode & stat.S_ISGID)  # noqa: S103 - what docs/install.md promises


def refuse_dangling(path: str) -> None:
    """DestinationError if a link in this absolute path leads nowhere: what it is for may not be mounted yet."""
    while os.path.dirname(path) != path:
        if os.path.islink(path) and not os.path.exists(path):
            raise DestinationError(
                "%s is a link to %s, which is not there" % (path, os.readlink(path)),
                hint="mount or make what it leads to, or remove the link",
            )
        path = os.path.dirname(path)


def make_folders(path: str) -> None:
    """Make a folder and the parents that it lacks; another process may do the same."""
    if os.path.isdir(path):
        return
    try:
        make_folder(path)
    except FileNotFoundError:
        make_folders(os.path.dirname(path))
        make_folders(path)
    except FileExistsError:
        if not os.path.isdir(path):
            raise


def _write(descriptor: int, data: bytes) -> None:
    written = os.write(descriptor, data)
    while written < len(data):
        data = data[written:]
        written = os.write(descriptor, data)
