"""Contents: what a finished bundle of any format holds, gathered in one pass over it, without unpacking it.

Of most files only the hash is kept. Wheels and their bytecode are put into a temporary folder, one at a time, and
looked into there. What no bundle may hold becomes a finding: a line that begins with the name it is about.
"""

from __future__ import annotations

import os
import posixpath
import shutil
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from platter_setuptools.ground.errors import ArchiveError, WheelError
from platter_setuptools.ground.files import sha256_of, sha256_of_file
from platter_setuptools.ground.values import Origin
from platter_setuptools.payload import checksums, untrusted
from platter_setuptools.payload.archive import Archive
from platter_setuptools.payload.errors import BundleError
from platter_setuptools.payload.names import relative
from platter_setuptools.payload.wheel import timestamp
from platter_setuptools.steps.bundle.entries import Entry, Kind, open_bundle
from platter_setuptools.steps.bundle.members import Member, from_bytes
from platter_setuptools.steps.bundle.sbom import FILE as BILL
from platter_setuptools.steps.foreign.compile import installed_name
from platter_setuptools.steps.wheels.check import Described
from platter_setuptools.steps.wheels.soundness import Places, examine
from platter_setuptools.steps.wheels.wheelfile import describe, open_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

_MARKS = ("info.json", checksums.FILE)  # what has neither is no bundle
LOCK, REQUIREMENTS = "data/pylock.toml", "data/requirements.txt"
_KEPT = {*_MARKS, checksums.SIGNATURE, "PACKAGE", "VERSION", "PLATFORM", "post-install.sh", LOCK, REQUIREMENTS, BILL}
_LISTS = {checksums.FILE, BILL}
_HINT = "do not use it; build it again from sources that you trust"
_HEADER = struct.Struct("<4s3I")  # of a .pyc with a time stamp (PEP 552): magic number, flags, time, size

Module = tuple[str, int, int, int]  # magic number (hexadecimal), flags, time and size of the source


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelInside:
    """A wheel in a bundle. `modules` are its .py files below site-packages, with their time and size."""

    described: Described
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
    findings: list[str] = field(default_factory=list)


def read_contents(path: Path, work: Path) -> Contents:
    """Read a bundle to its end. Raises ArchiveError for what is none; one that breaks off has a finding."""
    contents = Contents()
    try:
        with open_bundle(path) as entries:
            for entry in entries:
                _take(entry, contents, work)
    except ArchiveError as error:
        if not contents.members.keys() & set(_MARKS):
            raise
        contents.findings.append(error.message)
    if not contents.members.keys() & set(_MARKS):
        raise ArchiveError(
            f"{path} is no bundle: it has neither {' nor '.join(_MARKS)}", hint="name a bundle that platter built"
        )
    return contents


def _take(entry: Entry, contents: Contents, work: Path) -> None:
    top, _, name = entry.name.partition("/")
    contents.top = contents.top or top
    if finding := _impossible(entry, top, name, contents):
        contents.findings.append(f"{entry.name}: {finding}")
        return
    contents.findings += _odd(entry, name)
    if name:
        contents.members[name] = _member(entry, name, contents, work)
    if len(contents.members) > untrusted.FILES:
        raise ArchiveError(f"it holds more than {untrusted.FILES} files", hint=_HINT)


def _impossible(entry: Entry, top: str, name: str, contents: Contents) -> str:
    """Why an entry cannot be unpacked as it should; empty if it can."""
    try:
        relative(entry.name, "")
    except BundleError:
        return "the name could leave its folder"
    if top != contents.top or not (name or entry.kind is Kind.FOLDER):
        return "lies outside of the bundle's one folder"
    if name in contents.members:
        return "is in it twice"
    if entry.kind is Kind.OTHER:
        return "is neither a file nor a folder nor a symbolic link"
    folders = (contents.members.get(folder) for folder in above(name))
    return "lies in what is no folder" if any(folder and not folder.is_folder for folder in folders) else ""


def above(name: str) -> Iterator[str]:
    """The folders that a name lies in, the innermost first."""
    while name := posixpath.dirname(name):
        yield name


def _odd(entry: Entry, name: str) -> Iterator[str]:
    """What differs from how we write an entry of this name."""
    files = {0o755} if name in {"install.sh", "post-install.sh"} else {0o644, 0o755}
    expected = {Kind.FOLDER: {0o755}, Kind.LINK: {0o777}, Kind.FILE: files}[entry.kind]
    if entry.mode is not None and entry.mode not in expected:
        wanted = " or ".join(f"{mode:04o}" for mode in sorted(expected))
        yield f"{entry.name}: its mode is {entry.mode:04o} instead of {wanted}"
    if not entry.anonymous:
        yield f"{entry.name}: its owner is not 0, or has a name"
    end = posixpath.normpath(posixpath.join(posixpath.dirname(name), entry.link))
    if entry.kind is Kind.LINK and (entry.link.startswith("/") or f"{end}/".startswith("../")):
        yield f"{entry.name}: the link leads out of the bundle ({entry.link})"


def _member(entry: Entry, name: str, contents: Contents, work: Path) -> Member:
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
        if (folder, base[-4:]) in {("data", ".whl"), ("data/bytecode", ".zip")}:
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
        else:
            contents.bytecode[name], contents.bytecode_sizes[name] = _bytecode(path, sha256, name)
    except WheelError as error:
        contents.findings.append(error.message)
    finally:
        path.unlink(missing_ok=True)
    return Member(name=name, content=b"", sha256=sha256, size=size)


def _wheel(path: Path, sha256: str) -> WheelInside:
    wheel = open_wheel(path, Origin.STORE, sha256=sha256)
    places, described = examine(wheel), Described(wheel=wheel, description=describe(wheel))
    with Archive(os.fspath(path)) as archive:
        named = ((installed_name(one), info) for one, info in archive.members.items())
        modules = {name: (timestamp(info), info.file_size) for name, info in named if name and name.endswith(".py")}
    return WheelInside(described=described, places=places, modules=modules)


def _bytecode(path: Path, sha256: str, name: str) -> tuple[dict[str, Module], int]:
    """The modules, and what they take unpacked."""
    found, total = {}, 0
    try:
        with Archive(os.fspath(path), sha256) as archive:
            for member, info in archive.members.items():
                start = b""
                for chunk in archive.chunks(info):  # to its end, where its checksum is compared
                    start = start or chunk[: _HEADER.size]
                magic, flags, time, size = _HEADER.unpack(start)
                found[member] = (magic.hex(), flags, time, size)
                total += info.file_size
    except (BundleError, struct.error) as error:
        reason = error.message.removeprefix(f"{path}: ") if isinstance(error, BundleError) else "a module is cut off"
        raise WheelError(f"{name}: cannot be read as bytecode: {reason}", hint="build the bundle again") from error
    return found, total
