"""Check where releases may be: not inside a release or a root's versions; and which folders must not be replaced."""

import os
from typing import Iterator

from ..errors import DestinationError
from ..install import install_state
from ..install.install_state import JOURNAL
from ..names import normalised

_FILES = (install_state.FILE, install_state.DRAFT, install_state.CONTENTS)
_ELSEWHERE = "choose a folder outside of it"


def is_release(folder: str) -> bool:
    """Whether something was installed into this folder, or began to be."""
    return any(os.path.lexists(os.path.join(folder, name)) for name in _FILES)


def is_versions(folder: str) -> bool:
    """Whether this real path is the folder of a root's releases, by the root's journal or the link in it."""
    root, name = os.path.split(folder)
    if name == "versions" and os.path.lexists(os.path.join(root, JOURNAL)):
        return True
    try:
        target = os.readlink(os.path.join(folder, "current"))
    except OSError:
        return False
    return os.path.basename(target) == target and is_release(os.path.join(folder, target))


def refuse_root(root: str, versions: str) -> None:
    """Raise DestinationError if a root, or what its folder `versions` leads to, lies in another one. Real paths."""
    for path in [root, *_parents(root)]:
        _refuse(root, path)
    if versions != os.path.join(root, "versions"):
        for path in _parents(versions):
            _refuse(versions, path)
        if os.path.lexists(os.path.join(os.path.dirname(versions), JOURNAL)) or is_release(versions):
            raise DestinationError("%s belongs to another root" % versions, hint="give each root its own")


def refuse_destination(path: str, project: str) -> None:
    """Raise DestinationError if this real path lies in a release, or in a root's versions where it cannot be one.

    Directly in versions it can, as if it was installed with --root, if the releases there are of the same project.
    """
    parent = os.path.dirname(path)
    for folder in _parents(path):
        if folder == parent and not is_release(folder) and is_versions(folder):
            _refuse_others(path, project)
        else:
            _refuse(path, folder)


def _refuse_others(path: str, project: str) -> None:
    parent, name = os.path.split(path)
    notes = [install_state.read(os.path.join(parent, one)) for one in os.listdir(parent) if one != "current"]
    names = {note.name for note in notes if note is not None}
    if names and normalised(project) not in map(normalised, names):
        raise DestinationError(
            "%s holds the releases of %s, and this bundle is of %s" % (parent, min(names), project), hint=_ELSEWHERE
        )
    if name == "current":
        raise DestinationError("%s is for the link to the active release" % path, hint="name the folder itself")


def held(path: str) -> Iterator[str]:
    """Yield releases and roots at and below a folder, which must not be deleted with it; it may be a release itself."""
    for folder, folders, names in os.walk(path):
        if JOURNAL in names or ("versions" in folders and is_versions(os.path.join(folder, "versions"))):
            yield "the root %s" % folder
        elif folder != path and not set(_FILES).isdisjoint(names):
            yield "the release %s" % folder


def _refuse(path: str, folder: str) -> None:
    if is_release(folder):
        raise DestinationError("%s lies within the release %s" % (path, folder), hint=_ELSEWHERE)
    if is_versions(folder):
        raise DestinationError("%s lies among the releases in %s" % (path, folder), hint=_ELSEWHERE)


def _parents(path: str) -> Iterator[str]:
    while os.path.dirname(path) != path:
        path = os.path.dirname(path)
        yield path
