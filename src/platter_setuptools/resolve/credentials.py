"""Users and passwords of indexes and repositories: from URLs, uv's store and the keyring.

Locks contain URLs without them. They are never on a command line, which every user of a machine can read.
"""

from __future__ import annotations

import base64
import binascii
import itertools
import json
import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

from platter_setuptools.errors import PlatterError
from platter_setuptools.resolve.uv import run_uv
from platter_setuptools.urls import without_userinfo

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from platter_setuptools.resolve.indexes import IndexSettings
    from platter_setuptools.runtime.processes import Runner

_GIT_URL = re.compile(r"git\+https?://\S+")
_GIT = re.compile(r"(git\+https?://)[^/\s]+@")
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Login(NamedTuple):
    """A user and a password, percent-decoded."""

    user: str
    password: str

    @property
    def header(self) -> str:
        """Return the value of an Authorization header (RFC 7617)."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


@dataclass(frozen=True, slots=True)
class Place:
    """An index, a folder of links or a repository: a URL without userinfo, and its login."""

    url: str
    login: Login | None = field(default=None, repr=False)


def origin(url: str) -> str:
    """Return the `scheme://host[:port]` of a URL, in lower case, without userinfo or a default port."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    scheme = parts.scheme.lower().removeprefix("git+")
    port = "" if parts.port in {None, _DEFAULT_PORTS.get(scheme)} else f":{parts.port}"
    return f"{scheme}://{host}{port}"


def login_of(url: str) -> Login | None:
    """Return the user and password of a URL, or only a user."""
    parts = urlsplit(url)
    return None if parts.username is None else Login(unquote(parts.username), unquote(parts.password or ""))


def places(settings: IndexSettings) -> list[Place]:
    """Return the URLs in the settings: the index, extra indexes, find-links, the rest."""
    urls = (settings.index_url or "", *settings.extra_index_urls, *settings.find_links, *settings.more_urls)
    return list(_places(urls))


def _places(urls: Iterable[str]) -> Iterator[Place]:
    for url in urls:
        url_only = url.partition("=")[2] if re.match(r"[\w.-]+=", url) else url  # uv's NAME=URL
        try:
            if origin(url_only) and urlsplit(url_only).hostname:
                yield Place(without_userinfo(_repository(url_only)), login_of(url_only))
        except ValueError:  # such a URL leads nowhere: whoever opens it says so
            continue


def _repository(url: str) -> str:
    """Return a repository's own URL without the revision: `git+URL@REVISION#…`. Return others unchanged."""
    if not url.startswith("git+"):
        return url
    parts = urlsplit(url.removeprefix("git+"))
    return parts._replace(path=parts.path.rpartition("@")[0] or parts.path, query="", fragment="").geturl()


def fitting(known: Sequence[Place], url: str) -> list[Place]:
    """Return the places at the URL's origin with the longest common path first."""

    def common(place: Place) -> int:
        pairs = zip(_segments(place.url), _segments(url), strict=False)
        return len([*itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)])

    try:
        return sorted((one for one in known if origin(one.url) == origin(url)), key=common, reverse=True)
    except ValueError:
        return []


def _segments(url: str) -> list[str]:
    return urlsplit(url).path.strip("/").split("/")


def logins(known: Sequence[Place], url: str) -> list[Login]:
    """Return what to try at a URL, the likeliest first. A user without a password is last: it may be a token."""
    found = dict.fromkeys(place.login for place in fitting(known, url) if place.login)
    return sorted(found, key=lambda login: not login.password)


def git_environment(known: Sequence[Place], environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that give git the logins of these repositories and hosts, and of no others.

    Repositories come before their host: git adds headers of more specific matches.
    """
    found: dict[str, str] = {}
    for place in known:
        if place.login and urlsplit(place.url).scheme in {"http", "https"}:
            found.setdefault(f"http.{place.url}.extraHeader", f"Authorization: {place.login.header}")
    first = int(environ.get("GIT_CONFIG_COUNT") or 0)
    said = {"GIT_CONFIG_COUNT": str(first + len(found))} if found else {}
    for number, (key, value) in enumerate(found.items(), first):
        said |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return said


def git_logins(texts: Iterable[str]) -> list[Place]:
    """Return the repositories with a login in requirements and, for their submodules, their hosts."""
    found = [place for text in texts for place in _places(_GIT_URL.findall(text)) if place.login]
    return [*found, *(Place(f"{origin(place.url)}/", place.login) for place in found)]


def without_git_login(requirement: str) -> str:
    """Return the requirement for a resolver: git gets logins in its environment."""
    return _GIT.sub(r"\1", requirement)


@dataclass(frozen=True, slots=True)
class Asking:
    """Asks for a login where a server wants one that no URL names: uv's store, then the keyring, if pip or uv would."""

    settings: IndexSettings
    run: Runner
    _asked: dict[str, Login | None] = field(default_factory=dict, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def __call__(self, url: str) -> Login | None:
        """Return the login for a URL, or None. Each origin is asked for once."""
        with self._lock:
            where = origin(url)
            if where not in self._asked:
                self._asked[where] = self._of_uv(without_userinfo(url)) or self._of_keyring(url)
            return self._asked[where]

    def _of_uv(self, url: str) -> Login | None:
        """Return what `uv auth login` has stored, by the protocol of Bazel's credential helpers."""
        words = ("auth", "helper", "--quiet", "--preview-features", "auth-helper", "--protocol", "bazel", "get")
        try:
            answer = run_uv(self.run, words, stdin=json.dumps({"uri": url}), secret=True)
            (value,) = json.loads(answer)["headers"]["Authorization"]
            user, colon, password = base64.b64decode(value.removeprefix("Basic ")).decode().partition(":")
        except (PlatterError, LookupError, TypeError, ValueError, binascii.Error):  # an older uv has no such command
            return None
        return Login(user, password) if colon else None

    def _of_keyring(self, url: str) -> Login | None:
        """Ask the keyring as uv and pip do: first by the index's URL, then by the host."""
        if self.settings.keyring_provider not in {"import", "subprocess"}:
            return None
        near = fitting(places(self.settings), url)
        services = dict.fromkeys([*(place.url for place in near), urlsplit(without_userinfo(url)).netloc])
        users = dict.fromkeys([place.login.user for place in near if place.login and not place.login.password])
        for service in services:
            for user in users:
                if lines := self._keyring("get", service, user):
                    return Login(user, lines[0])
            if not users and len(lines := self._keyring("--mode", "creds", "get", service)) > 1:
                return Login(*lines[:2])
        return None

    def _keyring(self, *words: str) -> list[str]:
        try:
            return self.run(["keyring", *words], secret=True).splitlines()
        except PlatterError:  # there is no keyring, or it has nothing
            return []
