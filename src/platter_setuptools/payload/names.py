"""Check names from others before they become paths or are shown."""

import re

from .errors import BundleError
from .untrusted import PART, PATH, VERSION

_HINT = "do not use this bundle; build it again from sources you trust"
_PROJECT = re.compile(r"[A-Z0-9]|[A-Z0-9][A-Z0-9._-]{0,198}[A-Z0-9]", re.IGNORECASE | re.ASCII)  # PEP 508
# PEP 440, with what it normalises.
_VERSION = re.compile(
    r"v?(\d+!)?\d+(\.\d+)*([-_.]?(alpha|a|beta|b|preview|pre|c|rc)[-_.]?\d*)?"
    r"(-\d+|[-_.]?(post|rev|r)[-_.]?\d*)?([-_.]?dev[-_.]?\d*)?(\+[a-z0-9]+([-_.][a-z0-9]+)*)?",
    re.IGNORECASE | re.ASCII,
)


def normalised(name: str) -> str:
    """Return a project name normalised as in PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def is_project(name: str) -> bool:
    """Whether this can be the name of a distribution (PEP 508)."""
    return _PROJECT.fullmatch(name) is not None


def is_version(text: str) -> bool:
    """Whether this is a version (PEP 440), of at most 100 characters."""
    return len(text) <= VERSION and _VERSION.fullmatch(text) is not None


def relative(path: str, where: str) -> str:
    """Return the path if it stays below its root, is the same everywhere and not too long. Raises BundleError."""
    parts = path.split("/")
    # One test for all the dangerous spellings: an empty part covers "/x", "x//y" and "x/".
    if "\\" in path or "\0" in path or not all(part not in ("", ".", "..") for part in parts):
        raise BundleError("%s: the name %r could leave its folder" % (where, path[:PATH]), hint=_HINT)
    # Most names are short: how many bytes they take need not be known.
    if len(path) * 4 > PART and (size(path) > PATH or max(map(size, parts)) > PART):
        what = "%s: the name %r… is longer than %d bytes, or a part of it than %d" % (where, path[:40], PATH, PART)
        raise BundleError(what, hint="give it a shorter name")
    return path


def size(text: str) -> int:
    """Return the number of bytes of a name on disk."""
    return len(text.encode("utf-8", "surrogatepass"))
