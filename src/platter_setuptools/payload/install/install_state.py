"""The marker in an installed folder: what was installed, and whether it was finished."""

import contextlib
import enum
import json
import os
import time
from typing import NamedTuple, Optional, Tuple

from .. import shared_paths, untrusted
from . import disk

FILE = ".platter-release.json"
DRAFT = FILE + ".new"
# Other files of ours that tell what a folder is: what was installed, a lock, and what happened to a root.
CONTENTS, LOCK, JOURNAL = ".platter-contents.json", ".platter-lock", "platter-journal.jsonl"
PYTHONS = "pythons"  # a folder of a root; see interpreter.py
WHEELS = ".platter-wheels"  # a folder; see wheels/kept.py
SCRIPTS = ".platter-scripts"  # a folder; see activation_scripts.py
_KEYS = {"state": str, "bundle": str, "name": str, "version": str, "platform": str, "python": str, "created": bool}
# Strings that came later: a release without them is ours all the same.
_LATER_KEYS = ("when", "interpreter", "abi", "libc", "target", "revision", "signer", "link_mode", "bundled_interpreter")


class State(enum.Enum):
    ABSENT = "absent"
    EMPTY = "empty"
    UNFINISHED = "unfinished"
    INSTALLED = "installed"  # this very bundle, complete
    OTHER = "other"  # another bundle, complete
    FOREIGN = "foreign"  # anything that we did not put there


class Marker(NamedTuple):
    """`bundle` is the SHA-256 of the bundle's SHA256SUMS; `created`: the installation created the folder.

    `python`, `interpreter` (its path), `abi` and `libc` are those of the release's Python; `target` is the id of the
    bundle's target that was installed.
    `when` it was completed, such as `2026-02-28T09:30:00.000Z`; empty until then.
    `revision`: see Manifest. `signer`: the signer's name, or empty without `--allowed-signers`.
    `link_mode`: how files are shared with other releases (see links.py), empty if none are; `shared_files`: how many.
    `bundled_interpreter`: the name in ROOT/pythons of the interpreter that its bundle brought, if it uses that.
    `shared_paths`: the paths that are links into ROOT/shared.
    """

    state: str = "unfinished"
    bundle: str = ""
    name: str = ""
    version: str = ""
    platform: str = ""
    python: str = ""
    created: bool = True
    when: str = ""
    interpreter: str = ""
    abi: str = ""
    libc: str = ""
    target: str = ""
    revision: str = ""
    signer: str = ""
    link_mode: str = ""
    shared_files: int = 0
    bundled_interpreter: str = ""
    shared_paths: Tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        return self.state == "complete"


def read(folder: str) -> Optional[Marker]:
    """Return the marker; None if there is none, or none of ours."""
    try:
        data = untrusted.parse_json(untrusted.read_file(os.path.join(folder, FILE), untrusted.MARKER, os.O_NOFOLLOW))
    except (OSError, ValueError):
        return None
    if not isinstance(data, dict) or any(not isinstance(data.get(key), kind) for key, kind in _KEYS.items()):
        return None
    if data["state"] not in ("unfinished", "complete"):
        return None
    later = {key: data[key] for key in _LATER_KEYS if isinstance(data.get(key), str)}
    shared = data.get("shared_files")
    count = shared if isinstance(shared, int) and not isinstance(shared, bool) else 0
    paths = data.get("shared_paths")
    known = isinstance(paths, list) and all(isinstance(path, str) for path in paths) and not shared_paths.fault(paths)
    kept = tuple(paths) if paths and known else ()
    return Marker(**{key: data[key] for key in _KEYS}, **later, shared_files=count, shared_paths=kept)


def state(folder: str, bundle: str) -> State:
    """What is at this path, for who has the bundle of this identity."""
    if not os.path.lexists(folder):
        return State.ABSENT
    try:
        names = set(os.listdir(folder)) - {LOCK}
    except OSError:  # a file, or a folder that is not for us
        return State.FOREIGN
    if not names:
        return State.EMPTY
    found = read(folder)
    if found is None:
        # A run that was killed while it wrote its first marker.
        return State.UNFINISHED if names == {DRAFT} else State.FOREIGN
    if not found.complete:
        return State.UNFINISHED
    return State.INSTALLED if found.bundle == bundle else State.OTHER


def write(folder: str, marker: Marker) -> None:
    """Write the marker atomically."""
    draft = os.path.join(folder, DRAFT)
    with contextlib.suppress(FileNotFoundError):  # whatever lies there is not written through
        os.unlink(draft)
    with open(draft, "x", encoding="utf-8") as stream:
        os.fchmod(stream.fileno(), 0o644)
        json.dump({"format": 1, **marker._asdict()}, stream, indent=2)
        stream.write("\n")
        stream.flush()
        disk.sync(stream.fileno())
    os.replace(draft, os.path.join(folder, FILE))


def now() -> str:
    """Return the time as in markers and journals, UTC, in an order that is that of the strings."""
    moment = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment)) + ".%03dZ" % (moment % 1 * 1000)
