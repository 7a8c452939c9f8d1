"""What a server has: by the SHA256SUMS of an earlier bundle, or by the list that `ROOT/platter have` prints."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from platter_setuptools.bundle.members import from_bytes
from platter_setuptools.errors import ArchiveError, BundleError, UsageError
from platter_setuptools.inspect.archive_reader import read_files
from platter_setuptools.payload import checksums, thin, untrusted
from platter_setuptools.payload.errors import InstallError

if TYPE_CHECKING:
    from pathlib import Path

_ABOUT = ("PACKAGE", "VERSION", checksums.FILE)  # among the first files of every archive
DAMAGED = "run platter verify; get it again from where it was built, or build it again"
_SHA256 = re.compile("[0-9a-f]{64}")
_HAVE = "name a file that `ROOT/platter have` has printed"

# What a server has, and the targets of its releases: kinds (payload/thin.py) and SHA-256.
Known = frozenset[tuple[str, str]]


def read_base(path: Path) -> tuple[thin.Base, Known]:
    """Return what a bundle has, as its SHA256SUMS says. The server compares every byte; nothing is checked here.

    Raise ArchiveError if it is not a bundle that can be read.
    """
    texts = read_files(path, _ABOUT)
    missing = [name for name in _ABOUT if name not in texts]
    if missing:
        raise ArchiveError(f"{path} is not a bundle: it has no {missing[0]}", hint="name a bundle that platter built")
    name, version = (texts[one].decode("utf-8", "replace").strip() for one in _ABOUT[:2])
    sums = parse_sums(path, texts[checksums.FILE])
    base = thin.Base(name, version, from_bytes(checksums.FILE, texts[checksums.FILE]).sha256 or "")
    return base, frozenset(files_by_kind(sums).values())


def files_by_kind(sums: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Return how each file that might be left out is called in what a server has: the whole bootstrap is one thing."""
    bootstrap = thin.bootstrap_sha256(sums)
    kinds = ((name, thin.kind_of(name)) for name in sums)
    return {name: (kind, bootstrap if kind == thin.BOOTSTRAP else sums[name]) for name, kind in kinds if kind}


def parse_list(text: bytes, where: str) -> Known:
    """Return what `ROOT/platter have` has printed. Raises UsageError for anything else, with `where` it is from."""
    if len(text) > untrusted.LIST:
        raise UsageError(f"{where} is longer than {untrusted.LIST} bytes", hint=_HAVE)
    found = set()
    for number, line in enumerate(text.decode("utf-8", "replace").splitlines(), 1):
        sha256, kind, *_ = [*line.split(maxsplit=2), "", ""]
        if not kind or not _SHA256.fullmatch(sha256):
            raise UsageError(f"{where}, line {number}: not a SHA-256 and a kind", hint=_HAVE)
        found.add((kind, sha256))
    return frozenset(found)


def common_to(have: Known, contents: Known) -> Known:
    """Return what a server has of a bundle's contents, and the targets of its releases."""
    return have & contents | {one for one in have if one[0] == thin.TARGET}


def parse_sums(path: Path, text: bytes) -> dict[str, str]:
    """Return the SHA256SUMS of a bundle. Raise BundleError if it cannot be read."""
    try:
        return checksums.parse(untrusted.within(text, untrusted.LIST), f"{path}: {checksums.FILE}")
    except (InstallError, ValueError) as error:
        raise BundleError(f"{error}" if isinstance(error, ValueError) else error.message, hint=DAMAGED) from error
