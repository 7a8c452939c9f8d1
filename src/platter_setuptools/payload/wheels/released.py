"""A wheel, or its bytecode, in a release that was installed from the same one.

What a release has is believed only where it has the hash that the bundle says: info.json, which SHA256SUMS vouches
for, has that of a RECORD, the RECORD those of the files. What differs is taken from the bundle,
or from another release if the bundle is thin.
"""

import csv
import hashlib
import os
from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Set, Tuple

from ..errors import BundleError
from ..install import links
from ..install.tree import Stamp, Tree
from ..names import relative
from ..options import CLONE, HARDLINK
from ..untrusted import DIGITS, METADATA, PART
from . import record
from .archive import Archive
from .record import Row
from .release_files import ReleaseFiles

_PIECE = 1 << 20
_EMPTY = record.row("", b"")[1]
_ODD = frozenset(("", ".", ".."))


class Provider(NamedTuple):
    """A release that has a wheel, or its bytecode; `record` is the RECORD of that, compared with the bundle's hash.

    `folders`: see kept.Index. `shared`: its files may be linked; else they are copied. `others` are releases where
    files may be if they were altered in this one.
    """

    release: str
    folders: Dict[str, str]
    record: bytes
    shared: bool
    executables: Tuple[str, ...] = ()
    others: Tuple[str, ...] = ()


class Links:
    """Links files in the first of these ways (links.py) that the filesystem has. `counts` tells how many."""

    def __init__(self, mode: str) -> None:
        self.ways: List[str] = list(links.WAYS[mode])
        self.counts: Dict[str, int] = {}
        self._linked: Set[int] = set()

    def link(self, name: str, source: int, target: Tuple[int, int], mode: int, row: Row) -> Tuple[int, bytes]:
        """As links.hardlink. Raise ValueError or OSError if the file cannot be linked."""
        size, sha256 = _size(row), record.sha256_of(row[1])
        for way in tuple(self.ways):
            try:
                if way == HARDLINK:
                    found = links.hardlink(name, source, target, mode, size, sha256, self._linked)
                else:
                    found = links.clone(name, source, target, mode, size, sha256)
            except OSError as error:  # noqa: PERF203 - there are two ways at most
                if way == CLONE and error.errno in links.NO_REFLINKS:
                    self.ways.remove(way)  # else the next way may do for this file
            else:
                self.counts[way] = self.counts.get(way, 0) + 1
                return found
        raise ValueError(name)


