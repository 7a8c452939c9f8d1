"""A root: releases side by side, and a link to the active one.

    ROOT/versions/1.0, 1.1, ...    one folder each
    ROOT/versions/current -> 1.1   relative, and replaced by rename: there is no moment without it
    ROOT/pythons/3.12.8-1a2b...    interpreters that bundles brought (see interpreters.py)
    ROOT/shared                    folders and files to which releases have links (see shared_folder.py)
    ROOT/platter                   lists, activates, rolls back, prunes (see releases_cli.py)
    ROOT/platter-journal.jsonl     see journal.py

The state is read from the folders and the link, so changes by hand (`ln -sfn`, `rm -r`, install.sh with a DST) count.
Only the order of changes is read from the journal.
"""

import contextlib
import errno
import os
import re
from typing import Iterator, List, NamedTuple, Tuple

from ..errors import BundleError, DestinationError, HostError
from ..install import install_state
from ..install.install_state import PYTHONS, Marker, State
from ..install.owners import stranger, user_name
from ..install.tree import make_folder, refuse_dangling
from ..terminal import Terminal
from .journal import ACTIVATE, INSTALL, NOTICED, REMOVE, ROLLBACK, Entry, Journal

CURRENT = "current"
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]*")
_ATTEMPTS = 10

COMPLETE, UNFINISHED, FOREIGN = "complete", "unfinished", "foreign"
_STATES = {State.OTHER: COMPLETE, State.INSTALLED: COMPLETE, State.UNFINISHED: UNFINISHED}


class Release(NamedTuple):
    """`foreign`: no bundle was installed there; it may be an older virtualenv.

    `note` is what it says of itself, an empty one if that is nothing. `stranger`: see owners.py; such a release is also
    `foreign`.
    """

    version: str
    state: str
    usable: bool
    note: Marker = Marker()
    stranger: str = ""


