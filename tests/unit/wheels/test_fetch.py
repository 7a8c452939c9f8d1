"""Fetching, from an HTTP server on loopback that does to its clients what servers do."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import functools
import hashlib
import http.server
import ipaddress
import os
import shutil
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
import urllib3
from requests.adapters import HTTPAdapter

from platter_setuptools.errors import DependencyError, PlatterError, WheelError
from platter_setuptools.resolve.indexes import IndexSettings
from platter_setuptools.urls import without_query
from platter_setuptools.wheels import fetch, transfer
from platter_setuptools.wheels.fetch import Download, check_file
from support.fakes import FakeRunner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

BODY = os.urandom(300_000)
HOUR = dt.timedelta(hours=1)
PLAIN = IndexSettings(retries=2, timeout=5.0)


class Request(http.server.BaseHTTPRequestHandler):
    """One request, answered by the function that the test put at its path."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.server.seen.append((self.path, dict(self.headers)))
        self.server.routes[self.path.partition("?")[0]](self)

    def log_message(self, *_arguments: Any) -> None: ...

    def answer(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    @property
    def user(self) -> str | None:
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        return base64.b64decode(token).decode() if scheme == "Basic" else None


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.routes: dict[str, Callable[[Request], None]] = {}
        self.seen: list[tuple[str, dict[str, str]]] = []

    def url(self, path: str, userinfo: str = "", host: str = "127.0.0.1") -> str:
        return f"http://{userinfo}{host}:{self.server_port}{path}"

    def handle_error(self, *_arguments: Any) -> None: ...


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("NETRC", os.devnull)
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "_FIRST_PAUSE", 0.01)


def download(url: str, body: bytes = BODY, **given: Any) -> Download:
    values = {"filename": "a-1-py3-none-any.whl", "hashes": {"sha256": hashlib.sha256(body).hexdigest()}, **given}
    return Download(url=url, **values)


def fetch_all(downloads: Sequence[Download], folder: Path, **given: Any) -> dict[Download, Path]:
    return fetch.fetch_all(downloads, folder, run=FakeRunner(), **given)


def whole(request: Request) -> None:
    request.answer(200, BODY)


def fetch_one(wanted: Download, folder: Path, **given: Any) -> Path:
    return fetch_all([wanted], folder, settings=PLAIN, **given)[wanted]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def fails(
    error: type[PlatterError], *downloads: Download, folder: Path, settings: IndexSettings = PLAIN
) -> PlatterError:
    with pytest.raises(error) as caught:
        fetch_all(downloads, folder, settings=settings)
    assert names(folder) == []
    assert "secret" not in f"{caught.value} {caught.value.hint}"
    return caught.value


