"""A package index on loopback (PEP 503, PEP 658) for the synthetic wheels: its pages are made once, before it serves.

The tests' index makes its pages when they are asked for, and hashes every file for each of them: with 500 projects we
would measure that.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import threading
from collections import defaultdict
from typing import TYPE_CHECKING

from benchmarks.wheels import metadata
from platter_setuptools.runtime.files import sha256_of_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


@contextlib.contextmanager
def serving(folders: Sequence[Path]) -> Iterator[str]:
    """Serve the wheels in some folders; gives the index's URL."""
    pages, files = _contents(folders)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(pages, files))
    server.daemon_threads = True
    server.block_on_close = False
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/simple/"
    finally:
        server.shutdown()
        server.server_close()


def _contents(folders: Sequence[Path]) -> tuple[dict[str, bytes], dict[str, Path]]:
    pages: dict[str, bytes] = {}
    files: dict[str, Path] = {}
    links: defaultdict[str, list[str]] = defaultdict(list)
    for path in (path for folder in folders for path in sorted(folder.glob("*.whl"))):
        digest, _size = sha256_of_file(path)
        project = path.name.split("-")[0].replace("_", "-").replace(".", "-").lower()
        about = metadata(path)
        told = hashlib.sha256(about).hexdigest()
        links[project].append(
            f'<a href="/files/{path.name}#sha256={digest}" data-core-metadata="sha256={told}">{path.name}</a>'
        )
        files[f"/files/{path.name}"] = path
        pages[f"/files/{path.name}.metadata"] = about
    for project, lines in links.items():
        body = "<br>\n".join(lines)
        pages[f"/simple/{project}/"] = f"<!DOCTYPE html><html><body>\n{body}\n</body></html>\n".encode()
    return pages, files


def _handler(pages: dict[str, bytes], files: dict[str, Path]) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body are written one after the other: Nagle's algorithm would let the body wait for 40 ms.
        disable_nagle_algorithm = True

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, *, with_body: bool) -> None:
            page, file = pages.get(self.path), files.get(self.path)
            with contextlib.suppress(ConnectionError):
                if file is not None:
                    self._begin(200, "application/octet-stream", file.stat().st_size)
                    if with_body:
                        with file.open("rb") as stream:
                            self.connection.sendfile(stream)
                else:
                    body = b"there is nothing here\n" if page is None else page
                    kind = "text/plain" if page is None or self.path.endswith(".metadata") else "text/html"
                    self._begin(404 if page is None else 200, kind, len(body))
                    if with_body:
                        self.wfile.write(body)

        def _begin(self, status: int, kind: str, length: int) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(length))
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    return Handler
