"""Read a wheel's metadata without installing it (PyPA specification: binary distribution format)."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.metadata import parse_email
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from platter_setuptools.errors import WheelError
from platter_setuptools.payload import tags
from platter_setuptools.payload.errors import BundleError
from platter_setuptools.payload.install.environment import Scheme
from platter_setuptools.payload.untrusted import LIST, TAGS
from platter_setuptools.payload.wheels import layout, record
from platter_setuptools.payload.wheels.archive import Archive
from platter_setuptools.payload.wheels.scripts import EntryPoint
from platter_setuptools.runtime.files import sha256_of_file
from platter_setuptools.urls import has_secret
from platter_setuptools.values import Origin, Wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from packaging.metadata import RawMetadata
    from packaging.tags import Tag

_T = TypeVar("_T", Requirement, SpecifierSet)

# A virtualenv for the installer's code, which writes nothing here.
ROOT = "/venv"
_SITE = f"{ROOT}/lib/python3.0/site-packages"
SCHEME = Scheme(ROOT, f"{ROOT}/bin/python", _SITE, _SITE, f"{ROOT}/bin", f"{ROOT}/include", ROOT)
_HINT = "do not ship it: fetch or build it again, or tell those who published it"
_LONGEST_LICENCE = 100  # characters
_MENDED = (
    (re.compile("[\"']"), ""),  # >= '2.7'
    (re.compile(r"([<>]=?|~=)(\s*\d+(?:\.\d+)*)(?:\.\*)+"), r"\1\2"),  # >=3.6.*
    (re.compile(r"~=(\s*\d+)(?![\d.])"), r"~=\1.0"),  # ~=3
    (re.compile(r">\s*dev"), ">0.0.0.dev0"),  # >dev
    (re.compile(r"(\d)\s*(?=[<>=!~])"), r"\1,"),  # >=2.7!=3.0
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What a wheel says of itself, and what it takes when it is installed."""

    name: str  # as its METADATA writes it
    requires_python: SpecifierSet | None
    requires: tuple[Requirement, ...]
    extras: tuple[str, ...]
    files: int
    size: int  # bytes, unpacked
    licence: str = ""  # an SPDX expression where it is one, else what the authors wrote
    scripts: tuple[EntryPoint, ...] = ()  # the commands that it installs
    repaired: tuple[tuple[str, str], ...] = ()  # specifiers that PEP 440 does not know, and what they were read as
    record_sha256: str = ""  # of its RECORD; empty unless that has a SHA-256 for every file
    executables_sha256: str = ""  # docs/format.md


def open_wheel(path: Path, origin: Origin, *, sha256: str | None = None) -> Wheel:
    """Return the Wheel at `path`; hash it unless its SHA-256 is known. Raise WheelError for a wrong file name."""
    try:
        if tags.count(path.name) > TAGS:
            raise InvalidWheelFilename(f"it stands for more than {TAGS} tags")  # noqa: TRY301 - told below
        name, version, _build, _tags = parse_wheel_filename(path.name)
    except InvalidWheelFilename as error:
        raise WheelError(
            f"{path.name} is no name for a wheel: {error}",
            hint="name it as its build backend did: NAME-VERSION-PYTHON-ABI-PLATFORM.whl",
        ) from error
    size = path.stat().st_size
    if sha256 is None:
        sha256, size = sha256_of_file(path)
    return Wheel(path=path, name=name, version=version, sha256=sha256, size=size, origin=origin)


def tags_of(wheel: Wheel) -> frozenset[Tag]:
    """Return the tags in the wheel's file name (PEP 425)."""
    return parse_wheel_filename(wheel.filename)[3]


@contextlib.contextmanager
def opened(wheel: Wheel, sha256: str = "") -> Iterator[layout.Wheel]:
    """Open a wheel as the installer does, for the block. If `sha256` is given, compare it with the file's.

    Raise WheelError for what the installer would refuse, in the block too.
    """
    try:
        with Archive(os.fspath(wheel.path), sha256) as archive:
            yield layout.Wheel(archive, SCHEME)
    except BundleError as error:
        raise WheelError(f"{wheel.filename}: {error.message.removeprefix(f'{wheel.path}: ')}", hint=_HINT) from error


def describe(wheel: Wheel) -> Description:
    """Read what a wheel says of itself. Raise WheelError for a file that is not the wheel its name says."""
    return interpret(wheel, read_facts(wheel))


