"""Rivals: a private index has a distribution of the name of one that was taken from another index.

Resolvers take the highest version that any index has, so whoever can publish on one of them decides ("dependency
confusion"). What was taken is left as it is: the user is told.
"""

from __future__ import annotations

import dataclasses
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from packaging.utils import canonicalize_name

from platter_setuptools.ground.errors import PlatterError
from platter_setuptools.ground.threads import in_threads
from platter_setuptools.ground.urls import without_userinfo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from packaging.pylock import Package

    from platter_setuptools.ground.run import Runner
    from platter_setuptools.steps.resolving.indexes import IndexSettings
    from platter_setuptools.steps.resolving.lock import Lock
    from platter_setuptools.steps.resolving.named_indexes import NamedIndexes
    from platter_setuptools.steps.wheelhouse.fetch import Ask
    from platter_setuptools.steps.wheelhouse.transfer import Transfers

_CONNECTIONS = 8
_CHUNK = 1 << 16
_LONGEST_PAGE = 32 << 20  # bytes


def find_rivals(
    lock: Lock,
    named: NamedIndexes,
    *,
    pinned: frozenset[str],
    settings: IndexSettings,
    ask: Ask,
    run: Runner,
) -> dict[str, list[Package]]:
    """Return the distributions that were not taken from a private index which has their names, by that index's URL.

    The URLs have no user and password. Names in `pinned` are not looked for. An index that gives no answer has none.
    """
    private = [url for url in named.private if urlsplit(url).scheme in {"http", "https"}]
    wanted = [
        (f"{url.rstrip('/')}/{canonicalize_name(package.name)}/", package)
        for url in private
        for package in lock.pylock.packages
        if package.name not in pinned and _files(package) and not _is(package.index, url)
    ]
    if not wanted:
        return {}
    from platter_setuptools.steps.wheelhouse import transfer  # noqa: PLC0415 - loads requests

    # Without patience: what the resolver could read a moment ago is there, or is not worth waiting for.
    transfers = transfer.Transfers(dataclasses.replace(settings, retries=0), connections=_CONNECTIONS, ask=ask)

    def is_rival(page_and_package: tuple[str, Package]) -> bool:
        url, package = page_and_package
        links = _links(transfers, url)
        return bool(links) and not _has_one_of(links, package)

    try:
        answers = in_threads(is_rival, wanted, run, number=_CONNECTIONS)
    finally:
        transfers.close()
    found: dict[str, list[Package]] = {}
    for (url, package), rival in zip(wanted, answers, strict=True):
        if rival:
            found.setdefault(without_userinfo(url.rstrip("/").rpartition("/")[0]), []).append(package)
    return found


def _is(index: str | None, url: str) -> bool:
    return index is not None and without_userinfo(index).rstrip("/") == without_userinfo(url).rstrip("/")


def _files(package: Package) -> list[tuple[str, Sequence[str]]]:
    """The files that came from an index: their URLs, and the hashes of each."""
    files = [one for one in (package.sdist, *(package.wheels or ())) if one]
    return [(str(one.url), tuple(one.hashes.values())) for one in files if one.url and not one.url.startswith("file:")]


def _has_one_of(links: Sequence[str], package: Package) -> bool:
    """Whether one of the package's files is among the links of an index's page: the same URL, or the same hash."""
    places = {without_userinfo(link).partition("#")[0] for link in links}
    hashes = {link.partition("#")[2].partition("=")[2].lower() for link in links}
    return any(
        without_userinfo(url).partition("#")[0] in places or not hashes.isdisjoint(map(str.lower, known))
        for url, known in _files(package)
    )


def _links(transfers: Transfers, url: str) -> list[str]:
    """The links of an index's page of one distribution; none if it has no such page."""
    content = bytearray()
    try:
        for chunk in transfers.chunks(url, label=without_userinfo(url), size=_CHUNK, pause=lambda _seconds: True):
            content += chunk
            if len(content) > _LONGEST_PAGE:
                break
    except PlatterError:
        return []
    page = _Page(url)
    page.feed(content.decode(errors="replace"))
    return page.links


class _Page(HTMLParser):
    """The links of a page (PEP 503), as absolute URLs."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url, self.links = url, list[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.links += [urljoin(self.url, value) for name, value in attrs if name == "href" and value]
