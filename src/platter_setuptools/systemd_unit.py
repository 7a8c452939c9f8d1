"""A systemd service for a command of a bundle, and its socket: systemd.service(5), .exec(5) and .socket(5)."""

from __future__ import annotations

import ipaddress
import os
import re
import shlex
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from platter_setuptools.errors import UsageError
from platter_setuptools.inspect.files import files_of
from platter_setuptools.payload import shared_paths

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from platter_setuptools.inspect.summary import BundleSummary

_NAME = re.compile(r"[A-Za-z0-9:_.-]{1,200}")  # of a unit, without its suffix; an @ would make it a template
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,30}|\d{1,10}")
_UNSAFE = re.compile(r"[\"'\\]")  # systemd runs nothing whose path has one of these
_HOMES = ("/home", "/root", "/run/user")
_LONGEST_SOCKET = 107  # bytes of a path, of unix(7)
_PORTS = range(1, 1 << 16)
_SERVICE = """\
# {name}.service, as `platter unit` prints it. Write it to /etc/systemd/system/{name}.service, then:
#     systemctl daemon-reload && systemctl enable --now {name}
# and deploy with:
#     ./install.sh --root {quoted_root} --reload 'systemctl restart {name}'
[Unit]
Description={name}
Wants=network-online.target
After=network-online.target

[Service]
Type={type}
# A script runs the Python of its own release and imports from there, after `current` was switched, too: what runs goes
# on unchanged until a restart, which starts the new release. (current/bin/python would import from the new one before
# that, and a HUP lets a script go on with the old one.)
ExecStart={command}
WorkingDirectory={root}
{environment}Environment=PYTHONUNBUFFERED=1
{user}
Restart=on-failure
# Slower than systemd's limit of five starts in ten seconds.
RestartSec=5
KillMode=mixed

# What it may do: `systemd-analyze security {name}` explains it. If the releases' Python is below /home or /root, let it
# read that: ProtectHome=read-only
{paths}ProtectSystem=strict
ProtectHome={home}
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
NoNewPrivileges=yes
CapabilityBoundingSet=
LockPersonality=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
"""
_SOCKET = """\
# {name}.socket, as `platter unit --socket` prints it. Write it to /etc/systemd/system/{name}.socket, then:
#     systemctl daemon-reload && systemctl enable --now {name}.socket
# systemd listens, and hands the socket to {name}.service (sd_listen_fds(3)). While that is restarted, connections wait.
[Unit]
Description=socket of {name}

[Socket]
ListenStream={address}

[Install]
WantedBy=sockets.target
# So that {name}.service is not started without it.
RequiredBy={name}.service
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service: the unit's name without its suffix, a command of the active release below `root`, its arguments.

    `shared`: see payload/shared_paths.py. Without a `user` systemd makes one while the service runs. `notifies`: the
    command tells systemd when it is ready (sd_notify(3)).
    """

    name: str
    root: str
    script: str
    arguments: tuple[str, ...] = ()
    user: str = ""
    shared: tuple[str, ...] = ()
    notifies: bool = False


def find_script(path: Path, summary: BundleSummary, wanted: str | None) -> str:
    """Return the command that is wanted, or else the only one of the packages, or the one that is called like it.

    Raises UsageError, with the commands of the bundle, if there is no such one.
    """
    own = summary.scripts
    if wanted is None:
        if len(own) == 1 or summary.about.name in own:
            return own[0] if len(own) == 1 else summary.about.name
        which = f"has several commands: {', '.join(own)}" if own else "has no command"
        raise UsageError(
            f"{summary.about.name} {which}", hint="name one after the bundle: of the project, or of another wheel"
        )
    known = {script for part in summary.parts for script in part.scripts}
    if wanted not in known and not summary.wheels_left_out():  # a file in a wheel, not an entry point
        files = (name for names in files_of(path, summary).values() for name in names)
        known |= {name.removeprefix("bin/") for name in files if name.startswith("bin/")}
    if wanted not in known:
        raise UsageError(f"{path} has no command {wanted}", hint=f"it has {', '.join(sorted(known)) or 'none'}")
    return wanted


