"""The interpreters in ROOT/pythons, which bundles brought, and which releases use them."""

import contextlib
import os
import re
from typing import Dict, Iterator, List, Sequence, Tuple

from ..install import install_state, interpreter, removal
from ..install.install_state import PYTHONS
from ..install.interpreter import OWN, Note
from .root import Root

_DRAFT = re.compile(r"\..+\.platter-(?:new|trash)")
_UNPACKED = re.compile(r"\.platter-python\.(.*)\.([0-9]{1,10})")


def interpreters(root: Root) -> Dict[str, Note]:
    """Return what is known of each interpreter, by the name of its folder."""
    try:
        names = sorted(os.listdir(root.pythons))
    except OSError:
        return {}
    found = ((name, interpreter.read_note(os.path.join(root.pythons, name))) for name in names if name[:1] != ".")
    return {name: note for name, note in found if note}


def used(root: Root) -> Dict[str, List[str]]:
    """Return the releases that use each interpreter, finished or not: by their marker, or by their link to it."""
    found: Dict[str, List[str]] = {}
    for version, folder in _folders(root):
        marker = install_state.read(folder)
        program = os.path.realpath(os.path.join(folder, "bin", "python"))
        names = {os.path.relpath(program, root.pythons).partition("/")[0]}
        if marker and not os.path.lexists(os.path.join(folder, OWN)):
            names.add(marker.bundled_interpreter)
        for name in names - {"", ".."}:
            found.setdefault(name, []).append(version)
    return found


def _folders(root: Root) -> Iterator[Tuple[str, str]]:
    with contextlib.suppress(FileNotFoundError):
        for version in sorted(os.listdir(root.versions)):
            folder = os.path.join(root.versions, version)
            if os.path.isdir(folder) and not os.path.islink(folder):
                yield version, folder


def prune(root: Root) -> None:
    """Remove the interpreters that no release uses, and what killed runs have left. Only warn of what stays."""
    using, running = used(root), os.path.realpath(interpreter.running_base())
    for name in interpreters(root):
        place = os.path.join(root.pythons, name)
        if name in using or os.path.realpath(place) == running:
            continue
        kept = interpreter.remove(place)
        if kept:
            root.terminal.error("left alone: %s" % removal.shown(kept))
        else:
            root.terminal.step("Removed the interpreter %s." % name)
    for path in _left(root):
        removal.remove(path)
    with contextlib.suppress(OSError):
        os.rmdir(root.pythons)


def examine(root: Root, versions: Sequence[str]) -> Iterator[str]:
    """Yield what is wrong with the interpreters of these releases."""
    using = used(root)
    places = [os.path.join(PYTHONS, name) for name in sorted(using) if not set(using[name]).isdisjoint(versions)]
    places += [os.path.join("versions", version, OWN) for version in versions]
    for place in places:
        folder = os.path.join(root.path, place)
        if not os.path.lexists(folder):
            if place.startswith(PYTHONS):
                yield "%s is missing" % place
            continue
        note = interpreter.read_note(folder)
        for text in interpreter.differences(folder, note.record_sha256) if note else ["not whole"]:
            yield "%s: %s" % (place, text)


def _left(root: Root) -> Iterator[str]:
    """Yield what runs have left that were killed; install.sh unpacks above the root if that is not there yet."""
    for folder, match in (
        (root.pythons, _DRAFT.fullmatch),
        (root.path, _UNPACKED.fullmatch),
        (os.path.dirname(root.path), _UNPACKED.fullmatch),
    ):
        try:
            names = os.listdir(folder)
        except OSError:
            continue
        for name in names:
            found, path = match(name), os.path.join(folder, name)
            if found and (not found.groups() or _is_left(path, found.group(1), int(found.group(2)))):
                yield path


def _is_left(path: str, host: str, pid: int) -> bool:
    """Whether a run of this user on this machine has unpacked an interpreter there, and is gone."""
    with contextlib.suppress(OSError):  # somebody else has removed it
        return host == os.uname().nodename and os.lstat(path).st_uid == os.geteuid() and not _runs(pid)
    return False


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
