"""Help is part of the product: no word of it changes unnoticed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tools.help_texts import COMMANDS, FOLDER, said, words

from platter_setuptools.cli import command_line

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Iterator


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_what_it_said(name: str) -> None:
    looked_at = (FOLDER / f"{name}.txt").read_text("utf-8")
    assert words(said(name)) == words(looked_at), "if it is meant: python tools/help_texts.py, and look at the diff"


def test_every_command_is_looked_at() -> None:
    parser = command_line._parser()
    assert set(commands(parser, "platter")) == {one for one in COMMANDS if "platter" in one.partition("_")[0]}


def commands(parser: ArgumentParser, name: str) -> Iterator[str]:
    """The command and all below it, as they are called in tests/golden."""
    yield name
    for action in parser._actions:
        for word, below in (action.choices if isinstance(action.choices, dict) else {}).items():
            yield from commands(below, f"{name}-{word}")
