"""The journal of a root: a JSON object on each line of `ROOT/platter-journal.jsonl`, the latest last.

    {"when": "2026-02-28T09:30:00.000Z", "who": "ada", "what": "activate", "from": "1.0", "to": "1.1", "result": "done"}

`what` is install (to), remove (from), activate or rollback (from, to). `result` is `done`; `noticed` for a change by
hand, or before a kill -9 could be recorded; else what failed, and then nothing has changed. `revision` is the git
commit of the release in `to`, if its bundle recorded one; `signer` who signed that bundle, if install.sh asked for a
signature. `ran` is what ran around a switch, in order: a list of {"name", "release", "result", "seconds"}.

The root's lock is beside it during a change, and on the way back what write_ahead.py keeps.
"""

import contextlib
import json
import os
import stat
from typing import Dict, Iterable, List, Mapping, NamedTuple, Sequence

from .. import untrusted
from ..errors import DestinationError, HostError, reason
from ..install import disk, install_state
from ..install.owners import other, user_name
from ..terminal import Terminal
from . import write_ahead

FILE = install_state.JOURNAL
INSTALL, REMOVE, ACTIVATE, ROLLBACK = "install", "remove", "activate", "rollback"
DONE, NOTICED = "done", "noticed"
_FIELDS = ("when", "who", "what", "origin", "to", "result")


class Entry(NamedTuple):
    """One line; `origin` is its key `from`, a keyword in Python. No release is an empty name."""

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
        self.lock = os.path.join(root, install_state.LOCK)
        self._descriptor = -1
        self._locked = -1

    def acquire(self) -> None:
        """Lock the root. FileNotFoundError if it is not there."""
        from ..install import install_lock  # noqa: PLC0415 - to list releases goes without it

        try:
            self._locked = install_lock.open_locked(self.lock)
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            self._descriptor = os.open(self.path, flags, 0o644)
        except FileNotFoundError:
            self.release()
            raise
        except BlockingIOError as error:
            raise DestinationError(
                "%s: another process is changing the releases%s" % (self.root, error.strerror),
                hint="wait until that has ended, then try again",
            ) from error
        except OSError as error:
            self.release()
            raise HostError(
                "%s cannot be written to: %s" % (error.filename or self.path, error.strerror),
                hint="do this as the owner of the releases",
            ) from error
        status = os.fstat(self._descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            self.release()
            raise DestinationError("%s is not a file of its own" % self.path, hint="move it away")
        stranger = self._stranger()
        if stranger:
            self.release()
            raise HostError(
                "%s: %s" % (self.path, stranger), hint="look at what it says, then give it to root with mode 0644"
            )
        if not status.st_size:
            os.fchmod(self._descriptor, 0o644)

    def release(self) -> None:
        """Delete an empty journal, and release the lock."""
        if self._descriptor >= 0:
            status = os.fstat(self._descriptor)
            if stat.S_ISREG(status.st_mode) and not status.st_size:
                os.unlink(self.path)
            os.close(self._descriptor)
        if self._locked >= 0:
            with contextlib.suppress(OSError):
                os.unlink(self.lock)
            os.close(self._locked)
        self._descriptor = self._locked = -1

    def write(
        self, what: str, origin: str, to: str, result: str = DONE, ran: Sequence[Mapping[str, object]] = ()
    ) -> None:
        """Add a line, of now. That it cannot be written is told and no more: the next run will notice."""
        self._add(self._line(what, origin, to, result, ran))

    def write_ahead(self, what: str, origin: str, to: str, result: str, ran: Sequence[Mapping[str, object]]) -> None:
        """Keep a line for the next run to add, should this one be killed before it writes another one."""
        line = self._line(what, origin, to, "%s; killed on the way back" % result, ran)
        try:
            write_ahead.write(self.root, os.fstat(self._descriptor).st_size, line)
        except OSError as error:
            self.terminal.error("%s: %s" % (os.path.join(self.root, write_ahead.FILE), error.strerror))

    def carry_over(self, active: str) -> None:
        """Add the line that a killed run has kept. Note that its way back, to what is `active`, has not ended."""
        line = self._ahead()
        if not line:
            write_ahead.remove(self.root)
            return
        (entry,) = parse([line])
        lines = [json.loads(line)]
        if active not in ("", entry.to):
            lines.append(self._line(ROLLBACK, entry.to, active, NOTICED))
        self._add(*lines)

    def _line(
        self, what: str, origin: str, to: str, result: str, ran: Sequence[Mapping[str, object]] = ()
    ) -> Dict[str, object]:
        note = install_state.read(os.path.join(self.root, "versions", to)) if to else None
        return {
            "when": install_state.now(),
            "who": "unknown" if result == NOTICED else who(),
            "what": what,
            "from": origin or None,
            "to": to or None,
            "revision": note.revision or None if note else None,
            "signer": note.signer or None if note else None,
            "result": result,
            "ran": list(ran),
        }

    def _add(self, *lines: Mapping[str, object]) -> None:
        try:
            self._append("\n".join(map(json.dumps, lines)))
        except OSError as error:
            self.terminal.error("%s cannot be written to: %s" % (self.path, error.strerror))
        else:
            write_ahead.remove(self.root)

    def _ahead(self) -> bytes:
        """Return the line that a killed run has kept; empty if there is none."""
        try:
            line = write_ahead.read(self.root, os.lstat(self.path).st_size).encode("ascii")
        except OSError:
            return b""
        return line if list(parse([line])) else b""

    def _append(self, line: str) -> None:
        """Add a line, after the end of one that a full disk or a power failure has cut off."""
        size = os.fstat(self._descriptor).st_size
        whole = size == 0 or os.pread(self._descriptor, 1, size - 1) == b"\n"
        rest = (line + "\n" if whole else "\n" + line + "\n").encode("ascii")
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        disk.sync(self._descriptor)
        if not size:
            disk.sync_folder(self.root)

    def read(self) -> List[Entry]:
        """Return all complete lines of the last eight megabytes, and one that a killed run has kept; skip the rest.

        Warn of a journal that is not a file, or that another user could change, and do not read it.
        """
        try:
            with untrusted.open_file(self.path, os.O_NOFOLLOW) as stream:
                stream.seek(max(0, os.fstat(stream.fileno()).st_size - untrusted.LIST))
                text = stream.read(untrusted.LIST)
            why = self._stranger()
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            why = reason(error)
        if why:
            self.terminal.error("%s is not used: %s" % (self.path, why))
            return []
        return list(parse([*text.split(b"\n"), self._ahead()]))

    def _stranger(self) -> str:
        """Return who else could change the journal, where the superuser asks; else nothing."""
        found = other(self.path) if os.geteuid() == 0 else ""
        return "it can be changed by %s, and this runs as root" % found if found else ""


def parse(lines: Iterable[bytes]) -> Iterable[Entry]:
    for line in lines:
        try:
            data = untrusted.parse_json(untrusted.within(line, untrusted.MARKER))
        except ValueError:
            continue
        if isinstance(data, dict):
            values = [data.get("from" if field == "origin" else field) or "" for field in _FIELDS]
            if all(isinstance(value, str) for value in values):
                yield Entry(*values)


def who() -> str:
    """Return the user that this runs as, and the user who ran sudo."""
    name, sudo = user_name(os.geteuid()), os.environ.get("SUDO_USER", "")
    return "%s (%s)" % (name, sudo) if sudo not in ("", name) else name
