"""Installing one wheel (PyPA specification "Binary distribution format")."""

import calendar
import csv
import importlib.util
import os
import py_compile
import re
import warnings
import zipfile
from typing import AbstractSet, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

from . import environment, record, scripts
from .archive import Archive
from .environment import Scheme
from .names import is_project, is_version, normalised, size
from .tree import Stamp, Tree
from .untrusted import LIST, METADATA, PART

_DATA_KEYS = ("purelib", "platlib", "scripts", "headers", "data")
_OURS = ("RECORD", "INSTALLER", "REQUESTED")
_INSTALLER = b"platter\n"


class Source(NamedTuple):
    """A wheel in the bundle and its bytecode, with the checksums of both; absolute paths; weight in bytes.

    ``compiling``: modules that come without bytecode are compiled.
    """

    path: str
    sha256: str
    requested: bool
    bytecode: Optional[str] = None
    bytecode_sha256: str = ""
    weight: int = 0
    compiling: bool = False

    def archives(self) -> List[Tuple[str, str]]:
        """Path and SHA-256 of the wheel, and of its bytecode if it has any."""
        found = [(self.path, self.sha256)]
        if self.bytecode is not None:
            found.append((self.bytecode, self.bytecode_sha256))
        return found


class Installed(NamedTuple):
    """What a wheel says of itself, and how many files it became."""

    name: str
    version: str
    files: int


class Wheel:
    """An opened wheel: its members and where each belongs."""

    def __init__(self, archive: Archive, scheme: Scheme) -> None:
        self.archive = archive
        self.file = os.path.basename(archive.path)
        self.dist_info = self._dist_info()
        stem = self.dist_info[: -len(".dist-info")]
        headers = _header(self._text("WHEEL"))
        if headers.get("wheel-version", "").split(".")[0] != "1":
            raise archive.damaged("its format %s is not known here" % (headers.get("wheel-version") or "(none)"))
        metadata = _header(self._text("METADATA"))
        self.name, self.version = metadata.get("name", ""), metadata.get("version", "")
        if not is_project(self.name) or not is_version(self.version):
            raise archive.damaged("its METADATA lacks a name or a version")
        pure = headers.get("root-is-purelib", "").lower() == "true"
        self.root = scheme.purelib if pure else scheme.platlib
        self.folders = {key: getattr(scheme, key) for key in _DATA_KEYS}
        self.folders["headers"] = os.path.join(scheme.headers, stem.split("-")[0])
        self._data = stem + ".data/"
        points = self.archive.members.get(self.dist_info + "/entry_points.txt")
        where = "%s: %s/entry_points.txt" % (archive.path, self.dist_info)
        self.entry_points = scripts.entry_points(self._decoded(archive.read(points), where), where) if points else ()

    def locate(self, name: str) -> Tuple[str, str]:
        """Kind (a key of ``*.data``, or empty for the root) and path relative to that kind's folder."""
        if not name.startswith(self._data):
            return "", name
        kind, _, path = name[len(self._data) :].partition("/")
        if kind not in _DATA_KEYS or not path:
            raise self.archive.damaged("%s belongs to no known part of an installation" % name)
        return kind, path

    def recorded(self) -> Dict[str, record.Row]:
        try:
            return record.parse(self._content("RECORD", LIST), "strict")
        except (csv.Error, UnicodeDecodeError) as error:
            what = "is not UTF-8" if isinstance(error, UnicodeDecodeError) else "cannot be read: %s" % error
            raise self.archive.damaged("%s/RECORD %s" % (self.dist_info, what)) from error

    def _dist_info(self) -> str:
        found = sorted({name.partition("/")[0] for name in self.archive.members if ".dist-info/" in name})
        found = [folder for folder in found if folder.endswith(".dist-info")]
        project = normalised(self.file.split("-")[0])
        if len(found) != 1 or normalised(found[0].split("-")[0]) != project:
            raise self.archive.damaged("expected one .dist-info folder of %s, found %s" % (project, found or "none"))
        return found[0]

    def _text(self, name: str) -> str:
        return self._decoded(self._content(name, METADATA), "%s/%s" % (self.dist_info, name))

    def _content(self, name: str, limit: int) -> bytes:
        path = "%s/%s" % (self.dist_info, name)
        info = self.archive.members.get(path)
        if info is None:
            raise self.archive.damaged("%s is missing" % path)
        return self.archive.read(info, limit)

    def _decoded(self, content: bytes, where: str) -> str:
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.archive.damaged("%s is not UTF-8" % where) from error


def install(
    source: Source,
    scheme: Scheme,
    tree: Tree,
    version: Tuple[int, int],
    opened: Callable[[str, str], Archive] = Archive,
    only: Optional[AbstractSet[str]] = None,
) -> Installed:
    """Unpack, write scripts, bytecode and RECORD. With ``only``, write just these paths, and no RECORD.

    ``opened`` gives the archive with this path and SHA-256.
    """
    with opened(source.path, source.sha256) as archive:
        wheel = Wheel(archive, scheme)
        work = Installation(wheel, scheme, tree, only)
        work.members()
        work.entry_points(scripts.with_pip_names(wheel.entry_points, version) if _is_pip(wheel) else wheel.entry_points)
    if source.bytecode is not None:
        with opened(source.bytecode, source.bytecode_sha256) as archive:
            work.bytecode(archive)
    if source.compiling:
        work.compiled()
    if only is None:
        work.dist_info(requested=source.requested)
    return Installed(wheel.name, wheel.version, len(work.rows))


