"""The preflight: everything that can be checked before anything is changed, in one list of findings."""

import importlib.util
import os
import re
import sys
from typing import Iterator, List, Optional, Sequence, Set, Tuple

from .. import specifiers, tags
from ..errors import DestinationError, HostError, PythonError
from ..findings import Finding
from ..host import Host, serves
from ..install import removal
from ..install.destination import Destination, mounts_in_the_way
from ..install.disk import tells_case
from ..install.environment import base_interpreter
from ..install.install_state import State
from ..install.tree import contains
from ..manifest import BundledWheel, Manifest
from ..target import Target, mismatches
from . import libraries, nesting

# Not every implementation of Python names them.
_READ_ONLY, _NO_PROGRAMS = getattr(os, "ST_RDONLY", 1), getattr(os, "ST_NOEXEC", 0)
# What a virtualenv without packages takes, and room for what is counted in whole blocks.
_SPARE_BYTES = 4 << 20
_SPARE_FILES = 64
_BLOCK = 4096
_SHOWN = 8
# A pip of today has paths of 90 characters; wheels with deeper ones exist.
_PATH_ROOM = 256
# Beside DST stands .NAME.platter-replaced for a while.
_NAME_ROOM = len("..platter-replaced")
# What --force does not replace, for nobody means that: the folders of the Filesystem Hierarchy Standard, and all that
# is below those where the system and its packages keep their files.
_SYSTEM = re.compile(
    "/(home|media|mnt|opt|root|srv|tmp|usr|var)|/var/[^/]+"
    "|/(bin|boot|dev(?!/shm/)|efi|etc|lib[^/]*|proc|run|sbin|sys)(/.*)?"
    "|/usr/(?!local(/|$))[^/]+(/.*)?|/usr/local(/(bin|etc|games|include|lib[^/]*|man|sbin|share|src))?"
    "|/var/(backups|cache|crash|db|lib|lock|log|mail|run|spool)/.*",
    re.DOTALL,
)
# Root replaces no other user's home either. Those of services, such as /srv/app, are where applications belong.
_HOME = re.compile("/(home|Users)/[^/]+")
_NOT_THAT = "name a folder in it; if you do mean this one, empty it yourself"
_RELEASES = "install with --root, or name the folder of one release; to replace all of it, empty it yourself"
_ANOTHER = "choose another folder"
_NAMED = "choose a folder with another name"
_ELSEWHERE = "choose a folder on another filesystem, or have this one changed"


def examine(
    manifest: Manifest,
    host: Host,
    destination: Destination,
    bundle: str,
    *,
    state: State,
    force: bool,
    further: Tuple[int, int] = (0, 0),
) -> List[Finding]:
    """Return what stands against installing the bundle, and what is worth a warning. The destination has this state.

    `manifest` is that for this host: see Manifest.for_host. `further` are the bytes and the files that are needed for
    more than the wheels.
    """
    holder = _holder(destination, state)
    findings = list(_python(manifest, host))
    # Under another Python no compiled wheel fits, which says nothing new: then they are held against the machine only.
    fits = tags.machine_fits if findings else tags.wheel_fits
    fitting = [wheel for wheel in manifest.wheels if fits(host, wheel.file)]
    findings += _wheels([wheel.file for wheel in manifest.wheels if wheel not in fitting], manifest, host)
    if manifest.excluded:
        text = "wheels: %s was left out of the bundle; the server has to provide it" % ", ".join(manifest.excluded)
        findings.append(Finding(None, text))
    findings += _libc(fitting, host)
    findings += _libraries(fitting, host)
    findings += _place(holder)
    if manifest.case_sensitive and tells_case(holder) is False:
        text = "filesystem: %s does not tell upper from lower case, and names in the bundle differ only in that"
        findings.append(Finding(HostError, text % holder, _ELSEWHERE))
    findings += _space(manifest, holder, destination.path if state is State.UNFINISHED else None, further)
    findings += _name(destination.path)
    findings += _destination(destination, bundle, state, force=force)
    return findings


def bytecode_fits(target: Target) -> bool:
    return importlib.util.MAGIC_NUMBER.hex() == target.magic


