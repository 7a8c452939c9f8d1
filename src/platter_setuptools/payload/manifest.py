"""info.json: the bundle's metadata, read once into typed and checked values.

`platter verify` and `platter inspect` use these functions, too, so that they accept exactly what the installer accepts.
"""

import os
import re
from typing import Any, Dict, Iterable, NamedTuple, Optional, Set, Tuple

from . import bundle_files, checksums, interpreter, shared_paths, specifiers, tags, untrusted
from .errors import BundleError
from .host import Host
from .interpreter import LIBC, Interpreter
from .names import is_project, normalised, relative
from .table import HINT, Table
from .target import BYTECODE, PYTHON, TAG, Bytecode, Target, best, pythons, read_target

FILE = "info.json"
FORMAT = 1
# What `git describe --always --dirty` says: a commit (SHA-1 or SHA-256), and whether tracked files differ from it.
_REVISION = re.compile("(?:[0-9a-f]{40}|[0-9a-f]{64})(?:-dirty)?")
# What install.sh reads, which knows no JSON: the lines of this form before the targets.
_PYTHON_LINES = re.compile(r'^  "pythons?": ".*?"', re.MULTILINE)
_TARGETS_LINE = re.compile(r'^  "targets": ', re.MULTILINE)


class Override(NamedTuple):
    """Requirements that replace those for `name` in the metadata of `of`; None means all."""

    of: Optional[str]
    version: Optional[str]
    name: Optional[str]
    instead: Tuple[str, ...]


class BundledWheel(NamedTuple):
    """One wheel; paths are relative to the bundle's data folder; `size` of the file and others are in bytes.

    `libc` is the oldest libc that its compiled files work with, `glibc 2.34` or `musl`; `libraries` are the shared
    libraries that no wheel of the bundle contains. The last three are empty in bundles of older releases.
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
    record_sha256: str = ""
    executables_sha256: str = ""
    bytecode_record_sha256: str = ""


class Manifest(NamedTuple):
    """`extras` are the bundled ones of the project; `excluded` the distributions that were left out.

    `revision` is the git commit that the project was built from, followed by `-dirty` if tracked files had changes;
    empty if it was not recorded.
    `system_site_packages`: the virtualenv finds the packages of its base Python, after its own.
    `case_sensitive`: names of files differ only in case, so the filesystem must distinguish case.
    `shared`: see shared_paths.py.
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
    interpreter: Optional[Interpreter] = None
    shared: Tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return "%s %s" % (self.name, self.version)

    @property
    def files(self) -> Tuple[str, ...]:
        """Return the wheels, their bytecode for all targets, and the interpreter; paths in the bundle's data folder."""
        code = [one.bytecode for one in self.wheels if one.bytecode]
        code += [one.file for target in self.targets for one in target.bytecode]
        code += [self.interpreter.file] if self.interpreter else []
        return tuple(dict.fromkeys([*(one.file for one in self.wheels), *code]))

    def for_host(self, host: Host) -> "Manifest":
        """Return what concerns the target that this host is, or comes closest to."""
        return self.for_target(best(self.targets, host))

    def for_target(self, target: Target) -> "Manifest":
        """Return what concerns one target, which is the first of `targets` then: its wheels, with its bytecode."""
        if len(self.targets) == 1:
            return self
        known, code = {wheel.file: wheel for wheel in self.wheels}, {one.wheel: one for one in target.bytecode}
        wheels = tuple(_with_bytecode(known[file], code.get(file)) for file in target.wheels)
        return self._replace(
            targets=(target, *(one for one in self.targets if one is not target)),
            requires_python=target.requires_python,
            wheels=wheels,
            installed_size=sum(wheel.installed_size for wheel in wheels),
            installed_files=sum(wheel.installed_files for wheel in wheels),
        )


def _with_bytecode(wheel: BundledWheel, bytecode: Optional[Bytecode]) -> BundledWheel:
    if bytecode is None:
        return wheel
    return wheel._replace(
        bytecode=bytecode.file,
        bytecode_record_sha256=bytecode.record_sha256,
        installed_size=wheel.installed_size + bytecode.installed_size,
        installed_files=wheel.installed_files + bytecode.installed_files,
    )


def read_verified(bundle: str, sums: Dict[str, str]) -> Manifest:
    """Return the manifest, after comparing SHA256SUMS with its hash and the file with SHA256SUMS."""
    checksums.verify_file(bundle, sums, FILE)
    plan = read(bundle)
    known = {one.file: one.sha256 for one in plan.wheels}
    if plan.interpreter:
        known[plan.interpreter.file] = plan.interpreter.sha256
    for name in plan.files:
        listed = sums.get("data/%s" % name)
        if listed is None or known.get(name, listed) != listed:
            what = "%s is not listed in %s" if listed is None else "%s has another hash in %s"
            raise BundleError("%s: %s" % (os.path.join(bundle, FILE), what % (name, checksums.FILE)), hint=HINT)
    return plan


