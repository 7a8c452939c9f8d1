"""Remove old releases, and what interrupted runs have left."""

import os
import re
from typing import AbstractSet, List, Sequence

from ..errors import InstallError, foreseen
from ..install.destination import Destination
from ..install.install_state import State
from . import interpreters
from .journal import REMOVE
from .root import COMPLETE, UNFINISHED, Release, Root, previous

_BESIDE = re.compile(r"\.(.+)\.platter-(?:lock|replaced|trash)")


def prune(root: Root, keep: int, wanted: str = "") -> None:
    """Leave the `keep` newest releases, the active one, the one to go back to and `wanted`, and foreign ones."""
    for name in sorted({match.group(1) for match in map(_BESIDE.fullmatch, os.listdir(root.versions)) if match}):
        _remove(root, name, ())
    releases, active = root.releases(), root.active()
    going = [one.version for one in releases if one.state == UNFINISHED and one.version != active]
    going += superfluous(releases, keep, {active, previous(root)[0], wanted})
    for version in going:
        if _remove(root, version, (State.UNFINISHED, State.OTHER)):
            root.journal.write(REMOVE, version, "")
            root.terminal.step("Removed %s." % version)
    interpreters.prune(root)


def superfluous(releases: Sequence[Release], keep: int, needed: AbstractSet[str]) -> List[str]:
    """Return the releases that are neither among the newest nor needed, the oldest first."""
    complete = [one.version for one in releases if one.state == COMPLETE]
    return [version for version in complete[: max(0, len(complete) - keep)] if version not in needed]


def _remove(root: Root, name: str, states: Sequence[State]) -> bool:
    """Clear what a killed run left inside and beside it, and delete it if it is in one of these states."""
    destination = Destination(root.folder(name), "", root.terminal.error)
    try:
        destination.acquire()
        if destination.state() not in states:
            return False
        destination.discard()
    except (InstallError, OSError) as error:
        root.terminal.error("left alone: %s" % foreseen(error))
        return False
    finally:
        destination.release()
    return True