class Released(Archive):
    """A wheel, or its bytecode, in a release: it can be installed as any other.

    `path` and `sha256` are those of the archive in the bundle, which is opened if a file was altered. `members` are the
    rows of RECORD.
    """

    is_released = True
    members: Dict[str, Any]

    def __init__(
        self,
        path: str,
        sha256: str,
        provider: Provider,
        files: ReleaseFiles,
        shared: Links,
        bundled: Callable[[str, str], Optional[Archive]] = lambda *_: None,
    ) -> None:
        """`bundled` gives the archive in the bundle, by its path and SHA-256; None if it is not there."""
        self.path, self.sha256, self._open = path, sha256, bundled
        self._provider, self._files, self._shared = provider, files, shared
        self._programs = frozenset(provider.executables)
        self._bundled: Optional[Archive] = None
        try:
            rows = record.parse(provider.record, "strict")
        except (csv.Error, UnicodeDecodeError) as error:
            raise self.damaged("its RECORD cannot be read: %s" % error) from error
        self.members = {name: row for name, row in rows.items() if not name.endswith("/")}
        for name in self.members:
            if len(name) * 4 > PART or "\\" in name or "\0" in name or not _ODD.isdisjoint(name.split("/")):
                relative(name, path)
        self._record = next((name for name in self.members if _is_record(name)), "RECORD")
        self._data = self._record[: -len(".dist-info/RECORD")] + ".data/"
        self.members.setdefault(self._record, (self._record, "", ""))

    def close(self) -> None:
        if self._bundled:
            self._bundled.close()

    def executables(self) -> List[str]:
        return list(self._provider.executables)

    def is_executable(self, info: Any) -> bool:
        return info[0] in self._programs

    def length(self, info: Any) -> int:
        return _size(info)

    def rows(self, name: str) -> Dict[str, Row]:
        del name  # there is only one
        return dict(self.members)

    def read(self, info: Any, limit: int = METADATA) -> bytes:
        content = b"".join(self.chunks(info))
        if len(content) > limit:
            raise self.damaged("%s is longer than %d bytes" % (info[0], limit))
        return content

    def chunks(self, info: Any) -> Iterator[bytes]:
        yield from self.fetch(info)[0]

    def fetch(self, info: Any) -> Tuple[Iterator[bytes], Stamp]:
        name, digest, _ = info
        if name == self._record:
            return iter((self._provider.record,)), None
        path, kind = self._locate(name)
        if kind == "scripts":
            script = self._files.script(digest)
            if script is not None:
                return iter((script,)), None
        try:
            found: Optional[Tuple[int, int, bytes]] = self._files.open(path, digest)
        except (ValueError, OSError):
            self._files.altered.add(path)
            self._bundled = self._bundled or self._open(self.path, self.sha256)
            if self._bundled:
                return self._bundled.fetch(self._bundled.members[name])
            found = self._files.elsewhere(path, digest)
        if found is None:
            raise BundleError(
                "%s is not in this thin bundle, and not in %s as it was installed"
                % (os.path.basename(self.path), self._files.release),
                hint="send the full bundle",
            )
        descriptor, time, content = found
        if content or digest == _EMPTY:
            os.close(descriptor)
            return iter((content,)), time
        return self._again(descriptor, name, digest), time

    def link(self, names: Iterable[str], site: str, tree: Tree) -> Dict[str, Tuple[int, bytes]]:
        folders: Dict[str, List[str]] = {}
        for name in names:
            folder, _, base = name.rpartition("/")
            folders.setdefault(folder, []).append(base)
        found = {}
        root = self._provider.folders["purelib"] + "/"
        for folder, bases in folders.items() if self._shared.ways else ():
            target = tree.folder(site + "/" + folder)
            try:
                source = self._files.folder((root + folder).rstrip("/"))
            except OSError:
                continue
            for base in bases:
                name = folder + "/" + base if folder else base
                row = self.members[name]
                if row[1] != _EMPTY:
                    try:
                        mode = 0o755 if name in self._programs else 0o644
                        found[name] = self._shared.link(base, source, target, mode, row)
                    except (ValueError, OSError):
                        continue  # it is copied, which tells if that is impossible
        return found

    def _again(self, descriptor: int, name: str, digest: str) -> Iterator[bytes]:
        """Yield the content of a long file, and compare it with its hash once more."""
        state = hashlib.sha256()
        with os.fdopen(descriptor, "rb") as stream:
            stream.seek(0)
            for piece in iter(lambda: stream.read(_PIECE), b""):
                state.update(piece)
                yield piece
        if state.digest() != record.sha256_of(digest):
            raise self.damaged("%s was changed in %s meanwhile" % (name, self._files.release), hint="try again")

    def _locate(self, name: str) -> Tuple[str, str]:
        """Return the path of a member below the release, and its kind as in Wheel.locate."""
        kind, root = "", self._provider.folders["purelib"]
        if name.startswith(self._data):
            kind, _, name = name[len(self._data) :].partition("/")
            root = self._provider.folders.get(kind, "")
            if kind == "headers":
                root += "/" + self._data.split("-")[0]
        return ("" if root == "." else root + "/") + name, kind


def _is_record(name: str) -> bool:
    """Whether this is the name of a wheel's RECORD."""
    folder, _, base = name.rpartition("/")
    return base == "RECORD" and folder.endswith(".dist-info") and "/" not in folder


def _size(row: Row) -> int:
    """Return the size of a file in bytes; -1 if RECORD does not tell it."""
    return int(row[2]) if row[2].isdecimal() and len(row[2]) <= DIGITS else -1
