"""The files of an installed release, read where they lie and compared with hashes that the bundle vouches for."""

import contextlib
import os
import stat
from typing import Dict, Optional, Sequence, Set, Tuple

from ..install import links
from . import kept, record

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPENED = 100  # folders
_NANO = 10**9


class ReleaseFiles:
    """The files of one release. `altered` are those that were not as they had been installed.

    `others` are releases that may have these files at the same paths.
    """

    def __init__(self, release: str, others: Sequence[str] = ()) -> None:
        self.release = release
        self.others = [ReleaseFiles(one) for one in others if one != release]
        self.altered: Set[str] = set()
        self._folders: Dict[str, int] = {}

    def folder(self, path: str) -> int:
        """Return a descriptor of a folder, by its path below the release. No link leads to it."""
        found = self._folders.get(path)
        if found is None:
            if path in ("", "."):
                found = os.open(self.release, _FOLDER)
            else:
                parent, _, name = path.rpartition("/")
                found = os.open(name, _FOLDER, dir_fd=self.folder(parent))
            if len(self._folders) >= _OPENED:
                self.close()
            self._folders[path] = found
        return found

    def close(self) -> None:
        """Close the folders that are open, also those of the other releases."""
        for descriptor in self._folders.values():
            os.close(descriptor)
        self._folders.clear()
        for other in self.others:
            other.close()

    def open(self, path: str, digest: str) -> Tuple[int, int, bytes]:
        """Return a descriptor of a file that has this hash, its time in seconds, and its content if it is short.

        Raise ValueError or OSError if it is not what it should be.
        """
        folder, _, name = path.rpartition("/")
        descriptor = os.open(name, links.READ, dir_fd=self.folder(folder))
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise ValueError(name)  # noqa: TRY301 - the file is closed below
            found = links.read(descriptor, status.st_size)
            if found.sha256 != record.sha256_of(digest):
                raise ValueError(name)  # noqa: TRY301 - as above
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor, status.st_mtime_ns // _NANO, found.start if len(found.start) == status.st_size else b""

    def elsewhere(self, path: str, digest: str) -> Optional[Tuple[int, int, bytes]]:
        """Return the first of the other releases' files that is as it should be, as `open`; None if there is none."""
        for other in self.others:
            with contextlib.suppress(ValueError, OSError):
                return other.open(path, digest)
        return None

    def script(self, digest: str) -> Optional[bytes]:
        """Return a script as it was in its wheel, if its first line was changed in the release; see kept.py."""
        sha256 = record.sha256_of(digest).hex()
        contents = (kept.find(one.release, sha256, kept.SCRIPT) for one in (self, *self.others))
        return next((content for content in contents if content is not None), None)
