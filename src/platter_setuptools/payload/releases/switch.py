"""Activate a release, and roll back: the link, what runs before and after it, the journal."""

import contextlib
import os
from typing import Iterator, List

from .. import signals
from ..errors import DestinationError, HostError, InstallError, Interrupted, advice, foreseen
from ..findings import report
from ..install import disk, owners, shared_folder
from ..preflight import health
from ..wheels import contents
from .commands import Commands, Steps
from .journal import ACTIVATE, ROLLBACK
from .root import UNFINISHED, Root, previous

_DRAFT = ".current.platter-new"


def activate(root: Root, version: str, commands: Commands, what: str = ACTIVATE, *, anew: bool = False) -> bool:
    """Prepare, check, switch, bring up. Return whether that was necessary.

    If a script or command fails, what was active before is active again, and HookError or CommandError says so.
    `anew`: the release has just been installed, so it is checked and reloaded also if it is active already.
    """
    refuse_unusable(root, version)
    before, link = root.active(), root.link()
    if before == version and root.settled() and not anew:
        skipped = commands.listed()
        root.terminal.step("%s is active already%s." % (version, "; not run: %s" % skipped if skipped else ""))
        return False
    if not anew:
        _examine(root, version)
    earlier = before if before != version else _earlier(root, version)
    steps = Steps(root, commands, earlier if earlier != version else "")
    switched = before == version  # by a run that was cut off
    try:
        if what != ROLLBACK:
            steps.prepare(version)
        steps.check_health(version)
        switched = True
        point(root, version)
        steps.conclude(version)
        steps.bring_up(version)
        signals.ignore_signals()
    except BaseException as error:
        state = "%s is still active" % before if before else "there is still no active release"
        failure = foreseen(error).message
        if switched:
            with signals.postponed():
                root.journal.write_ahead(what, before, version, failure, steps.ran)
                _point_back(root, link if before != version else earlier)
            state = _bring_back(root, version, steps, commands, interrupted=not isinstance(error, InstallError))
        root.journal.write(what, before, version, failure, steps.ran)
        if before == version and root.active() != before:  # else that would look like a change by hand
            root.journal.write(ROLLBACK, before, root.active())
        if isinstance(error, InstallError):
            error.message += "; " + state
        else:
            root.terminal.error(state)
        raise
    root.journal.write(what, before, version, ran=steps.ran)
    if not commands.reload:
        root.terminal.step("  nothing was reloaded")
    root.terminal.step(
        "%s is active now%s." % (version, ", %s was before" % before if before not in ("", version) else "")
    )
    return True


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
    """Raise DestinationError for a release that cannot start, HostError for one whose shared paths are not there.

    Warn of other changes since its installation.
    """
    folder = root.folder(version)
    shared = shared_folder.examine_installed(root.path, folder)
    if any(one.kind is HostError for one in shared):
        raise report(shared, "%s cannot be activated" % folder)
    judged = health.judge(folder) if contents.read(folder) is not None else []
    for stops, one in judged:
        if stops:
            raise DestinationError("%s cannot start: %s" % (folder, one.text), hint=one.hint)
    for one in [one for _, one in judged] + contents.examine(folder) + shared:
        root.terminal.warn("%s: %s" % (version, one.text))


def absent(root: Root, version: str) -> DestinationError:
    found = ", ".join(one.version for one in root.releases())
    return DestinationError(
        "there is no release %s in %s" % (ascii(version), root.versions), hint="there is: %s" % (found or "none")
    )


def _earlier(root: Root, version: str) -> str:
    """Return the release to point at if a release that was found active, but not completed, fails.

    One that was gone back to was active before that, too, and stays.
    """
    if root.went_back():
        return version
    history = [one for one in root.history() if one != version]
    return history[-1] if history and root.release(history[-1]).usable else version


def _point_back(root: Root, link: str) -> None:
    if link:
        if link != root.link():
            point(root, link)
    elif os.path.islink(root.current):
        os.unlink(root.current)


def _bring_back(root: Root, version: str, steps: Steps, commands: Commands, *, interrupted: bool) -> str:
    """Bring up the release that is active again, since this version failed. Return a sentence about it.

    What serves is reloaded even if post-activate.sh fails. An interruption leaves out what takes long, and everything
    if neither had ended before it.
    """
    back, steps.previous = root.active(), version
    state = "%s is active again" % back if back else "there is no active release again"
    if back in ("", version):
        return state if not back else "%s is still active" % version
    if interrupted and not steps.brought_up:
        return state + ", but nothing was reloaded" if commands.reload else state
    done = [word for word, command in (("reloaded", commands.reload), ("ready", commands.ready)) if command]
    if interrupted:
        done = done[:1]
    troubles: List[str] = []
    signals.listen()  # again, since commands inherit which signals are ignored
    try:
        with _noted(troubles):
            steps.conclude(back)
        with _noted(troubles):
            steps.bring_up(back, waiting=not interrupted)
            state += ", and " + done[0] if len(done) == 1 else ", reloaded and ready" if done else ""
    except Interrupted as error:
        troubles.append(error.message)
    finally:
        signals.ignore_signals()
    return state + (", but " + "; ".join(troubles) if troubles else "")


@contextlib.contextmanager
def _noted(troubles: List[str]) -> Iterator[None]:
    try:
        yield
    except InstallError as error:
        troubles.append(error.message)
