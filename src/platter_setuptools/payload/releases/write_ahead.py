"""A line of the journal that is written ahead: the next run adds it, should this one be killed before it can.

It lies beside the journal, with the journal's size: once that has grown the line is there, or another one in its place.
"""

import contextlib
import json
import os
from typing import Dict

from .. import untrusted
from ..install import disk
from ..install.owners import other
from ..install.tree import write_new

FILE = ".platter-journal-ahead.json"
_DRAFT = FILE + ".new"


def write(root: str, size: int, line: Dict[str, object]) -> None:
    """Keep this line for a journal of so many bytes. OSError if that fails."""
    path, draft = os.path.join(root, FILE), os.path.join(root, _DRAFT)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(draft)
    write_new(draft, json.dumps({"size": size, "line": line}).encode("ascii"))
    descriptor = os.open(draft, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        disk.sync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(draft, path)
    disk.sync_folder(root)


def read(root: str, size: int) -> str:
    """Return the line that a journal of this size lacks; empty if it lacks none.

    The superuser believes only what nobody else can change.
    """
    path = os.path.join(root, FILE)
    try:
        data = untrusted.parse_json(untrusted.read_file(path, untrusted.MARKER, os.O_NOFOLLOW))
    except (OSError, ValueError):
        return ""
    if (os.geteuid() == 0 and other(path)) or not isinstance(data, dict) or data.get("size") != size:
        return ""
    return json.dumps(data.get("line"))


def remove(root: str) -> None:
    for name in (FILE, _DRAFT):
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(root, name))
