"""Check wheels against their RECORD, and against each other.

The installer's code unpacks each wheel without writing it: what it would refuse on the server is refused here.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from platter_setuptools.errors import UsageError, WheelError
from platter_setuptools.payload.install.tree import Tree
from platter_setuptools.payload.shared_paths import name_of
from platter_setuptools.payload.wheels import layout
from platter_setuptools.payload.wheels import wheel as unpacking
from platter_setuptools.runtime.progress import Progress, first_few
from platter_setuptools.urls import has_secret
from platter_setuptools.wheels.metadata import ROOT, SCHEME, opened

if TYPE_CHECKING:
    from collections.abc import Mapping

    from platter_setuptools.payload.wheels.scripts import EntryPoint
    from platter_setuptools.values import Wheel

# Whichever Python it is for: a wheel may name the folder itself, as data.
_INSIDE_SITE = re.compile(r"lib(64)?/(python|pypy)[\d.]+t?/(?=site-packages/)", re.ASCII)
SITE = "site-packages/"
_UNSIGNED = ("", ".jws", ".p7s")  # RECORD and its signatures cannot hold their own hashes
_ALGORITHMS = frozenset({"sha256", "sha384", "sha512"})
# POSIX utilities, coreutils and what else administrators' scripts, health checks and post-install.sh take for given.
_SYSTEM_COMMANDS = frozenset(
    """
    [ ar at awk base64 basename bash batch bg busybox bzip2 cat cd chcon chgrp chmod chown chroot cksum cmp
    comm command cp cpio cron crontab csh curl cut dash date dbus-send dd df diff dig dir dirname dmesg doas
    dpkg du echo ed egrep env ex expand expr false fg fgrep find fish flock fold free fuser getconf getent
    getfacl getopt gpg grep groups gunzip gzip hash head host hostname hostnamectl iconv id ifconfig init
    install ionice ip iptables journalctl kill killall ksh ldconfig ldd less link ln locale logger login
    logname logrotate ls lsblk lsof mail md5sum mkdir mkfifo mknod mksh mktemp modprobe more mount mv nc
    netstat nft nginx nice nl nohup nproc nsenter nslookup od openssl passwd paste patch pathchk perl pgrep
    ping pkexec pkill pmap pr printenv printf ps pwd rc-service readlink realpath reboot renice reset rm rmdir
    rpm rsync run-parts runuser scp sed seq service setfacl setpriv setsid sftp sh sha1sum sha256sum sha512sum
    shred shuf shutdown sleep sort split ss ssh ssh-add ssh-agent ssh-keygen ssh-keyscan stat stdbuf strings
    stty su sudo sum swapon sync sysctl systemctl systemd-run tac tail tar tcsh tee telinit test timeout touch
    tr true truncate tsort tty udevadm ulimit umask umount uname uniq unlink unshare unxz unzip uptime useradd
    userdel usermod vdir vi wait wc wget which who whoami xargs xz yes zcat zsh zstd
    """.split()  # noqa: SIM905 - a list of words
)
_PYTHON_COMMAND = re.compile(r"python(\d[\d.]*)?(-config)?")

# Where the files of each wheel will lie below the virtualenv, such as `bin/flask` and `site-packages/flask/app.py`.
Places = tuple[str, ...]
# Is given a file's name in the wheel and its content, and returns the content.
Watch = Callable[[str, Iterable[bytes]], Iterable[bytes]]


def examine(wheel: Wheel, watch: Watch = lambda _name, content: content) -> Places:
    """Install a wheel into nothing, and compare all that is in it with its RECORD. Raise WheelError if it differs.

    `watch` is handed each file's content on its way.
    """
    with opened(wheel, wheel.sha256) as content:
        census = _Census()
        _install(content, content.entry_points, census)
        _check_record(content, watch)
        _check_origin(content)
    return tuple(sorted(census.places))


def installed(wheel: Wheel, python: tuple[int, int], *, requested: bool) -> Places:
    """Return the places of all files that installing a wheel writes, except bytecode. Raise WheelError.

    Nothing is compared with RECORD.
    """
    with opened(wheel) as content:
        census = _Census()
        _install(content, content.commands(python), census).dist_info(requested=requested)
    return tuple(sorted(census.places))


def _install(wheel: layout.Wheel, commands: tuple[EntryPoint, ...], tree: Tree) -> unpacking.Installation:
    installation = unpacking.Installation(wheel, SCHEME, tree)
    installation.members()
    installation.entry_points(commands)
    return installation


def below_site(places: Iterable[str]) -> set[str]:
    """Return the paths below site-packages of the files that lie there."""
    return {place.removeprefix(SITE) for place in places if place.startswith(SITE)}


def check_places(wheels: Iterable[Wheel], places: Mapping[Wheel, Places], progress: Progress) -> None:
    """Warn of places that two wheels own, and of scripts that hide commands of the base system.

    `wheels` are in the order in which the later one's file stays.

    Raise WheelError if one has a file where another has a folder: they cannot be installed together.
    """
    owners = _owners({wheel: places[wheel] for wheel in wheels})
    folders: dict[str, Wheel] = {}
    shared: dict[tuple[str, str], list[str]] = {}
    for place, several in owners.items():
        for loser, winner in itertools.pairwise(several):
            shared.setdefault((loser.name, winner.name), []).append(place)
        folder = place.rpartition("/")[0]
        while folder and folder not in folders:
            folders[folder] = several[0]
            folder = folder.rpartition("/")[0]
    for place in sorted(owners.keys() & folders.keys()):
        raise WheelError(
            f"{owners[place][0].filename} has a file where {folders[place].filename} has a folder: {place}",
            hint="the two cannot be installed together: leave one of them out, or choose another version",
        )
    for wheel in places:
        if hidden := _system_commands(places[wheel]):
            progress.warn(
                f"{wheel.name} brings {', '.join(hidden)}: with the virtualenv active it is run instead of the system's"
            )
    for (loser_name, winner_name), paths in shared.items():
        progress.warn(f"{loser_name} and {winner_name} both have {first_few(paths)}: {winner_name}'s will be installed")


def check_shared(shared: Iterable[str], places: Mapping[Wheel, Places]) -> None:
    """Raise UsageError if a wheel has a file at a path that releases share, below it, or where its folder would be."""
    if not shared:
        return
    # What lies in site-packages lies below lib, which is not shared.
    at_top = ((wheel, place) for wheel, several in places.items() for place in several if not place.startswith(SITE))
    for wheel, place in at_top:
        for path in shared:
            name, other = f"{name_of(path)}/".casefold(), f"{place}/".casefold()
            if name.startswith(other) or other.startswith(name):
                raise UsageError(
                    f"shared: {path}: {wheel.filename} installs {place}",
                    hint="share another path, or leave that file out of the wheel",
                )


def contested(places: Mapping[Wheel, Places]) -> set[Wheel]:
    """Return the wheels that own a place that another one owns, too."""
    return {wheel for several in _owners(places).values() if len(several) > 1 for wheel in several}


def _owners(places: Mapping[Wheel, Places]) -> dict[str, list[Wheel]]:
    """Return the wheels that have a file at each place, in their order."""
    owners: dict[str, list[Wheel]] = {}
    for wheel, several in places.items():
        for place in several:
            owners.setdefault(place, []).append(wheel)
    return owners


def check_case(places: Iterable[Places], platform: str, progress: Progress) -> bool:
    """Return whether names of files differ only in case, and warn of them.

    Raise WheelError unless the platform is Linux: elsewhere most disks do not keep such names apart.
    """
    names: dict[str, str] = {}
    alike = []
    for place in (place for several in places for place in several):
        other = names.setdefault(place.casefold(), place)
        if other != place:
            alike.append(f"{other} and {place}")
    if not alike:
        return False
    text = f"{first_few(alike)} differ only in case"
    if not platform.startswith("linux"):
        raise WheelError(text, hint=f"disks of {platform} do not keep such names apart: leave that distribution out")
    progress.warn(f"{text}: install.sh refuses a disk that does not keep such names apart")
    return True


def _system_commands(places: Places) -> list[str]:
    """Return the names of the wheel's scripts that a base system has, too."""
    names = [place.removeprefix("bin/") for place in places if place.startswith("bin/")]
    return [name for name in names if name in _SYSTEM_COMMANDS or _PYTHON_COMMAND.fullmatch(name)]


class _Census(Tree):
    """A tree that notes what would be written, and writes nothing."""

    def __init__(self) -> None:
        super().__init__(frozenset())
        self.places: list[str] = []

    def write(self, path: str, chunks: Iterable[bytes], *, executable: bool = False, mtime: int | None = None) -> None:
        del chunks, executable, mtime
        self.places.append(_INSIDE_SITE.sub("", path.removeprefix(f"{ROOT}/"), count=1))


def _check_record(wheel: layout.Wheel, watch: Watch) -> None:
    """Raise BundleError unless RECORD lists all files of the wheel with their hashes, and no others."""
    archive, rows = wheel.archive, wheel.recorded()
    for name in rows:
        if name not in archive.members and not name.endswith("/"):
            raise archive.damaged(f"{name} is in its RECORD, but not in the wheel")
    unsigned = {f"{wheel.dist_info}/RECORD{suffix}" for suffix in _UNSIGNED}
    for name, info in archive.members.items():
        if name in unsigned:
            continue
        if name not in rows:
            raise archive.damaged(f"{name} is not in its RECORD")
        _, digest, size = rows[name]
        algorithm, _, expected = digest.partition("=")
        if algorithm not in _ALGORITHMS:
            kind = algorithm or "none at all"
            raise archive.damaged(f"{name} has no hash in RECORD that could be trusted ({kind})")
        state = hashlib.new(algorithm)
        for chunk in watch(name, archive.chunks(info)):
            state.update(chunk)
        found = base64.urlsafe_b64encode(state.digest()).decode().rstrip("=")
        if found != expected.rstrip("=") or size not in {"", str(info.file_size)}:
            raise archive.damaged(f"{name} is not what its RECORD says")


def _check_origin(wheel: layout.Wheel) -> None:
    """Raise BundleError if the wheel's direct_url.json (PEP 610) has a URL with a user or password."""
    name = f"{wheel.dist_info}/direct_url.json"
    info = wheel.archive.members.get(name)
    if info and has_secret(wheel.archive.read(info).decode("utf-8", "replace")):
        raise wheel.archive.damaged(f"{name} holds a URL with a user or password in it")
