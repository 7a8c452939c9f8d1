"""Install one wheel (PyPA specification "Binary distribution format")."""

import csv
import importlib.util
import itertools
import os
import py_compile
import struct
import warnings
from typing import AbstractSet, Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from ..install import environment
from ..install.environment import Scheme
from ..install.tree import Stamp, Tree
from ..names import size
from ..untrusted import PART
from . import record, scripts
from .archive import Archive
from .layout import Wheel

_NANO = 10**9
_OURS = ("RECORD", "INSTALLER", "REQUESTED")
_INSTALLER = b"platter\n"


class Source(NamedTuple):
    """A wheel in the bundle and its bytecode, with the checksums of both; absolute paths; weight in bytes.

    `compiling`: modules without bytecode are compiled.
    """

    path: str
    sha256: str
    requested: bool
    bytecode: Optional[str] = None
    bytecode_sha256: str = ""
    weight: int = 0
    compiling: bool = False

    def archives(self) -> List[Tuple[str, str]]:
        """Yield path and SHA-256 of the wheel, and of its bytecode if it has any."""
        found = [(self.path, self.sha256)]
        if self.bytecode is not None:
            found.append((self.bytecode, self.bytecode_sha256))
        return found


class Installed(NamedTuple):
    """A wheel's metadata, and the number of its installed files."""

    name: str
    version: str
    files: int


def install(
    source: Source,
    scheme: Scheme,
    tree: Tree,
    version: Tuple[int, int],
    opened: Callable[[str, str], Archive] = Archive,
    only: Optional[AbstractSet[str]] = None,
) -> Installed:
    """Unpack, write scripts, bytecode and RECORD. With `only`, write just these paths, and no RECORD, and count them.

    `opened` gives the archive with this path and SHA-256.
    """
    with opened(source.path, source.sha256) as archive:
        wheel = Wheel(archive, scheme)
        work = Installation(wheel, scheme, tree, only)
        work.members()
        work.entry_points(wheel.commands(version))
    if source.bytecode is not None:
        with opened(source.bytecode, source.bytecode_sha256) as archive:
            work.bytecode(archive)
    if source.compiling:
        work.compiled()
    if only is None:
        work.dist_info(requested=source.requested)
    return Installed(wheel.name, wheel.version, len(work.rows) if only is None else work.owned(only))


