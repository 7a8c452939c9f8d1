"""SECURITY.md promises nothing without a test."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "SECURITY.md").read_text("utf-8")


def test_each_promise_names_tests_that_exist() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and line != "| promise | test |"]
    assert len(rows) > 10
    for row in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)::([\w:]+)`", row.split("|")[2])
        assert named, row
        for file, test in named:
            assert re.search(
                rf"^ *(?:def|class) {test.rpartition('::')[2]}\b", (ROOT / file).read_text("utf-8"), re.MULTILINE
            ), f"{file}::{test}"


def test_it_names_no_addresses() -> None:
    assert not re.search(r"@(?!example\.com)|https?://", PAGE)