def read_facts(wheel: Wheel) -> dict[str, Any]:
    """Return what a wheel says of itself, uninterpreted, as JSON has it."""
    with opened(wheel) as content:
        archive, members = content.archive, content.archive.members
        metadata, _unknown = parse_email(archive.read(members[f"{content.dist_info}/METADATA"]))
        return {
            "metadata": {name: value for name, value in metadata.items() if name != "description"},
            "scripts": sorted(content.entry_points),
            "files": len(members),
            "size": sum(member.file_size for member in members.values()),
            "record_sha256": _record_sha256(content),
            "executables_sha256": record.names_sha256(archive.executables()),
        }


def _record_sha256(wheel: layout.Wheel) -> str:
    archive, name = wheel.archive, f"{wheel.dist_info}/RECORD"
    content = archive.read(archive.members[name], LIST) if name in archive.members else b""
    try:
        rows = record.parse(content, "strict")
    except (csv.Error, UnicodeDecodeError):  # a build refuses such a wheel when it compares the files
        return ""
    hashes = [rows[one][1] if one in rows else "" for one in archive.members if one != name]
    return hashlib.sha256(content).hexdigest() if content and all(one.startswith("sha256=") for one in hashes) else ""


def interpret(wheel: Wheel, facts: Mapping[str, Any]) -> Description:
    """Return the description of a wheel with these facts. Raise WheelError if they are wrong or of another wheel.

    Metadata is often a little wrong (an old classifier, a stray field): only what we use must be right.
    """
    metadata: RawMetadata = facts["metadata"]
    repaired: list[tuple[str, str]] = []
    try:
        name, version, python = metadata["name"], metadata["version"], metadata.get("requires_python")
        requires_python = None if python is None else _read(SpecifierSet, python, repaired)
        requires = tuple(_read(Requirement, text, repaired) for text in metadata.get("requires_dist", ()))
        is_other = canonicalize_name(name) != wheel.name or Version(version) != wheel.version
    except (LookupError, ValueError, RecursionError) as error:
        raise WheelError(f"{wheel.filename}: its METADATA cannot be used: {error}", hint=_HINT) from error
    if is_other:
        raise WheelError(
            f"{wheel.filename} says in its METADATA that it is {name} {version}",
            hint="the file was renamed or built wrongly: build or fetch it again",
        )
    if secret := next((one for one in requires if one.url and has_secret(one.url)), None):
        raise WheelError(
            f"{wheel.filename} requires {secret.name} from a URL with a user or password in it",
            hint="everyone with the bundle could read it: put it into .netrc or pip's index URL instead",
        )
    return Description(
        name=name,
        requires_python=requires_python,
        requires=requires,
        extras=tuple(metadata.get("provides_extra", ())),
        files=facts["files"],
        size=facts["size"],
        licence=licence_of(metadata),
        scripts=tuple(
            EntryPoint(name, module, attribute, tuple(extras)) for name, module, attribute, extras in facts["scripts"]
        ),
        repaired=tuple(repaired),
        record_sha256=facts["record_sha256"],
        executables_sha256=facts["executables_sha256"],
    )


def _read(kind: Callable[[str], _T], text: str, repaired: list[tuple[str, str]]) -> _T:
    """Return a requirement or specifiers. Read what is older than PEP 440 as uv does, and add it to `repaired`."""
    try:
        return kind(text)
    except (InvalidRequirement, InvalidSpecifier):
        mended, semicolon, marker = text.partition(";")
        for wrong, right in _MENDED:
            mended = wrong.sub(right, mended)
        found = kind(mended + semicolon + marker)
        repaired.append((text, str(found)))
        return found


def licence_of(metadata: RawMetadata) -> str:
    """Return one line, from the first field with a short text: whole licences are not for a list."""
    classifiers = [
        one.rpartition(" :: ")[2] for one in metadata.get("classifiers", ()) if one.startswith("License :: ")
    ]
    texts = [_expression(metadata), metadata.get("license", ""), ", ".join(classifiers)]
    short = (" ".join(one.split()) for one in texts if len(one) <= _LONGEST_LICENCE and "\n" not in one.strip())
    return next((one for one in short if one and one != "UNKNOWN"), "")


def _expression(metadata: RawMetadata) -> str:
    try:
        return canonicalize_license_expression(metadata.get("license_expression", ""))
    except InvalidLicenseExpression:
        return ""
