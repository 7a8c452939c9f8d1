"""What has happened to a root: one JSON object on each line of ``ROOT/platter-journal.jsonl``, the latest last.

    {"when": "2026-02-28T09:30:00.000Z", "who": "ada", "what": "activate", "from": "1.0", "to": "1.1", "result": "done"}

``what`` is install (to), remove (from), activate or rollback (from, to). ``result`` is ``done``; ``noticed`` for what
happened without us, by hand or before a kill -9 could be written down; else what failed, and then nothing has changed.
``revision`` is the git commit of the release in ``to``, if its bundle recorded one.

The file is the root's lock as well: it is there as long as the root is.
"""

import json
import os
import pwd
import stat
from typing import Iterable, List, NamedTuple

from . import lock, marker
from .errors import DestinationError, HostError
from .terminal import Terminal

FILE = "platter-journal.jsonl"
INSTALL, REMOVE, ACTIVATE, ROLLBACK = "install", "remove", "activate", "rollback"
DONE, NOTICED = "done", "noticed"
_FIELDS = ("when", "who", "what", "origin", "to", "result")


class Entry(NamedTuple):
    """One line; ``origin`` stands for its key ``from``, which Python keeps for itself. No release is an empty name."""

    when: str
    who: str
    what: str
    origin: str
    to: str
    result: str

    @property
    def changed(self) -> bool:
        return self.result in (DONE, NOTICED)


class Journal:
    def __init__(self, root: str, terminal: Terminal) -> None:
        self.root = root
        self.terminal = terminal
        self.path = os.path.join(root, FILE)
        self._descriptor = -1

    def acquire(self) -> None:
        """Lock the root. FileNotFoundError if it is not there."""
        try:
            self._descriptor = lock.open_locked(self.path, os.O_APPEND, 0o644)
        except FileNotFoundError:
            raise
        except BlockingIOError as error:
            raise DestinationError(
                "%s: somebody else is changing the releases" % self.root,
                hint="wait until that has ended, then try again",
            ) from error
        except OSError as error:
            raise HostError(
                "%s cannot be written to: %s" % (self.path, error.strerror), hint="do this as the owner of the releases"
            ) from error
        status = os.fstat(self._descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            self.release()
            raise DestinationError("%s is not a file of its own" % self.path, hint="move it away")

    def release(self) -> None:
        """An empty journal goes: nothing has happened here."""
        if self._descriptor < 0:
            return
        if os.fstat(self._descriptor).st_size == 0:
            os.unlink(self.path)
        os.close(self._descriptor)
        self._descriptor = -1

    def write(self, what: str, origin: str, to: str, result: str = DONE) -> None:
        """Add a line, of now. That it cannot be written is told and no more: the next run will notice."""
        who_did = "unknown" if result == NOTICED else who()
        note = marker.read(os.path.join(self.root, "versions", to)) if to else None
        entry = {
            "when": marker.now(),
            "who": who_did,
            "what": what,
            "from": origin or None,
            "to": to or None,
            "revision": note.revision or None if note else None,
            "result": result,
        }
        try:
            self._append(json.dumps(entry))
        except OSError as error:
            self.terminal.error("%s cannot be written to: %s" % (self.path, error.strerror))

    def _append(self, line: str) -> None:
        """Add a line, after the end of one that a full disk or a power failure has cut off."""
        size = os.fstat(self._descriptor).st_size
        whole = size == 0 or os.pread(self._descriptor, 1, size - 1) == b"\n"
        rest = (line + "\n" if whole else "\n" + line + "\n").encode("ascii")
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    def read(self) -> List[Entry]:
        """All lines that are whole; the rest is passed over."""
        try:
            with open(self.path, encoding="utf-8", errors="replace") as stream:
                return list(parse(stream))
        except FileNotFoundError:
            return []


def parse(lines: Iterable[str]) -> Iterable[Entry]:
    for line in lines:
        try:
            data = json.loads(line)
        except ValueError:
            continue
        if isinstance(data, dict):
            values = [data.get("from" if field == "origin" else field) or "" for field in _FIELDS]
            if all(isinstance(value, str) for value in values):
                yield Entry(*values)


def who() -> str:
    """The user that this runs as, and who became it by sudo."""
    name, sudo = user_name(os.geteuid()), os.environ.get("SUDO_USER", "")
    return "%s (%s)" % (name, sudo) if sudo not in ("", name) else name


def user_name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:  # containers like users that nobody has heard of
        return "user %d" % number