def _is_pip(wheel: Wheel) -> bool:
    return normalised(wheel.name) == "pip"


class Installation:
    """One wheel on its way into a tree: its members, then its entry points, its bytecode, and what is said of it."""

    def __init__(self, wheel: Wheel, scheme: Scheme, tree: Tree, only: Optional[AbstractSet[str]] = None) -> None:
        self.wheel = wheel
        self.scheme = scheme
        self.tree = tree
        self.only = only
        self.rows: List[record.Row] = []
        self._taken: Dict[str, str] = {}
        self._sources: Dict[str, str] = {}
        self._prefixes = {kind: os.path.relpath(folder, wheel.root) + "/" for kind, folder in wheel.folders.items()}
        for kind in ("purelib", "platlib"):
            if wheel.folders[kind] == wheel.root:
                self._prefixes[kind] = ""
        self._prefixes[""] = ""

    def members(self) -> None:
        wheel, archive = self.wheel, self.wheel.archive
        recorded = wheel.recorded()
        folders = {**wheel.folders, "": wheel.root}
        generated = {entry.name for entry in wheel.entry_points}
        for name, info in archive.members.items():
            kind, path = wheel.locate(name)
            target = folders[kind] + "/" + path
            self._check_place(target, name)
            if (kind == "scripts" and path in generated) or _ours(name, wheel.dist_info):
                continue
            self._claim(target, name)
            mtime: Stamp = None
            if path.endswith(".py") and kind in ("", "purelib", "platlib"):
                mtime = timestamp(info)
                self._sources[path] = folders[kind]
            chunks, row = archive.chunks(info), recorded.get(name)
            if kind == "scripts":
                chunks, row = scripts.rewriting(chunks, self.scheme.python), None
            measured = record.Measured(chunks)
            executable = kind == "scripts" or bool(info.external_attr >> 16 & 0o111)
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
        """Compiled files beside their sources; those without one are passed over."""
        for name, info in archive.members.items():
            folder = self._sources.get(source_of(name))
            if folder is None or folder + "/" + name in self._taken:
                continue
            self._claim(folder + "/" + name, name)
            self._write(folder + "/" + name, archive.chunks(info))
            self._row_of_bytecode(folder, name)

    def compiled(self) -> None:
        """Bytecode for the modules that have none yet, where they compile."""
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

    def _row_of_bytecode(self, folder: str, name: str) -> None:
        prefix = "" if folder == self.wheel.root else os.path.relpath(folder, self.wheel.root) + "/"
        self.rows.append((prefix + name, "", ""))

    def _write(self, path: str, chunks: Iterator[bytes], *, executable: bool = False, mtime: Stamp = None) -> None:
        if self.only is None or path in self.only:
            self.tree.write(path, chunks, executable=executable, mtime=mtime)

    def _check_place(self, path: str, name: str) -> None:
        """BundleError for what would be a part of the virtualenv, or of the metadata of whatever distribution.

        Only the wheel's own .dist-info folder, where it stands in the wheel, makes metadata.
        """
        place = path[len(self.scheme.root) + 1 :]
        if environment.is_own(place):
            raise self.wheel.archive.damaged("%s would overwrite %s, which belongs to the virtualenv" % (name, place))
        for site in (self.scheme.purelib, self.scheme.platlib):
            if path.startswith(site + "/"):
                folder = path[len(site) + 1 :].partition("/")[0]
                if folder.lower().endswith(".dist-info") and not name.startswith(self.wheel.dist_info + "/"):
                    raise self.wheel.archive.damaged("%s would be metadata of a distribution" % name)

    def _claim(self, path: str, name: str) -> None:
        """One wheel must not have two files for one place."""
        if path in self._taken:
            raise self.wheel.archive.damaged("%s and %s would be one file" % (self._taken[path], name))
        self._taken[path] = name


def timestamp(info: zipfile.ZipInfo) -> Stamp:
    """A member's time, taken as UTC; bytecode is compiled for it. None if it is no date."""
    try:
        return calendar.timegm((*info.date_time, 0, 0, 0))
    except ValueError:
        return None


def source_of(bytecode: str) -> str:
    """``a/__pycache__/b.cpython-311.pyc`` -> ``a/b.py``; empty if it is not such a path."""
    match = re.fullmatch(r"((?:.*/)?)__pycache__/([^/]+)\.[^./]+\.pyc", bytecode, re.DOTALL)
    return match.group(1) + match.group(2) + ".py" if match else ""


def _ours(name: str, dist_info: str) -> bool:
    return name.startswith(dist_info + "/") and name[len(dist_info) + 1 :] in _OURS


def _header(text: str) -> Dict[str, str]:
    """First value of each key of a message's header, keys in lower case; continuation lines do not matter here."""
    found: Dict[str, str] = {}
    for line in text.splitlines():
        if not line:
            break
        key, colon, value = line.partition(":")
        if colon:
            found.setdefault(key.strip().lower(), value.strip())
    return found
