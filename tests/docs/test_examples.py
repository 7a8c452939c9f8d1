"""The manual's examples: what can be run here is run, page by page from the top; the rest is at least looked at."""

from __future__ import annotations

import ast
import configparser
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.cli import command_line
from platter_setuptools.config.files import from_pyproject, from_setup_cfg
from platter_setuptools.config.option_sources import read_environment
from platter_setuptools.payload.options import parse as parse_install
from platter_setuptools.payload.releases import releases_cli
from support.pages import Block, blocks, pages, steps

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from .conftest import Stage

ALL = [block for page in pages() for block in blocks(page)]
RUN = sorted({block.page for block in ALL if block.language == "console" and block.word != "not run"})


def test_examples_are_found() -> None:
    assert {"docs/building.md", "docs/configuration.md", "docs/install.md", "docs/quickstart.md"} <= set(RUN)
    assert {"console", "ini", "python", "sh", "toml"} <= {block.language for block in ALL}


@pytest.mark.parametrize("page", RUN)
def test_page(page: str, stage: Stage) -> None:
    for block in blocks(page):
        if block.word.endswith("file"):
            stage.write(block)
        elif block.word == "needs" and not shutil.which(block.about):
            pytest.skip(f"there is no {block.about}")
        elif block.language == "console" and block.word != "not run":
            stage.play(block)


@pytest.mark.parametrize("block", [one for one in ALL if one.language == "toml"], ids=lambda block: block.place)
def test_toml(block: Block, tmp_path: Path) -> None:
    tables = tomllib.loads(block.text)
    if "platter" in tables.get("tool", {}) and block.word != "wrong file":
        (tmp_path / "pyproject.toml").write_text(block.text)
        assert from_pyproject(tmp_path)


@pytest.mark.parametrize("block", [one for one in ALL if one.language == "ini"], ids=lambda block: block.place)
def test_ini(block: Block, tmp_path: Path) -> None:
    parser = configparser.ConfigParser()
    parser.read_string(block.text)
    if parser.has_section("bdist_platter"):
        (tmp_path / "setup.cfg").write_text(block.text)
        assert from_setup_cfg(tmp_path)


@pytest.mark.parametrize("block", [one for one in ALL if one.language == "python"], ids=lambda block: block.place)
def test_python(block: Block) -> None:
    assert ast.parse(block.text).body


@pytest.mark.parametrize("block", [one for one in ALL if one.language == "sh"], ids=lambda block: block.place)
def test_shell(block: Block, tmp_path: Path) -> None:
    subprocess.run(["sh", "-n"], input=block.text, check=True, text=True)
    variables = dict(re.findall(r"^export (PLATTER_BUILD_\w+)=(.*)", block.text, re.MULTILINE))
    if variables:
        plain = {name: " ".join(shlex.split(value)) for name, value in variables.items()}
        assert len(read_environment(plain, tmp_path)) == len(variables)


@pytest.mark.parametrize("page", pages())
def test_commands_that_are_named(page: str) -> None:
    """Every line that calls one of our programs is one that the program takes."""
    for words in commands(page):
        match words:
            case ["platter", *arguments]:
                _parsed, unknown = command_line._parser().parse_known_args(arguments)
                assert not unknown, words
            case [program, *arguments] if program.endswith("/install.sh") and arguments != ["--version"]:
                assert parse_install(arguments)
            case [program, name, *_] if program.endswith("/platter") and not name.startswith("-"):
                assert name in releases_cli._TABLE, words


def commands(page: str) -> list[list[str]]:
    """The command lines in a page's blocks, fenced or indented, in words and without what is put around them."""
    text = re.sub(
        r"^```.*?^```", "", (Path(__file__).parents[2] / page).read_text("utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    lines = re.findall(r"^    (\S.*)$", text, re.MULTILINE)
    for block in blocks(page):
        if block.language == "console":
            lines += [step.command.replace("\\\n", " ") for step in steps(block)]
        elif block.language == "sh":
            lines += block.text.replace("\\\n", " ").splitlines()
    found = []
    for line in lines:
        try:
            words = shlex.split(line, comments=True)
        except ValueError:  # a part of something longer
            continue
        while words and re.match(r"[A-Z_]+=", words[0]):
            words.pop(0)
        operators = (place for place, word in enumerate(words) if re.fullmatch(r"&&|\|\|?|;|>.*", word))
        operator = next(operators, len(words))
        if "[OPTIONS]" not in words:  # a synopsis
            found.append(words[:operator])
    return found
