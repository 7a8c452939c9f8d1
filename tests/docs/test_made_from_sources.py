"""What the manual has from the sources is what they say today."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.manual import PACKAGE, PARTS, ROOT, modules, written

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("path", [ROOT / file for file in (*PARTS, "docs/imports.svg")], ids=lambda path: path.name)
def test_parts_are_of_today(path: Path) -> None:
    assert path.read_text("utf-8") == written()[path], "run python tests/support/manual.py, and look at the diff"


def test_every_module_is_on_the_map() -> None:
    found = modules()
    for path in PACKAGE.rglob("*.py"):
        if path.name != "__init__.py":
            assert f"(src/{path.relative_to(PACKAGE.parent).as_posix()}): " in found
