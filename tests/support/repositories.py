"""A git server on loopback: repositories behind a user and password of their own each."""

from __future__ import annotations

import base64
import contextlib
import http.server
import os
import subprocess
import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


@contextlib.contextmanager
def serving(folder: Path, logins: Mapping[str, str]) -> Iterator[str]:
    """Serve the repositories in a folder; `logins` has the USER:PASSWORD of each by its name. Gives http://HOST:PORT/."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(folder, logins))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(folder: Path, logins: Mapping[str, str]) -> type[http.server.BaseHTTPRequestHandler]:
    expected = {name: "Basic " + base64.b64encode(login.encode()).decode() for name, login in logins.items()}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.do_POST()

        def do_POST(self) -> None:
            url, asked = urlsplit(self.path), self.rfile.read(int(self.headers["Content-Length"] or 0))
            if self.headers.get_all("Authorization") != [expected.get(url.path.split("/")[1])]:
                self._send(401, [("WWW-Authenticate", 'Basic realm="git"')], b"")
                return
            environ = {
                "GIT_PROJECT_ROOT": os.fspath(folder),
                "GIT_HTTP_EXPORT_ALL": "1",
                "GIT_PROTOCOL": self.headers["Git-Protocol"] or "",
                "HTTP_CONTENT_ENCODING": self.headers["Content-Encoding"] or "",
                "PATH_INFO": url.path,
                "QUERY_STRING": url.query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers["Content-Type"] or "",
            }
            environ = {**os.environ, **environ}
            command = ["git", "http-backend"]
            said = subprocess.run(command, input=asked, env=environ, check=True, capture_output=True, timeout=60).stdout
            head, _, body = said.partition(b"\r\n\r\n")
            lines = [line.partition(": ")[::2] for line in head.decode().split("\r\n")]
            status = next((int(value[:3]) for name, value in lines if name == "Status"), 200)
            self._send(status, lines, body)

        def _send(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    return Handler