class TestWhole:
    def test_many_over_few_connections_in_their_order(self, server: Server, tmp_path: Path) -> None:
        wanted, reports = [], []
        for number in range(20):
            body = f"file {number}".encode() * 1000
            server.routes[f"/{number}"] = functools.partial(Request.answer, status=200, body=body)
            wanted.append(download(server.url(f"/{number}"), body, filename=f"f{number}.whl", size=len(body)))
        paths = fetch_all(wanted, tmp_path, settings=PLAIN, progress=lambda *now: reports.append(now))
        assert list(paths) == wanted
        assert [path.name for path in paths.values()] == [f"f{number}.whl" for number in range(20)]
        assert [path.read_bytes()[:6] for path in list(paths.values())[:2]] == [b"file 0", b"file 1"]
        assert reports[-1] == (20, 20, sum(path.stat().st_size for path in paths.values()))
        assert len(names(tmp_path)) == 20

    def test_nothing_to_do(self, tmp_path: Path) -> None:
        assert fetch_all([], tmp_path, settings=PLAIN) == {}

    @pytest.mark.parametrize("algorithm", ["sha512", "sha3_256", "blake2b"])
    def test_other_hashes(self, server: Server, tmp_path: Path, algorithm: str) -> None:
        server.routes["/a"] = whole
        hashes = {"md5": hashlib.md5(BODY).hexdigest(), algorithm: hashlib.new(algorithm, BODY).hexdigest().upper()}
        path = fetch_one(download(server.url("/a"), hashes=hashes), tmp_path)
        assert path.read_bytes() == BODY

    @pytest.mark.parametrize("wrong", ["md5", "sha256"])
    def test_all_hashes_are_compared(self, server: Server, tmp_path: Path, wrong: str) -> None:
        server.routes["/a"] = whole
        hashes = {name: hashlib.new(name, BODY).hexdigest() for name in ("md5", "sha256")} | {wrong: "0"}
        with pytest.raises(WheelError, match="does not match the lock.s " + {"md5": "MD5", "sha256": "SHA-256"}[wrong]):
            fetch_one(download(server.url("/a"), hashes=hashes), tmp_path)

    @pytest.mark.parametrize("size", [len(BODY) + 1, -1])
    def test_the_size_of_a_file_at_hand(self, tmp_path: Path, size: int) -> None:
        (tmp_path / "a").write_bytes(BODY)
        right = Download(
            url="https://host/a", hashes={"sha256": hashlib.sha256(BODY).hexdigest()}, filename="a", size=len(BODY)
        )
        check_file(tmp_path / "a", right)
        with pytest.raises(WheelError, match="bytes long, as the lock says"):
            check_file(tmp_path / "a", dataclasses.replace(right, size=size))

    def test_files_without_loading_requests(self, tmp_path: Path) -> None:
        (tmp_path / "a b.whl").write_bytes(BODY)
        wanted = download((tmp_path / "a b.whl").as_uri())
        script = (
            "import sys; from pathlib import Path; from platter_setuptools.wheels.fetch import *;"
            "from platter_setuptools.resolve.indexes import IndexSettings;"
            "from platter_setuptools.runtime.processes import Runner;"
            f"fetch_all([{wanted!r}], Path({str(tmp_path / 'out')!r}), settings=IndexSettings(), run=Runner());"
            "sys.exit('requests' in sys.modules)"
        )
        subprocess.run([sys.executable, "-c", script], check=True, env={**os.environ, "PYTHONPATH": ":".join(sys.path)})
        (path,) = (tmp_path / "out").rglob(wanted.filename)
        assert path.read_bytes() == BODY

    def test_one_name_for_two_files_and_one_file_named_twice(self, server: Server, tmp_path: Path) -> None:
        server.routes["/a"] = whole
        server.routes["/b"] = lambda request: request.answer(200, b"other")
        first, other = (
            download(server.url("/a")),
            download(server.url("/b"), b"other", filename="A-1-PY3-none-any.whl"),
        )
        again = download(server.url("/a"))
        paths = fetch_all([first, other, again], tmp_path, settings=PLAIN)
        assert paths[first] == paths[again]
        assert [path.name for path in paths.values()] == [one.filename for one in (first, other, again)]
        assert {path.parent.parent for path in paths.values()} == {tmp_path}
        assert [path.read_bytes() for path in paths.values()] == [BODY, b"other", BODY]
        assert len(server.seen) == 2

    def test_as_it_is_however_the_server_labels_it(self, server: Server, tmp_path: Path) -> None:
        server.routes["/a"] = lambda request: request.answer(200, BODY, {"Content-Encoding": "gzip"})
        path = fetch_one(download(server.url("/a")), tmp_path)
        assert path.read_bytes() == BODY
        assert server.seen[0][1]["Accept-Encoding"] == "identity"


