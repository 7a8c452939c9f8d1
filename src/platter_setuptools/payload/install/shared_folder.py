"""ROOT/shared: what stays when releases come and go. Each release has links to its shared paths there.

Missing folders are made; nothing else in there is ever changed or removed. Whatever leads to a shared path, such as
ROOT/shared itself, must belong to the root's owner or the superuser: whoever can exchange it decides what releases use,
and where the superuser makes folders. So must links, which may lead out (media on another disk, a file in /etc), but
not to what comes and goes with releases; behind them nothing is made. What is shared itself may belong to anybody, such
as the user of a service.
"""

import contextlib
import os
import stat
from typing import Iterator, List, Sequence

from ..errors import BundleError, DestinationError, HostError
from ..findings import Finding, report
from ..shared_paths import is_folder, name_of
from . import disk, install_state
from .owners import user_name
from .tree import contains, make_folders

FOLDER = "shared"
_DRAFT = ".platter-new"
_MAKE = "make what is missing: the bundle does not bring it, and all releases use what is in %s"
_MOVE = "move away what is there; or correct the project's option, where folders have a / at their end"
_GIVE = "give it to the root's owner (chown -h), and let nobody else write to it"
_MEND = "let the link lead to a folder or file that is there, and outside of the root; or remove it"
_AGAIN = "install the release again with --force; if it is the active one, activate another release before"


