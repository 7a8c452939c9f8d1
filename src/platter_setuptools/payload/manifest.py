"""info.json: what the bundle says about itself. Foreign data becomes typed values here, once.

`platter verify` and `platter inspect` ask these functions too, so that they pass what the installer passes.
"""

import os
import re
from typing import Any, Dict, NamedTuple, Optional, Set, Tuple

from . import checksums, specifiers, tags, untrusted
from .errors import BundleError
from .names import is_project, normalised, relative
from .table import HINT, Table

FILE = "info.json"
FORMAT = 1
# What `git describe --always --dirty` says: a commit (SHA-1 or SHA-256), and whether tracked files differ from it.
_REVISION = re.compile("(?:[0-9a-f]{40}|[0-9a-f]{64})(?:-dirty)?")
_IMPLEMENTATION = re.compile(r"[a-z][a-z0-9]{0,31}", re.ASCII)
_PYTHON = re.compile(r"[0-9]{1,2}\.[0-9]{1,2}", re.ASCII)
_TAG = re.compile(r"\w[\w.-]{0,199}", re.ASCII)
_HEXADECIMAL = re.compile(r"([0-9a-f]{2}){1,32}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_LIBC = re.compile(r"(glibc [0-9]{1,3}\.[0-9]{1,3}|musl)?", re.ASCII)
_BYTECODE = re.compile(r"bytecode/[^/]+\.zip")
# What install.sh reads, which knows no JSON: the first line of this form.
_PYTHON_LINE = re.compile(r'^  "python": ".*?"', re.MULTILINE)


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
    """One wheel; paths are relative to the bundle's data folder; ``size`` of the file and others are in bytes.

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
    size: int = 0
    installed_files: int = 0


class Manifest(NamedTuple):
    """``extras`` are those of the project that are bundled; ``excluded`` what was left out by name.

    ``revision`` is the git commit that the project was built from, followed by ``-dirty`` where tracked files had
    changes; empty if it was not recorded.
    ``system_site_packages``: the virtualenv finds the packages of its base Python, after its own.
    ``case_sensitive``: names of files differ only in case, which the filesystem has to keep apart.
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
    case_sensitive: bool = False

    @property
    def title(self) -> str:
        return "%s %s" % (self.name, self.version)


def read_verified(bundle: str, sums: Dict[str, str]) -> Manifest:
    """The manifest, after its file has been compared with SHA256SUMS, and it with that."""
    checksums.verify_file(bundle, sums, FILE)
    plan = read(bundle)
    for one in plan.wheels:
        for name, sha256 in ((one.file, one.sha256), (one.bytecode, "")):
            listed = sums.get("data/%s" % name)
            if name is not None and (listed is None or sha256 not in ("", listed)):
                what = "%s is not listed in %s" if listed is None else "%s has another hash in %s"
                raise BundleError("%s: %s" % (os.path.join(bundle, FILE), what % (name, checksums.FILE)), hint=HINT)
    return plan


def read(bundle: str) -> Manifest:
    path = os.path.join(bundle, FILE)
    try:
        content = untrusted.read_file(path, untrusted.TEXT)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise BundleError("%s cannot be read: %s" % (path, reason), hint="copy the bundle here again") from error
    return load(content, path)


def load(content: bytes, path: str = FILE) -> Manifest:
    """Manifest from the file's content."""
    try:
        data = untrusted.parse_json(untrusted.within(content, untrusted.TEXT))
    except ValueError as error:
        raise BundleError("%s cannot be read: %s" % (path, error), hint=HINT) from error
    plan = parse(data, path)
    line = _PYTHON_LINE.search(content.decode("utf-8"))
    if line is None or line.group() != '  "python": "%s"' % data["python"]:
        raise BundleError("%s: python: expected it on a line of its own" % path, hint=HINT)
    return plan


def parse(data: Any, path: str = FILE) -> Manifest:
    """Manifest from decoded JSON; BundleError carries the path of the offending key."""
    top = Table(data, path)
    if top.get("format", int) != FORMAT:
        raise BundleError(
            "%s: format %d is not known here, only %d" % (path, data["format"], FORMAT),
            hint="use the install.sh that came with this bundle",
        )
    plan = Manifest(
        name=top.project("name"),
        version=top.version("version"),
        platform=top.matching("platform", _TAG),
        requires_python=top.optional("requires_python", str),
        targets=tuple(_target(table) for table in top.tables("targets")),
        wheels=tuple(_wheel(table) for table in top.tables("wheels")),
        installed_size=top.number("installed_size"),
        installed_files=top.number("installed_files"),
        created_by=top.optional("created_by", str) or "",
        extras=top.strings("extras"),
        excluded=top.strings("excluded"),
        revision=_revision(top),
        overrides=tuple(_override(table) for table in top.tables("overrides")) if "overrides" in top.data else (),
        system_site_packages=top.optional("system_site_packages", bool) or False,
        case_sensitive=top.optional("case_sensitive", bool) or False,
    )
    _check(plan, top)
    return plan


def _check(plan: Manifest, top: "Table") -> None:
    """What values have to do with each other."""
    seen: Set[str] = set()
    for name in (normalised(wheel.name) for wheel in plan.wheels):
        if name in seen:
            raise BundleError("%s: %s is bundled twice" % (top.where, name), hint=HINT)
        seen.add(name)
    if not plan.targets:
        raise BundleError("%s: targets is empty" % top.where, hint=HINT)
    if top.matching("python", _PYTHON) not in [target.python for target in plan.targets]:
        raise top.unexpected("python", "the Python of a target")
    if plan.requires_python and not specifiers.valid(plan.requires_python):
        raise top.unexpected("requires_python", "version specifiers (PEP 440)")
    for key, names in (("extras", plan.extras), ("excluded", plan.excluded)):
        if not all(map(is_project, names)):
            raise top.unexpected(key, "names (PEP 508)")
    for key, sum_ in (
        ("installed_size", sum(wheel.installed_size for wheel in plan.wheels)),
        ("installed_files", sum(wheel.installed_files for wheel in plan.wheels)),
    ):
        if getattr(plan, key) != sum_:
            raise top.unexpected(key, "%d, the sum of the wheels'" % sum_)


def is_revision(text: str) -> bool:
    return _REVISION.fullmatch(text) is not None


def _revision(top: "Table") -> str:
    revision = top.optional("revision", str) or ""
    if revision and not is_revision(revision):
        raise top.unexpected("revision", "a git commit")
    return revision


def _wheel(table: "Table") -> BundledWheel:
    bytecode = table.optional("bytecode", str)
    file = relative(table.get("file", str), table.where + ": file")
    name = table.project("name")
    if "/" in file or not file.endswith(".whl") or not tags.of_wheel(file):
        raise table.unexpected("file", "a wheel's name")
    if normalised(file.split("-")[0]) != normalised(name):
        raise table.unexpected("file", "a wheel of %s" % name)
    if bytecode is not None and not _BYTECODE.fullmatch(relative(bytecode, table.where)):
        raise table.unexpected("bytecode", "a zip file's path")
    return BundledWheel(
        file=file,
        name=name,
        version=table.version("version"),
        sha256=table.matching("sha256", _SHA256),
        installed_size=table.number("installed_size"),
        requested=table.get("requested", bool),
        bytecode=bytecode,
        libc=table.matching("libc", _LIBC) if table.data.get("libc") is not None else "",
        libraries=table.strings("libraries"),
        size=table.number("size"),
        installed_files=table.number("installed_files"),
    )


def _override(table: "Table") -> Override:
    return Override(
        of=table.optional("of", str),
        version=table.optional("version", str),
        name=table.optional("name", str),
        instead=table.strings("instead"),
    )


def _target(table: "Table") -> Target:
    return Target(
        implementation=table.matching("implementation", _IMPLEMENTATION),
        python=table.matching("python", _PYTHON),
        abi=table.matching("abi", _TAG),
        platform=table.matching("platform", _TAG),
        cache_tag=table.matching("cache_tag", _TAG),
        magic=table.matching("magic", _HEXADECIMAL),
        debug=table.get("debug", bool),
        free_threaded=table.get("free_threaded", bool),
    )