class TestWrong:
    def test_another_hash(self, server: Server, tmp_path: Path) -> None:
        server.routes["/a"] = whole
        wanted = download(server.url("/a?token=secret", "user:secret@"), b"expected")
        error = fails(WheelError, wanted, folder=tmp_path)
        for part in (wanted.filename, server.url("/a"), wanted.hashes["sha256"], hashlib.sha256(BODY).hexdigest()):
            assert part in str(error)

    @pytest.mark.parametrize("size", [len(BODY) - 1, len(BODY) + 1, 1])
    def test_another_size(self, server: Server, tmp_path: Path, size: int) -> None:
        server.routes["/a"] = whole
        assert f"{size} bytes" in str(fails(WheelError, download(server.url("/a"), size=size), folder=tmp_path))

    @pytest.mark.parametrize("size", [0, 1000])
    def test_no_more_is_read_than_was_announced(self, server: Server, tmp_path: Path, size: int) -> None:
        server.routes["/a"] = TestStopping.endless
        assert f"{size} bytes" in str(fails(WheelError, download(server.url("/a"), size=size), folder=tmp_path))

    @pytest.mark.parametrize("hashes", [{}, {"md5": "0" * 32}, {"sha1": "0" * 40, "crc": "0"}])
    def test_no_hash_to_trust(self, tmp_path: Path, hashes: dict[str, str]) -> None:
        fails(WheelError, download("http://u:secret@h/a", hashes=hashes), folder=tmp_path)

    @pytest.mark.parametrize("name", ["", "../a.whl", "a/b.whl", "/a.whl", "..", ".a", "a\0.whl", "a\nb", "a\\b"])
    def test_a_name_that_leads_elsewhere(self, tmp_path: Path, name: str) -> None:
        assert "safe name" in str(fails(WheelError, download("http://h/a", filename=name), folder=tmp_path))

    @pytest.mark.parametrize("url", ["ftp://u:secret@h/a", "git+https://h/a", "/a", "C:/a"])
    def test_another_scheme(self, tmp_path: Path, url: str) -> None:
        assert "only http, https and file" in str(fails(DependencyError, download(url), folder=tmp_path))

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        error = fails(DependencyError, download((tmp_path / "gone").as_uri()), folder=tmp_path)
        assert "No such file" in str(error)

    def test_a_folder_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "source").write_bytes(BODY)
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(DependencyError, match="cannot be written"):
            fetch_all([download((tmp_path / "source").as_uri())], tmp_path / "file", settings=PLAIN)

    @pytest.mark.parametrize(
        ("status", "hint"),
        [(401, "netrc"), (403, "password"), (404, "again"), (418, "later"), (503, "later")],
    )
    def test_a_refusal_says_what_to_do(self, server: Server, tmp_path: Path, status: int, hint: str) -> None:
        server.routes["/a"] = lambda request: request.answer(status)
        error = fails(DependencyError, download(server.url("/a?key=secret", "u:secret@")), folder=tmp_path)
        assert f"{server.url('/a')} cannot be fetched: HTTP status {status}" in str(error)
        assert hint in (error.hint or "")
        assert len(server.seen) == (3 if status == 503 else 1)

    def test_nobody_there(self, tmp_path: Path) -> None:
        error = fails(DependencyError, download("http://127.0.0.1:1/a?key=secret"), folder=tmp_path)
        assert "Connection refused" in str(error)
        assert "proxy" in (error.hint or "")

    def test_no_answer(self, server: Server, tmp_path: Path) -> None:
        server.routes["/a"] = lambda _request: time.sleep(1)
        settings = IndexSettings(retries=0, timeout=0.1)
        assert "time" in str(fails(DependencyError, download(server.url("/a")), folder=tmp_path, settings=settings))

    def test_a_certificate_that_is_none(self, server: Server, tmp_path: Path) -> None:
        url = server.url("/a").replace("http:", "https:")
        assert "SSL" in str(fails(DependencyError, download(url), folder=tmp_path))

    def test_a_certificate_file_that_is_not_there(self, server: Server, tmp_path: Path) -> None:
        url = server.url("/a").replace("http:", "https:")
        settings = IndexSettings(cert="/not/there.pem")
        assert "/not/there.pem" in str(fails(DependencyError, download(url), folder=tmp_path, settings=settings))

    def test_a_url_that_is_none(self, tmp_path: Path) -> None:
        assert "valid URL" in str(fails(DependencyError, download("http://"), folder=tmp_path))

    def test_round_in_circles(self, server: Server, tmp_path: Path) -> None:
        server.routes["/a"] = lambda request: request.answer(302, headers={"Location": "/a"})
        assert "too many redirects" in str(fails(DependencyError, download(server.url("/a")), folder=tmp_path))


