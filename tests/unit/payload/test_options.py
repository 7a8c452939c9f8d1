from __future__ import annotations

from pathlib import Path

import pytest

from platter_setuptools.payload.errors import UsageError
from platter_setuptools.payload.options import Given, Options, parse
from platter_setuptools.payload.releases import releases_cli


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["/srv/a"], Options("/srv/a")),
        (["--check", "a"], Options("a", check=True)),
        (["a", "--force", "-q"], Options("a", force=True, quiet=True)),
        (["-p", "python3", "a", "--quiet"], Options("a", quiet=True)),
        (["--python", "x", "--python=y", "-pz", "a"], Options("a")),
        (["--compile", "a"], Options("a", compiling=True)),
        (["--", "--force"], Options("--force")),
        (["-"], Options("-")),
        (["a b\n"], Options("a b\n")),
        (["--allowed-signers", "f", "--allowed-signers=g", "a"], Options("a")),
        (["--root", "a", "--no-reload", "--no-health-check"], Options("", root="a", commands=Given("", ""))),
        (["--root", "/srv/a"], Options("", root="/srv/a")),
        (["--root=/srv/a=b", "--no-activate", "--keep=3"], Options("", root="/srv/a=b", no_activate=True, keep=3)),
        (["--root", "r", "--link-mode", "copy"], Options("", root="r", link_mode="copy")),
        (["--command-timeout", "007", "a"], Options("a", commands=Given(command_timeout=7))),
        (["--root", "r", "--no-ready"], Options("", root="r", commands=Given(ready=""))),
        (
            ["--root", "r", "--ready=x y", "--ready-timeout", "999999"],
            Options("", root="r", commands=Given(ready="x y", ready_timeout=999_999)),
        ),
        (
            ["--health-check", "a --help", "--root", "r", "--reload", "-x", "--keep", "10"],
            Options("", root="r", keep=10, commands=Given("a --help", "-x")),
        ),
    ],
)
def test_accepted(words: list[str], expected: Options) -> None:
    assert parse(words) == expected


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["a", "b"],
        [""],
        ["--what", "a"],
        ["-x", "a"],
        ["-p"],
        ["a", "--python"],
        ["-p", "", "a"],
        ["--che", "a"],
        ["--root"],
        ["--root="],
        ["--root", "r", "a"],
        ["--root", "r", "--keep", "0"],
        ["--root", "r", "--keep", "-1"],
        ["--root", "r", "--keep", "\u0663"],
        ["--root", "r", "--keep", "many"],
        ["--root", "r", "--no-activate", "--reload", "x"],
        ["--root", "r", "--no-reload", "--reload", "x"],
        ["a", "--no-reload"],
        ["a", "--ready", "x"],
        ["a", "--ready-timeout", "3"],
        ["--root", "r", "--no-activate", "--ready", "x"],
        ["--root", "r", "--no-ready", "--ready", "x"],
        *(
            ["--root", "r", option, wrong]
            for option in ("--ready-timeout", "--command-timeout")
            for wrong in ("0", "000", "-1", "+1", "1.5", "5s", "\u0663", "", " 5", "nan", "1000000", "9" * 5000)
        ),
        ["a", "--link-mode", "copy"],
        ["--root", "r", "--link-mode", "symlink"],
        ["--root", "r", "--link-mode"],
        ["a", "--keep", "1"],
        ["a", "--no-activate"],
        ["a", "--health-check", "x"],
        ["a", "--force=yes"],
    ],
)
def test_refused(words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        parse(words)
    assert caught.value.exit_code == 2
    assert caught.value.hint


@pytest.mark.parametrize(("word", "meant"), [("--forse", "--force"), ("--health-chek=x", "--health-check")])
def test_what_was_meant(word: str, meant: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse([word, "dst"])
    assert caught.value.hint == f"did you mean {meant}?"


@pytest.mark.parametrize("word", ["--chec", "--ro=x", "--pyth=3"])
def test_there_are_no_abbreviations(word: str) -> None:
    with pytest.raises(UsageError, match="unknown option"):
        parse([word, "dst"])


def test_the_help_pages_fit_a_terminal() -> None:
    script = (Path(releases_cli.__file__).parents[1] / "install.sh").read_text("utf-8")
    page = script.partition("<<'END'\n")[2].partition("\nEND\n")[0]
    assert page
    assert max(map(len, [*page.splitlines(), *releases_cli.HELP.splitlines()])) < 80
