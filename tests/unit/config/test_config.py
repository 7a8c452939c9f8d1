"""What the options are and where they come from; the schema that editors read."""

from __future__ import annotations

import json
import sys
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from validate_pyproject.api import Validator
from validate_pyproject.errors import ValidationError

from platter_setuptools.cli import command_line
from platter_setuptools.config import schema
from platter_setuptools.config.option_sources import decide, merge, read_environment, read_strings, read_table
from platter_setuptools.config.options import BY_NAME, OPTIONS, Kind
from platter_setuptools.config.show import as_toml
from platter_setuptools.errors import UsageError

if TYPE_CHECKING:
    from platter_setuptools.config.option_sources import Source

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

BASE = Path("/base")


def shown(*sources: Source) -> tuple[dict[str, Any], dict[str, str]]:
    """What is printed, read as TOML, and the place beside each option."""
    text = as_toml(decide(sources), output=BASE / "dist")
    lines = [line.rpartition("  # ") for line in text.splitlines()]
    return tomllib.loads(text), {left.split()[1 if left[0] == "#" else 0]: place for left, _, place in lines}


class TestShown:
    def test_nothing_said(self) -> None:
        values, places = shown()
        assert values["output"] == "/base/dist"
        assert values["format"] == "tar.gz"
        assert values["extras"] == []
        assert values["no-pip"] is False
        assert values["python"] == []
        assert [*places] == [option.name for option in OPTIONS]
        assert {*places.values()} == {"default", "not set"}

    def test_every_dialect_is_named_with_its_key(self) -> None:
        values, places = shown(
            read_strings("the command line", BASE, {"python": "3.12", "extras": ["a", "b"]}, prefix="--"),
            read_environment({"PLATTER_BUILD_FORMAT": "zip"}, BASE),
            read_strings("setup.cfg [bdist_platter]", BASE, {"no_pip": "yes", "python": "3.9"}),
            read_table("pyproject.toml [tool.platter]", BASE, {"wheel-cache": 'a "cache"', "format": "dir"}),
        )
        assert (values["python"], values["extras"], values["format"]) == (["3.12"], ["a", "b"], "zip")
        assert (values["no-pip"], values["wheel-cache"]) == (True, '/base/a "cache"')
        assert places["python"] == "the command line --python"
        assert places["format"] == "the environment PLATTER_BUILD_FORMAT"
        assert places["no-pip"] == "setup.cfg [bdist_platter] no_pip"
        assert places["wheel-cache"] == "pyproject.toml [tool.platter] wheel-cache"

    def test_who_takes_verbose_back(self) -> None:
        values, places = shown(
            read_strings("the command line", BASE, {"quiet": "yes"}, prefix="--"),
            read_table("pyproject.toml [tool.platter]", BASE, {"verbose": True}),
        )
        assert (values["quiet"], values["verbose"]) == (True, False)
        assert places["verbose"] == "the command line --quiet"

    def test_no_passwords(self) -> None:
        source = read_table("toml", BASE, {"pip-option": ["--index-url=https://me:secret@example.org/simple"]})
        text = as_toml(decide([source]), output=BASE)
        assert "secret" not in text
        assert '["--index-url=https://example.org/simple"]' in text

    def test_it_is_what_a_build_goes_by(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for option in OPTIONS:
            monkeypatch.delenv(option.variable, raising=False)
        (tmp_path / "pyproject.toml").write_text("[tool.platter]\nformat = 'zip'\n")
        (tmp_path / "setup.cfg").write_text("[bdist_platter]\ndist-dir = out\n")
        monkeypatch.chdir(tmp_path)
        assert command_line.main(["config", "--no-pip"]) == 0
        said = capsys.readouterr().out
        values = tomllib.loads(said)
        assert (values["format"], values["no-pip"], values["output"]) == ("zip", True, f"{tmp_path}/out")
        assert f"# {tmp_path}/setup.cfg [bdist_platter] dist-dir\n" in said
        assert command_line.main(["config", "--no-download", "--no-wheel-cache"]) == 2
        out, err = capsys.readouterr()
        assert tomllib.loads(out)["no-download"] is True
        assert "contradict each other" in err


class TestSchema:
    def test_the_file_is_up_to_date(self) -> None:
        text = files("platter_setuptools").joinpath("platter.schema.json").read_text("utf-8")
        assert json.loads(text) == schema.tool_schema(), (
            "write it again: python -m platter_setuptools.config.schema > src/platter_setuptools/platter.schema.json"
        )

    def test_each_option_is_in_it(self) -> None:
        properties = schema.tool_schema()["properties"]
        assert [*properties] == [*BY_NAME]
        for option in OPTIONS:
            assert properties[option.name]["description"]
            expected = {Kind.FLAG: "boolean", Kind.CHOICE: None}.get(
                option.kind, "array" if option.kind.is_list else "string"
            )
            found = [one.get("type") for one in properties[option.name].get("anyOf", [properties[option.name]])]
            assert found == ["string", expected] if option.alone else [expected]

    def test_validate_pyproject_finds_it(self) -> None:
        (entry,) = (one for one in entry_points(group="validate_pyproject.tool_schema") if one.name == "platter")
        assert entry.load() is schema.tool_schema

    @pytest.mark.parametrize(
        ("table", "fits"),
        [
            ({}, True),
            ({"format": "zip", "extras": ["a"], "no-pip": True, "lock": "pylock.toml"}, True),
            ({"format": "rar"}, False),
            ({"formt": "zip"}, False),
            ({"extras": "a"}, False),
            ({"extras": ["a", ""]}, False),
            ({"no-pip": "yes"}, False),
            ({"output": ""}, False),
            ({"python": 3.12}, False),
            ({"python": "3.12"}, True),
            ({"python": ["3.12", "3.13"]}, True),
        ],
    )
    def test_it_says_what_the_reader_says(self, table: dict[str, Any], fits: bool) -> None:
        validate = Validator()
        pyproject = {"project": {"name": "x", "version": "1"}, "tool": {"platter": table}}
        if fits:
            assert validate(pyproject)
            read_table("here", BASE, table)
            return
        with pytest.raises(ValidationError, match=r"tool\.platter"):
            validate(pyproject)
        with pytest.raises(UsageError):
            read_table("here", BASE, table)


def test_merging_decides_alike() -> None:
    sources = [read_table("a", BASE, {"quiet": True}), read_table("b", BASE, {"verbose": True, "format": "zip"})]
    options = merge(sources, output=BASE)
    assert {name: choice.value for name, choice in decide(sources).items()} == {
        "quiet": options.quiet,
        "verbose": options.verbose,
        "format": options.format,
    }
