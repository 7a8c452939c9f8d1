"""Which indexes a resolver is told of, and which of these are private."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from platter_setuptools.steps.resolving.indexes import IndexSettings
from platter_setuptools.steps.resolving.named_indexes import named_indexes
from platter_setuptools.steps.resolving.requirements import NOTHING, Line
from platter_setuptools.steps.resolving.uv_config import UvConfig

PYPI = "https://pypi.org/simple"
OURS, MIRROR = "https://pypi.example.com/simple", "https://mirror.example.com/simple"
EXTRA = IndexSettings(extra_index_urls=(OURS,))
BEST = {"index-strategy": "unsafe-best-match"}


@pytest.mark.parametrize("config", [UvConfig(), None])
@pytest.mark.parametrize(
    ("settings", "private"),
    [
        (IndexSettings(), ()),
        (IndexSettings(index_url=OURS), ()),
        (EXTRA, (OURS,)),
        (dataclasses.replace(EXTRA, no_index=True), ()),
        (dataclasses.replace(EXTRA, index_url=OURS + "/"), ()),
        (dataclasses.replace(EXTRA, index_url=PYPI + "/"), (OURS,)),
        (IndexSettings(index_url=OURS, extra_index_urls=(PYPI,)), (OURS,)),
    ],
)
def test_of_pip(settings: IndexSettings, config: UvConfig | None, private: tuple[str, ...]) -> None:
    found = named_indexes(settings, config, NOTHING, {}).private
    assert tuple(url.rstrip("/") for url in found) == private


def test_two_private_ones_are_rivals() -> None:
    settings = dataclasses.replace(EXTRA, index_url=MIRROR)
    assert set(named_indexes(settings, None, NOTHING, {}).private) == {OURS, MIRROR}


@pytest.mark.parametrize(
    ("table", "environ", "private"),
    [
        ({"index": [{"url": OURS}]}, {}, ()),  # uv's own rule: the first index that has a name
        ({"index": [{"url": OURS}], **BEST}, {}, (OURS,)),
        ({"index": [{"url": OURS}], "pip": BEST}, {}, (OURS,)),
        ({"index": [{"url": OURS}]}, {"UV_INDEX_STRATEGY": "unsafe-first-match"}, (OURS,)),
        ({"index": [{"url": OURS, "explicit": True}], **BEST}, {}, ()),
        ({"index": [{"url": OURS, "default": True}], **BEST}, {}, ()),
        ({"index": [{"url": OURS, "default": True}, {"url": MIRROR}], **BEST}, {}, (MIRROR, OURS)),
        ({"index-url": OURS, "extra-index-url": [PYPI], **BEST}, {}, (OURS,)),
        (BEST, {"UV_INDEX": f"ours={OURS}"}, (OURS,)),
        (BEST, {"UV_DEFAULT_INDEX": OURS, "UV_EXTRA_INDEX_URL": PYPI}, (OURS,)),
    ],
)
def test_of_uv(table: dict[str, Any], environ: dict[str, str], private: tuple[str, ...]) -> None:
    assert named_indexes(IndexSettings(), UvConfig(table=table), NOTHING, environ).private == private


def test_of_requirements_files() -> None:
    line = Line(where="line 1 of more.txt", constraint=False, text=f"--extra-index-url {OURS}", shown="")
    assert named_indexes(IndexSettings(), None, dataclasses.replace(NOTHING, lines=(line,)), {}).private == (OURS,)
