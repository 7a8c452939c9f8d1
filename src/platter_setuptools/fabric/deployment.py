"""What the tasks do on a host: upload a bundle, run its install.sh, and run ROOT/platter."""

from __future__ import annotations

import contextlib
import re
import secrets
import shlex
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from platter_setuptools.errors import PlatterError
from platter_setuptools.fabric.host import PAUSE, RemoteError
from platter_setuptools.fabric.transfer import Part
from platter_setuptools.runtime.progress import human_size
from platter_setuptools.runtime.streams import print_notice

if TYPE_CHECKING:
    from platter_setuptools.fabric.host import Host
    from platter_setuptools.fabric.shipment import Shipment, Shipments
    from platter_setuptools.fabric.transfer import Answer

# Filesystems that do not report their space say 0 of 0.
_FREE = """df -Pk . | awk 'NR == 2 { print $2 ? $4 : "unknown" }'"""
# Print the SHA-256 of the file with that name, the free space in kB, and the folder; then the size, the SHA-256 and the
# name of the longest incomplete upload of this file. Remove the project's uploads older than a week and incomplete ones
# older than a day; nothing else, since the folder may have other uses.
_LOOK = """\
umask 077 && mkdir -p {folder} && cd {folder} || exit 5
[ -w . ] || {{ echo "$PWD is not writable" >&2; exit 5; }}
find . ! -name . -prune -type f -name {kin} \\( -mtime +7 -o -name '*.part' -mtime +0 \\) -exec rm -f {{}} +
{{ sha256sum {name} 2>/dev/null || echo none; }} | cut -d ' ' -f 1
{free}
pwd
part=$(ls -dS {name}.{key}.*.part 2>/dev/null | head -n 1)
[ -z "$part" ] || echo $(wc -c <"$part") $(sha256sum "$part")
"""
_PART = re.compile(r"([0-9]{1,15}) ([0-9a-f]{64}) (\S+)")
# Print the SHA-256 of the upload. Give it its name if it is right.
_ARRIVED = """\
arrived=$(sha256sum {part} | cut -d ' ' -f 1)
echo "$arrived"
[ "$arrived" != {sha256} ] || mv -f {part} {path}
"""
# Print the folder to unpack in, its free space in kB, and the path of the installer unless there is too little space.
# Unpacked files are readable for the root's owner. Remove what a lost connection left more than a day ago.
_UNPACK = """\
umask 022
archive=$(cd {folder} && pwd)/{name} && cd "${{TMPDIR:-/var/tmp}}" || exit 5
find . ! -name . -prune -type d -name 'platter.??????????' -user "$(id -u)" -mtime +0 -exec rm -rf {{}} +
pwd
free=$({free})
echo "$free"
[ "$free" = unknown ] || [ "$free" -gt {kilobytes} ] || exit 0
folder=$(mktemp -d "$PWD/platter.XXXXXXXXXX") && chmod 755 "$folder" || exit 5
{take} && exit
rm -rf "$folder"
{judge}
exit 5
"""
# Unpack a tar archive and print the path of install.sh. Else it may be the archive's fault.
_FROM_TAR = {
    "take": 'tar -xf "$archive" -C "$folder" && ls -d "$folder"/*/install.sh',
    "judge": 'tar -tf "$archive" >/dev/null 2>&1 || exit 4',
}
# A bundle that is one file is its own install.sh. The root's owner may not be able to read the folder for uploads.
_FROM_RUN = {
    "take": 'chmod 755 "$archive" && mkdir "$folder/run" &&'
    ' { ln "$archive" "$folder/run/" 2>/dev/null || cp "$archive" "$folder/run/"; } && ls -d "$folder"/run/*',
    "judge": "",
}
_ITS_FOLDER = 'set "uploads" to a folder that this user may write to'
_THAT_FOLDER = "free space there and let this user write there, or set TMPDIR for this user on the host"
_NO_PROGRAM = "platter: {} does not exist\nhint: deploy first; `install.sh --root` installs it"
# The exit code and hint of install.sh and ROOT/platter if another run holds the lock.
_LOCKED, _WAIT = 6, "hint: wait until"
# Those of install.sh if the host lacks what a thin bundle leaves out.
_REFUSED, _SEND_FULL = 4, "send the full bundle"
_WARNING = "warning: "
# Run a script, and pass on the end of what it prints to each stream: its commands may print any amount. A connection
# that is lost does not end them, since they write to `tail`.
_BRIEFLY = """\
exec 3>&1 4>&2
status=$({{ {{ {{ (
{script}
) 3>&- 4>&- 5>&- 6>&-; echo $? >&5; }} 2>&6 | tail -c {size} >&3; }} 6>&1 | tail -c {size} >&4; }} 5>&1)
exit "$status"
"""
_ANSWER = 1 << 20  # characters of what a host lists


