"""Check installed releases: their interpreters, files and links."""

import csv
import glob
import math
import os
from typing import Dict, Iterator, List, Sequence, Set

from ..errors import BundleError, HostError, first
from ..findings import Finding
from ..install import shared_folder
from ..install.install_state import PYTHONS
from ..install.tree import contains
from ..preflight import health
from ..shared_paths import name_of
from ..untrusted import LIST, read_file
from ..wheels import contents, record, wheel
from . import interpreters
from .root import COMPLETE, UNFINISHED, Release, Root
from .switch import absent

_REPAIRED = "install a full bundle with that interpreter again, which repairs it"
_AGAIN = "activate another release if need be, then install the damaged one again with --force"


def examine(root: Root, versions: Sequence[str]) -> None:
    """Report on each release, or these. Raises BundleError if there are findings."""
    found = list(_links(root))
    missing: List[Finding] = []
    for version in versions:
        if not root.release(version).state:
            raise absent(root, version)
    releases = [one for one in root.releases() if not versions or one.version in versions]
    for one in releases:
        findings: List[str] = []
        if one.stranger:
            findings = [one.stranger]
            root.terminal.step("%s: not ours, not examined" % one.version)
        elif one.state == COMPLETE:
            shared = shared_folder.examine_installed(root.path, root.folder(one.version))
            lacking = [finding for finding in shared if finding.kind is HostError]
            findings = list(_release(root, one)) + [finding.text for finding in shared if finding not in lacking]
            said = "damaged" if findings else "lacks what it shares" if lacking else "as it was installed"
            count, mode = one.note.shared_files, one.note.link_mode
            linked = ", shares %d files (%s)" % (count, mode) if count else ""
            root.terminal.step("%s: %s%s" % (one.version, said, linked))
            missing += [finding._replace(text="%s: %s" % (one.version, finding.text)) for finding in lacking]
        elif one.state == UNFINISHED:
            root.terminal.step("%s: not completely installed; platter prune removes it" % one.version)
        else:
            root.terminal.step("%s: not installed from a bundle, not examined" % one.version)
        found += ["%s: %s" % (one.version, finding) for finding in first(findings)]
    bases = list(interpreters.examine(root, [one.version for one in releases if not one.stranger]))
    shared_bases = [one for one in bases if one.startswith(PYTHONS)]
    found += first([one for one in bases if one not in shared_bases])
    if found or shared_bases or missing:
        hints = [_AGAIN] * bool(found) + [_REPAIRED] * bool(shared_bases) + [one.hint for one in missing]
        texts = found + first(shared_bases) + [one.text for one in missing]
        raise BundleError(
            "not all is as it should be:\n" + "\n".join("  " + one for one in texts),
            hint="; ".join(dict.fromkeys(hints)),
        )


def _links(root: Root) -> Iterator[str]:
    active = root.active()
    if active and not root.release(active).usable:
        yield "current points at %s, which cannot be used" % active


def _release(root: Root, release: Release) -> Iterator[str]:
    folder, linked = root.folder(release.version), set(map(name_of, release.note.shared_paths))
    for change in health.examine(folder):
        yield change.text
    for finding in contents.changes(folder, sizes=False):
        yield finding
    for place in filter(os.path.isdir, (folder, os.path.join(folder, "bin"))):
        for name in sorted(os.listdir(place)):
            path = os.path.join(place, name)
            shown = os.path.relpath(path, folder)
            if os.path.islink(path) and not os.path.exists(path) and shown not in linked:
                yield "%s is a link to %s, where there is nothing" % (shown, os.readlink(path))
    for finding in _files(folder):
        yield finding


def _files(folder: str) -> Iterator[str]:
    places = {os.path.realpath(path) for path in glob.glob(glob.escape(folder) + "/lib*/python*/site-packages")}
    recorded: Dict[str, List[str]] = {}
    for place in sorted(places):
        for path in sorted(glob.glob(glob.escape(place) + "/*.dist-info")):
            for finding in _recorded(place, os.path.join(path, "RECORD"), folder, recorded):
                yield finding
    changed: Set[str] = set()
    known = contents.read(folder)
    for name, digest in known.altered.items() if known else ():
        file = os.path.join(os.path.realpath(folder), name)
        changed.add(file)
        if file in recorded and digest:
            recorded[file] = [digest]
        else:
            recorded.pop(file, None)
    for finding in _compared(recorded, folder, changed):
        yield finding


def _compared(recorded: Dict[str, List[str]], folder: str, changed: Set[str]) -> Iterator[str]:
    """Yield what is not as recorded. Add it to `changed`; bytecode of what is in there is not compared."""
    since = _made(folder)
    for file, hashes in sorted(recorded.items(), key=lambda one: (one[0].endswith(".pyc"), one[0])):
        shown = os.path.relpath(file, folder)
        try:
            # Of several distributions that own a file one has won.
            if any(record.matches(file, one) for one in hashes):
                continue
            if file.endswith(".pyc") and _is_newer(wheel.source_of(file), since, changed):
                continue  # Python compiles it again
            changed.add(file)
            yield "%s is not what was installed" % shown
        except FileNotFoundError:
            yield "%s is missing" % shown
        except OSError as error:
            yield "%s cannot be read: %s" % (shown, error.strerror)


def _made(folder: str) -> float:
    """Return when the virtualenv was made, before its modules, which have the times that their wheels say."""
    try:
        return os.lstat(os.path.join(folder, "pyvenv.cfg")).st_mtime
    except OSError:
        return math.inf


def _is_newer(source: str, since: float, changed: Set[str]) -> bool:
    """Whether a module was changed, or just given another time, since it was installed."""
    try:
        return source in changed or os.lstat(source).st_mtime > since
    except OSError:
        return False


def _recorded(place: str, path: str, folder: str, recorded: Dict[str, List[str]]) -> Iterator[str]:
    """Add the files of one distribution, as absolute paths, with the hashes that its RECORD has for them."""
    try:
        rows = record.parse(read_file(path, LIST))
    except (OSError, ValueError, csv.Error) as error:
        yield "%s cannot be read: %s" % (os.path.relpath(path, folder), error)
        return
    if os.path.relpath(path, place) not in rows:
        yield "%s is not whole" % os.path.relpath(path, folder)
    for name, digest, _ in rows.values():
        file = os.path.normpath(os.path.join(place, name))
        if contains(os.path.realpath(folder), os.path.realpath(os.path.dirname(file))):
            recorded.setdefault(file, []).append(digest)
        else:
            yield "%s is not in the release, and was not checked" % file
