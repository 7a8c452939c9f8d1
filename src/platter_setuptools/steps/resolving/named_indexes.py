"""The indexes that a resolver is told of, and those of them that may have a distribution of the same name."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from packaging.utils import canonicalize_name

from platter_setuptools.ground.urls import without_userinfo
from platter_setuptools.steps.resolving.uv_config import UvConfig, uv_tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from platter_setuptools.steps.resolving.indexes import IndexSettings
    from platter_setuptools.steps.resolving.requirements import Requirements

_PUBLIC = "https://pypi.org/simple"
_PUBLIC_HOSTS = {"pypi.org", "pypi.python.org"}
_OPTION = re.compile(r"--(index-url|extra-index-url)[= ](\S+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedIndexes:
    """The URLs of simple indexes (PEP 503), of which the resolver takes the highest version."""

    urls: tuple[str, ...] = field(default=(), repr=False)  # with the logins that they were named with

    @property
    def private(self) -> tuple[str, ...]:
        """Those that not everybody can publish to, if there are others; none where one index has everything."""
        found = [url for url in self.urls if urlsplit(url).hostname not in _PUBLIC_HOSTS]
        return tuple(found) if len(self.urls) > 1 else ()


def named_indexes(
    settings: IndexSettings, config: UvConfig | None, said: Requirements, environ: Mapping[str, str] = os.environ
) -> NamedIndexes:
    """All indexes that pip's settings, uv's (`config`, None where pip resolves), and requirements files name.

    None of them where uv takes all versions of a distribution from the first index that has it: its own rule.
    """
    if settings.no_index:
        return NamedIndexes()
    of_files = [found for line in said.lines if (found := _OPTION.match(line.text))]
    first = next((found[2] for found in of_files if found[1] == "index-url"), None)
    extra = [found[2] for found in of_files if found[1] == "extra-index-url"]
    if config is None:
        urls = [first or settings.index_url or _PUBLIC, *settings.extra_index_urls, *extra]
    else:
        strategy = environ.get("UV_INDEX_STRATEGY") or config.option("index-strategy") or "first-index"
        if strategy == "first-index" and not settings.names_an_index:
            return NamedIndexes()
        tables = [one for one in _list(config.option("index")) if isinstance(one, dict) and not one.get("explicit")]
        defaults = [str(one.get("url")) for one in tables if one.get("default")]
        more = settings.extra_index_urls or environ.get("UV_INDEX", "").split()
        default = settings.index_url or environ.get("UV_DEFAULT_INDEX") or environ.get("UV_INDEX_URL")
        default = first or default or next(iter(defaults), None) or config.option("index-url") or _PUBLIC
        urls = [*more, *environ.get("UV_EXTRA_INDEX_URL", "").split(), *extra]
        urls += [str(one.get("url")) for one in tables if not one.get("default")]
        urls += [*map(str, _list(config.option("extra-index-url"))), default]
    different = {without_userinfo(url).rstrip("/"): url for url in map(_without_name, urls)}
    return NamedIndexes(urls=tuple(different.values()))


def pinned(tree: Path | None) -> frozenset[str]:
    """The normalized names that `[tool.uv.sources]` of a pyproject.toml takes from one index."""
    return frozenset(canonicalize_name(name) for name in _pinned(tree)) if tree else frozenset()


def _pinned(tree: Path) -> Iterator[str]:
    for _, table in uv_tables(tree.parent):
        sources = table.get("sources")
        for name, said in sources.items() if isinstance(sources, dict) else ():
            if any(isinstance(one, dict) and "index" in one for one in (said if isinstance(said, list) else [said])):
                yield name


def _without_name(url: str) -> str:
    """The URL in what may be uv's NAME=URL."""
    return re.sub(r"^[\w.-]+=", "", url)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
