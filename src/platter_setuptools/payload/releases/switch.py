"""Activate a release, and roll back: the link, the operator's commands before and after it, the journal."""

import contextlib
import os
from typing import Mapping, NamedTuple

from .. import process, signals
from ..errors import CommandError, DestinationError, HostError, InstallError, advice, foreseen
from ..install import disk, owners
from ..preflight import health
from ..wheels import contents
from .journal import ACTIVATE, ROLLBACK
from .root import UNFINISHED, Root, previous

_DRAFT = ".current.platter-new"


class Commands(NamedTuple):
    """The operator's commands before and after the switch, for `sh -c`; empty for none.

    They get the operator's `environment` and `umask`.
    """

    environment: Mapping[str, str]
    health_check: str = ""
    reload: str = ""
    umask: int = 0o022


def activate(root: Root, version: str, commands: Commands, what: str = ACTIVATE, *, anew: bool = False) -> None:
    """Check, switch, reload. If a command fails, what was active before is active again, and CommandError says so.

    `anew`: the release has just been installed, so it is checked and reloaded also if it is active already.
    """
    refuse_unusable(root, version)
    before, link = root.active(), root.link()
    if before == version and root.settled() and not anew:
        given = (("the health check", commands.health_check), ("the reload command", commands.reload))
        skipped = " and ".join(name for name, command in given if command)
        root.terminal.step("%s is active already%s." % (version, "; not run: %s" % skipped if skipped else ""))
        return
    if not anew:
        _examine(root, version)
    try:
        check_health(root, version, commands)
    except CommandError as error:
        root.journal.write(what, before, version, _summary(error))
        state = "%s is still active" % before if before else "there is still no active release"
        raise CommandError("%s; %s" % (error.message, state), hint=error.hint) from error
    try:
        point(root, version)
        _reload(root, version, commands)
        signals.ignore_signals()
    except BaseException as error:
        with signals.postponed():
            _point_back(root, link if before != version else _earlier(root, version))
            root.journal.write(what, before, version, _summary(error))
        state = _reload_back(root, commands, interrupted=not isinstance(error, CommandError))
        if isinstance(error, InstallError):
            error.message += "; " + state
        else:
            root.terminal.error(state)
        raise
    root.journal.write(what, before, version)
    root.terminal.step(
        "%s is active now%s." % (version, ", %s was before" % before if before not in ("", version) else "")
    )


def rollback(root: Root, commands: Commands) -> None:
    """Activate the release that was active before; a second rollback undoes the first."""
    version, passed_over = previous(root)
    active = root.active()
    if not version:
        others = [one.version for one in root.releases() if one.usable and one.version != active]
        raise DestinationError(
            "there is no release to go back to from %s" % (active or "nothing"),
            hint="activate one by its version: %s" % ", ".join(others) if others else "install another release first",
        )
    if passed_over:
        root.terminal.error("%s, going back to %s" % (passed_over, version))
    activate(root, version, commands, ROLLBACK)


def point(root: Root, target: str) -> None:
    """Let `current` be a link to this, in one step."""
    draft = os.path.join(root.versions, _DRAFT)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft)
        os.symlink(target, draft)
        os.replace(draft, root.current)
        disk.sync_folder(root.versions)
    except OSError as error:
        raise InstallError(
            "%s cannot be pointed at %s: %s" % (root.current, target, error.strerror),
            hint=advice(error),
        ) from error


def check_health(root: Root, version: str, commands: Commands) -> None:
    if commands.health_check:
        root.terminal.step("  checking the health of %s" % version)
        _run("health check", commands.health_check, root, version, commands)


def refuse_unusable(root: Root, version: str) -> None:
    """Raise DestinationError unless this release can be activated."""
    release = root.release(version)
    if release.usable:
        return
    folder = root.folder(version)
    if release.stranger:
        raise HostError(release.stranger, hint=owners.HINT)
    if not release.state:
        raise absent(root, version)
    if release.state == UNFINISHED:
        raise DestinationError("%s was not completely installed" % folder, hint="run its install.sh again")
    raise DestinationError("%s has no working bin/python" % folder, hint="run platter doctor")


def _examine(root: Root, version: str) -> None:
    """Raise DestinationError for a release that cannot start; warn of other changes since its installation."""
    folder = root.folder(version)
    judged = health.judge(folder) if contents.read(folder) is not None else []
    for stops, one in judged:
        if stops:
            raise DestinationError("%s cannot start: %s" % (folder, one.text), hint=one.hint)
    for one in [one for _, one in judged] + contents.examine(folder):
        root.terminal.warn("%s: %s" % (version, one.text))


def absent(root: Root, version: str) -> DestinationError:
    found = ", ".join(one.version for one in root.releases())
    return DestinationError(
        "there is no release %s in %s" % (ascii(version), root.versions), hint="there is: %s" % (found or "none")
    )


def _earlier(root: Root, version: str) -> str:
    """Return the release to point at if a release that was found active, but not completed, fails."""
    history = [one for one in root.history() if one != version]
    return history[-1] if history and root.release(history[-1]).usable else version


def _point_back(root: Root, link: str) -> None:
    if link:
        if link != root.link():
            point(root, link)
    elif os.path.islink(root.current):
        os.unlink(root.current)


def _reload(root: Root, version: str, commands: Commands) -> None:
    if commands.reload:
        root.terminal.step("  reloading")
        _run("reload command", commands.reload, root, version, commands)
    else:
        root.terminal.step("  nothing was reloaded")


def _reload_back(root: Root, commands: Commands, *, interrupted: bool) -> str:
    """Reload the release that is active again. Return a sentence with its name and the result."""
    back = root.active()
    state = "%s is active again" % back if back else "there is no active release again"
    if not commands.reload or not back:
        return state
    if interrupted:
        return state + ", but nothing was reloaded"
    try:
        _reload(root, back, commands)
    except CommandError as error:
        return "%s, but %s" % (state, error.message)
    return state + ", and reloaded"


def _run(name: str, command: str, root: Root, version: str, commands: Commands) -> None:
    """Run a command, and never print it: it may contain a password."""
    folder = os.path.normpath(os.path.join(root.versions, version))
    environment = {
        **process.activated(commands.environment, folder),
        "HERE": folder,
        "PLATTER_ROOT": root.path,
        "PLATTER_VERSION": version,
    }
    found = owners.stranger(folder)
    if found:
        raise CommandError("release %s: the %s was not run: %s" % (version, name, found), hint=owners.HINT)
    try:
        failure = process.run([process.SHELL, "-c", command], folder, environment, commands.umask)
    except OSError as error:
        failure = "cannot be started: %s" % error.strerror
    if failure:
        raise CommandError("release %s: the %s %s" % (version, name, failure), hint="its output above should say why")


def _summary(error: BaseException) -> str:
    return foreseen(error).message
