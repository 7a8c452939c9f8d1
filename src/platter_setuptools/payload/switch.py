"""Making a release the active one, and going back: the link, the operator's commands around it, the journal."""

import contextlib
import os
from typing import List, Mapping, NamedTuple, Tuple

from . import contents, disk, health, owners, process, signals
from .errors import CommandError, DestinationError, HostError, InstallError, foreseen
from .journal import ACTIVATE, ROLLBACK
from .root import COMPLETE, UNFINISHED, Root

_DRAFT = ".current.platter-new"


class Commands(NamedTuple):
    """What the operator wants run before and after the switch, as ``sh -c`` takes it; empty for nothing.

    They get the operator's ``environment`` and ``umask``.
    """

    environment: Mapping[str, str]
    health_check: str = ""
    reload: str = ""
    umask: int = 0o022


def activate(root: Root, version: str, commands: Commands, what: str = ACTIVATE, *, anew: bool = False) -> None:
    """Check, switch, reload. If a command fails, what was active before is active again, and CommandError says so.

    ``anew``: the release has just been installed, so it is checked and reloaded also if it is active already.
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
        state = "%s is active as before" % (before or "no release")
        raise CommandError("%s; %s" % (error.message, state), hint=error.hint) from error
    try:
        point(root, version)
        _reload(root, version, commands)
        signals.turn_deaf()
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
    """Activate the release that was active before; so a second rollback undoes the first."""
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


def point(root: Root, target: str) -> None:
    """Let ``current`` be a link to this, in one step."""
    draft = os.path.join(root.versions, _DRAFT)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft)
        os.symlink(target, draft)
        os.replace(draft, root.current)
        disk.settle(root.versions)
    except OSError as error:
        raise InstallError(
            "%s cannot be pointed at %s: %s" % (root.current, target, error.strerror),
            hint="it is as it was before",
        ) from error


def check_health(root: Root, version: str, commands: Commands) -> None:
    if commands.health_check:
        root.terminal.step("  checking the health of %s" % version)
        _run("health check", commands.health_check, root, version, commands)


def refuse_unusable(root: Root, version: str) -> None:
    """DestinationError unless this release can be activated."""
    release = root.release(version)
    if release.usable:
        return
    folder = root.folder(version)
    if release.stranger:
        raise HostError(release.stranger, hint=owners.HINT)
    if not release.state:
        raise absent(root, version)
    if release.state == UNFINISHED:
        raise DestinationError("%s was not installed to its end" % folder, hint="run its install.sh again")
    raise DestinationError("%s has no bin/python that works" % folder, hint="see what platter doctor says")


def _examine(root: Root, version: str) -> None:
    """DestinationError for a release that cannot start; what else has changed since it was installed is told."""
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
    """What to point at when a release that was found active, but not carried through, fails."""
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
    """Reload what is active again; return a sentence that says what that is, and what came of it."""
    back = root.active()
    state = "%s is active again" % (back or "no release")
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
    """The command itself is told nowhere: it may hold a password."""
    folder = os.path.normpath(os.path.join(root.versions, version))
    environment = {
        **process.activated(commands.environment, folder),
        "HERE": folder,
        "PLATTER_ROOT": root.path,
        "PLATTER_VERSION": version,
    }
    found = owners.stranger(folder)
    if found:
        raise CommandError("%s: the %s was not run: %s" % (version, name, found), hint=owners.HINT)
    try:
        failure = process.run([process.SHELL, "-c", command], folder, environment, commands.umask)
    except OSError as error:
        failure = "cannot be started: %s" % error.strerror
    if failure:
        raise CommandError("%s: the %s %s" % (version, name, failure), hint="its output above should say why")


def _summary(error: BaseException) -> str:
    return foreseen(error).message
