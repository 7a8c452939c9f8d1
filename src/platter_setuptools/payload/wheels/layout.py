"""The layout of a wheel: its metadata, and where its files belong (PyPA specification "Binary distribution format")."""

import csv
import os
from typing import Dict, Tuple

from ..install.environment import Scheme
from ..names import is_project, is_version, normalised
from ..untrusted import METADATA
from . import record, scripts
from .archive import Archive

_DATA_KEYS = ("purelib", "platlib", "scripts", "headers", "data")


class Wheel:
    """An opened wheel: its members and their destinations."""

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

    def commands(self, version: Tuple[int, int]) -> Tuple[scripts.EntryPoint, ...]:
        """Its entry points; pip's have the version of Python in their names."""
        is_pip = normalised(self.name) == "pip"
        return scripts.with_pip_names(self.entry_points, version) if is_pip else self.entry_points

    def locate(self, name: str) -> Tuple[str, str]:
        """Return the kind (a key of `*.data`, or empty for the root) and the path relative to that kind's folder."""
        if not name.startswith(self._data):
            return "", name
        kind, _, path = name[len(self._data) :].partition("/")
        if kind not in _DATA_KEYS or not path:
            raise self.archive.damaged("%s belongs to no known part of an installation" % name)
        return kind, path

    def recorded(self) -> Dict[str, record.Row]:
        try:
            name = self.dist_info + "/RECORD"
            if name not in self.archive.members:
                raise self.archive.damaged("%s is missing" % name)
            return self.archive.rows(name)
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


def _header(text: str) -> Dict[str, str]:
    """Return the first value of each key of a message's header, keys in lower case, without continuation lines."""
    found: Dict[str, str] = {}
    for line in text.splitlines():
        if not line:
            break
        key, colon, value = line.partition(":")
        if colon:
            found.setdefault(key.strip().lower(), value.strip())
    return found
