"""Write files below the installation with few system calls."""

import os
import stat
from typing import AbstractSet, Dict, Iterable, List, Optional, Set, Tuple

from ..errors import BundleError, DestinationError, InstallError, advice

NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
Stamp = Optional[int]
_OPENED = 100  # folders
_CLASH = "build the bundle without one of the two"


class Tree:
    """Creates files, never writes into existing ones, which could be links to the system's interpreter.

    `contested` collects paths that another wheel owns, too. With `replace` an older file is replaced.
    """

    def __init__(self, protected: AbstractSet[str], *, replace: bool = False) -> None:
        self.contested: List[str] = []
        self._protected = protected
        self._replace = replace
        self._folders: Set[str] = set()
        self._opened: Dict[str, Tuple[int, int]] = {}

    def folder(self, path: str) -> Tuple[int, int]:
        """Make a folder if need be. Return a descriptor of it, and the group that new files there will have."""
        found = self._opened.get(path)
        if found is None:
            if path not in self._folders:
                self._make(path)
            if len(self._opened) >= _OPENED:
                self.close()
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            found = self._opened[path] = (descriptor, os.fstat(descriptor).st_gid)
        return found

    def restamp(self, path: str, mtime: int) -> None:
        """Give a file another time, in seconds; one that other releases share becomes a file of its own."""
        status = os.stat(path)
        if status.st_nlink > 1:
            with open(path, "rb") as stream:
                content = stream.read()
            os.unlink(path)
            self.write(path, (content,), executable=bool(status.st_mode & 0o100))
        os.utime(path, (mtime, mtime))

    def close(self) -> None:
        """Close the folders that `folder` has opened."""
        for descriptor, _ in self._opened.values():
            os.close(descriptor)
        self._opened.clear()

    def write(self, path: str, chunks: Iterable[bytes], *, executable: bool = False, mtime: Stamp = None) -> None:
        """Write a file with mode 0644 or 0755, whatever umask and default ACL are. `mtime` is in seconds since 1970."""
        folder = os.path.dirname(path)
        if folder not in self._folders:
            self._make(folder)
        mode = 0o755 if executable else 0o644
        try:
            descriptor = os.open(path, NEW, mode)
        except FileExistsError:
            if not self._give_way(path):
                return
            descriptor = os.open(path, NEW, mode)
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

    def _give_way(self, path: str) -> bool:
        """Whether another wheel's file was removed for this one; else it is contested."""
        if path in self._protected or os.path.isdir(path):
            raise BundleError(
                "a wheel would overwrite %s, which belongs to the virtualenv" % path
                if path in self._protected
                else "a wheel has a file where another has a folder: %s" % path,
                hint=_CLASH,
            ) from None
        if not self._replace:
            self.contested.append(path)
            return False
        os.unlink(path)
        return True

    def _make(self, folder: str) -> None:
        try:
            make_folders(folder)
        except (FileExistsError, NotADirectoryError):
            raise BundleError("a wheel has a folder where another has a file: %s" % folder, hint=_CLASH) from None
        self._folders.add(folder)


def write_new(path: str, content: bytes) -> None:
    """Write a file with mode 0644. Raise FileExistsError if there is one; nothing is written through a link."""
    descriptor = os.open(path, NEW, 0o644)
    with os.fdopen(descriptor, "wb") as stream:
        os.fchmod(descriptor, 0o644)
        stream.write(content)


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
    mode = stat.S_IMODE(os.stat(folder).st_mode)
    wanted = 0o755 | mode & stat.S_ISGID
    if mode != wanted:
        os.chmod(folder, wanted)


def contains(folder: str, path: str) -> bool:
    """Whether a path is this folder, or lies in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def refuse_dangling(path: str) -> None:
    """Raise DestinationError if a link in this absolute path is broken: its target may not be mounted yet."""
    while os.path.dirname(path) != path:
        if os.path.islink(path) and not os.path.exists(path):
            raise DestinationError(
                "%s is a link to %s, which is not there" % (path, os.readlink(path)),
                hint="mount or make what it leads to, or remove the link",
            )
        path = os.path.dirname(path)


def make_folders(path: str) -> None:
    """Make a folder and the parents that it lacks; another process may do the same."""
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
