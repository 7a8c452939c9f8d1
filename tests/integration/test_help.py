"""Help is part of the product: no word of it changes unnoticed."""

from __future__ import annotations

import pytest

from platter_setuptools import cli
from support.golden import COMMANDS, FOLDER, said, words


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_what_it_said(name: str) -> None:
    looked_at = (FOLDER / f"{name}.txt").read_text("utf-8")
    assert words(said(name)) == words(looked_at), "if it is meant: python tests/support/golden.py, and look at the diff"


def test_every_command_is_looked_at() -> None:
    (commands,) = (one for one in cli._parser()._actions if isinstance(one.choices, dict))
    assert {f"platter-{name}" for name in commands.choices or ()} == {one for one in COMMANDS if "platter-" in one}
