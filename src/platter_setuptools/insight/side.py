"""One side of a comparison: a bundle, or a release that was installed from one."""

from __future__ import annotations

import csv
import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from platter_setuptools.ground.errors import BundleError, UsageError
from platter_setuptools.insight.portrait import portray
from platter_setuptools.payload import marker, record, untrusted
from platter_setuptools.payload.archive import Archive
from platter_setuptools.payload.errors import InstallError
from platter_setuptools.payload.manifest import FILE as INFO
from platter_setuptools.steps.bundle.entries import open_bundle

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import BinaryIO

_RECORD = ".dist-info/RECORD"
_OF_INSTALLERS = ("RECORD", "RECORD.jws", "RECORD.p7s", "INSTALLER", "REQUESTED", "direct_url.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A distribution. `size` is in bytes, installed; `content` is equal for what is equal."""

    version: str
    size: int
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """What is compared. `files` are those that build scripts added, with their hashes; a release does not tell."""

    facts: Mapping[str, str]
    wheels: Mapping[str, Held]
    installer: str | None
    files: Mapping[str, str] | None


def open_sides(old: Path, new: Path) -> tuple[Side, Side]:
    """Both sides of a comparison. Raises PlatterError for what is neither a bundle nor a complete release."""
    for path in (old, new):
        if not path.exists():
            raise UsageError(f"{path} does not exist", hint="correct the path")
    with_release = any(map(_is_release, (old, new)))
    first, second = (_release(one) if _is_release(one) else _bundle(one, by_record=with_release) for one in (old, new))
    return first, second


def _is_release(path: Path) -> bool:
    return path.is_dir() and (path / marker.FILE).exists()


def _bundle(path: Path, *, by_record: bool) -> Side:
    """A wheel is known by its hash; beside a release by what its RECORD says, which is what a release has."""
    portrait = portray(path)
    about = portrait.about
    contents = _recorded(path) if by_record else {f"data/{part.file}": part.sha256 for part in portrait.parts}
    installer, files = hashlib.sha256(), dict[str, str]()
    known = {INFO, "PACKAGE", "VERSION", "PLATFORM", "data/pylock.toml", "data/sbom.cdx.json"}
    known |= {f"data/{part.file}" for part in portrait.parts}
    for name, sha256 in sorted(portrait.sums.items()):
        if name == "install.sh" or name.startswith("data/bootstrap/"):
            installer.update(f"{name} {sha256}\n".encode("utf-8", "surrogateescape"))
        elif name not in known and not name.startswith("data/bytecode/"):
            files[name] = sha256
    return Side(
        facts={
            "name": about.name,
            "version": about.version,
            "platform": about.platform,
            "python": ", ".join(target.python for target in about.targets),
            "requires_python": about.requires_python or "",
            "libc": portrait.libc,
        },
        wheels={
            part.name: Held(version=part.version, size=part.installed_size, content=contents[f"data/{part.file}"])
            for part in portrait.parts
        },
        installer=installer.hexdigest(),
        files=files,
    )


def _release(folder: Path) -> Side:
    note = marker.read(str(folder))
    if note is None or not note.complete:
        raise BundleError(f"{folder} is no complete release", hint="run its install.sh again, which repairs it")
    return Side(
        facts={
            "name": note.name,
            "version": note.version,
            "platform": note.platform,
            "python": ".".join(note.python.split(".")[:2]),
        },
        wheels=dict(_installed(folder)),
        installer=None,
        files=None,
    )


def _installed(folder: Path) -> Iterator[tuple[str, Held]]:
    seen = set()
    for info in sorted(folder.glob("lib*/python*/site-packages/*.dist-info")):
        if info.resolve() in seen or not (info / "RECORD").is_file():  # lib64 may be a link to lib
            continue
        seen.add(info.resolve())
        name, _, version = info.name.removesuffix(".dist-info").partition("-")
        try:
            rows = record.parse(untrusted.read_file(str(info / "RECORD"), untrusted.LIST))
        except (OSError, ValueError, csv.Error) as error:
            raise BundleError(
                f"{info / 'RECORD'} cannot be read: {error}", hint="ROOT/platter doctor tells more"
            ) from error
        files = (info.parent / path for path in rows)
        size = sum(os.lstat(file).st_size for file in files if os.path.lexists(file))
        yield canonicalize_name(name), Held(version=version, size=size, content=_digest(rows))


def _recorded(path: Path) -> dict[str, str]:
    """What the wheels of a bundle will have in site-packages."""
    contents = {}
    with open_bundle(path) as entries:
        for entry in entries:
            name = entry.name.partition("/")[2]
            if name.startswith("data/") and name.endswith(".whl") and name.count("/") == 1:
                with entry.open() as source:
                    contents[name] = _digest_of_wheel(source, name)
    return contents


def _digest_of_wheel(source: BinaryIO, name: str) -> str:
    with tempfile.NamedTemporaryFile() as file:
        shutil.copyfileobj(source, file, 1 << 20)
        file.flush()
        try:
            with Archive(file.name) as archive:
                # Others may lie deeper, in what a distribution has taken into itself.
                names = (one for one in archive.members if one.count("/") == 1)
                found = next(one for one in names if one.endswith(_RECORD))
                content = archive.read(archive.members[found], untrusted.LIST)
                rows = record.parse(content)
        except (InstallError, csv.Error, StopIteration) as error:
            raise BundleError(f"{name} cannot be read as a wheel", hint="platter verify tells what is wrong") from error
    moved = {}
    for path, row in rows.items():
        place, _, rest = path.partition(".data/")
        kind, _, inside = rest.partition("/")
        if place != found.removesuffix(_RECORD) or not rest:
            moved[path] = row
        elif kind in {"purelib", "platlib"}:
            moved[inside] = row
    return _digest(moved)


def _digest(rows: Mapping[str, record.Row]) -> str:
    """A hash of what a RECORD says of the files in site-packages, whoever installed them."""
    digest = hashlib.sha256()
    for path, row in sorted(rows.items()):
        folder, _, base = path.rpartition("/")
        ours = folder.endswith(".dist-info") and base in _OF_INSTALLERS
        if row[1] and not ours and not path.startswith("../") and not path.endswith(".pyc"):
            digest.update(f"{path} {row[1]}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
