"""thin.json: what a thin bundle leaves out of the full one, whose checksums and signature it keeps.

Releases on the server have the rest. thin.json is not in SHA256SUMS, so nobody vouches for it: it can only name files
that SHA256SUMS lists and that are compared with it wherever they are taken from.
"""

import hashlib
import os
import re
from typing import AbstractSet, Dict, FrozenSet, Mapping, NamedTuple, Optional, Tuple

from . import bundle_files, checksums, untrusted
from .errors import BundleError
from .manifest import Manifest
from .names import relative
from .table import HINT, Table

FILE = "thin.json"
FORMAT = 1
WHEEL, BYTECODE, BOOTSTRAP, INTERPRETER = "wheel", "bytecode", "bootstrap", "interpreter"
TARGET = "target"  # of a server's releases: no file, but a server needs none of what is for other targets
_KINDS = (
    (WHEEL, re.compile(r"data/[^/]+\.whl")),
    (BYTECODE, re.compile(r"data/bytecode/[^/]+\.zip")),
    (INTERPRETER, re.compile(r"data/python/[^/]+\.tar\.gz")),
    # The payload runs before it could look for itself in a release.
    (BOOTSTRAP, re.compile(r"data/bootstrap/(?!platter_payload/).+", re.DOTALL)),
)


class Base(NamedTuple):
    """A bundle that was left out from; `sha256` is that of its SHA256SUMS."""

    name: str
    version: str
    sha256: str


class Thin(NamedTuple):
    """`left_out` are paths relative to the bundle."""

    base: Tuple[Base, ...]
    left_out: FrozenSet[str]


def kind_of(name: str) -> str:
    """Return the kind of a file that may be left out by its path in the bundle; empty for any other file."""
    return next((kind for kind, pattern in _KINDS if pattern.fullmatch(name)), "")


def absent(bundle: str, sums: Dict[str, str], plan: Manifest) -> Optional[FrozenSet[str]]:
    """Return the files that a thin bundle lacks; None for a full one."""
    there = bundle_files.files(bundle)
    if not there.has(FILE):
        return None
    content = bundle_files.read(bundle, FILE, untrusted.LIST)
    found = find(content, sums, plan, os.path.join(bundle, FILE))
    if found is None:
        return None
    # It may have been unpacked into the folder of the full one.
    return frozenset(name for name in found.left_out if not there.has(name))


def find(content: Optional[bytes], sums: Dict[str, str], plan: Manifest, path: str = FILE) -> Optional[Thin]:
    """Return what thin.json says; None without it, and for a file of that name that SHA256SUMS lists: a script's."""
    return None if content is None or FILE in sums else parse(content, sums, plan, path)


def parse(content: bytes, sums: Dict[str, str], plan: Manifest, path: str = FILE) -> Thin:
    """Return what thin.json says. Raises BundleError if it names what cannot be left out."""
    try:
        data = untrusted.parse_json(untrusted.within(content, untrusted.LIST))
    except ValueError as error:
        raise BundleError("%s cannot be read: %s" % (path, error), hint=HINT) from error
    top = Table(data, path)
    if top.get("format", int) != FORMAT:
        raise BundleError(
            "%s: format %d is not known here, only %d" % (path, data["format"], FORMAT), hint="send the full bundle"
        )
    base = tuple(Base(one.project("name"), one.version("version"), one.sha256("sha256")) for one in top.tables("base"))
    names = top.get("left_out", list)
    if len(names) > untrusted.FILES or not all(isinstance(name, str) for name in names):
        raise top.unexpected("left_out", "paths, at most %d of them" % untrusted.FILES)
    removable = removable_files(sums, plan)
    for name in names:
        if relative(name, path) not in removable:
            what = "is not listed in SHA256SUMS" if name not in sums else "cannot be left out"
            raise BundleError("%s: left_out: %s %s" % (path, name, what), hint=HINT)
    return Thin(base, frozenset(names))


def bootstrap_sha256(sums: Mapping[str, str]) -> str:
    """Return the SHA-256 of the bootstrap: of its lines in SHA256SUMS, with the payload's left out."""
    lines = ["%s  %s\n" % (sums[name], name) for name in sorted(sums) if kind_of(name) == BOOTSTRAP]
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def target_sha256(target: str) -> str:
    """Return what stands for the id of a target in a list of SHA-256."""
    return hashlib.sha256(target.encode("utf-8", "surrogateescape")).hexdigest()


def verify(bundle: str, sums: Dict[str, str], deferred: AbstractSet[str], lacking: Optional[AbstractSet[str]]) -> None:
    """Verify a bundle as checksums.verify. `lacking` are the files that a thin one lacks; None for a full one."""
    unlisted = frozenset() if lacking is None else frozenset([FILE])
    checksums.verify(bundle, sums, deferred, lacking or frozenset(), unlisted)


def removable_files(sums: Dict[str, str], plan: Manifest) -> Dict[str, str]:
    """Return the files that may be left out of a bundle, each with its kind."""
    archives = {"data/%s" % name for name in plan.files}
    kinds = ((name, kind_of(name)) for name in sums)
    return {name: kind for name, kind in kinds if kind == BOOTSTRAP or name in archives}