@dataclass(frozen=True, slots=True, kw_only=True)
class _Uploads:
    """The folder for uploads on a host: whether it has the whole file, its free space in kB, a part of the file."""

    folder: str
    has_it: bool
    free: str
    part: Part | None


def send_and_install(host: Host, shipments: Shipments, *, check: bool = False) -> str:
    """Send the bundle, or what the host does not have of it; then as `install`."""
    full = shipments.full
    uploads = _look(host, full)
    if host.settings.thin and not uploads.has_it and (thin := _thin(host, shipments)):
        try:
            return install(host, upload(host, thin, _look(host, thin)), thin.size, check=check)
        except RemoteError as error:
            if error.exit_code != _REFUSED or not any(_SEND_FULL in line for line in error.output):
                raise
        print_notice(f"{host.name}: does not have all that it listed")
    return install(host, upload(host, full, uploads), full.size, check=check)


def _thin(host: Host, shipments: Shipments) -> Shipment | None:
    """Return the thin bundle for a host; None if it needs the full one."""
    program = shlex.quote(f"{host.settings.root}/platter")
    script = f"[ ! -x {program} ] || {program} have"
    try:
        return shipments.without(host.run(script, "platter have", as_owner=True, limit=_ANSWER).stdout)
    except PlatterError as error:
        if not host.is_connected:
            raise
        print_notice(f"{host.name}: it gets the full bundle: {error.message}")
        return None


def _look(host: Host, shipment: Shipment) -> _Uploads:
    """Look into the folder for uploads."""
    name = shipment.path.name
    look = _LOOK.format(
        folder=shlex.quote(host.settings.uploads),
        kin=shlex.quote(f"{name.partition('-')[0]}-*{'.run' if name.endswith('.run') else '.tar'}*"),
        name=shlex.quote(f"./{name}"),
        key=_key(shipment),
        free=_FREE,
    )
    found, free, folder, *parts = host.run(look, "the folder for uploads", hint=_ITS_FOLDER).stdout.splitlines()
    part = None
    if told := _PART.fullmatch("".join(parts)):
        size, sha256, path = told.groups()
        if shipment.begins_with(int(size), sha256):
            part = Part(path=f"{folder}/{path}", size=int(size))
    return _Uploads(folder=folder, has_it=found == shipment.sha256, free=free, part=part)


def _key(shipment: Shipment) -> str:
    """Return what the names of incomplete uploads of this very file have in common."""
    return shipment.sha256[:16]


def upload(host: Host, shipment: Shipment, uploads: _Uploads) -> str:
    """Upload the file unless the host has it; only the rest if it has a part of it. Return its path there."""
    path = f"{uploads.folder}/{shipment.path.name}"
    if uploads.has_it:
        print_notice(f"{host.name}: has {shipment.path.name} already")
        return path
    if uploads.free != "unknown" and shipment.size > int(uploads.free) * 1024:
        raise _no_room(
            uploads.folder, shipment.size, uploads.free, 'free space, or set "uploads" to a folder on another disk'
        )
    part = f"{path}.{_key(shipment)}.{secrets.token_hex(4)}.part"
    there = f"; it has {human_size(uploads.part.size)}" if uploads.part else ""
    print_notice(f"{host.name}: uploading {shipment.about}{there}")
    try:
        then = _ARRIVED.format(part=shlex.quote(part), path=shlex.quote(path), sha256=shipment.sha256)
        _check_upload(shipment, host.put(shipment.path, part, uploads.part, then).stdout.strip())
    except RemoteError:
        if host.is_connected:  # else the next deployment goes on, or removes it, from tomorrow on
            with contextlib.suppress(RemoteError):
                host.run(f"rm -f {shlex.quote(part)}", "removing the upload")
        raise
    return path


