"""Read the contents of a finished bundle of any format, in one pass, without unpacking it.

Most files are only hashed. Wheels and their bytecode are put into a temporary folder, one at a time, and analysed
there. What a bundle must not contain becomes a finding: a line that begins with the name of the file.
"""

from __future__ import annotations

import csv
import hashlib
import os
import posixpath
import shutil
import struct
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from platter_setuptools._in_process.compile import RECORD, installed_name
from platter_setuptools.bundle.members import Member, from_bytes
from platter_setuptools.bundle.sbom import FILE as BILL
from platter_setuptools.errors import ArchiveError, WheelError
from platter_setuptools.inspect.archive_reader import Entry, Kind, impossible, open_bundle
from platter_setuptools.inspect.interpreter import InterpreterInside, read_interpreter
from platter_setuptools.payload import checksums, thin, untrusted
from platter_setuptools.payload.errors import BundleError
from platter_setuptools.payload.install.activation_scripts import NAMES as SCRIPTS
from platter_setuptools.payload.run_file import RunFile
from platter_setuptools.payload.wheels import record
from platter_setuptools.payload.wheels.archive import Archive, timestamp
from platter_setuptools.runtime.files import sha256_of, sha256_of_file
from platter_setuptools.values import Origin
from platter_setuptools.wheels.check import WheelWithMetadata
from platter_setuptools.wheels.metadata import describe, open_wheel
from platter_setuptools.wheels.record_check import Places, examine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

_MARKS = ("info.json", checksums.FILE)  # a bundle has at least one of these
LOCK, REQUIREMENTS = "data/pylock.toml", "data/requirements.txt"
_KEPT = {
    *_MARKS,
    checksums.SIGNATURE,
    "PACKAGE",
    "VERSION",
    "PLATFORM",
    "post-install.sh",
    *SCRIPTS,
    LOCK,
    REQUIREMENTS,
    BILL,
    thin.FILE,
}
_LISTS = {checksums.FILE, BILL, thin.FILE}
_HINT = "do not use it; build it again from sources that you trust"
_HEADER = struct.Struct("<4s3I")  # of a .pyc with a time stamp (PEP 552): magic number, flags, time, size

Module = tuple[str, int, int, int]  # magic number (hexadecimal), flags, time and size of the source


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelInside:
    """A wheel in a bundle. `modules` are its .py files below site-packages, with their time and size."""

    described: WheelWithMetadata
    places: Places
    modules: dict[str, tuple[int | None, int]]


@dataclass(slots=True)
class Contents:
    """Everything in a bundle, by its name relative to the one folder `top`."""

    top: str = ""
    members: dict[str, Member] = field(default_factory=dict)  # files without their content
    texts: dict[str, bytes] = field(default_factory=dict)
    wheels: dict[str, WheelInside] = field(default_factory=dict)
    bytecode: dict[str, dict[str, Module]] = field(default_factory=dict)
    bytecode_sizes: dict[str, int] = field(default_factory=dict)  # bytes, unpacked
    bytecode_records: dict[str, str] = field(default_factory=dict)  # SHA-256 of their RECORD, if they have one
    interpreters: dict[str, InterpreterInside] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)


def read_contents(path: Path, work: Path) -> Contents:
    """Read a whole bundle. Raises ArchiveError if it is not a bundle; a truncated one has a finding."""
    contents = Contents()
    try:
        with open_bundle(path) as entries:
            for entry in entries:
                _take(entry, contents, work)
        contents.findings += _script(path)
    except ArchiveError as error:
        if not contents.members.keys() & set(_MARKS):
            raise
        contents.findings.append(error.message)
    if not contents.members.keys() & set(_MARKS):
        raise ArchiveError(
            f"{path} is not a bundle: it has neither {' nor '.join(_MARKS)}", hint="name a bundle that platter built"
        )
    return contents


def _script(path: Path) -> Iterator[str]:
    """Yield what is wrong with the script of a `.run`: it must be install.sh, told where files lie."""
    if path.is_dir():
        return
    with path.open("rb") as file:
        if file.read(2) != b"#!":
            return
    try:
        RunFile(os.fspath(path))
    except BundleError as error:
        yield error.message.removeprefix(f"{path}: ")


def _take(entry: Entry, contents: Contents, work: Path) -> None:
    name = entry.inside
    contents.top = contents.top or entry.name.partition("/")[0]
    if finding := impossible(entry, contents.top, contents.members):
        contents.findings.append(f"{entry.name}: {finding}")
        return
    contents.findings += _odd(entry)
    if name:
        contents.members[name] = _member(entry, contents, work)
    if len(contents.members) > untrusted.FILES:
        raise ArchiveError(f"it holds more than {untrusted.FILES} files", hint=_HINT)


