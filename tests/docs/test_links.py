"""Links in the manual lead somewhere on a forge, where pages are read as files; Sphinx sees to its own."""

from __future__ import annotations

import re
import runpy

import pytest

from support.pages import ROOT, pages

_LINK = re.compile(r"\]\(([^()\s]+)\)")


@pytest.mark.parametrize("page", [*pages(), "CHANGELOG.md", "benchmarks/README.md"])
def test_links(page: str) -> None:
    path = ROOT / page
    for target in _LINK.findall(path.read_text("utf-8")):
        if re.match(r"\w+:", target):
            continue
        file, _, anchor = target.partition("#")
        found = (path.parent / file).resolve() if file else path
        assert found.exists(), target
        if anchor:
            assert anchor in anchors(found.read_text("utf-8")), target


def anchors(text: str) -> set[str]:
    """What headings can be reached by: lower case, no punctuation, dashes for spaces."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_options_keep_their_dashes_in_the_built_manual() -> None:
    settings = runpy.run_path(str(ROOT / "docs" / "conf.py"))
    assert settings["smartquotes"] is False
