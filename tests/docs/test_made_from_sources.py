"""What the manual has from the sources is what they say today."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from tools.manual import PACKAGE, PARTS, ROOT, modules, written

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("path", [ROOT / file for file in PARTS], ids=lambda path: path.name)
def test_parts_are_of_today(path: Path) -> None:
    assert path.read_text("utf-8") == written()[path], "run python tools/manual.py, and look at the diff"


def test_every_module_is_on_the_map() -> None:
    found = modules()
    for path in PACKAGE.rglob("*.py"):
        if path.name != "__init__.py":
            assert f"](src/{path.relative_to(PACKAGE.parent).as_posix()}): " in found


def test_the_files_that_answer_questions_are_there() -> None:
    section = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("## Where is")[2].partition("\n## ")[0]
    named = [name for name in re.findall(r"`([\w/]+\.py)`", section) if "/" in name]
    assert len(named) > 15
    for name in named:
        assert any((folder / name).is_file() for folder in (PACKAGE, ROOT)), name
