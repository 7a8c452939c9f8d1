"""One side of a comparison: a bundle or an installed release."""

from __future__ import annotations

import csv
import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from platter_setuptools._in_process.compile import installed_name
from platter_setuptools.errors import BundleError, UsageError
from platter_setuptools.inspect.archive_reader import open_bundle
from platter_setuptools.inspect.release import is_release, metadata_folders, read_release
from platter_setuptools.inspect.summary import summarise
from platter_setuptools.payload import untrusted
from platter_setuptools.payload.errors import InstallError
from platter_setuptools.payload.install import activation_scripts, install_state
from platter_setuptools.payload.manifest import FILE as INFO
from platter_setuptools.payload.wheels import contents, record
from platter_setuptools.payload.wheels.archive import Archive

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from platter_setuptools.inspect.summary import Part

_RECORD = ".dist-info/RECORD"
_OF_INSTALLERS = ("RECORD", "RECORD.jws", "RECORD.p7s", "INSTALLER", "REQUESTED", "direct_url.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledDistribution:
    """A distribution. `size` is in bytes, installed; equal distributions have equal `content`."""

    version: str
    size: int
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What is compared. `files` are those that build scripts added, with their hashes; unknown for a release.

    `scripts` are pre-activate.sh and post-activate.sh, with their hashes; a release keeps them.
    """

    facts: Mapping[str, str]
    wheels: Mapping[str, InstalledDistribution]
    installer: str | None
    files: Mapping[str, str] | None
    scripts: Mapping[str, str]


def open_sides(old: Path, new: Path) -> tuple[Snapshot, Snapshot]:
    """Return both sides of a comparison. Raises PlatterError for anything but a bundle or a complete release."""
    for path in (old, new):
        if not path.exists():
            raise UsageError(f"{path} does not exist", hint="correct the path")
    with_release = any(map(is_release, (old, new)))
    notes = [install_state.read(str(one)) for one in (old, new) if is_release(one)]
    target = next((note.target for note in notes if note), "")
    first, second = (
        _release(one) if is_release(one) else _bundle(one, target, by_record=with_release) for one in (old, new)
    )
    return first, second


def _bundle(path: Path, target: str, *, by_record: bool) -> Snapshot:
    """Return the snapshot of a bundle; wheels are compared by hash, or by RECORD if the other side is a release.

    If that is an installation of one of several targets, `target`, it is compared with what that takes.
    Raises UsageError for a thin bundle if the other side is a release.
    """
    bundle_summary = summarise(path)
    about = bundle_summary.about
    parts = [part for part in bundle_summary.parts if target in part.targets] or bundle_summary.parts
    targets = [one for one in about.targets if one.id == target] or about.targets
    sizes = {one.file: one.installed_size for taker in targets for one in about.for_target(taker).wheels}
    if by_record:
        bundle_summary.require_wheels(path)
    digests = _recorded(path) if by_record else {f"data/{part.file}": part.sha256 for part in parts}
    installer, files = hashlib.sha256(), dict[str, str]()
    known = {INFO, "PACKAGE", "VERSION", "PLATFORM", "data/pylock.toml", "data/sbom.cdx.json"}
    known |= {f"data/{name}" for name in about.files}
    for name, sha256 in sorted(bundle_summary.sums.items()):
        if name == "install.sh" or name.startswith("data/bootstrap/"):
            installer.update(f"{name} {sha256}\n".encode("utf-8", "surrogateescape"))
        elif name not in known and name not in activation_scripts.NAMES and not name.startswith("data/bytecode/"):
            files[name] = sha256
    return Snapshot(
        facts={
            "name": about.name,
            "version": about.version,
            "platform": about.platform,
            "python": ", ".join(dict.fromkeys(one.python for one in targets)),
            "requires_python": about.requires_python or "",
            "libc": bundle_summary.libc,
            "interpreter": about.interpreter.name if about.interpreter else "",
            "shared": ", ".join(about.shared),
        },
        wheels={
            _name_of(part, parts): InstalledDistribution(
                version=part.version, size=sizes[part.file], content=digests[f"data/{part.file}"]
            )
            for part in parts
        },
        installer=installer.hexdigest(),
        files=files,
        scripts={name: bundle_summary.sums[name] for name in activation_scripts.NAMES if name in bundle_summary.sums},
    )


def _name_of(part: Part, parts: Sequence[Part]) -> str:
    """Return the name of a wheel, with its targets if others have one of that name."""
    several = any(one.name == part.name and one.file != part.file for one in parts)
    return f"{part.name} ({', '.join(part.targets)})" if several else part.name


def _release(folder: Path) -> Snapshot:
    note = read_release(folder)
    return Snapshot(
        facts={
            "name": note.name,
            "version": note.version,
            "platform": note.platform,
            "python": ".".join(note.python.split(".")[:2]),
            "shared": ", ".join(note.shared_paths),
        },
        wheels=dict(_installed(folder)),
        installer=None,
        files=None,
        scripts=dict(_kept_scripts(folder)),
    )


def _kept_scripts(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the scripts that a release keeps, as they were installed."""
    recorded = contents.read(str(folder))
    for name in activation_scripts.NAMES:
        sha256 = recorded and recorded.scripts.get(f"{install_state.SCRIPTS}/{name}")
        if sha256:
            yield name, sha256


def _installed(folder: Path) -> Iterator[tuple[str, InstalledDistribution]]:
    for info in metadata_folders(folder, "dist-info"):
        if not (info / "RECORD").is_file():
            continue
        name, _, version = info.name.removesuffix(".dist-info").partition("-")
        try:
            rows = record.parse(untrusted.read_file(str(info / "RECORD"), untrusted.LIST))
        except (OSError, ValueError, csv.Error) as error:
            raise BundleError(
                f"{info / 'RECORD'} cannot be read: {error}", hint="ROOT/platter doctor reports more"
            ) from error
        files = (info.parent / path for path in rows)
        size = sum(os.lstat(file).st_size for file in files if os.path.lexists(file))
        yield canonicalize_name(name), InstalledDistribution(version=version, size=size, content=_digest(rows))


def _recorded(path: Path) -> dict[str, str]:
    """Return a digest for each wheel of a bundle of what it installs in site-packages."""
    digests = {}
    with open_bundle(path) as entries:
        for entry in entries:
            name = entry.inside
            if name.startswith("data/") and name.endswith(".whl") and name.count("/") == 1:
                with entry.open() as source:
                    digests[name] = _digest_of_wheel(source, name)
    return digests


def _digest_of_wheel(source: BinaryIO, name: str) -> str:
    with tempfile.NamedTemporaryFile() as file:
        shutil.copyfileobj(source, file, 1 << 20)
        file.flush()
        try:
            with Archive(file.name) as archive:
                # Others may be deeper, in vendored distributions.
                names = (one for one in archive.members if one.count("/") == 1)
                found = next(one for one in names if one.endswith(_RECORD))
                content = archive.read(archive.members[found], untrusted.LIST)
                rows = record.parse(content)
        except (InstallError, csv.Error, StopIteration) as error:
            raise BundleError(f"{name} cannot be read as a wheel", hint="run platter verify") from error
    return _digest({installed: row for path, row in rows.items() if (installed := installed_name(path))})


def _digest(rows: Mapping[str, record.Row]) -> str:
    """Return a hash of a RECORD's lines for files in site-packages, the same for every installer."""
    digest = hashlib.sha256()
    for path, row in sorted(rows.items()):
        folder, _, base = path.rpartition("/")
        ours = folder.endswith(".dist-info") and base in _OF_INSTALLERS
        if row[1] and not ours and not path.startswith("../") and not path.endswith(".pyc"):
            digest.update(f"{path} {row[1]}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