def _python(manifest: Manifest, host: Host) -> Iterator[Finding]:
    """Check the Python against the first target, which is the closest one."""
    target, others = manifest.targets[0], manifest.targets[1:]
    hint = "install Python %s so that python%s is in PATH, or name it with -p" % ((target.python_command,) * 2)
    if others:
        hint += "; this bundle is for %s" % " and ".join(one.id for one in manifest.targets)
    for text in mismatches(target, host):
        yield Finding(PythonError, "%s (%s)" % (text, sys.executable), hint)
    wanted = manifest.requires_python
    if wanted and not specifiers.contains(wanted, host.python):
        yield Finding(PythonError, "Python: expected %s, found %s" % (wanted, host.full_python), hint)


def _wheels(unfit: Sequence[str], manifest: Manifest, host: Host) -> Iterator[Finding]:
    found = "%s, %s, %s" % (host.abi, host.platform, host.libc)
    hint = "build a bundle for this platform; this one is for %s" % manifest.platform
    for file in unfit[:_SHOWN]:
        yield Finding(HostError, "wheel: %s does not fit, found %s" % (file, found), hint)
    if len(unfit) > _SHOWN:
        yield Finding(HostError, "wheel: %d more do not fit" % (len(unfit) - _SHOWN), hint)


def _libc(wheels: Sequence[BundledWheel], host: Host) -> Iterator[Finding]:
    """Find wheels that need a newer libc: what was compiled on the build machine usually needs its libc.

    The tags of wheels from an index promise what is enough. A few have files that need more, mostly programs that few
    people use: warn of these, do not refuse.
    """
    hint = "build the bundle on a system with %s, or in a container of it" % host.libc
    for wheel in wheels:
        if wheel.libc and not serves(host.libc, wheel.libc):
            built_there = all(platform.startswith("linux_") for _, _, platform in tags.of_wheel(wheel.file))
            newer = " or newer" if wheel.libc.startswith("glibc") else ""
            text = "wheel: %s: expected %s%s, found %s" % (wheel.file, wheel.libc, newer, host.libc)
            yield Finding(HostError if built_there else None, text, hint)


def _libraries(wheels: Sequence[BundledWheel], host: Host) -> Iterator[Finding]:
    wanted = {name for wheel in wheels for name in wheel.libraries}
    missing: Set[str] = libraries.missing(wanted, host.multiarch) if wanted else set()
    for wheel in wheels:
        lacking = sorted(missing.intersection(wheel.libraries))
        if lacking:
            more = " and %d more" % (len(lacking) - _SHOWN) if len(lacking) > _SHOWN else ""
            shown = ", ".join(lacking[:_SHOWN]) + more
            yield Finding(None, "wheel: %s needs %s, which this system's loader does not find" % (wheel.file, shown))


def _place(folder: str) -> Iterator[Finding]:
    """Check the filesystem: whether we may write there, and run programs."""
    if not os.path.isdir(folder):
        yield Finding(DestinationError, "folder: %s is not a folder" % folder, _ANOTHER)
        return
    status = _filesystem(folder)
    flags = status.f_flag if status else 0
    if flags & _READ_ONLY:
        yield Finding(HostError, "filesystem: %s is mounted read-only" % folder, _ELSEWHERE)
    elif not os.access(folder, os.W_OK | os.X_OK):
        yield Finding(
            HostError,
            "permission: %s is not writable for user %d" % (folder, os.geteuid()),
            "install as its owner",
        )
    if flags & _NO_PROGRAMS:
        yield Finding(HostError, "filesystem: %s is mounted noexec, programs in it cannot run" % folder, _ELSEWHERE)


def _space(
    manifest: Manifest, folder: str, cleared: Optional[str], further: Tuple[int, int] = (0, 0)
) -> Iterator[Finding]:
    if not os.path.isdir(folder):
        return
    status = _filesystem(folder)
    if status is None or not status.f_blocks:
        return
    size, files = _taken(cleared) if cleared else (0, 0)
    free, inodes = status.f_bavail * status.f_frsize + size, status.f_favail + files
    # Files end within a block: half a one on average.
    count = manifest.installed_files + further[1]
    need = manifest.installed_size + further[0] + count * _BLOCK // 2 + _SPARE_BYTES
    if free < need:
        text = "space: expected %s in %s, found %s" % (_mebibytes(need), folder, _mebibytes(free))
        yield Finding(HostError, text, _ELSEWHERE)
    if status.f_files and inodes < count + _SPARE_FILES:
        found = (count + _SPARE_FILES, folder, inodes)
        yield Finding(HostError, "inodes: expected %d in %s, found %d" % found, _ELSEWHERE)


