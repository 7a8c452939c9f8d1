"""Host keys that known_hosts does not have: accepted and told, or refused."""

from __future__ import annotations

import shlex
import threading
from typing import TYPE_CHECKING

from paramiko.client import MissingHostKeyPolicy

from platter_setuptools.fabric.fleet import tell
from platter_setuptools.ground.errors import PlatterError

if TYPE_CHECKING:
    from paramiko import PKey, SSHClient

SYSTEM_KNOWN_HOSTS = "/etc/ssh/ssh_known_hosts"
_SSH_PORT = 22
_told = threading.Event()
_lock = threading.Lock()


class UnknownKeyError(PlatterError):
    """The key of a host is in no known_hosts."""


class UnknownKeys(MissingHostKeyPolicy):  # type: ignore[misc]
    """What becomes of a key that is in no known_hosts; `login` is the command that logs in by hand."""

    def __init__(self, name: str, login: str, *, accept: bool) -> None:
        self.name = name
        self.login = login
        self.accept = accept

    def missing_host_key(self, client: SSHClient, hostname: str, key: PKey) -> None:  # noqa: ARG002 - paramiko's
        """Accept the key, which is told once in a run, or raise UnknownKeyError."""
        if not self.accept:
            raise UnknownKeyError(
                f"its host key {key.fingerprint} is not in known_hosts", hint=f"log in once by hand: {self.login}"
            )
        with _lock:
            if _told.is_set():
                return
            _told.set()
        tell(
            f"{self.name}: accepting its host key {key.fingerprint}, which is not in known_hosts, and others alike;"
            ' "host_keys": "known" refuses them'
        )


def known_name(host: str, port: int) -> str:
    """Return what `ssh-keygen -R` knows a host by, quoted for a shell."""
    return shlex.quote(host if port == _SSH_PORT else f"[{host}]:{port}")
