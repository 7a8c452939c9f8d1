"""Reading URLs over http and https with requests, as pip's configuration says and with pip's patience.

A module of its own because importing requests takes longer than a build whose wheels are all in the store.
"""

from __future__ import annotations

import functools
import itertools
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from platter_setuptools.ground.errors import DependencyError
from platter_setuptools.ground.urls import without_userinfo
from platter_setuptools.steps.resolving.credentials import Login, login_of, logins, places

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Sequence

    from platter_setuptools.steps.resolving.credentials import Place
    from platter_setuptools.steps.resolving.indexes import IndexSettings
    from platter_setuptools.steps.wheelhouse.fetch import Ask

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

    def __init__(self, settings: IndexSettings, *, connections: int, ask: Ask = lambda _url: None) -> None:
        self._retries = _RETRIES if settings.retries is None else settings.retries
        self._known = places(settings)
        self._ask = ask
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
            self._session.mount(scheme, _Adapter(pool_connections=connections, pool_maxsize=connections))
        if settings.trusted_hosts:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        for host in settings.trusted_hosts:
            trusting = _TrustingAdapter(pool_connections=1, pool_maxsize=connections)
            self._session.mount(f"https://{host}/", trusting)
            if not urlsplit(f"//{host}").port:
                self._session.mount(f"https://{host}:", trusting)

    def close(self) -> None:
        self._session.close()

    def chunks(self, url: str, *, label: str, size: int, pause: Callable[[float], bool]) -> Iterator[bytes]:
        """The bytes behind the URL in chunks of `size`, without a gap, however often the connection breaks.

        `label` names the file in errors; `pause` waits some seconds before the next try, or says
        True when nobody wants the rest any more. Raises DependencyError.
        """
        received = 0
        for attempt in itertools.count():
            try:
                for chunk in self._attempt(url, received, size):
                    received += len(chunk)
                    yield chunk
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:  # noqa: PERF203
                if attempt == self._retries or not _passing(error):
                    raise _failure(label, error) from error
                if pause(_wait(error, attempt)):
                    return
            else:
                return

    def _attempt(self, url: str, received: int, size: int) -> Iterator[bytes]:
        with self._get(url, received) as response:
            if response.status_code == _NOTHING_LEFT and received:
                return  # the connection broke between the last byte and the word that it was the last
            if not response.ok:
                raise requests.HTTPError(response=response)
            yield from _rest(response, received, size)

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
        """What to try, one after the other; with None requests takes what ~/.netrc says."""
        if own := login_of(url) or self._taken.get(folder):
            yield own
            return
        known = logins(self._known, url)
        yield from known
        if not any(login.password for login in known):
            yield None
        if asked := self._ask(url):
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
    """Connections that share the certificates they trust: each would read them anew, and longer than a small wheel."""

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: bool | str, cert: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        host, tls = super().build_connection_pool_key_attributes(request, verify, cert)
        context = _context(request.url or "", verify, cert)
        return host, {"ssl_context": context} if context else tls

    def cert_verify(self, conn: Any, url: str, verify: bool | str, cert: Any) -> None:
        if not _context(url, verify, cert):
            super().cert_verify(conn, url, verify, cert)


def _context(url: str, verify: bool | str, cert: Any) -> ssl.SSLContext | None:
    """What to connect with; None where requests does better: without TLS, and for all but servers' certificates."""
    if not url.lower().startswith("https:") or not verify or cert:
        return None
    with _reading:
        return _trusting(DEFAULT_CA_BUNDLE_PATH if verify is True else verify)


_reading = threading.Lock()  # or every thread would read them


@functools.cache
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


class _TrustingAdapter(HTTPAdapter):
    """Takes any certificate; mounted for the hosts that the user trusts, wherever a redirect comes from."""

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        return super().send(request, **{**options, "verify": False})


def _rest(response: requests.Response, received: int, size: int) -> Iterator[bytes]:
    """What of the body was not received yet: some servers send all of it again, whatever range is asked for."""
    skip = received
    length = int(response.headers.get("Content-Length") or -1)
    if response.status_code == _PARTIAL:
        if not response.headers.get("Content-Range", "").startswith(f"bytes {received}-"):
            raise requests.exceptions.InvalidHeader("the server sent another range than the one asked for")
        skip = 0
    arrived = 0
    for chunk in response.raw.stream(size, decode_content=False):
        arrived += len(chunk)
        if skip < len(chunk):
            yield chunk[skip:]
        skip = max(0, skip - len(chunk))
    if length not in {-1, arrived}:
        raise requests.ConnectionError("the connection ended before the file did")


def _response(error: Exception) -> requests.Response | None:
    return error.response if isinstance(error, requests.HTTPError) else None


def _passing(error: Exception) -> bool:
    """Whether another try may help."""
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