def _odd(entry: Entry) -> Iterator[str]:
    """Yield what differs from the entry that a build writes."""
    name = entry.inside
    files = {0o755} if name in {"install.sh", "post-install.sh", *SCRIPTS} else {0o644, 0o755}
    expected = {Kind.FOLDER: {0o755}, Kind.LINK: {0o777}, Kind.FILE: files}[entry.kind]
    if entry.mode is not None and entry.mode not in expected:
        wanted = " or ".join(f"{mode:04o}" for mode in sorted(expected))
        yield f"{entry.name}: its mode is {entry.mode:04o} instead of {wanted}"
    if not entry.anonymous:
        yield f"{entry.name}: its owner is not 0, or has a name"
    end = posixpath.normpath(posixpath.join(posixpath.dirname(name), entry.link))
    if entry.kind is Kind.LINK and (entry.link.startswith("/") or f"{end}/".startswith("../")):
        yield f"{entry.name}: the link leads out of the bundle ({entry.link})"


def _member(entry: Entry, contents: Contents, work: Path) -> Member:
    name = entry.inside
    if entry.kind is not Kind.FILE:
        return Member(name=name, link=entry.link if entry.kind is Kind.LINK else None)
    folder, base = posixpath.split(name)
    with entry.open() as source:
        if name in _KEPT or base == "direct_url.json":
            limit = untrusted.LIST if name in _LISTS else untrusted.TEXT
            text = source.read(limit + 1)
            if len(text) > limit:
                raise ArchiveError(f"{entry.name} is longer than {limit} bytes", hint=_HINT)
            contents.texts[name] = text
            return from_bytes(name, text)
        if (folder, base[-4:]) in {("data", ".whl"), ("data/bytecode", ".zip")} or thin.kind_of(
            name
        ) == thin.INTERPRETER:
            return _look_into(source, name, contents, work)
        sha256, size = sha256_of(source)
    return Member(name=name, content=b"", sha256=sha256, size=size)


def _look_into(source: BinaryIO, name: str, contents: Contents, work: Path) -> Member:
    path = work / posixpath.basename(name)
    try:
        with path.open("wb") as file:
            shutil.copyfileobj(source, file, 1 << 20)
        sha256, size = sha256_of_file(path)
        if name.endswith(".whl"):
            contents.wheels[name] = _wheel(path, sha256)
        elif thin.kind_of(name) == thin.INTERPRETER:
            contents.interpreters[name] = read_interpreter(path, name)
        else:
            contents.bytecode[name], contents.bytecode_sizes[name], contents.bytecode_records[name] = _bytecode(
                path, sha256, name
            )
    except WheelError as error:
        contents.findings.append(error.message)
    finally:
        path.unlink(missing_ok=True)
    return Member(name=name, content=b"", sha256=sha256, size=size)


def _wheel(path: Path, sha256: str) -> WheelInside:
    wheel = open_wheel(path, Origin.STORE, sha256=sha256)
    places, described = examine(wheel), WheelWithMetadata(wheel=wheel, description=describe(wheel))
    with Archive(os.fspath(path)) as archive:
        named = ((installed_name(one), info) for one, info in archive.members.items())
        modules = {name: (timestamp(info), info.file_size) for name, info in named if name and name.endswith(".py")}
    return WheelInside(described=described, places=places, modules=modules)


def _bytecode(path: Path, sha256: str, name: str) -> tuple[dict[str, Module], int, str]:
    """Return the modules, their unpacked size in bytes, and the SHA-256 of their RECORD, empty without one."""
    content: bytes | None = None
    found, total, rows = dict[str, Module](), 0, dict[str, record.Row]()
    try:
        with Archive(os.fspath(path), sha256) as archive:
            for member, info in archive.members.items():
                if member == RECORD:
                    content = archive.read(info, untrusted.LIST)
                    continue
                start, measured = b"", record.Measured(archive.chunks(info))
                for chunk in measured:  # to the end, where its checksum is compared
                    start = start or chunk[: _HEADER.size]
                magic, flags, time, size = _HEADER.unpack(start)
                found[member] = (sys.intern(magic.hex()), flags, time, size)
                total += info.file_size
                rows[member] = measured.row(member)
        if content is not None and record.parse(content) != rows:
            raise WheelError(f"{name}: its RECORD is not of its modules", hint="build the bundle again")
    except (BundleError, struct.error, csv.Error) as error:
        reason = error.message.removeprefix(f"{path}: ") if isinstance(error, BundleError) else "a module is cut off"
        raise WheelError(f"{name}: cannot be read as bytecode: {reason}", hint="build the bundle again") from error
    return found, total, hashlib.sha256(content).hexdigest() if content is not None else ""