class TestPatience:
    @pytest.mark.parametrize("ranges", [True, False])
    def test_a_connection_that_breaks_in_the_middle(self, server: Server, tmp_path: Path, ranges: bool) -> None:
        def breaking(request: Request) -> None:
            start = int(request.headers.get("Range", "bytes=0-")[6:-1]) if ranges else 0
            status, headers = 200, {"Content-Length": str(len(BODY) - start)}
            if start:
                status, headers["Content-Range"] = 206, f"bytes {start}-{len(BODY) - 1}/{len(BODY)}"
            stop = start + 100_000 if len(server.seen) < 3 else len(BODY)
            if not ranges and len(server.seen) < 3:
                stop = len(server.seen) * 120_000
            request.answer(status, BODY[start:stop], headers)
            request.close_connection = True

        server.routes["/a"] = breaking
        reports: list[tuple[int, int, int]] = []
        wanted = download(server.url("/a"), size=len(BODY))
        path = fetch_one(wanted, tmp_path, progress=lambda *now: reports.append(now))
        assert path.read_bytes() == BODY
        assert reports[-1] == (1, 1, len(BODY))
        assert len(server.seen) == 3
        assert "Range" in server.seen[1][1]

    def test_a_chunked_answer_that_breaks(self, server: Server, tmp_path: Path) -> None:
        def chunked(request: Request) -> None:
            if "Range" in request.headers:
                request.answer(416)
                return
            request.send_response(200)
            request.send_header("Transfer-Encoding", "chunked")
            request.end_headers()
            request.wfile.write(b"%x\r\n%s\r\n" % (len(BODY), BODY))
            request.close_connection = True  # without the last, empty chunk

        server.routes["/a"] = chunked
        path = fetch_one(download(server.url("/a")), tmp_path)
        assert path.read_bytes() == BODY

    def test_an_interrupt_between_two_tries(self, server: Server, tmp_path: Path) -> None:
        server.routes["/a"] = lambda request: request.answer(503, headers={"Retry-After": "30"})

        def interrupt(*_now: int) -> None:
            if server.seen:
                raise KeyboardInterrupt

        begin = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            fetch_all([download(server.url("/a"))], tmp_path, settings=PLAIN, progress=interrupt)
        assert time.monotonic() - begin < 1
        assert names(tmp_path) == []

    def test_another_range_than_asked_for(self, server: Server, tmp_path: Path) -> None:
        def confused(request: Request) -> None:
            if "Range" in request.headers:
                request.answer(206, BODY, {"Content-Range": f"bytes 0-{len(BODY) - 1}/{len(BODY)}"})
            else:
                request.answer(200, BODY[:1000], {"Content-Length": str(len(BODY))})
                request.close_connection = True

        server.routes["/a"] = confused
        fails(DependencyError, download(server.url("/a")), folder=tmp_path)

    def test_it_breaks_every_time(self, server: Server, tmp_path: Path) -> None:
        def breaking(request: Request) -> None:
            request.answer(200, headers={"Content-Length": "5"})
            request.close_connection = True

        server.routes["/a"] = breaking
        assert "connection broke" in str(fails(DependencyError, download(server.url("/a")), folder=tmp_path))
        assert len(server.seen) == 3

    @pytest.mark.parametrize("headers", [{}, {"Retry-After": "0"}, {"Retry-After": "Wed, 21 Oct 2026 07:28 GMT"}])
    def test_a_server_that_is_busy_for_a_moment(self, server: Server, tmp_path: Path, headers: dict[str, str]) -> None:
        def busy(request: Request) -> None:
            if len(server.seen) < 3:
                request.answer(429, headers=headers)
            else:
                whole(request)

        server.routes["/a"] = busy
        assert fetch_all([download(server.url("/a"))], tmp_path, settings=PLAIN)


