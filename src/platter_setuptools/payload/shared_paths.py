"""Which paths releases can share: `media/` is a folder in ROOT/shared, `app.env` a file. Releases have links there."""

import re
from typing import Dict, Sequence, Tuple

from .errors import BundleError
from .names import size
from .table import HINT, Table
from .untrusted import PART, SHARED

_PART = re.compile(r"[\w.][\w.+@-]*")
# What a virtualenv has at its top: install/environment.py knows all of its paths. And whatever we call our own.
_OWN = re.compile(r"bin|include|lib(64)?|pyvenv\.cfg|\.gitignore|\.lock|CACHEDIR\.TAG|\.python", re.IGNORECASE)
_OURS = ".platter-"


def read(top: Table) -> Tuple[str, ...]:
    """Return the value of the key `shared` of info.json. Raise BundleError if releases cannot share these paths."""
    paths = top.strings("shared")
    found = fault(paths)
    if found:
        raise BundleError("%s: shared: %s" % (top.where, found), hint=HINT)
    return paths


def is_folder(path: str) -> bool:
    """Whether a shared path is a folder and not a file."""
    return path.endswith("/")


def name_of(path: str) -> str:
    """Return the path below a release, and below ROOT/shared."""
    return path[:-1] if is_folder(path) else path


def fault(paths: Sequence[str]) -> str:
    """Return why releases cannot share these paths, as a sentence about the first that is wrong; empty if they can."""
    if len(paths) > SHARED:
        return "%d paths are shared, and %d can be" % (len(paths), SHARED)
    known: Dict[str, str] = {}
    for path in paths:
        found = _fault(path)
        if found:
            return "%s: %s" % (ascii(path), found)
        # Not every filesystem tells upper from lower case.
        name = name_of(path).casefold()
        if name in known:
            return "%s: %s is the same path" % (ascii(path), ascii(known[name]))
        known[name] = path
    for name, path in known.items():
        for end in (place for place, character in enumerate(name) if character == "/"):
            if name[:end] in known:
                return "%s: it lies in %s, which is shared as a whole" % (ascii(path), ascii(known[name[:end]]))
    return ""


def _fault(path: str) -> str:
    if path.startswith("/"):
        return "it is absolute, and should be a path below ROOT/shared"
    parts = name_of(path).split("/")
    if not all(part not in ("", ".", "..") for part in parts):
        return "it has a part that is empty, . or .."
    if not all(map(_PART.fullmatch, parts)):
        return "it has other characters than letters, digits and . _ + @ -, or begins with one of + @ -"
    if size(path) > PART:
        return "it is longer than %d bytes" % PART
    if _OWN.fullmatch(parts[0]):
        return "%s belongs to the virtualenv" % parts[0]
    return "names that begin with %s are the installer's own" % _OURS if _is_ours(parts) else ""


def _is_ours(parts: Sequence[str]) -> bool:
    return any(part.lower().startswith(_OURS) for part in parts)