class SharedFolder:
    """The shared paths of one release. Whoever calls `settle` and `withdraw` has the root's lock."""

    def __init__(self, root: str, release: str, paths: Sequence[str]) -> None:
        """`root` and `release` are real paths of folders, which may not exist yet."""
        self.path = os.path.join(root, FOLDER)
        self._root, self._release, self._paths = root, release, paths
        self._made: List[str] = []

    def examine(self, *, installed: bool = False) -> List[Finding]:
        """Return what is missing or wrong in ROOT/shared: folders may be missing before the release is `installed`.

        Afterwards also return what has become of its links.
        """
        found = {}
        for path in self._paths:
            try:
                self._look(path, making=not installed)
            except HostError as error:  # noqa: PERF203 - of each of them
                found[error.message] = error.hint
        changes = [text for path in self._paths for text in self._changes(path)] if installed else []
        missing = [Finding(HostError, "shared: " + text, hint) for text, hint in found.items()]
        return missing + [Finding(DestinationError, text, _AGAIN) for text in changes]

    def settle(self) -> None:
        """Make the folders that are missing, and the links. What was examined may have changed since."""
        findings = self.examine()
        if findings:
            raise report(findings, "%s is not what it was before" % self.path)
        for path in self._paths:
            place = os.path.join(self.path, name_of(path))
            self._tidy(os.path.dirname(place))
            if is_folder(path):
                self._make(place)
            self._link(path)

    def withdraw(self) -> None:
        """Remove the folders that `settle` has made, unless something was put there: the installation failed."""
        for place in reversed(self._made):
            with contextlib.suppress(OSError):
                os.rmdir(place)

    def _look(self, path: str, *, making: bool) -> None:
        """Raise HostError for the first thing that is wrong on the way to a shared path."""
        place, linked, parts = self._root, False, [FOLDER, *name_of(path).split("/")]
        for number, part in enumerate(parts, start=1):
            place, last = os.path.join(place, part), number == len(parts)
            try:
                status = os.lstat(place)
                if stat.S_ISLNK(status.st_mode):
                    self._trust(place, status)
                    linked, status = True, self._followed(place)
                if not last:
                    self._trust(place, status)
            except FileNotFoundError:
                # Behind a link it is not for us to make anything.
                if making and is_folder(path) and not linked:
                    self._expect_writable(os.path.dirname(place))
                    return
                kind = "folder" if is_folder(path) else "file"
                whole = os.path.join(self.path, name_of(path))
                raise HostError("expected the %s %s, found nothing" % (kind, whole), hint=_MAKE % self.path) from None
            except OSError as error:
                raise HostError("%s cannot be looked at: %s" % (place, error.strerror), hint=_GIVE) from error
            _expect_kind(place, status, folder=is_folder(path) or not last)

    def _trust(self, place: str, status: os.stat_result) -> None:
        """Raise HostError if anybody else than the root's owner and the superuser could exchange what is there.

        Its group may be that of the root; the superuser trusts no other one.
        """
        root = os.stat(self._root)
        if status.st_uid not in (0, os.geteuid(), root.st_uid):
            raise HostError("%s belongs to %s" % (place, user_name(status.st_uid)), hint=_GIVE)
        if stat.S_ISLNK(status.st_mode):
            return
        if status.st_mode & stat.S_IWOTH:
            raise HostError("%s can be changed by anybody" % place, hint=_GIVE)
        if status.st_mode & stat.S_IWGRP and status.st_gid not in (0, root.st_gid) and os.geteuid() == 0:
            raise HostError("%s can be changed by group %d" % (place, status.st_gid), hint=_GIVE)

    def _followed(self, link: str) -> os.stat_result:
        """Return the status of what a link leads to. Raise HostError if that is nothing, or goes with a release."""
        target, real = os.readlink(link), os.path.realpath(link)
        try:
            status = os.stat(link)
        except OSError as error:
            raise HostError("%s is a link to %s: %s" % (link, target, error.strerror), hint=_MEND) from error
        inside = any(contains(folder, real) for folder in (self._root, os.path.dirname(self._release)))
        if inside and not contains(os.path.realpath(self.path), real):
            raise HostError("%s is a link to %s, in the root but not in %s" % (link, target, self.path), hint=_MEND)
        return status

    @staticmethod
    def _expect_writable(folder: str) -> None:
        if os.path.isdir(folder) and not os.access(folder, os.W_OK | os.X_OK):
            raise HostError("%s is not writable for user %d" % (folder, os.geteuid()), hint=_GIVE)

    def _tidy(self, folder: str) -> None:
        """Remove what a killed run may have left on the way there."""
        while contains(self._root, folder):
            with contextlib.suppress(OSError):
                os.rmdir(os.path.join(folder, _DRAFT))
            folder = os.path.dirname(folder)

    def _make(self, place: str) -> None:
        """Make a folder, and those above it in ROOT/shared, with the owner and mode of the root."""
        if os.path.isdir(place):
            return
        parent = os.path.dirname(place)
        if parent != self._root:
            self._make(parent)
        draft = os.path.join(parent, _DRAFT)
        os.mkdir(draft, 0o700)
        try:
            self._open_as_the_root(draft)
            self._made.append(place)
            os.rename(draft, place)  # replaces nothing but an empty folder
        except BaseException:
            with contextlib.suppress(OSError):
                os.rmdir(draft)
            raise
        disk.sync_folder(parent)

    def _open_as_the_root(self, folder: str) -> None:
        """Give a folder the group and the mode of the root."""
        like, descriptor = os.stat(self._root), os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            if os.fstat(descriptor).st_gid != like.st_gid:
                with contextlib.suppress(PermissionError):  # who is not in that group cannot give it away
                    os.fchown(descriptor, -1, like.st_gid)
            os.fchmod(descriptor, stat.S_IMODE(like.st_mode))
        finally:
            os.close(descriptor)

    def _link(self, path: str) -> None:
        link = os.path.join(self._release, name_of(path))
        try:
            make_folders(os.path.dirname(link))
            os.symlink(self._target(path), link)
        except (FileExistsError, NotADirectoryError) as error:
            raise BundleError(
                "%s is shared, and the release has something of its own there" % path,
                hint="build the bundle without the one or the other",
            ) from error

    def _target(self, path: str) -> str:
        """Return where the link in the release leads: relative, so that the root may be found at another path."""
        folder = os.path.dirname(os.path.join(self._release, name_of(path)))
        return os.path.relpath(os.path.join(self.path, name_of(path)), folder)

    def _changes(self, path: str) -> Iterator[str]:
        name, expected = name_of(path), self._target(path)
        try:
            found = os.readlink(os.path.join(self._release, name))
        except FileNotFoundError:
            yield "%s is missing: it was a link to %s" % (name, expected)
        except OSError:
            yield "%s is not what was installed: it was a link to %s" % (name, expected)
        else:
            if found != expected:
                yield "%s is a link to %s, and was one to %s" % (name, found, expected)


def examine_installed(root: str, release: str) -> List[Finding]:
    """Return what is wrong with the shared paths of an installed release. Real paths."""
    note = install_state.read(release)
    return SharedFolder(root, release, note.shared_paths if note else ()).examine(installed=True)


def _expect_kind(place: str, status: os.stat_result, *, folder: bool) -> None:
    if stat.S_ISDIR(status.st_mode) if folder else stat.S_ISREG(status.st_mode):
        return
    kind = "a file" if stat.S_ISREG(status.st_mode) else "something else"
    kind = "a folder" if stat.S_ISDIR(status.st_mode) else kind
    raise HostError("expected the %s %s, found %s" % ("folder" if folder else "file", place, kind), hint=_MOVE)
