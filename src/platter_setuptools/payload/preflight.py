"""All that can be known before anything is touched, gathered into one list of findings."""

import importlib.util
import os
from typing import Iterator, List, NamedTuple, Type

from . import specifiers, tags
from .destination import Destination, State
from .errors import DestinationError, HostError, InstallError, PythonError
from .host import Host
from .manifest import Manifest, Target

# What a virtualenv without packages takes, and room for what is counted in whole blocks.
_SPARE_BYTES = 4 << 20
_SPARE_FILES = 64
_BLOCK = 4096
_SHOWN = 8
# A pip of today has paths of 90 characters; wheels with deeper ones exist.
_PATH_ROOM = 256
_ELSEWHERE = "choose a folder on another filesystem, or have this one changed"
_ORDER = (PythonError, HostError, DestinationError)


class Finding(NamedTuple):
    kind: Type[InstallError]
    text: str
    hint: str = ""


def examine(manifest: Manifest, host: Host, destination: Destination, bundle: str, *, force: bool) -> List[Finding]:
    findings = list(_python(manifest, host))
    if not findings:  # for another Python most wheels would be reported, which says nothing new
        findings += _wheels(manifest, host)
    findings += _place(destination)
    findings += _space(manifest, destination)
    findings += _destination(destination, bundle, force=force)
    return findings


def report(findings: List[Finding], title: str) -> InstallError:
    """One error for all findings; Python first, then the host, then the destination decides on the exit code."""
    kind = next(kind for kind in _ORDER if any(one.kind is kind for one in findings))
    hints: List[str] = []
    for one in findings:
        if one.hint and one.hint not in hints:
            hints.append(one.hint)
    lines = "\n".join("  " + one.text for one in findings)
    return kind("%s cannot be installed:\n%s" % (title, lines), hint="; ".join(hints))


def target_for(manifest: Manifest, host: Host) -> Target:
    """The target that this interpreter serves; the first if none is."""
    for target in manifest.targets:
        if not list(_mismatches(target, host)):
            return target
    return manifest.targets[0]


def bytecode_fits(target: Target) -> bool:
    return importlib.util.MAGIC_NUMBER.hex() == target.magic


def _python(manifest: Manifest, host: Host) -> Iterator[Finding]:
    target = target_for(manifest, host)
    hint = "install Python %s, or name it with -p" % target.python
    for text in _mismatches(target, host):
        yield Finding(PythonError, text, hint)
    wanted = manifest.requires_python
    if wanted and not specifiers.contains(wanted, host.python):
        yield Finding(PythonError, "Python: expected %s, found %s" % (wanted, host.full_python), hint)


def _mismatches(target: Target, host: Host) -> Iterator[str]:
    if host.implementation != target.implementation:
        yield "Python: expected %s, found %s" % (target.implementation, host.implementation)
    if host.short_python != target.python:
        yield "Python: expected %s, found %s" % (target.python, host.full_python)
    if host.free_threaded != target.free_threaded:
        names = {True: "free-threaded", False: "with the GIL"}
        yield "Python: expected %s, found %s" % (names[target.free_threaded], names[host.free_threaded])
    # A debug build runs what was made for the ordinary one.
    if target.debug and not host.debug:
        yield "Python: expected a debug build, found an ordinary one"


def _wheels(manifest: Manifest, host: Host) -> List[Finding]:
    unfit = [wheel.file for wheel in manifest.wheels if not tags.wheel_fits(host, wheel.file)]
    found = "%s, %s, %s" % (host.abi, host.platform, host.libc)
    hint = "build a bundle for this platform; this one is for %s" % manifest.platform
    findings = [Finding(HostError, "wheel: %s does not fit, found %s" % (file, found), hint) for file in unfit[:_SHOWN]]
    if len(unfit) > _SHOWN:
        findings.append(Finding(HostError, "wheel: %d more do not fit" % (len(unfit) - _SHOWN)))
    return findings


def _place(destination: Destination) -> Iterator[Finding]:
    """The filesystem: may we write there, and may programs run there."""
    folder = _holder(destination)
    if not os.path.isdir(folder):
        yield Finding(DestinationError, "folder: %s is not a folder" % folder)
        return
    status = os.statvfs(folder)
    if status.f_flag & os.ST_RDONLY:
        yield Finding(HostError, "filesystem: %s is mounted read-only" % folder, _ELSEWHERE)
    elif not os.access(folder, os.W_OK | os.X_OK):
        yield Finding(
            HostError,
            "permission: %s is not writable for user %d" % (folder, os.geteuid()),
            "install as its owner",
        )
    if status.f_flag & getattr(os, "ST_NOEXEC", 0):
        yield Finding(HostError, "filesystem: %s is mounted noexec, programs in it cannot run" % folder, _ELSEWHERE)


def _space(manifest: Manifest, destination: Destination) -> Iterator[Finding]:
    folder = _holder(destination)
    if not os.path.isdir(folder):
        return
    status = os.statvfs(folder)
    free = status.f_bavail * status.f_frsize
    # Files end within a block: half a one on average.
    need = manifest.installed_size + manifest.installed_files * _BLOCK // 2 + _SPARE_BYTES
    if free < need:
        text = "space: expected %s in %s, found %s" % (_mebibytes(need), folder, _mebibytes(free))
        yield Finding(HostError, text, _ELSEWHERE)
    if status.f_files and status.f_favail < manifest.installed_files + _SPARE_FILES:
        found = (manifest.installed_files + _SPARE_FILES, folder, status.f_favail)
        yield Finding(HostError, "inodes: expected %d in %s, found %d" % found, _ELSEWHERE)


def _destination(destination: Destination, bundle: str, *, force: bool) -> Iterator[Finding]:
    path = destination.path
    odd = [character for character in path if not character.isprintable() and not "\udc80" <= character <= "\udcff"]
    if odd:
        yield Finding(DestinationError, "folder: %s contains the control character %s" % (ascii(path), ascii(odd[0])))
    if any("\udc80" <= character <= "\udcff" for character in path):
        yield Finding(DestinationError, "folder: %s is not UTF-8, and scripts must be" % ascii(path))
    if os.pathsep in path:
        yield Finding(DestinationError, "folder: %s contains %r, which PATH cannot hold" % (path, os.pathsep))
    longest = os.pathconf(existing("/"), "PC_PATH_MAX") - _PATH_ROOM
    if len(os.fsencode(path)) > longest:
        yield Finding(DestinationError, "folder: expected a path of at most %d bytes, found %d" % (longest, len(path)))
        return
    if contains(bundle, path):
        yield Finding(DestinationError, "folder: %s lies within the bundle itself" % path)
        return
    state = destination.state()
    if state in (State.EMPTY, State.ABSENT, State.UNFINISHED):
        return
    if not force:
        error = destination.in_the_way(state)
        yield Finding(DestinationError, error.message, error.hint)
    elif contains(path, bundle) or os.path.dirname(path) == path or os.path.ismount(path):
        yield Finding(DestinationError, "folder: %s holds the bundle or is a mounted filesystem" % path)


def contains(folder: str, path: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _holder(destination: Destination) -> str:
    """The folder that is written into first: DST, the nearest of its parents that is there, or, to replace, its own."""
    if destination.state() in (State.INSTALLED, State.OTHER, State.FOREIGN):
        return destination.parent
    return existing(destination.path)


def existing(path: str) -> str:
    """The path, or the nearest of its parents that is there."""
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    return path


def _mebibytes(size: int) -> str:
    return "%.1f MiB" % (size / 2**20)
