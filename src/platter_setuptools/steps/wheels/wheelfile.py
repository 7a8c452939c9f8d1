"""Looking into a wheel without installing it (PyPA specification: binary distribution format)."""

from __future__ import annotations

import contextlib
import functools
import os
import re
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from packaging.metadata import InvalidMetadata, Metadata, parse_email
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from platter_setuptools.ground.errors import WheelError
from platter_setuptools.ground.files import sha256_of_file
from platter_setuptools.ground.urls import has_secret
from platter_setuptools.ground.values import Origin, Wheel
from platter_setuptools.payload.archive import Archive
from platter_setuptools.payload.errors import BundleError
from platter_setuptools.payload.scripts import EntryPoint, entry_points
from platter_setuptools.steps.store import Store, key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from packaging.metadata import RawMetadata
    from packaging.tags import Tag

_LONGEST_LICENCE = 100  # characters
_RULES = "3"  # to be raised when a Description is made otherwise: then what was noted before does not count
_KIND = "description"
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


def open_wheel(path: Path, origin: Origin, *, sha256: str | None = None) -> Wheel:
    """The Wheel at `path`; it is hashed unless its SHA-256 is known. Raises WheelError for a wrong file name."""
    try:
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
    """The tags in the wheel's file name (PEP 425)."""
    return parse_wheel_filename(wheel.filename)[3]


@functools.cache  # a wheel does not change while it is looked at; foresight.py looks before it is asked for
def describe_once(wheel: Wheel, store: Store) -> Description:
    """What `describe` finds, which the store then notes: opening a wheel takes longer than all the rest."""
    key = key_of(_RULES, wheel.filename, wheel.sha256)
    with contextlib.suppress(LookupError, TypeError, ValueError, AttributeError):  # a note may hold anything
        return _from_note(store.recall(_KIND, key))
    description = describe(wheel)
    store.note(_KIND, key, _as_note(description))
    return description


def describe(wheel: Wheel) -> Description:
    """Read METADATA and the table of contents. Raises WheelError for a file that is not the wheel its name says."""
    try:
        with Archive(os.fspath(wheel.path)) as archive:
            folder = _dist_info(archive.members, wheel)
            # Foreign metadata is often a little wrong (an old classifier, a stray field): only what we use must be
            # right, so that each field is judged when it is read.
            content = archive.read(archive.members[f"{folder}/METADATA"])
            metadata, raw = Metadata.from_email(content, validate=False), parse_email(content)[0]
            description = Description(
                name=metadata.name,
                requires_python=_specifiers(raw["requires_python"]) if "requires_python" in raw else None,
                requires=tuple(map(_requirement, raw.get("requires_dist", ()))),
                extras=tuple(raw.get("provides_extra", ())),
                files=len(archive.members),
                size=sum(member.file_size for member in archive.members.values()),
                licence=_licence(metadata),
                scripts=_scripts(archive, folder),
                repaired=tuple(_repaired(raw)),
            )
            if canonicalize_name(metadata.name) != wheel.name or metadata.version != wheel.version:
                raise WheelError(
                    f"{wheel.filename} says in its METADATA that it is {metadata.name} {metadata.version}",
                    hint="the file was renamed or built wrongly: build or fetch it again",
                )
            if secret := next((one for one in description.requires if one.url and has_secret(one.url)), None):
                raise WheelError(
                    f"{wheel.filename} requires {secret.name} from a URL with a user or password in it",
                    hint="whoever gets the bundle would get it: take it out of the requirement, and let .netrc or"
                    " the index URL that pip is configured with hold it",
                )
    except (BundleError, LookupError, ValueError, RecursionError) as error:
        reason = error.message.removeprefix(f"{wheel.path}: ") if isinstance(error, BundleError) else str(error)
        raise WheelError(
            f"{wheel.filename} cannot be read as a wheel: {reason}",
            hint="build or fetch it again",
        ) from error
    return description


def _specifiers(text: str) -> SpecifierSet:
    try:
        return SpecifierSet(text)
    except InvalidSpecifier:
        return SpecifierSet(_mended(text))


def _requirement(text: str) -> Requirement:
    try:
        return Requirement(text)
    except InvalidRequirement:
        own, semicolon, marker = text.partition(";")
        return Requirement(_mended(own) + semicolon + marker)


def _repaired(raw: RawMetadata) -> Iterator[tuple[str, str]]:
    """Yield what is not as the standard has it, and what it is read as."""
    python = [raw["requires_python"]] if "requires_python" in raw else []
    for text in python:
        if not _is_valid(SpecifierSet, text):
            yield text, str(_specifiers(text))
    for text in raw.get("requires_dist", ()):
        if not _is_valid(Requirement, text):
            yield text, str(_requirement(text))


def _is_valid(kind: Callable[[str], object], text: str) -> bool:
    try:
        kind(text)
    except (InvalidRequirement, InvalidSpecifier):
        return False
    return True


def _mended(text: str) -> str:
    """Version specifiers that are older than PEP 440, as uv understands them; what is right stays as it is."""
    for wrong, right in _MENDED:
        text = wrong.sub(right, text)
    return text


def _as_note(description: Description) -> dict[str, Any]:
    note = {field.name: getattr(description, field.name) for field in fields(description)}
    requires_python = description.requires_python
    return {
        **note,
        "requires_python": None if requires_python is None else str(requires_python),
        "requires": [str(one) for one in description.requires],
    }


def _from_note(note: Any) -> Description:
    requires_python = note["requires_python"]
    return Description(
        name=str(note["name"]),
        requires_python=None if requires_python is None else SpecifierSet(requires_python),
        requires=tuple(Requirement(one) for one in note["requires"]),
        extras=tuple(note["extras"]),
        files=int(note["files"]),
        size=int(note["size"]),
        licence=str(note["licence"]),
        scripts=tuple(
            EntryPoint(name, module, attribute, tuple(extras)) for name, module, attribute, extras in note["scripts"]
        ),
        repaired=tuple((str(before), str(after)) for before, after in note["repaired"]),
    )


def _licence(metadata: Metadata) -> str:
    """One line, from the first field that says something short; licence texts are not for a list."""
    classifiers = [one.rpartition(" :: ")[2] for one in metadata.classifiers or () if one.startswith("License :: ")]
    texts = [_expression(metadata), metadata.license or "", ", ".join(classifiers)]
    short = (" ".join(one.split()) for one in texts if len(one) <= _LONGEST_LICENCE and "\n" not in one.strip())
    return next((one for one in short if one and one != "UNKNOWN"), "")


def _expression(metadata: Metadata) -> str:
    try:
        return metadata.license_expression or ""
    except InvalidMetadata:
        return ""


def _scripts(archive: Archive, folder: str) -> tuple[EntryPoint, ...]:
    name = f"{folder}/entry_points.txt"
    if name not in archive.members:
        return ()
    try:
        points = entry_points(archive.read(archive.members[name]).decode(), name)
    except (BundleError, UnicodeDecodeError):
        return ()  # the look at the wheel's files tells
    return tuple(sorted(points))


def _dist_info(members: Iterable[str], wheel: Wheel) -> str:
    folders = {member.split("/")[0] for member in members if ".dist-info/" in member}
    fitting = [
        folder
        for folder in folders
        if folder.endswith(".dist-info") and canonicalize_name(folder.split("-")[0]) == wheel.name
    ]
    if len(fitting) != 1:
        raise WheelError(f"{wheel.filename} has no .dist-info folder of its own", hint="build or fetch it again")
    return fitting[0]
