"""The file in an installed folder that says what was installed, and whether it was finished."""

import contextlib
import json
import os
import time
from typing import NamedTuple, Optional

from . import disk, untrusted

FILE = ".platter-release.json"
DRAFT = FILE + ".new"
_KEYS = {"state": str, "bundle": str, "name": str, "version": str, "platform": str, "python": str, "created": bool}
# Strings that came later: a release without them is ours all the same.
_LATER_KEYS = ("when", "interpreter", "abi", "libc", "revision", "signer")


class Marker(NamedTuple):
    """``bundle`` is the SHA-256 of the bundle's SHA256SUMS; ``created``: the folder was not there before us.

    ``python``, ``interpreter`` (its path), ``abi`` and ``libc`` are what the release was made for.
    ``when`` it was completed, as ``2026-02-28T09:30:00.000Z``; empty until then.
    ``revision``: see Manifest. ``signer``: whom ``--allowed-signers`` named as the signer of the bundle, or empty.
    """

    state: str
    bundle: str
    name: str
    version: str
    platform: str
    python: str
    created: bool
    when: str = ""
    interpreter: str = ""
    abi: str = ""
    libc: str = ""
    revision: str = ""
    signer: str = ""

    @property
    def complete(self) -> bool:
        return self.state == "complete"


def read(folder: str) -> Optional[Marker]:
    """None if there is none, or none of ours."""
    try:
        data = untrusted.parse_json(untrusted.read_file(os.path.join(folder, FILE), untrusted.MARKER, os.O_NOFOLLOW))
    except (OSError, ValueError):
        return None
    if not isinstance(data, dict) or any(not isinstance(data.get(key), kind) for key, kind in _KEYS.items()):
        return None
    if data["state"] not in ("unfinished", "complete"):
        return None
    later = {key: data[key] for key in _LATER_KEYS if isinstance(data.get(key), str)}
    return Marker(**{key: data[key] for key in _KEYS}, **later)


def write(folder: str, marker: Marker) -> None:
    """Atomically: a reader finds the marker as it was before or as it is now."""
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
    """The time as markers and journals have it, UTC: their order is that of the strings."""
    moment = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment)) + ".%03dZ" % (moment % 1 * 1000)