def _taken(folder: str) -> Tuple[int, int]:
    """Return the bytes and the number of files that clearing an unfinished installation frees."""
    paths = [os.path.join(parent, name) for parent, folders, names in os.walk(folder) for name in folders + names]
    return sum(os.lstat(path).st_blocks * 512 for path in paths), len(paths)


def _name(path: str) -> Iterator[Finding]:
    """Whether files can be made there, PATH can name it, and scripts can be started in it."""
    odd = [character for character in path if not character.isprintable() and not "\udc80" <= character <= "\udcff"]
    if odd:
        yield Finding(
            DestinationError, "folder: %s contains the control character %s" % (ascii(path), ascii(odd[0])), _NAMED
        )
    if any("\udc80" <= character <= "\udcff" for character in path):
        yield Finding(DestinationError, "folder: %s is not UTF-8, and scripts must be" % ascii(path), _NAMED)
    if os.pathsep in path:
        yield Finding(DestinationError, "folder: %s contains %r, which PATH cannot hold" % (path, os.pathsep), _NAMED)
    longest = os.pathconf("/", "PC_PATH_MAX") - _PATH_ROOM
    found = len(os.fsencode(path))
    if found > longest:
        yield Finding(
            DestinationError, "folder: expected a path of at most %d bytes, found %d" % (longest, found), _NAMED
        )
    status = _filesystem(existing(path))
    longest = ((status and status.f_namemax) or 255) - _NAME_ROOM
    found = len(os.fsencode(os.path.basename(path)))
    if found > longest:
        yield Finding(
            DestinationError, "folder: expected a name of at most %d bytes, found %d" % (longest, found), _NAMED
        )


def _destination(destination: Destination, bundle: str, state: State, *, force: bool) -> Iterator[Finding]:
    path = destination.path
    if contains(bundle, path):
        yield Finding(DestinationError, "folder: %s lies within the bundle itself" % path, _ANOTHER)
        return
    if state in (State.EMPTY, State.ABSENT, State.UNFINISHED):
        return
    if not force:
        error = destination.in_the_way(state)
        yield Finding(DestinationError, error.message, error.hint)
        return
    mounted, held = removal.mounts(path), next(nesting.held(path), "")
    if contains(path, bundle) or os.path.dirname(path) == path or path in mounted:
        yield Finding(DestinationError, "folder: %s holds the bundle or is a mounted filesystem" % path, _ANOTHER)
    elif mounted:
        error = mounts_in_the_way(path, mounted)
        yield Finding(DestinationError, "folder: " + error.message, error.hint)
    elif held:
        yield Finding(DestinationError, "folder: %s holds %s" % (path, held), _RELEASES)
    elif state is State.FOREIGN and _SYSTEM.fullmatch(path):
        yield Finding(DestinationError, "folder: %s belongs to the system" % path, _NOT_THAT)
    elif any(contains(path, os.path.realpath(part)) for part in (sys.base_prefix, base_interpreter(), os.__file__)):
        yield Finding(DestinationError, "folder: %s holds the Python that this installation is for" % path, _ANOTHER)
    elif state is State.FOREIGN and (
        _HOME.fullmatch(path) or contains(path, os.path.realpath(os.path.expanduser("~")))
    ):
        yield Finding(DestinationError, "folder: %s holds a home folder" % path, _NOT_THAT)


def _holder(destination: Destination, state: State) -> str:
    """Return the folder that is written to first: DST, its nearest existing parent, or its own parent to replace it."""
    if state in (State.INSTALLED, State.OTHER, State.FOREIGN):
        return destination.parent
    return existing(destination.path)


def existing(path: str) -> str:
    """Return the path or its nearest existing parent."""
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    return path


def _filesystem(folder: str) -> Optional[os.statvfs_result]:
    """Return what the filesystem says of itself; None if it cannot be asked.

    One that does not know, as some that are made with FUSE, says 0 of everything.
    """
    try:
        return os.statvfs(folder)
    except OSError:
        return None


def _mebibytes(size: int) -> str:
    return "%.1f MiB" % (size / 2**20)
