"""A package index on loopback, and what stands in it: so the main flow is tested without a network.

The index is a folder of files, served as PEP 503 asks, with hashes, Requires-Python and (PEP 658) metadata. What a
build itself needs (virtualenv, pip, setuptools, wheel) is packed again from the distributions that run the tests.
"""

from __future__ import annotations

import base64
import contextlib
import csv
import functools
import hashlib
import html
import http.server
import importlib.metadata
import importlib.util
import io
import marshal
import re
import tarfile
import threading
import time
import zipfile
from email.parser import HeaderParser
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_sdist_filename, parse_wheel_filename

from support import handmade

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

TOOLS = ("virtualenv", "setuptools", "wheel")
_MADE_BY_INSTALLING = {"INSTALLER", "REQUESTED", "direct_url.json", "RECORD"}
_PAGE = "<!DOCTYPE html><html><head><title>{title}</title></head><body>\n{body}\n</body></html>\n"


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: builds that are interrupted hang up as they like."""


class Index:
    """Serves the files of some folders from `start` to `stop`. What was asked for stands in `requests`."""

    def __init__(self, *folders: Path, user: str = "", password: str = "", metadata: bool = True) -> None:
        self.folders = folders
        self.requests: list[str] = []  # paths, in the order of their coming
        self.uploads: list[str] = []  # names of the files that were sent here; they are not kept
        self.lies: set[str] = set()  # files whose hash is told wrong
        self.yanked: set[str] = set()  # files that are (PEP 592)
        self.algorithm = "sha256"  # of the hashes that links have
        self.failures: dict[str, int] = {}  # files and how many times they are refused with 503
        self.slow: set[str] = set()  # files that never come to their end
        self.slow_reached = threading.Event()
        self._metadata = metadata
        self._userinfo = f"{user}:{password}@" if user else ""
        self._expected = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode() if user else None
        self._stopping = threading.Event()
        self._server = _Server(("127.0.0.1", 0), self._handler(), bind_and_activate=False)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def start(self) -> None:
        """Come onto the network."""
        self._server.server_bind()
        self._server.server_activate()
        self._thread.start()

    def stop(self) -> None:
        """Leave the network; a second time does nothing."""
        if not self._stopping.is_set():
            self._stopping.set()
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

    @property
    def url(self) -> str:
        """What PIP_INDEX_URL takes."""
        return f"http://{self._userinfo}127.0.0.1:{self._server.server_address[1]}/simple/"

    @property
    def fetched(self) -> list[str]:
        """The files that were asked for, without pages and metadata."""
        names = [unquote(path.rpartition("/")[2]) for path in self.requests if path.startswith("/files/")]
        return [name for name in names if not name.endswith(".metadata")]

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Status, content type and body for a path."""
        self.requests.append(path)
        kind, _, name = unquote(path).strip("/").partition("/")
        if kind == "simple" and (page := self._page(name)):
            return 200, "text/html; charset=utf-8", page.encode()
        if kind == "files" and self.failures.get(name):
            self.failures[name] -= 1
            return 503, "text/plain", b"later\n"
        file = self._files().get(name.removesuffix(".metadata"))
        if kind != "files" or file is None:
            return 404, "text/plain", b"there is nothing here\n"
        if name.endswith(".metadata"):
            return 200, "text/plain", _metadata(file)
        return 200, "application/octet-stream", file.read_bytes()

    def _files(self) -> dict[str, Path]:
        return {path.name: path for folder in self.folders for path in sorted(folder.iterdir()) if path.is_file()}

    def _page(self, project: str) -> str:
        files = [path for name, path in self._files().items() if not project or _project(name) == project]
        if not files:
            return ""
        links = [self._link(path) for path in files] if project else sorted({_project(path.name) for path in files})
        return _PAGE.format(title=html.escape(project), body="<br>\n".join(links))

    def _link(self, path: Path) -> str:
        digest, about = _facts(path, path.stat().st_mtime_ns)
        digest = f"sha256={digest}"
        if path.name in self.lies or self.algorithm != "sha256":
            content = b"a lie" if path.name in self.lies else path.read_bytes()
            digest = f"{self.algorithm}={hashlib.new(self.algorithm, content).hexdigest()}"
        attributes = ' data-yanked="broken"' if path.name in self.yanked else ""
        if path.suffix == ".whl":
            if requires := HeaderParser().parsestr(about.decode())["Requires-Python"]:
                attributes += f' data-requires-python="{html.escape(requires)}"'
            if self._metadata:
                attributes += f' data-core-metadata="sha256={hashlib.sha256(about).hexdigest()}"'
        return f'<a href="/files/{path.name}#{digest}"{attributes}>{path.name}</a>'

    def take(self, form: bytes) -> None:
        """An upload, as twine sends it."""
        self.uploads += [name.decode() for name in re.findall(rb'filename="([^"]*)"', form)]

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:  # noqa: C901 - a list of methods is no maze
        index = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                index.take(self.rfile.read(int(self.headers["Content-Length"])))
                self._send(200, "text/plain", b"thanks\n", with_body=True)

            def do_HEAD(self) -> None:
                self._respond(with_body=False)

            def do_GET(self) -> None:
                self._respond(with_body=True)

            def _respond(self, *, with_body: bool) -> None:
                if index._expected and self.headers["Authorization"] != index._expected:
                    self._send(401, "text/plain", b"who are you?\n", with_body=with_body)
                    return
                path = urlsplit(self.path).path
                self._send(*index.answer(path), with_body=with_body, slow=path.rpartition("/")[2] in index.slow)

            def _send(self, status: int, kind: str, body: bytes, *, with_body: bool, slow: bool = False) -> None:
                with contextlib.suppress(ConnectionError):
                    self.send_response(status)
                    self.send_header("Content-Type", kind)
                    self.send_header("Content-Length", str(len(body)))
                    if status == 401:
                        self.send_header("WWW-Authenticate", 'Basic realm="index"')
                    self.end_headers()
                    if slow:
                        self.wfile.write(body[: len(body) // 2])
                        self.wfile.flush()
                        index.slow_reached.set()
                        index._stopping.wait()
                        self.close_connection = True
                    elif with_body:
                        self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Say nothing: what was asked for stands in `requests`."""

        return Handler


def tools(folder: Path) -> Path:
    """Fill a folder with the wheels of what every build needs, and give the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    todo, done = list(TOOLS), set()
    while todo:
        name = canonicalize_name(todo.pop())
        if name in done:
            continue
        done.add(name)
        # Other interpreters need a few more than the running one does: they come along if they are installed.
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            distribution = importlib.metadata.distribution(name)
            repack(distribution, folder)
            todo += [
                one.name for one in map(Requirement, distribution.requires or ()) if "extra" not in str(one.marker)
            ]
    handmade.pip_wheel(folder)
    return folder


def repack(distribution: importlib.metadata.Distribution, folder: Path) -> Path:
    """The wheel of an installed distribution of pure Python, made again from what its RECORD lists."""
    info = ""
    members = []
    for file in distribution.files or ():
        if ".." in file.parts or "__pycache__" in file.parts:
            continue  # console scripts and bytecode are made by installing
        if file.parts[0].endswith(".dist-info"):
            info = file.parts[0]
            if len(file.parts) == 2 and file.name in _MADE_BY_INSTALLING:
                continue
        members.append(handmade.Member(name=str(file), content=Path(str(distribution.locate_file(file))).read_bytes()))
        if file.suffix == ".py" and distribution.name == "setuptools":
            members.append(_bytecode(str(file), members[-1].content))
    if not info:
        raise RuntimeError(
            f"{distribution.name} was not installed from a wheel: install the test dependencies with pip"
        )
    members.append(handmade.Member(name=f"{info}/RECORD", content=_record(members, info)))
    tags = HeaderParser().parsestr(distribution.read_text("WHEEL") or "").get_all("Tag", ())
    tag = "-".join(".".join(sorted(set(part))) for part in zip(*(one.split("-") for one in tags), strict=True))
    return handmade.archive(folder / f"{info.removesuffix('.dist-info')}-{tag}.whl", members)


def _bytecode(name: str, source: bytes) -> handmade.Member:
    """A module's bytecode, or each new build environment would compile setuptools anew; of the kind without times."""
    code = marshal.dumps(compile(source, name, "exec", dont_inherit=True))
    unchecked = (1).to_bytes(4, "little")  # PEP 552
    content = importlib.util.MAGIC_NUMBER + unchecked + importlib.util.source_hash(source) + code
    return handmade.Member(name=importlib.util.cache_from_source(name), content=content)


def sdist(folder: Path, name: str, version: str, files: Mapping[str, str]) -> Path:
    """Write `NAME-VERSION.tar.gz`. Its PKG-INFO is of the old kind, so that dependencies are asked of the backend."""
    stem = f"{name.replace('-', '_')}-{version}"
    contents = {"PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", **files}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}.tar.gz"
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as archive:
        for member, content in contents.items():
            header = tarfile.TarInfo(f"{stem}/{member}")
            header.size, header.mtime = len(content.encode()), int(time.mktime((2024, 2, 29, 12, 0, 0, 0, 0, 0)))
            archive.addfile(header, io.BytesIO(content.encode()))
    return path


def _record(members: Sequence[handmade.Member], info: str) -> bytes:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    for member in members:
        digest = base64.urlsafe_b64encode(hashlib.sha256(member.content).digest()).rstrip(b"=").decode()
        rows.writerow((member.name, f"sha256={digest}", len(member.content)))
    rows.writerow((f"{info}/RECORD", "", ""))
    return text.getvalue().encode()


def _project(filename: str) -> str:
    if filename.endswith(".whl"):
        return parse_wheel_filename(filename)[0]
    return parse_sdist_filename(filename)[0]


@functools.cache
def _facts(path: Path, _changed: int) -> tuple[str, bytes]:
    """Return the SHA-256 of a file, and the metadata of a wheel."""
    return hashlib.sha256(path.read_bytes()).hexdigest(), _metadata(path) if path.suffix == ".whl" else b""


def _metadata(wheel: Path) -> bytes:
    with zipfile.ZipFile(wheel) as archive:
        return next(_each_metadata(archive))


def _each_metadata(archive: zipfile.ZipFile) -> Iterator[bytes]:
    for name in archive.namelist():
        if name.count("/") == 1 and name.endswith(".dist-info/METADATA"):
            yield archive.read(name)