def read(bundle: str) -> Manifest:
    return load(bundle_files.read(bundle, FILE, untrusted.TEXT), os.path.join(bundle, FILE))


def load(content: bytes, path: str = FILE) -> Manifest:
    """Return the manifest from the file's content."""
    try:
        data = untrusted.parse_json(untrusted.within(content, untrusted.TEXT))
    except ValueError as error:
        raise BundleError("%s cannot be read: %s" % (path, error), hint=HINT) from error
    plan = parse(data, path)
    before = _TARGETS_LINE.split(content.decode("utf-8"))[0]
    wanted = ['  "%s": "%s"' % (key, data[key]) for key in ("python", "pythons") if key in data]
    if _PYTHON_LINES.findall(before) != wanted:
        keys = " and ".join(key for key in ("python", "pythons") if key in data)
        raise BundleError("%s: %s: expected it on a line of its own" % (path, keys), hint=HINT)
    interpreter.check_lines(plan.interpreter, before, path)
    return plan


def parse(data: Any, path: str = FILE) -> Manifest:
    """Return the manifest from decoded JSON. Raises BundleError with the path of the wrong key."""
    top = Table(data, path)
    if top.get("format", int) != FORMAT:
        raise BundleError(
            "%s: format %d is not known here, only %d" % (path, data["format"], FORMAT),
            hint="use the install.sh that came with this bundle",
        )
    plan = Manifest(
        name=top.project("name"),
        version=top.version("version"),
        platform=top.matching("platform", TAG),
        requires_python=top.optional("requires_python", str),
        targets=tuple(read_target(table) for table in top.tables("targets")),
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
        interpreter=interpreter.read(top),
        shared=shared_paths.read(top),
    )
    _check(plan, top)
    return plan


def _check(plan: Manifest, top: "Table") -> None:
    """Check how values depend on each other."""
    if not plan.targets:
        raise BundleError("%s: targets is empty" % top.where, hint=HINT)
    if len(plan.targets) > 1:
        _check_targets(plan, top)
    _check_names([wheel.name for wheel in plan.for_target(plan.targets[0]).wheels], top.where)
    if top.matching("python", PYTHON) not in [target.python for target in plan.targets]:
        raise top.unexpected("python", "the Python of a target")
    if (len(plan.targets) > 1 or "pythons" in top.data) and top.data.get("pythons") != pythons(plan.targets):
        raise top.unexpected("pythons", repr(pythons(plan.targets)))
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


def _check_names(names: Iterable[str], where: str) -> None:
    seen: Set[str] = set()
    for name in map(normalised, names):
        if name in seen:
            raise BundleError("%s: %s is bundled twice" % (where, name), hint=HINT)
        seen.add(name)


def _check_targets(plan: Manifest, top: "Table") -> None:
    """Check that the targets name the wheels of the bundle, and no others."""
    files = [wheel.file for wheel in plan.wheels]
    names = {wheel.file: wheel.name for wheel in plan.wheels}
    if len(names) < len(files):
        raise BundleError("%s: wheels: a file is named twice" % top.where, hint=HINT)
    for number, target in enumerate(plan.targets):
        where = "%s: targets[%d]" % (top.where, number)
        others = set(target.wheels) - names.keys() | {one.wheel for one in target.bytecode} - set(target.wheels)
        if others or not target.wheels:
            what = "%s is not among its wheels" % min(others) if others else "it has no wheels"
            raise BundleError("%s: %s" % (where, what), hint=HINT)
        _check_names([names[file] for file in target.wheels], where)
    if untaken := names.keys() - {file for target in plan.targets for file in target.wheels}:
        raise BundleError("%s: no target takes %s" % (top.where, min(untaken)), hint=HINT)
    if len({target.id for target in plan.targets}) < len(plan.targets):
        raise BundleError("%s: a target is named twice" % top.where, hint=HINT)


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
    if bytecode is not None and not BYTECODE.fullmatch(relative(bytecode, table.where)):
        raise table.unexpected("bytecode", "a zip file's path")
    return BundledWheel(
        file=file,
        name=name,
        version=table.version("version"),
        sha256=table.sha256("sha256"),
        installed_size=table.number("installed_size"),
        requested=table.get("requested", bool),
        bytecode=bytecode,
        libc=table.matching("libc", LIBC) if table.data.get("libc") is not None else "",
        libraries=table.strings("libraries"),
        size=table.number("size"),
        installed_files=table.number("installed_files"),
        record_sha256=table.sha256("record_sha256", optional=True),
        executables_sha256=table.sha256("executables_sha256", optional=True),
        bytecode_record_sha256=table.sha256("bytecode_record_sha256", optional=True),
    )


def _override(table: "Table") -> Override:
    return Override(
        of=table.optional("of", str),
        version=table.optional("version", str),
        name=table.optional("name", str),
        instead=table.strings("instead"),
    )
