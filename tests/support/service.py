"""What systemd does for a service with a socket, in a thread: hold the socket, start, stop, restart, await READY=1."""

from __future__ import annotations

import contextlib
import os
import select
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import urllib3

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

_PATIENCE = 60.0  # seconds
# systemd.exec(5): the first socket is descriptor 3, and LISTEN_PID is the number of the process that it is for.
_WITH_SOCKET = """
import os, sys
given = int(sys.argv[1])
if given != 3:
    os.dup2(given, 3)
    os.close(given)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.argv[2], sys.argv[2:])
"""


class Service:
    """A service of Type=notify, and a command that restarts it for `--reload`.

    With `activated` the socket is the service's as of a socket unit: it stays open while the service is restarted, and
    connections wait in it. Without it the service makes its own; `port` is free until then.
    """

    def __init__(
        self, folder: Path, words: Sequence[str | Path], *, activated: bool, environ: Mapping[str, str] | None = None
    ) -> None:
        self._words = [str(word) for word in words]
        self._folder = folder
        self._environment = {"PATH": os.defpath, "HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1", **(environ or {})}
        listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
        self.port = int(listening.getsockname()[1])
        if activated:
            self._socket: socket.socket | None = listening
        else:
            listening.close()
            self._socket = None
        self._notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notices.bind(str(folder / "notify"))
        self._environment["NOTIFY_SOCKET"] = str(folder / "notify")
        self.log = folder / "log"
        self._read = 0
        self.process: subprocess.Popen[bytes] | None = None
        self._asked, self._told = folder / "ask", folder / "answer"
        for path in (self._asked, self._told):
            os.mkfifo(path)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def restart_command(self) -> str:
        """A command for a shell, which waits for the end of the restart as `systemctl restart` does."""
        asked, told = (shlex.quote(str(path)) for path in (self._asked, self._told))
        return f'echo restart >{asked} && read -r answer <{told} && test "$answer" = started'

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def ask(self, path: str = "") -> str:
        """Ask for a page. Return its text."""
        answer = urllib3.request("GET", self.url + path, retries=False, timeout=_PATIENCE)
        assert answer.status == 200, answer.data
        return answer.data.decode()

    def ask_command(self, timeout: float) -> str:
        """A command for a shell that succeeds if the service answers within so many seconds."""
        script = f"import urllib.request; urllib.request.urlopen({self.url!r}, timeout={timeout})"
        return shlex.join([sys.executable, "-I", "-c", script])

    def await_log(self, text: str, times: int) -> None:
        """Wait until its log has gained this text so many times since it was last waited for."""
        deadline = time.monotonic() + _PATIENCE
        while (found := self.log.read_text().count(text, self._read)) < times:
            assert time.monotonic() < deadline, f"{found} times {text!r}: {self.log.read_text()}"
            time.sleep(0.05)
        self._read = len(self.log.read_text())

    def start(self) -> bool:
        """Start it. Return whether it says that it is ready; False if it ends before."""
        words = [word.format(port=self.port) for word in self._words]
        passed: tuple[int, ...] = ()
        if self._socket:
            passed = (self._socket.fileno(),)
            words = [sys.executable, "-I", "-c", _WITH_SOCKET, str(self._socket.fileno()), *words]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                words,
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=passed,
                start_new_session=True,
            )
        ended = os.pidfd_open(self.process.pid)
        try:
            while True:
                found, _, _ = select.select([self._notices.fileno(), ended], [], [], _PATIENCE)
                assert found, f"not ready in time: {self.log.read_text()}"
                if self._notices.fileno() not in found:
                    return False
                if b"READY=1" in self._notices.recv(4096):
                    return True
        finally:
            os.close(ended)

    def stop(self) -> None:
        """End it with SIGTERM, and wait."""
        if self.process:
            self.process.terminate()
            self.process.wait(_PATIENCE)
            self.process = None

    def restart(self) -> bool:
        self.stop()
        return self.start()

    def kill(self, number: signal.Signals) -> None:
        """Send a signal to the main process."""
        assert self.process
        self.process.send_signal(number)

    def close(self) -> None:
        """End it and everything that it started."""
        with self._asked.open("w") as file:
            file.write("end\n")
        self._thread.join(_PATIENCE)
        if self.process:
            group = self.process.pid
            self.stop()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        self._notices.close()
        if self._socket:
            self._socket.close()

    def _serve(self) -> None:
        """Restart it whenever the command asks for it."""
        while True:
            with self._asked.open() as file:
                word = file.read().strip()
            if word == "end":
                return
            answer = "started" if self.restart() else "failed"
            with self._told.open("w") as file:
                file.write(f"{answer}\n")

    def __enter__(self) -> Service:  # noqa: PYI034 - Self came with Python 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
