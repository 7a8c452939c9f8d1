"""The bootstrap of a bundle, kept in releases so that a thin bundle can leave it out: virtualenv, not the payload.

It is one file: a line of JSON with the name and the size of each file, then their contents. Nothing of it is believed:
each file that is taken is compared with SHA256SUMS of the bundle.
"""

import contextlib
import hashlib
import json
import os
from typing import Dict, FrozenSet, Iterable, Iterator, Mapping, Tuple

from .. import thin, untrusted
from ..bundle_files import MODULES, files
from ..install.tree import make_folders, write_new

FILE = "bootstrap"


def read(bundle: str, sums: Dict[str, str], kept: Iterable[str] = ()) -> Dict[str, bytes]:
    """Return the content of each file by its path in the bundle, from there or from one of these kept bootstraps.

    Those that are nowhere as SHA256SUMS says are not returned.
    """
    found: Dict[str, bytes] = {}
    there = files(bundle)
    for name in names(sums):
        with contextlib.suppress(OSError, ValueError):
            content = there.read(name, untrusted.BOOTSTRAP)
            if hashlib.sha256(content).hexdigest() == sums[name]:
                found[name] = content
    for path in kept:
        missing = names(sums) - found.keys()
        have = {hashlib.sha256(content).hexdigest(): content for _, content in _unpacked(path)} if missing else {}
        found.update((name, have[sums[name]]) for name in missing if sums[name] in have)
    return found


def names(sums: Dict[str, str]) -> FrozenSet[str]:
    """Return the files of the bootstrap, by their paths in the bundle."""
    return frozenset(name for name in sums if thin.kind_of(name) == thin.BOOTSTRAP)


def share(path: str, sums: Dict[str, str], others: Iterable[str]) -> bool:
    """Make `path` a link to one of the other kept bootstraps that has what SHA256SUMS says, and no more.

    Return whether there is one.
    """
    wanted = {name: sums[name] for name in names(sums)}
    for other in others:
        with contextlib.suppress(OSError):
            if have(other) == wanted and _is_ours(other):
                os.link(other, path, follow_symlinks=False)
                return True
    return False


def keep(path: str, contents: Mapping[str, bytes]) -> None:
    """Write the files to `path`."""
    write_new(path, _packed(contents))


def lay_out(folder: str, contents: Mapping[str, bytes]) -> str:
    """Write the files below the folder. Return the folder to import them from."""
    made = set()
    for name, content in contents.items():
        path = os.path.join(folder, name)
        parent = os.path.dirname(path)
        if parent not in made:
            make_folders(parent)
            made.add(parent)
        with open(path, "xb") as stream:
            stream.write(content)
    return os.path.join(folder, MODULES.rstrip("/"))


def have(path: str) -> Dict[str, str]:
    """Return the SHA-256 of each file of a kept bootstrap by its path in the bundle; nothing if it cannot be read."""
    return {name: hashlib.sha256(content).hexdigest() for name, content in _unpacked(path)}


def _packed(contents: Mapping[str, bytes]) -> bytes:
    names = sorted(contents)
    index = json.dumps([[name, len(contents[name])] for name in names]).encode("ascii")
    return b"".join([index, b"\n", *(contents[name] for name in names)])


def _unpacked(path: str) -> Iterator[Tuple[str, bytes]]:
    """Yield names and contents. A file that somebody has damaged yields anything or nothing."""
    try:
        content = untrusted.read_file(path, untrusted.BOOTSTRAP, os.O_NOFOLLOW)
        start = content.index(b"\n") + 1
        for name, size in untrusted.parse_json(content[: start - 1]):
            yield str(name), content[start : start + size]
            start += size
    except (OSError, ValueError, TypeError, RecursionError):
        return


def _is_ours(path: str) -> bool:
    return os.lstat(path).st_uid == os.geteuid()