def check(service: Service) -> None:
    """Raise UsageError for what systemd does not take, or what could not work."""
    check_name(service.name)
    root = PurePosixPath(service.root)
    if not root.is_absolute() or ".." in root.parts:
        raise UsageError(f"--root {service.root}: not an absolute path", hint="name the folder as it is on the server")
    for what, text in (("--root", service.root), ("the command", service.script)):
        if _UNSAFE.search(text) or not _is_plain(text):
            raise UsageError(
                f"{what} {text}: systemd runs nothing whose path has quotes, backslashes or control characters",
                hint="choose another name for it",
            )
    if "/" in service.script:
        raise UsageError(f"the command {service.script}: not a file's name", hint="do not use this bundle")
    if not all(word.isprintable() for word in service.arguments):
        raise UsageError("--arguments: they have control characters", hint="leave them out")
    if service.user and not _USER.fullmatch(service.user):
        raise UsageError(
            f"--user {service.user}: not a user's name", hint="name a user of the server, such as www-data"
        )
    if (folders := list(filter(shared_paths.is_folder, service.shared))) and not service.user:
        raise UsageError(
            f"the service writes to shared folders: {', '.join(folders)}",
            hint="name the user of the server who owns them with --user",
        )


def check_name(name: str) -> None:
    """Raise UsageError for what cannot be the name of a unit."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name}: not a name for a unit",
            hint="choose one of ASCII letters, digits, and : - _ . with --name, such as --name=yourapp",
        )


def service_unit(service: Service) -> str:
    """Return the unit of a service that was checked."""
    root = os.path.normpath(service.root)
    files = [one for one in service.shared if one.endswith(".env")]
    folders = [shared_paths.name_of(one) for one in service.shared if shared_paths.is_folder(one)]
    writable = " ".join(_word(f"{root}/shared/{one}") for one in folders)
    command = [_word(f"{root}/versions/current/bin/{service.script}")]
    command += [_word(one).replace("$", "$$") for one in service.arguments]  # not in the path of the command
    return _SERVICE.format(
        name=service.name,
        type="notify" if service.notifies else "exec",
        quoted_root=shlex.quote(root),
        root=_percent(root),
        command=" ".join(command),
        environment="".join(f"EnvironmentFile={_percent(_literal(f'{root}/shared/{one}'))}\n" for one in files),
        user=f"User={service.user}" if service.user else "DynamicUser=yes",
        paths=f"ReadWritePaths={writable}\n" if writable else "UMask=0077\n",
        home="read-only" if any(PurePosixPath(root).is_relative_to(home) for home in _HOMES) else "yes",
    )


def socket_unit(name: str, address: str) -> str:
    """Return the unit of the socket of a service. Raises UsageError for a name or address that systemd does not take.

    An address is a port, IP:PORT, the absolute path of a Unix socket, or @NAME of an abstract one.
    """
    check_name(name)
    if not _is_address(address):
        raise UsageError(
            f"--socket {address}: not an address",
            hint="write 127.0.0.1:8000, [::1]:8000, a port alone, or a path such as /run/yourapp.sock",
        )
    return _SOCKET.format(name=name, address=_percent(address))


def words(text: str) -> Sequence[str]:
    """Return the words of --arguments, as a shell splits them. Raises UsageError for a quotation that does not end."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UsageError(f"--arguments: {error}", hint="quote each argument as for a shell") from error


def _is_address(text: str) -> bool:
    if text.startswith(("/", "@")):
        fits = len(text) > 1 and len(os.fsencode(text)) <= _LONGEST_SOCKET
        return fits and _is_plain(text) and not text.endswith(("/", "\\"))
    host, colon, port = text.rpartition(":")
    if not re.fullmatch("[0-9]{1,5}", port) or int(port) not in _PORTS:
        return False
    try:
        return not colon or _is_ip(host)
    except ValueError:
        return False


def _is_ip(host: str) -> bool:
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    return ipaddress.ip_address(bare).version == (4 if bare == host else 6)


def _is_plain(text: str) -> bool:
    """Return whether a line of a unit can end with this: systemd cuts blanks off."""
    return text.isprintable() and text == text.strip()


def _word(text: str) -> str:
    """Return a word of a command line or of a list, quoted if that is needed (systemd.syntax(7), "Quoting")."""
    text = _percent(text)
    if re.fullmatch(r"[\w/.,:=@%+$-]+", text):
        return text
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}"'


def _percent(text: str) -> str:
    """Escape specifiers (systemd.unit(5))."""
    return text.replace("%", "%%")


def _literal(path: str) -> str:
    """Return the pattern (glob(7)) that only this path matches."""
    return re.sub(r"([*?\[\\])", r"\\\1", path)
