"""info.json: what the bundle says about itself. Foreign data becomes typed values here, once."""

import json
import os
import re
from typing import Any, Dict, NamedTuple, Optional, Tuple, Type, TypeVar

from . import checksums
from .errors import BundleError
from .names import normalised, relative

FILE = "info.json"
FORMAT = 1
T = TypeVar("T")
# What `git describe --always --dirty` says: a commit (SHA-1 or SHA-256), and whether tracked files differ from it.
_REVISION = re.compile("(?:[0-9a-f]{40}|[0-9a-f]{64})(?:-dirty)?")


class Target(NamedTuple):
    """One interpreter and platform that the bundle serves."""

    implementation: str
    python: str
    abi: str
    platform: str
    cache_tag: str
    magic: str
    debug: bool
    free_threaded: bool


class Override(NamedTuple):
    """Requirements that count instead of those for ``name`` which ``of`` states; None stands for all."""

    of: Optional[str]
    version: Optional[str]
    name: Optional[str]
    instead: Tuple[str, ...]


class BundledWheel(NamedTuple):
    """One wheel; paths are relative to the bundle's data folder, sizes are in bytes.

    ``libc`` is what its compiled files need at least, ``glibc 2.34`` or ``musl``; ``libraries`` are the shared ones
    that no wheel of the bundle brings.
    """

    file: str
    name: str
    version: str
    sha256: str
    installed_size: int
    requested: bool
    bytecode: Optional[str]
    libc: str = ""
    libraries: Tuple[str, ...] = ()


class Manifest(NamedTuple):
    """``extras`` are those of the project that are bundled; ``excluded`` what was left out by name.

    ``revision`` is the git commit that the project was built from, followed by ``-dirty`` where tracked files had
    changes; empty if it was not recorded.
    ``system_site_packages``: the virtualenv finds the packages of its base Python, after its own.
    """

    name: str
    version: str
    platform: str
    requires_python: Optional[str]
    targets: Tuple[Target, ...]
    wheels: Tuple[BundledWheel, ...]
    installed_size: int
    installed_files: int
    created_by: str = ""
    extras: Tuple[str, ...] = ()
    excluded: Tuple[str, ...] = ()
    revision: str = ""
    overrides: Tuple[Override, ...] = ()
    system_site_packages: bool = False

    @property
    def title(self) -> str:
        return "%s %s" % (self.name, self.version)


def read_verified(bundle: str, sums: Dict[str, str]) -> Manifest:
    """The manifest, after its file has been compared with SHA256SUMS."""
    checksums.verify_file(bundle, sums, FILE)
    return read(bundle)


def read(bundle: str) -> Manifest:
    path = os.path.join(bundle, FILE)
    try:
        with open(path, encoding="utf-8") as stream:
            data = json.load(stream)
    except (OSError, ValueError) as error:
        raise BundleError("%s cannot be read: %s" % (path, error)) from error
    return parse(data, path)


def parse(data: Any, path: str = FILE) -> Manifest:
    """Manifest from decoded JSON; BundleError carries the path of the offending key."""
    top = _Table(data, path)
    if top.get("format", int) != FORMAT:
        raise BundleError(
            "%s: format %r is not known here, only %d" % (path, data["format"], FORMAT),
            hint="use the install.sh that came with this bundle",
        )
    wheels = tuple(_wheel(table) for table in top.tables("wheels"))
    names = [normalised(wheel.name) for wheel in wheels]
    for name in names:
        if names.count(name) > 1:
            raise BundleError("%s: %s is bundled twice" % (path, name))
    targets = tuple(_target(table) for table in top.tables("targets"))
    if not targets:
        raise BundleError("%s: targets is empty" % path)
    return Manifest(
        name=top.get("name", str),
        version=top.get("version", str),
        platform=top.get("platform", str),
        requires_python=top.optional("requires_python", str),
        targets=targets,
        wheels=wheels,
        installed_size=top.get("installed_size", int),
        installed_files=top.get("installed_files", int),
        created_by=top.optional("created_by", str) or "",
        extras=top.strings("extras"),
        excluded=top.strings("excluded"),
        revision=_revision(top),
        overrides=tuple(_override(table) for table in top.tables("overrides")) if "overrides" in top.data else (),
        system_site_packages=top.optional("system_site_packages", bool) or False,
    )


def is_revision(text: str) -> bool:
    return _REVISION.fullmatch(text) is not None


def _revision(top: "_Table") -> str:
    revision = top.optional("revision", str) or ""
    if revision and not is_revision(revision):
        raise BundleError("%s: revision: expected a git commit, found %s" % (top.where, ascii(revision)))
    return revision


def _wheel(table: "_Table") -> BundledWheel:
    bytecode = table.optional("bytecode", str)
    file = table.get("file", str)
    if not file.endswith(".whl") or "/" in file:
        raise BundleError("%s.file: %r is not a wheel's name" % (table.where, file))
    return BundledWheel(
        file=relative(file, table.where),
        name=table.get("name", str),
        version=table.get("version", str),
        sha256=table.get("sha256", str),
        installed_size=table.get("installed_size", int),
        requested=table.get("requested", bool),
        bytecode=None if bytecode is None else relative(bytecode, table.where),
        libc=table.optional("libc", str) or "",
        libraries=table.strings("libraries"),
    )


def _override(table: "_Table") -> Override:
    return Override(
        of=table.optional("of", str),
        version=table.optional("version", str),
        name=table.optional("name", str),
        instead=table.strings("instead"),
    )


def _target(table: "_Table") -> Target:
    return Target(
        implementation=table.get("implementation", str),
        python=table.get("python", str),
        abi=table.get("abi", str),
        platform=table.get("platform", str),
        cache_tag=table.get("cache_tag", str),
        magic=table.get("magic", str),
        debug=table.get("debug", bool),
        free_threaded=table.get("free_threaded", bool),
    )


class _Table:
    """A JSON object that knows where it stands, for messages such as ``info.json: wheels[2].file: missing``."""

    def __init__(self, data: Any, where: str) -> None:
        if not isinstance(data, dict):
            raise BundleError("%s: not a JSON object" % where)
        self.data: Dict[str, Any] = data
        self.where = where

    def get(self, key: str, kind: Type[T]) -> T:
        value = self.data.get(key)
        # bool is an int to isinstance, but not to us.
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise BundleError("%s: %s: expected %s, found %r" % (self.where, key, kind.__name__, value))
        return value

    def optional(self, key: str, kind: Type[T]) -> Optional[T]:
        return None if self.data.get(key) is None else self.get(key, kind)

    def strings(self, key: str) -> Tuple[str, ...]:
        values = self.optional(key, list) or []
        if not all(isinstance(value, str) for value in values):
            raise BundleError("%s: %s: expected strings, found %r" % (self.where, key, values))
        return tuple(values)

    def tables(self, key: str) -> "Tuple[_Table, ...]":
        return tuple(
            _Table(item, "%s: %s[%d]" % (self.where, key, index)) for index, item in enumerate(self.get(key, list))
        )