class TestCredentials:
    @staticmethod
    def guarded(request: Request) -> None:
        if request.user == "us@er:pa:ss":
            whole(request)
        else:
            request.answer(401)

    def test_of_the_url(self, server: Server, tmp_path: Path) -> None:
        server.routes["/a"] = self.guarded
        assert fetch_all([download(server.url("/a", "us%40er:pa%3Ass@"))], tmp_path, settings=PLAIN)

    def test_of_the_index_on_the_same_origin(self, server: Server, tmp_path: Path) -> None:
        server.routes["/a"] = self.guarded
        settings = IndexSettings(extra_index_urls=(server.url("/simple", "us%40er:pa%3Ass@"),))
        assert fetch_all([download(server.url("/a"))], tmp_path, settings=settings)

    def test_of_netrc(self, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login us@er password pa:ss\n")
        netrc.chmod(0o600)
        monkeypatch.setenv("NETRC", str(netrc))
        server.routes["/a"] = self.guarded
        assert fetch_all([download(server.url("/a"))], tmp_path / "out", settings=PLAIN)

    @pytest.mark.parametrize("known", [False, True])
    def test_they_stay_with_their_host(self, server: Server, tmp_path: Path, known: bool) -> None:
        users: list[str | None] = []

        def elsewhere(request: Request) -> None:
            users.append(request.user)
            whole(request)

        server.routes["/a"] = lambda request: request.answer(
            302, headers={"Location": server.url("/b", host="localhost")}
        )
        server.routes["/b"] = elsewhere
        links = (server.url("/", "other:one@", host="localhost"),) if known else ()
        wanted = download(server.url("/a", "us%40er:secret@"))
        assert fetch_all([wanted], tmp_path, settings=IndexSettings(find_links=links))
        assert users == (["other:one"] if known else [None])


class TestSettings:
    def test_a_proxy(self, server: Server, tmp_path: Path) -> None:
        server.routes["http://elsewhere.invalid/a"] = whole
        settings = IndexSettings(proxy=f"127.0.0.1:{server.server_port}")
        assert fetch_all([download("http://elsewhere.invalid/a")], tmp_path, settings=settings)

    def test_certificates_and_trusted_hosts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # Making a certificate needs a tool that may not be here: see that requests is told.
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/elsewhere.pem")
        told: list[tuple[str, Any, Any]] = []

        def send(_self: Any, request: Any, **options: Any) -> Any:
            told.append((request.url, options["verify"], options["cert"]))
            raise requests.ConnectionError

        monkeypatch.setattr(HTTPAdapter, "send", send)
        monkeypatch.setattr(urllib3, "disable_warnings", lambda _category: None)
        settings = IndexSettings(cert="/ca.pem", client_cert="/me.pem", trusted_hosts=("old", "odd:8443"), retries=0)
        transfers = transfer.Transfers(settings, FakeRunner())
        urls = [
            "https://new/",
            "https://old/",
            "https://old:1/",
            "https://odd:8443/",
            "https://odd/",
            "https://older/",
        ]
        for url in urls:
            with pytest.raises(DependencyError, match="the connection broke"):
                list(transfers.chunks(url, label="x", pause=lambda _seconds: False))
        assert [verify for _, verify, _ in told] == ["/ca.pem", False, False, False, "/ca.pem", "/ca.pem"]
        assert {cert for *_, cert in told} == {"/me.pem"}


class TestTLS:
    @pytest.fixture
    def certificate(self, server: Server, tmp_path: Path) -> Path:
        """What the server shows from now on, for 127.0.0.1, signed by itself."""
        pytest.importorskip("cryptography")
        from cryptography import x509  # noqa: PLC0415
        from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "an index")])
        now = dt.datetime.now(dt.timezone.utc)
        made = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + HOUR)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
            .sign(key, hashes.SHA256())
        )
        public, secret = tmp_path / "public.pem", tmp_path / "secret.pem"
        public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        secret.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(public, secret)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        return public

    @pytest.fixture
    def read(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """The files of certificates that are read."""
        files: list[str] = []
        load = ssl.SSLContext.load_verify_locations

        def counted(context: ssl.SSLContext, cafile: Any = None, *rest: Any, **named: Any) -> None:
            files.append(str(cafile or named))
            load(context, cafile, *rest, **named)

        monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", counted)
        return files

    @pytest.mark.parametrize("how", ["option", "environment", "folder"])
    def test_certificates_are_read_once_in_a_batch(
        self,
        server: Server,
        certificate: Path,
        read: list[str],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        how: str,
    ) -> None:
        trusted = str(certificate)
        if how == "folder":  # as openssl's rehash makes them; the name is the issuer's hash
            if not shutil.which("openssl"):
                pytest.skip("needs openssl")
            trusted = str(tmp_path / "trusted")
            hashed = subprocess.run(
                ["openssl", "x509", "-noout", "-hash", "-in", certificate], capture_output=True, text=True, check=True
            )
            Path(trusted).mkdir()
            (Path(trusted) / f"{hashed.stdout.strip()}.0").symlink_to(certificate)
        if how == "environment":
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", trusted)
        settings = IndexSettings(retries=0, cert=None if how == "environment" else trusted)
        urls = [server.url(f"/{number}").replace("http:", "https:") for number in range(8)]
        server.routes.update({f"/{number}": whole for number in range(8)})
        for times in ("once", "and again"):
            fetched = fetch_all(
                [download(url, filename=f"{times}-{url[-1]}") for url in urls], tmp_path, settings=settings
            )
            assert {path.read_bytes() for path in fetched.values()} == {BODY}
        assert len(read) == 2

    def test_one_that_is_not_trusted(self, server: Server, certificate: Path, tmp_path: Path) -> None:
        server.routes["/a"] = whole
        url = server.url("/a").replace("http:", "https:")
        with pytest.raises(DependencyError, match="SSL"):
            fetch_all([download(url)], tmp_path / "to", settings=PLAIN)
        # And one for another host: only 127.0.0.1 is in it.
        url = url.replace("127.0.0.1", "localhost")
        with pytest.raises(DependencyError, match="SSL"):
            fetch_all([download(url)], tmp_path / "to", settings=IndexSettings(cert=str(certificate), retries=0))

    def test_hosts_that_are_trusted_anyhow(
        self, server: Server, certificate: Path, read: list[str], tmp_path: Path
    ) -> None:
        del certificate
        server.routes["/a"] = whole
        url = server.url("/a").replace("http:", "https:")
        settings = IndexSettings(trusted_hosts=("127.0.0.1",))
        assert fetch_all([download(url)], tmp_path, settings=settings)
        assert read == []

    def test_a_file_that_holds_none(self, server: Server, certificate: Path, tmp_path: Path) -> None:
        del certificate
        (tmp_path / "none.pem").write_text("hello")
        url = server.url("/a").replace("http:", "https:")
        settings = IndexSettings(cert=str(tmp_path / "none.pem"), retries=0)
        with pytest.raises(DependencyError, match="cannot be fetched"):
            fetch_all([download(url)], tmp_path / "to", settings=settings)


class TestStopping:
    @staticmethod
    def endless(request: Request) -> None:
        request.send_response(200)
        request.end_headers()
        while True:
            request.wfile.write(b"x" * 10_000)
            time.sleep(0.01)

    @staticmethod
    def stuck(request: Request) -> None:
        request.send_response(200)
        request.end_headers()
        time.sleep(5)

    def test_the_first_error_ends_the_rest(self, server: Server, tmp_path: Path) -> None:
        server.routes = {
            "/endless": self.endless,
            "/stuck": self.stuck,
            "/gone": lambda request: request.answer(404),
        }
        wanted = [download(server.url(path), filename=path[1:]) for path in ("/endless", "/stuck", "/gone")]
        begin = time.monotonic()
        assert "gone" in str(fails(DependencyError, *wanted, folder=tmp_path))
        assert time.monotonic() - begin < 3

    def test_an_interrupt_ends_all(self, server: Server, tmp_path: Path) -> None:
        server.routes = {"/endless": self.endless, "/whole": whole}
        wanted = [download(server.url(f"/{name}"), filename=name) for name in ("endless", "whole")]
        begin = time.monotonic()

        def interrupt(done: int, _total: int, size: int) -> None:
            if done and size > len(BODY):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fetch_all(wanted, tmp_path, settings=PLAIN, progress=interrupt)
        assert time.monotonic() - begin < 3
        assert names(tmp_path) == ["whole"]


def test_what_is_shown_of_a_url() -> None:
    assert without_query("https://u:p@host:1/a/b?token=1#sha256=2") == "https://host:1/a/b"
