"""Read URLs over http and https with requests, with pip's configuration and number of attempts.

A separate module because importing requests takes longer than a build whose wheels are all in the wheel cache.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from platter_setuptools.errors import DependencyError
from platter_setuptools.resolve.credentials import Asking, Login, login_of, logins, places
from platter_setuptools.runtime.concurrency import OncePerKey
from platter_setuptools.urls import without_userinfo
from platter_setuptools.wheels.fetch import CHUNK, CONNECTIONS

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from platter_setuptools.resolve.credentials import Place
    from platter_setuptools.resolve.indexes import IndexSettings
    from platter_setuptools.runtime.processes import Runner

_RETRIES = 5  # as many, and a timeout as long, as pip's
_TIMEOUT = 15.0  # seconds
_FIRST_PAUSE = 0.25  # seconds; each one after it is twice as long
_LONGEST_PAUSE = 30.0  # seconds, whatever a Retry-After says
_PASSING = {408, 425, 429, 500, 502, 503, 504}  # HTTP statuses that may be others in a moment
_REFUSED = {401, 403}
_PARTIAL = 206
_NOTHING_LEFT = 416
_HINTS = {
    401: "give the index's user and password in its URL in pip's configuration, in ~/.netrc, or by `uv auth login`",
    403: "check that the index's user and password are right, and that they may read this",
    404: "the lock is older than the index: lock again",
    407: "give the proxy's user and password in its URL",
    410: "the lock is older than the index: lock again",
}
_REASONS: dict[type[Exception], str] = {  # for errors without an error number below them
    requests.Timeout: "no answer in time",
    requests.TooManyRedirects: "too many redirects",
    requests.exceptions.InvalidURL: "it is no valid URL",
    requests.ConnectionError: "the connection broke",
    requests.exceptions.ChunkedEncodingError: "the connection broke",
    urllib3.exceptions.TimeoutError: "no answer in time",
    urllib3.exceptions.ProtocolError: "the connection broke",
}
_NETWORK_HINT = "check the network, and the proxy and certificates of pip's configuration"


class Transfers:
    """Connections that several threads share."""

    def __init__(self, settings: IndexSettings, run: Runner) -> None:
        self._retries = _RETRIES if settings.retries is None else settings.retries
        self._known = places(settings)
        self._asking = Asking(settings, run)  # for a login that no URL in the settings has
        self._taken: dict[str, Login] = {}  # by folder: what a server has accepted
        self._options: dict[str, Any] = {
            "stream": True,
            "timeout": settings.timeout or _TIMEOUT,
            # Said with every request: what a session holds gives way to the environment.
            "verify": settings.cert or True,
            "cert": settings.client_cert,
            "proxies": {scheme: settings.proxy for scheme in ("http", "https") if settings.proxy},
        }
        self._session = _Session(self._known)
        # pip's and ours: a .tar.gz is to arrive as it is, not unpacked on the way.
        self._session.headers["Accept-Encoding"] = "identity"
        self._session.headers["User-Agent"] = "platter-setuptools"
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter(settings.trusted_hosts))
        if settings.trusted_hosts:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

    def close(self) -> None:
        self._session.close()

    def chunks(self, url: str, *, label: str, pause: Callable[[float], bool]) -> Iterator[bytes]:
        """Yield the bytes behind the URL, without a gap, however often the connection breaks. Raise DependencyError.

        `label` names the file in errors. `pause` waits so many seconds before the next try, or returns True if the rest
        is not wanted any more.
        """
        received = 0
        for attempt in itertools.count():
            try:
                for chunk in self._attempt(url, received):
                    received += len(chunk)
                    yield chunk
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:  # noqa: PERF203
                if attempt == self._retries or not _passing(error):
                    raise _failure(label, error) from error
                if pause(_wait(error, attempt)):
                    return
            else:
                return

    def _attempt(self, url: str, received: int) -> Iterator[bytes]:
        with self._get(url, received) as response:
            if response.status_code == _NOTHING_LEFT and received:
                return  # the connection broke between the last byte and the word that it was the last
            if not response.ok:
                raise requests.HTTPError(response=response)
            yield from _rest(response, received)

    def _get(self, url: str, start: int) -> requests.Response:
        headers = {"Range": f"bytes={start}-"} if start else {}
        folder = url.rpartition("/")[0]
        for login in self._logins(url, folder):
            response = self._session.get(without_userinfo(url), auth=login, headers=headers, **self._options)
            if response.status_code not in _REFUSED:
                if login:
                    self._taken[folder] = login
                return response
            response.close()
        return response

    def _logins(self, url: str, folder: str) -> Iterator[Login | None]:
        """Yield the logins to try; with None requests uses ~/.netrc."""
        if own := login_of(url) or self._taken.get(folder):
            yield own
            return
        known = logins(self._known, url)
        yield from known
        if not any(login.password for login in known):
            yield None
        if asked := self._asking(url):
            yield asked


class _Session(requests.Session):
    """Follows a redirect to another host with that host's credentials, if any, never with the first one's."""

    def __init__(self, known: Sequence[Place]) -> None:
        super().__init__()
        self._known = known

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        super().rebuild_auth(prepared_request, response)
        known = logins(self._known, prepared_request.url or "")
        if known and "Authorization" not in prepared_request.headers:
            prepared_request.prepare_auth(known[0])


class _Adapter(HTTPAdapter):
    """Connections that take any certificate of the hosts that the user trusts, wherever a redirect comes from.

    They share their trusted certificates: reading them takes longer than fetching a small wheel.
    """

    def __init__(self, trusted_hosts: Iterable[str]) -> None:
        super().__init__(pool_connections=CONNECTIONS, pool_maxsize=CONNECTIONS)
        self._trusted_hosts = {host.lower() for host in trusted_hosts}
        self._contexts: OncePerKey[ssl.SSLContext | None] = OncePerKey()

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        host = urlsplit(request.url or "").netloc.lower()
        if not self._trusted_hosts.isdisjoint({host, host.rpartition(":")[0]}):
            options["verify"] = False
        return super().send(request, **options)

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: bool | str, cert: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        host, tls = super().build_connection_pool_key_attributes(request, verify, cert)
        context = self._context(request.url or "", verify, cert)
        return host, {"ssl_context": context} if context else tls

    def cert_verify(self, conn: Any, url: str, verify: bool | str, cert: Any) -> None:
        if not self._context(url, verify, cert):
            super().cert_verify(conn, url, verify, cert)

    def _context(self, url: str, verify: bool | str, cert: Any) -> ssl.SSLContext | None:
        """Return the TLS context. Return None without TLS or verification, or with a client certificate."""
        if not url.lower().startswith("https:") or not verify or cert:
            return None
        certificates = DEFAULT_CA_BUNDLE_PATH if verify is True else verify
        return self._contexts.get(certificates, lambda: _trusting(certificates))


def _trusting(certificates: str) -> ssl.SSLContext | None:
    context = urllib3.util.create_urllib3_context()
    try:
        if Path(certificates).is_dir():
            context.load_verify_locations(capath=certificates)
        else:
            context.load_verify_locations(certificates)
    except OSError:  # requests will tell
        return None
    return context


def _rest(response: requests.Response, received: int) -> Iterator[bytes]:
    """Yield the missing part of the body: some servers send all of it again, whatever range is requested."""
    skip = received
    length = int(response.headers.get("Content-Length") or -1)
    if response.status_code == _PARTIAL:
        if not response.headers.get("Content-Range", "").startswith(f"bytes {received}-"):
            raise requests.exceptions.InvalidHeader("the server sent another range than the one asked for")
        skip = 0
    arrived = 0
    for chunk in response.raw.stream(CHUNK, decode_content=False):
        arrived += len(chunk)
        if skip < len(chunk):
            yield chunk[skip:]
        skip = max(0, skip - len(chunk))
    if length not in {-1, arrived}:
        raise requests.ConnectionError("the connection ended before the file did")


def _response(error: Exception) -> requests.Response | None:
    return error.response if isinstance(error, requests.HTTPError) else None


def _passing(error: Exception) -> bool:
    """Return whether another try may help."""
    response = _response(error)
    if response is not None:
        return response.status_code in _PASSING
    # Wrong certificates, redirects, URLs and headers (these are ValueErrors) stay what they are.
    return not isinstance(error, (requests.exceptions.SSLError, requests.TooManyRedirects, ValueError))


def _wait(error: Exception, attempt: int) -> float:
    response = _response(error)
    asked = response.headers.get("Retry-After", "") if response is not None else ""
    return min(float(asked) if asked.isdecimal() else _FIRST_PAUSE * 2.0**attempt, _LONGEST_PAUSE)


def _failure(label: str, error: Exception) -> DependencyError:
    response = _response(error)
    if response is not None:
        return DependencyError(
            f"{label} cannot be fetched: HTTP status {response.status_code} {response.reason}",
            hint=_HINTS.get(response.status_code, "try again later, or ask those who run the index"),
        )
    # What requests says itself holds URLs, with tokens in their queries; the innermost error holds the reason.
    reason, current = "", cast("BaseException | None", error)
    while current is not None:
        if isinstance(current, OSError) and current.strerror:
            reason = current.strerror
        current = current.__cause__ or current.__context__
    if not reason:
        # Of OSErrors only requests' own are plain ones: a certificate file that is not there.
        known = (words for kind, words in _REASONS.items() if isinstance(error, kind))
        reason = str(error) if type(error) is OSError else next(known, type(error).__name__)
    return DependencyError(f"{label} cannot be fetched: {reason}", hint=_NETWORK_HINT)