class Installation:
    """The installation of one wheel: its members, entry points, bytecode and RECORD."""

    def __init__(self, wheel: Wheel, scheme: Scheme, tree: Tree, only: Optional[AbstractSet[str]] = None) -> None:
        self.wheel = wheel
        self.scheme = scheme
        self.tree = tree
        self.only = only
        self.rows: List[record.Row] = []
        self._taken: Dict[str, str] = {}
        self._sources: Dict[str, str] = {}
        self._times: Dict[str, int] = {}  # of the modules that a release gave, in nanoseconds
        self._plain: Dict[str, bool] = {}
        self._prefixes = {kind: _prefix(folder, wheel.root) for kind, folder in wheel.folders.items()}
        self._prefixes[""] = ""

    def members(self) -> None:
        wheel, archive = self.wheel, self.wheel.archive
        recorded = wheel.recorded()
        folders = {**wheel.folders, "": wheel.root}
        generated = {entry.name for entry in wheel.entry_points}
        ours = {wheel.dist_info + "/" + name for name in _OURS}
        linked = self._link(archive, (name for name in recorded if self._is_plain(name) and name not in ours))
        for name, info in archive.members.items():
            if name in linked:
                self._claim(wheel.root + "/" + name, name)
                if name.endswith(".py"):
                    self._sources[name] = wheel.root
                    self._times[wheel.root + "/" + name] = linked[name][0]
                self.rows.append(recorded[name])
                continue
            kind, path = wheel.locate(name)
            target = folders[kind] + "/" + path
            self._check_place(target, name)
            if (kind == "scripts" and path in generated) or name in ours:
                continue
            self._claim(target, name)
            (chunks, time), row = archive.fetch(info), recorded.pop(name, None)  # a list of 50,000 takes room
            mtime: Stamp = None
            if path.endswith(".py") and kind in ("", "purelib", "platlib"):
                mtime = time
                self._sources[path] = folders[kind]
                if archive.is_released:
                    self._times[target] = (mtime or 0) * _NANO
            if kind == "scripts":
                chunks, row = scripts.rewriting(chunks, self.scheme.python), None
            measured = record.Measured(chunks)
            executable = kind == "scripts" or archive.is_executable(info)
            self._write(target, iter(measured) if row is None else chunks, executable=executable, mtime=mtime)
            path = self._prefixes[kind] + path
            self.rows.append(measured.row(path) if row is None else (path, row[1], row[2]))

    def entry_points(self, entries: Tuple[scripts.EntryPoint, ...]) -> None:
        for entry in entries:
            content = scripts.generated(entry, self.scheme.python)
            target = self.scheme.scripts + "/" + entry.name
            self._check_place(target, entry.name)
            self._claim(target, entry.name)
            self._write(target, iter((content,)), executable=True)
            self.rows.append(record.row(self._prefixes["scripts"] + entry.name, content))

    def bytecode(self, archive: Archive) -> None:
        """Install compiled files beside their sources; skip those without one."""
        sources = {name: source_of(name) for name in archive.members}
        recorded = self._recorded(archive)
        owned = [name for name, source in sources.items() if source in self._sources]
        linked = self._link(archive, (name for name in owned if self._sources[sources[name]] == self.wheel.root))
        for name in owned:
            folder = self._sources[sources[name]]
            source, target = folder + "/" + sources[name], folder + "/" + name
            if target in self._taken:
                continue
            self._claim(target, name)
            self._row_of_bytecode(folder, name, recorded.get(name, ("", "", ""))[1])
            if name in linked:
                header = linked[name][1]
            else:
                chunks = archive.chunks(archive.members[name])
                header = next(chunks, b"")
                self._write(target, itertools.chain((header,), chunks))
            if source in self._times:
                self._compare_times(source, self._times[source], header)

    def _link(self, archive: Archive, names: Iterable[str]) -> Dict[str, Tuple[int, bytes]]:
        """Link what a release has into site-packages; see Archive.link."""
        site = self.wheel.root
        free = (name for name in names if site + "/" + name not in self._taken)
        return archive.link(free, site, self.tree) if self.only is None else {}

    def _is_plain(self, name: str) -> bool:
        """Whether a file lies in a folder of site-packages that any wheel may have."""
        top, slash, _ = name.partition("/")
        known = self._plain.get(top)
        if known is None:
            place = "%s/%s" % (self.wheel.root[len(self.scheme.root) + 1 :], top)
            foreign = environment.is_metadata(place + "/x") and top != self.wheel.dist_info
            known = self._plain[top] = not (environment.is_own(place) or foreign or top.endswith(".data"))
        return known and slash == "/"

    def _compare_times(self, source: str, time: int, header: bytes) -> None:
        """Give a module the time for which its bytecode was compiled, unless it has it (PEP 552)."""
        flags, stamp = struct.unpack("<II", header[4:12].ljust(8))
        if not flags and (time % _NANO or time // _NANO & 0xFFFFFFFF != stamp):
            self.tree.restamp(source, stamp)

    def compiled(self) -> None:
        """Compile the modules that have no bytecode yet; skip those that do not compile."""
        for path, folder in self._sources.items():
            source = folder + "/" + path
            target = importlib.util.cache_from_source(source)
            if size(os.path.basename(target)) > PART:
                continue
            if target in self._taken or not (self.only is None or source in self.only):
                continue
            self._claim(target, path)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # about the author's escapes and the like
                    py_compile.compile(
                        source, target, doraise=True, invalidation_mode=py_compile.PycInvalidationMode.TIMESTAMP
                    )
            except py_compile.PyCompileError:
                continue
            os.chmod(target, 0o644)
            self._row_of_bytecode(folder, target[len(folder) + 1 :])

    def owned(self, paths: AbstractSet[str]) -> int:
        """Return how many of the paths are files of this wheel."""
        return len(paths & self._taken.keys())

    def dist_info(self, *, requested: bool) -> None:
        folder = self.wheel.dist_info + "/"
        contents = {"INSTALLER": _INSTALLER}
        if requested:
            contents["REQUESTED"] = b""
        for name, content in contents.items():
            self._write(self.wheel.root + "/" + folder + name, iter((content,)))
            self.rows.append(record.row(folder + name, content))
        self.rows.append((folder + "RECORD", "", ""))
        self._write(self.wheel.root + "/" + folder + "RECORD", iter((record.dump(self.rows),)))

    @staticmethod
    def _recorded(archive: Archive) -> Dict[str, record.Row]:
        """Return the rows of the bytecode's RECORD; those of earlier builds have none."""
        try:
            return archive.rows("RECORD") if "RECORD" in archive.members else {}
        except (csv.Error, UnicodeDecodeError) as error:
            raise archive.damaged("its RECORD cannot be read: %s" % error) from error

    def _row_of_bytecode(self, folder: str, name: str, digest: str = "") -> None:
        """Record bytecode, without its size: Python replaces it when its source is newer, which is no damage."""
        self.rows.append((_prefix(folder, self.wheel.root) + name, digest, ""))

    def _write(self, path: str, chunks: Iterator[bytes], *, executable: bool = False, mtime: Stamp = None) -> None:
        if self.only is None or path in self.only:
            self.tree.write(path, chunks, executable=executable, mtime=mtime)

    def _check_place(self, path: str, name: str) -> None:
        """Raise BundleError for a path in the virtualenv's own parts, or in any distribution's metadata.

        Only the wheel's own .dist-info folder, at its root, is allowed as metadata.
        """
        place = path[len(self.scheme.root) + 1 :]
        if environment.is_own(place):
            raise self.wheel.archive.damaged("%s would overwrite %s, which belongs to the virtualenv" % (name, place))
        if environment.is_metadata(place) and not name.startswith(self.wheel.dist_info + "/"):
            raise self.wheel.archive.damaged("%s would be metadata of a distribution" % name)

    def _claim(self, path: str, name: str) -> None:
        """Refuse a wheel with two files for one path."""
        if path in self._taken:
            raise self.wheel.archive.damaged("%s and %s would be one file" % (self._taken[path], name))
        self._taken[path] = name


def source_of(bytecode: str) -> str:
    """Return the source of bytecode: `a/__pycache__/b.cpython-311.pyc` -> `a/b.py`; empty for another path."""
    folder, _, base = bytecode.rpartition("/")
    parent, slash, cache = folder.rpartition("/")
    stem, _, tag = base[: -len(".pyc")].rpartition(".")
    return parent + slash + stem + ".py" if cache == "__pycache__" and base.endswith(".pyc") and stem and tag else ""


def _prefix(folder: str, root: str) -> str:
    return "" if folder == root else os.path.relpath(folder, root) + "/"
