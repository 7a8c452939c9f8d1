"""Find shared libraries as the system's loader does, without loading them, which would run their code.

The loader searches the folders in ldconfig's cache, and some fixed ones; without a cache, as with musl, only these. The
format of the cache changes, but it always contains the paths as plain text.
"""

import glob
import os
import sys
import sysconfig
from typing import Iterable, List, Set

_CACHE = "/etc/ld.so.cache"
_MUSL_PATHS = "/etc/ld-musl-*.path"
_USUAL = ("/lib", "/usr/lib", "/lib64", "/usr/lib64", "/usr/local/lib")


def missing(names: Iterable[str], multiarch: str) -> Set[str]:
    """Return the libraries, such as `libpq.so.5`, that are in no folder or for another kind of machine."""
    places, machine = _folders(multiarch), _machine(sys.executable)
    return {name for name in names if all(_machine(os.path.join(place, name)) != machine for place in places)}


def _folders(multiarch: str) -> List[str]:
    found = [os.path.join(folder, multiarch) for folder in _USUAL] + list(_USUAL)
    found.append(str(sysconfig.get_config_var("LIBDIR") or "/usr/lib"))  # the interpreter finds its own library there
    paths = (part[part.find(b"/") :] for part in _content(_CACHE).split(b"\0"))
    found += map(os.fsdecode, {path.rpartition(b"/")[0] for path in paths} - {b""})
    for path in glob.glob(_MUSL_PATHS):
        found += os.fsdecode(_content(path)).replace(":", "\n").split()
    return found


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError:
        return b""


def _machine(path: str) -> bytes:
    """Return word size, byte order and processor of an ELF header; nothing for any other file, or none."""
    try:
        with open(path, "rb") as stream:
            header = stream.read(20)
    except (OSError, ValueError):
        return b""
    return header[4:6] + header[18:20] if header.startswith(b"\x7fELF") else b""