def _check_upload(shipment: Shipment, arrived: str) -> None:
    if arrived != shipment.sha256:
        raise RemoteError(
            f"{shipment.path.name} did not arrive as it was sent: its SHA-256 is {arrived or 'unknown'}, not"
            f" {shipment.sha256}",
            hint="deploy again; was the file written to meanwhile?" if arrived else "the host needs sha256sum",
            code=4,
        )


def install(host: Host, archive: str, size: int, *, check: bool = False) -> str:
    """Install and activate the uploaded bundle of this size in bytes.

    Return the last line that install.sh prints, and its warnings. With `check`, only check whether it can be installed.
    """
    uploads, _, name = archive.rpartition("/")
    is_run = name.endswith(".run")
    unpack = _UNPACK.format(
        folder=shlex.quote(uploads),
        name=shlex.quote(name),
        free=_FREE,
        kilobytes=size // 1024 + 1,
        **(_FROM_RUN if is_run else _FROM_TAR),
    )
    place, free, *scripts = host.run(unpack, f"unpacking {archive}", hint=_THAT_FOLDER).stdout.splitlines()
    if not scripts:
        raise _no_room(place, size, free, _THAT_FOLDER)
    (script,) = scripts
    # `sh install.sh` also works on a mount without exec.
    words = ["sh", script, *(["--check"] if check else []), *host.settings.installing()]
    remove = f"rm -rf {shlex.quote(script.rsplit('/', 2)[0])}"
    # Remove the folder also if this process ends meanwhile, but not before another attempt at the lock.
    script = f"{shlex.join(words)}\nstatus=$?\n[ $status = {_LOCKED} ] || {remove} 2>/dev/null\nexit $status"
    removed = False
    try:
        said = _run_patiently(host, script, name if is_run else "install.sh")
        removed = not host.settings.sudo_user  # the root's owner may not remove it
    finally:
        if not removed:
            with contextlib.suppress(RemoteError):  # a lost connection was reported
                host.run(remove, "cleaning up")
    last = (said.stdout.strip() or said.stderr.strip()).splitlines()[-1:]
    return "\n".join([*last, *(line for line in said.stderr.splitlines() if line.startswith(_WARNING))])


def operate(host: Host, *words: str) -> str:
    """Run ROOT/platter. Return its output."""
    program = f"{host.settings.root}/platter"
    missing = shlex.quote(_NO_PROGRAM.format(program))
    script = f"[ -x {shlex.quote(program)} ] || {{ echo {missing} >&2; exit 6; }}\n{shlex.join([program, *words])}"
    said = _run_patiently(host, script, "platter")
    return (said.stdout + said.stderr).strip()


def _run_patiently(host: Host, script: str, what: str) -> Answer:
    """Run a script as the root's owner; while another deployment holds the lock, try again.

    Return the end of its output.
    """
    end = time.monotonic() + host.settings.wait
    if host.settings.run_once:
        script = ("export PLATTER_RUN_ONCE=1\n" if host.once else "unset PLATTER_RUN_ONCE\n") + script
    script = _BRIEFLY.format(script=script, size=_ANSWER)
    while True:
        try:
            return host.run(script, what, as_owner=True)
        except RemoteError as error:
            locked = error.exit_code == _LOCKED and any(line.startswith(_WAIT) for line in error.output)
            if not locked or time.monotonic() + PAUSE > end:
                raise
        print_notice(f"{host.name}: waiting for another deployment")
        time.sleep(PAUSE)


def _no_room(folder: str, size: int, kilobytes: str, hint: str) -> RemoteError:
    free = human_size(int(kilobytes) * 1024)
    return RemoteError(f"{folder} has no space for {human_size(size)}: {free} are free", hint=hint, code=5)
