"""Hosts behind real ssh servers on loopback. Each has a disk of its own at the same path, by a mount of its own."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TOOL = Path(__file__).parents[2].parent / "shared" / "tools" / "ssh-host"
# The server replaces unshare and the shell, and so has the number of the process that was started.
# Bundles are unpacked in /var/tmp, which is its own, too. So is .bashrc, and empty: what pyenv has in it takes longer
# than most commands, and waits for a lock that all hosts would share.
_START = """\
mount -t tmpfs -o "size=$1,mode=755" tmpfs "$2" && mount -t tmpfs -o mode=1777 tmpfs /var/tmp || exit
[ ! -e "$6" ] || mount --bind /dev/null "$6" || exit
exec "$3" "$4" "$5"
"""
_PATIENCE = 20.0  # seconds


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """`disk` is where each host has its own; `run` looks at it from the host's inside."""

    disk: Path
    identity: Path
    servers: tuple[subprocess.Popen[bytes], ...]
    ports: tuple[int, ...]

    @property
    def names(self) -> list[str]:
        user = pwd.getpwuid(os.getuid()).pw_name
        return [f"{user}@127.0.0.1:{port}" for port in self.ports]

    def start(self, number: int, *command: str | Path) -> subprocess.Popen[bytes]:
        """Start a command on a host that runs as long as its standard input is open."""
        words = ["nsenter", f"--target={self.servers[number].pid}", "--mount", *command]
        return subprocess.Popen(words, stdin=subprocess.PIPE)

    def run(self, number: int, *command: str | Path, code: int | None = 0) -> str:
        """Run a command on a host, without ssh, and see that it ends with this exit code; gives what it prints."""
        words = ["nsenter", f"--target={self.servers[number].pid}", "--mount", *command]
        done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=60)
        assert code in (None, done.returncode), done.stdout + done.stderr
        return done.stdout.strip()

    def stop(self, number: int) -> None:
        self.servers[number].terminate()
        self.servers[number].wait()


@contextlib.contextmanager
def fleet(folder: Path, count: int, sizes: Sequence[str] = ()) -> Iterator[Fleet]:
    """So many hosts; `sizes` are those of the disks of the first ones, as tmpfs takes them."""
    missing = [name for name in ("unshare", "nsenter", "ssh-keygen") if not shutil.which(name)]
    if os.getuid() != 0 or missing or not TOOL.exists() or not Path("/usr/sbin/sshd").exists():
        pytest.skip("ssh hosts need root, an OpenSSH server, and unshare and nsenter of util-linux")
    disk = folder / "disk"
    disk.mkdir(parents=True)
    identity = folder / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", identity], check=True)
    servers, ports = [], []
    try:
        for number in range(count):
            home = folder / f"host{number}"
            home.mkdir()
            for name in ("id", "id.pub"):
                shutil.copy(folder / name, home)
            port = _free_port()
            size = sizes[number] if number < len(sizes) else "200m"
            words: list[str | Path] = [
                "unshare",
                "--mount",
                "sh",
                "-c",
                _START,
                "sh",
                size,
                disk,
                TOOL,
                home,
                str(port),
                Path.home() / ".bashrc",
            ]
            with (home / "log").open("wb") as log:
                servers.append(subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
            ports.append(port)
        for number, port in enumerate(ports):
            _await(port, folder / f"host{number}" / "log")
        yield Fleet(disk=disk, identity=identity, servers=tuple(servers), ports=tuple(ports))
    finally:
        for server in servers:
            server.terminate()
            server.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await(port: int, log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as stream:
            if stream.recv(3) == b"SSH":
                return
        time.sleep(0.05)
    pytest.fail(f"no ssh server: {log.read_text()}")