class Root:
    def __init__(self, path: str, terminal: Terminal) -> None:
        self.named = os.path.abspath(path)
        self.path = os.path.realpath(path)
        self.versions = os.path.realpath(os.path.join(self.path, "versions"))
        self.pythons = os.path.realpath(os.path.join(self.path, PYTHONS))
        self.current = os.path.join(self.versions, CURRENT)
        self.terminal = terminal
        self.journal = Journal(self.path, terminal)

    def folder(self, version: str) -> str:
        return os.path.join(self.versions, version)

    def check(self) -> None:
        """Raise HostError or DestinationError if releases cannot be managed here."""
        refuse_dangling(self.named)
        refuse_dangling(os.path.join(self.path, "versions"))
        for folder in (self.path, self.versions, self.pythons):
            if not os.path.lexists(folder):
                continue
            if not os.path.isdir(folder):
                raise DestinationError("%s is not a folder" % folder, hint="move it away, or choose another root")
            owner = os.stat(folder).st_uid
            writable = os.access(folder, os.W_OK | os.X_OK)
            # What root would leave here its owner could neither change nor remove.
            if owner != os.geteuid() and (os.geteuid() == 0 or not writable):
                raise HostError(
                    "%s belongs to %s, and this runs as %s" % (folder, user_name(owner), user_name(os.geteuid())),
                    hint="do this as the owner, with sudo -u for one",
                )
            if not writable:
                raise HostError(
                    "%s cannot be written to" % folder,
                    hint="look at its mode (ls -ld) and whether it is mounted read-only (findmnt -T)",
                )
        self.link()

    @contextlib.contextmanager
    def held(self, *, make: bool = False) -> Iterator[None]:
        """Lock the root. With `make` create its folders, and delete empty ones at the end."""
        made: List[str] = []
        try:
            for attempt in range(_ATTEMPTS):
                made += self._make() if make else []
                try:
                    self.journal.acquire()
                except FileNotFoundError:  # a run that failed beside us removed the folder that it had made
                    if not make or attempt == _ATTEMPTS - 1:
                        raise
                else:
                    break
            self._notice()
            yield
        finally:
            self.journal.release()
            for folder in reversed(made):
                with contextlib.suppress(OSError):
                    os.rmdir(folder)

    def releases(self) -> List[Release]:
        """Return the releases, the oldest first; unfinished and foreign ones, whose time is unknown, before all."""
        try:
            names = os.listdir(self.versions)
        except FileNotFoundError:
            return []
        found = [self.release(name) for name in names if is_version(name)]
        return sorted((one for one in found if one.state), key=lambda one: (one.note.when, one.version))

    def release(self, version: str) -> Release:
        """Return a release; its state is empty if there is none."""
        folder = self.folder(version)
        if not is_version(version) or os.path.islink(folder) or not os.path.isdir(folder):
            return Release(version, "", usable=False)
        found = stranger(folder)
        if found:
            return Release(version, FOREIGN, usable=False, stranger=found)
        state = _STATES.get(install_state.state(folder, ""), FOREIGN)
        usable = state != UNFINISHED and os.path.exists(os.path.join(folder, "bin", "python"))
        return Release(version, state, usable, install_state.read(folder) or Marker())

    def link(self) -> str:
        """Return the target of `current` as written; empty if there is none."""
        try:
            return os.readlink(self.current)
        except (FileNotFoundError, NotADirectoryError):
            return ""
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            raise DestinationError(
                "%s is not a link" % self.current, hint="it was made by hand; move it away, then activate a release"
            ) from error

    def active(self) -> str:
        """Return the release that `current` names, existing or not; for a link out of `versions` its target."""
        link = self.link()
        path = os.path.normpath(os.path.join(self.versions, link))
        for target in (path, os.path.realpath(path)):
            folder, name = os.path.split(target)
            if link and os.path.realpath(folder) == self.versions and not os.path.islink(target):
                return name
        return link

    def history(self) -> List[str]:
        """Return the releases in the order in which they became active, some more than once; the last one is active."""
        actives = [one.to for one in switches(self.journal.read())]
        active = self.active()
        return actives if actives and actives[-1] == active else [*actives, active]

    def settled(self) -> bool:
        """Whether the last switch was ours, and was carried through to its end."""
        done = switches(self.journal.read())
        return bool(done) and done[-1].to == self.active() and done[-1].result != NOTICED

    def went_back(self) -> bool:
        """Whether a run was killed while it went back to what is active, or brought that up again."""
        done = switches(self.journal.read())
        return bool(done) and (done[-1].what, done[-1].result) == (ROLLBACK, NOTICED)

    def _make(self) -> List[str]:
        made = []
        missing = self.versions
        while not os.path.isdir(missing):
            made.append(missing)
            missing = os.path.dirname(missing)
        made.reverse()
        try:
            for folder in made:
                with contextlib.suppress(FileExistsError):
                    make_folder(folder)
        except OSError as error:
            raise HostError(
                "%s cannot be made: %s" % (error.filename, error.strerror),
                hint="make it as an administrator, and give it to %s" % user_name(os.geteuid()),
            ) from error
        return made

    def _notice(self) -> None:
        """Write down what happened without us, and what a run that was killed could not."""
        self.journal.carry_over(self.active())
        entries = self.journal.read()
        known = set()
        for entry in entries:
            if entry.changed and entry.what == INSTALL:
                known.add(entry.to)
            elif entry.changed and entry.what == REMOVE:
                known.discard(entry.origin)
        there = {one.version for one in self.releases() if one.state == COMPLETE}
        for version in sorted(there - known):
            self.journal.write(INSTALL, "", version, NOTICED)
        for version in sorted(known - there):
            self.journal.write(REMOVE, version, "", NOTICED)
        done = switches(entries)
        before, active = done[-1].to if done else "", self.active()
        if before != active:
            self.journal.write(ACTIVATE, before, active, NOTICED)


def previous(root: Root) -> Tuple[str, str]:
    """The release to go back to, and why it is not simply the one that was active before. Both may be empty.

    Without help from the journal it is the one that was installed last before the active one.
    """
    history = root.history()
    active, releases = history[-1], root.releases()
    usable = {one.version for one in releases if one.usable}
    gone: List[str] = []
    for version in reversed(history):
        if version in usable and version != active:
            return version, "%s, active before, cannot be used any more" % gone[0] if gone else ""
        if version not in ("", active) and version not in gone:
            gone.append(version)
    order = [one.version for one in releases if one.state == COMPLETE or one.version == active]
    earlier = order[: order.index(active)] if active in order else []
    earlier = [version for version in earlier if version in usable]
    return (earlier[-1], "the journal does not say what was active before") if earlier else ("", "")


def switches(entries: List[Entry]) -> List[Entry]:
    """Return the changes of the active release, but not to one that a killed run left and that failed afterwards.

    A way back that was cut off counts, also if the release fails: it was active before.
    """
    found: List[Entry] = []
    for one in entries:
        if one.what not in (ACTIVATE, ROLLBACK):
            continue
        if one.changed:
            found.append(one)
        elif one.origin == one.to and found and found[-1][2:] == (ACTIVATE, found[-1].origin, one.to, NOTICED):
            found.pop()
    return found


def is_version(name: str) -> bool:
    return name != CURRENT and _VERSION.fullmatch(name) is not None


def checked_version(version: str) -> str:
    """Return the version, which becomes the name of a folder. Raises BundleError."""
    if not is_version(version):
        raise BundleError(
            "%s cannot be the name of a release" % ascii(version), hint="give the project a PEP 440 version"
        )
    return version
