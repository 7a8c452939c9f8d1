"""Reading URLs over http and https with requests, as pip's configuration says and with pip's patience.

A module of its own because importing requests takes longer than a build whose wheels are all in the store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from platter_setuptools.ground.errors import DependencyError
from platter_setuptools.ground.urls import without_userinfo
from platter_setuptools.steps.indexes import credentials, origin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from platter_setuptools.steps.indexes import IndexSettings

_RETRIES = 5  # as many, and a timeout as long, as pip's
_TIMEOUT = 15.0  # seconds
_LONGEST_PAUSE = 30.0  # seconds, whatever a Retry-After says
_PASSING = {408, 425, 429, 500, 502, 503, 504}  # HTTP statuses that may be others in a moment
_PARTIAL = 206
_NOTHING_LEFT = 416
_HINTS = {
    401: "give the index's user and password in its URL in pip's configuration, or in ~/.netrc",
    403: "check that the index's user and password are right, and that they may read this",
    404: "the lock is older than the index: lock again",
    407: "give the proxy's user and password in its URL",
    410: "the lock is older than the index: lock again",
}
_NETWORK_HINT = "check the network, and the proxy and certificates of pip's configuration"


class Transfers:
    """Connections that several threads share."""

    def __init__(self, settings: IndexSettings, *, connections: int) -> None:
        self._retries = _RETRIES if settings.retries is None else settings.retries
        self._credentials = credentials(settings)
        self._options: dict[str, Any] = {
            "stream": True,
            "timeout": settings.timeout or _TIMEOUT,
            # Said with every request: what a session holds gives way to the environment.
            "verify": settings.cert or True,
            "cert": settings.client_cert,
            "proxies": {scheme: settings.proxy for scheme in ("http", "https") if settings.proxy},
        }
        self._session = _Session(self._credentials)
        # pip's and ours: a .tar.gz is to arrive as it is, not unpacked on the way.
        self._session.headers["Accept-Encoding"] = "identity"
        self._session.headers["User-Agent"] = "platter-setuptools"
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_connections=connections, pool_maxsize=connections))
        if settings.trusted_hosts:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        for host in settings.trusted_hosts:
            trusting = _TrustingAdapter(pool_connections=1, pool_maxsize=connections)
            self._session.mount(f"https://{host}/", trusting)
            if not urlsplit(f"//{host}").port:
                self._session.mount(f"https://{host}:", trusting)

    def close(self) -> None:
        self._session.close()

    def chunks(self, url: str, *, label: str, size: int, pause: Callable[[float], object]) -> Iterator[bytes]:
        """The bytes behind the URL in chunks of `size`, without a gap, however often the connection breaks.

        `label` names the file in errors; `pause` waits some seconds before the next try. Raises DependencyError.
        """
        received = 0
        for attempt in range(self._retries + 1):
            wait = min(0.25 * 2**attempt, 8.0)
            try:
                with self._get(url, received) as response:
                    if response.status_code in _PASSING and attempt < self._retries:
                        pause(_retry_after(response, wait))
                        continue
                    if response.status_code == _NOTHING_LEFT and received:
                        return  # the connection broke between the last byte and the word that it was the last
                    if not response.ok:
                        raise _refusal(label, response)
                    for chunk in _rest(response, received, size):
                        received += len(chunk)
                        yield chunk
                    return
            except (requests.exceptions.SSLError, requests.exceptions.TooManyRedirects, ValueError) as error:
                raise _failure(label, error) from error  # (InvalidURL and the like are ValueErrors)
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                if attempt == self._retries:
                    raise _failure(label, error) from error
                pause(wait)

    def _get(self, url: str, start: int) -> requests.Response:
        parts = urlsplit(url)
        if parts.username is not None:
            auth = unquote(parts.username), unquote(parts.password or "")
        else:
            auth = self._credentials.get(origin(url))  # type: ignore[assignment]
        headers = {"Range": f"bytes={start}-"} if start else {}
        return self._session.get(without_userinfo(url), auth=auth, headers=headers, **self._options)


class _Session(requests.Session):
    """Follows a redirect to another host with that host's credentials, if any, never with the first one's."""

    def __init__(self, known: Mapping[str, tuple[str, str]]) -> None:
        super().__init__()
        self._known = known

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        super().rebuild_auth(prepared_request, response)
        known = self._known.get(origin(prepared_request.url or ""))
        if known and "Authorization" not in prepared_request.headers:
            prepared_request.prepare_auth(known)


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


def _retry_after(response: requests.Response, otherwise: float) -> float:
    value = response.headers.get("Retry-After", "")
    return min(float(value), _LONGEST_PAUSE) if value.isdecimal() else otherwise


def _refusal(label: str, response: requests.Response) -> DependencyError:
    return DependencyError(
        f"{label} cannot be fetched: HTTP status {response.status_code} {response.reason}",
        hint=_HINTS.get(response.status_code, "try again later, or ask those who run the index"),
    )


def _failure(label: str, error: BaseException) -> DependencyError:
    # What requests says itself holds URLs, with tokens in their queries; the innermost error holds the reason.
    reason, current = "", cast("BaseException | None", error)
    while current is not None:
        if isinstance(current, OSError) and current.strerror:
            reason = current.strerror
        current = current.__cause__ or current.__context__
    if not reason:
        reason = "no answer in time" if isinstance(error, requests.Timeout) else type(error).__name__
    return DependencyError(f"{label} cannot be fetched: {reason}", hint=_NETWORK_HINT)
