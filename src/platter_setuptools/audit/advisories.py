"""A database of advisories on this machine: a folder of OSV records, or a zip archive of them as OSV publishes it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from platter_setuptools.audit.osv import ECOSYSTEM, Advisory, read_advisory
from platter_setuptools.errors import ArchiveError
from platter_setuptools.payload import untrusted
from platter_setuptools.payload.errors import BundleError
from platter_setuptools.payload.wheels.archive import Archive

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

_RECORDS = 1_000_000  # that an archive may have
_HINT = (
    "give it OSV's export for PyPI (PyPI/all.zip), or a folder with .json files of it; if that is what it is, fetch it"
    " again"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """The advisories about some distributions, by the distribution's name.

    `size` is the number of all advisories for PyPI, `modified` the latest time at which one was (RFC 3339).
    """

    path: Path
    size: int
    modified: str
    advisories: dict[str, list[Advisory]]


class _Export(Archive):
    most = _RECORDS


def read_database(path: Path, names: Collection[str]) -> Database:
    """Read a database, and keep what is about distributions of these names.

    Raises ArchiveError for a file that is not an OSV record, and for a database without any record for PyPI: an audit
    must not find nothing since it has read nothing.
    """
    size, modified, kept = 0, "", dict[str, list[Advisory]]()
    for where, content in _records(path):
        try:
            advisory = read_advisory(content)
        except ValueError as error:
            raise ArchiveError(f"{where} is not an OSV record: {error}", hint=_HINT) from error
        if advisory is None:
            continue
        size, modified = size + 1, max(modified, advisory.modified)
        for name in {one.name for one in advisory.affected}.intersection(names):
            kept.setdefault(name, []).append(advisory)
    if not size:
        raise ArchiveError(f"{path} has no advisory for {ECOSYSTEM}", hint=_HINT)
    return Database(path=path, size=size, modified=modified, advisories=kept)


def _records(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield each record's place and content, one at a time: all of them together may be some hundred megabytes."""
    if path.is_dir():
        yield from ((file, _read(file)) for file in _files(path))
        return
    try:
        with _Export(os.fspath(path)) as archive:
            for name, info in archive.members.items():
                if name.endswith(".json"):
                    yield f"{path}: {name}", archive.read(info, untrusted.LIST)
    except BundleError as error:
        raise ArchiveError(error.message, hint=_HINT) from error


def _read(file: str) -> bytes:
    try:
        return untrusted.read_file(file, untrusted.LIST)
    except (OSError, ValueError) as error:
        raise ArchiveError(f"{file} cannot be read: {error}", hint=_HINT) from error


def _files(folder: Path) -> Iterator[str]:
    def fail(error: OSError) -> None:
        raise ArchiveError(f"{error.filename} cannot be read: {error.strerror}", hint=_HINT) from error

    for where, folders, files in os.walk(folder, onerror=fail):
        folders.sort()
        yield from (os.path.join(where, name) for name in sorted(files) if name.endswith(".json"))  # noqa: PTH118
