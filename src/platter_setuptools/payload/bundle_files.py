"""The files of a bundle, which is a folder, or one file: `STEM.run`, a shell script with a zip archive behind it.

A path such as `FOLDER/data/x.whl` or `STEM.run/data/x.whl` names one of them. Those of a `.run` are stored, so they are
read where they lie.
"""

import functools
import os
import stat
from typing import TYPE_CHECKING, BinaryIO, Dict, Iterator, NamedTuple, Tuple, Union

from . import untrusted
from .errors import BundleError, reason

if TYPE_CHECKING:
    from .run_file import RunFile

MODULES = "data/bootstrap/"
AGAIN = "copy the bundle to this machine again; if that does not help, build it again"


class Opened(NamedTuple):
    """An open file of a bundle: `size` bytes from `offset` on of the file that the stream's descriptor is of."""

    stream: BinaryIO
    offset: int
    size: int


class Entry(NamedTuple):
    """A file, folder or link; `kind` is S_IFREG, S_IFDIR or S_IFLNK, `mode` its permissions, `mtime` in seconds."""

    kind: int
    mode: int
    mtime: int


class Folder:
    """The files of an unpacked bundle."""

    def __init__(self, path: str) -> None:
        self.path = path

    def join(self, name: str) -> str:
        """Return the path of a file, by its name in the bundle."""
        return os.path.join(self.path, name)

    def has(self, name: str) -> bool:
        """Whether there is a file or link of this name."""
        return os.path.lexists(self.join(name))

    def read(self, name: str, limit: int) -> bytes:
        """Return the content of a file. Raise OSError, or ValueError if it is no file or longer than the limit."""
        return untrusted.read_file(self.join(name), limit)

    def open(self, name: str) -> Opened:
        """Open a file. Raise OSError; ValueError if it is something else. The caller closes the stream."""
        stream = untrusted.open_file(self.join(name))
        return Opened(stream, 0, os.fstat(stream.fileno()).st_size)

    def link(self, name: str) -> str:
        """Return where a link leads, as it is written."""
        return os.readlink(self.join(name))

    @property
    def members(self) -> Dict[str, Entry]:
        """Return every file, link and empty folder, with the modes that a build writes: tar may have masked them."""
        found = {}
        for folder, folders, names in os.walk(self.path):
            empty = [] if folders or names else [""]
            for path in (os.path.join(folder, name) for name in folders + names + empty):
                status = os.lstat(path)
                kind = stat.S_IFMT(status.st_mode)
                if kind != stat.S_IFDIR or path.endswith(os.sep):
                    mode = 0o755 if status.st_mode & stat.S_IXUSR else 0o644
                    found[os.path.relpath(path, self.path)] = Entry(kind, mode, int(status.st_mtime))
        return found

    def names(self) -> Iterator[str]:
        """Yield the name of every file. A link to a file counts as one; none may lead out of the bundle.

        A build script may link to folders, whose files are listed in their own place, but not where modules are
        imported, where a link would give them other names.
        """
        root = os.path.realpath(self.path)
        pending = [""]
        while pending:
            prefix = pending.pop()
            with os.scandir(os.path.join(root, prefix)) as entries:
                for entry in entries:
                    name = prefix + entry.name
                    if entry.is_symlink() and not _inside(os.path.realpath(entry.path), root):
                        raise BundleError("%s: a link that leads out of the bundle" % entry.path, hint=AGAIN)
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(name + "/")
                    elif entry.is_file() or (entry.is_symlink() and (not entry.is_dir() or name.startswith(MODULES))):
                        yield name
                    elif not entry.is_symlink():
                        raise BundleError("%s: neither a file nor a folder" % entry.path, hint=AGAIN)


def _inside(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")


BundleFiles = Union[Folder, "RunFile"]


def files(bundle: str) -> BundleFiles:
    """Return the files of a bundle, by the path of its folder or `.run`. Raise BundleError if that cannot be read."""
    if not os.path.isfile(bundle):
        return Folder(bundle)
    status = os.stat(bundle)
    return _run_file(bundle, (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns))


def read(bundle: str, name: str, limit: int) -> bytes:
    """Return the content of a file of a bundle. Raise BundleError if it cannot be read, or is longer than the limit."""
    try:
        return files(bundle).read(name, limit)
    except (OSError, ValueError) as error:
        what = "%s cannot be read: %s" % (os.path.join(bundle, name), reason(error))
        raise BundleError(what, hint=AGAIN) from error


@functools.lru_cache(maxsize=1)
def _run_file(path: str, identity: Tuple[int, ...]) -> "RunFile":
    """Read the list of members once: of this process and those that it forks."""
    del identity
    from .run_file import RunFile  # noqa: PLC0415 - most bundles are folders

    return RunFile(path)
