"""A connection to a host that is a folder here: scripts run with sh in it, so all but ssh itself is as it will be."""

from __future__ import annotations

import os
import subprocess
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, BinaryIO

from invoke.exceptions import Failure, WatcherError

from platter_setuptools.fabric.host import Host
from platter_setuptools.fabric.settings import read

if TYPE_CHECKING:
    from pathlib import Path


class Channel:
    """A session, as paramiko's. The connection is lost after `limit` bytes were sent."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def exec_command(self, line: str) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            ["sh", "-c", line],
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            cwd=self._connection.home,
            env=self._connection.environment,
        )

    def sendall(self, piece: bytes) -> None:
        assert self._process.stdin
        left = self._connection.limit - self._connection.sent
        self._connection.sent += self._process.stdin.write(piece[: max(left, 0)])
        if len(piece) > left:
            self._connection.is_connected = False
            raise OSError("Socket is closed")

    def shutdown_write(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()

    def makefile(self, _mode: str) -> BinaryIO:
        assert self._process.stdout
        return self._process.stdout  # type: ignore[return-value]

    def makefile_stderr(self, _mode: str) -> BinaryIO:
        assert self._process.stderr
        return self._process.stderr  # type: ignore[return-value]

    def recv_exit_status(self) -> int:
        return self._process.wait() if self._connection.is_connected else -1

    def close(self) -> None:
        with self._process:
            pass


class Connection:
    """As Fabric's. `sent` is the number of bytes of files."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.is_connected = True
        self.limit = 1 << 40
        self.sent = 0
        self.environment = {**os.environ, "TMPDIR": str(home)}
        self.client = SimpleNamespace(
            get_transport=lambda: SimpleNamespace(open_session=lambda: Channel(self)),
        )

    def run(self, line: str, **options: Any) -> Any:
        done = subprocess.run(
            ["sh", "-c", line], cwd=self.home, env=self.environment, check=False, capture_output=True, text=True
        )
        result: Any = SimpleNamespace(stdout=done.stdout, stderr=done.stderr, exited=done.returncode)
        try:
            for watcher in options.get("watchers", []):
                watcher.submit(done.stdout)
        except WatcherError as error:
            raise Failure(result, reason=error) from error
        return result

    def close(self) -> None:
        self.is_connected = False


def local_host(home: Path, **settings: Any) -> tuple[Host, Connection]:
    """Return a host whose home is this folder, which is made, and whose root is the folder `app` in it."""
    home.mkdir()
    connection = Connection(home)
    return Host(home.name, connection, read({"root": str(home / "app"), **settings})), connection
