"""What is said in one dialect is what is said in another, and no secret stays in a URL."""

from __future__ import annotations

import configparser
import io
import shlex
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from platter_setuptools.config.option_sources import read_environment, read_strings, read_table
from platter_setuptools.config.options import BY_NAME, OPTIONS, Kind, Option
from platter_setuptools.resolve.pip_config import pip_arguments
from platter_setuptools.urls import redact, without_userinfo
from platter_setuptools.wheel_cache import key_of
from support.fakes import choices

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

BASE = Path("/base")
# One line without blanks at its ends: what a configuration file and a command line can both say.
LINES = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z")) | st.just(" "), min_size=1, max_size=20
).filter(lambda text: text == text.strip() and not text.startswith(("#", ";")))
PLACES = LINES.filter(lambda text: "://" not in text)  # a URL is refused where a path is expected
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,8}", fullmatch=True)


def values_of(option: Option) -> st.SearchStrategy[Any]:  # noqa: PLR0911
    match option.kind:
        case Kind.FLAG:
            return st.booleans()
        case Kind.CHOICE:
            return st.sampled_from(option.choices)
        case Kind.NAMES:
            return st.lists(NAMES, min_size=1, max_size=4)
        case Kind.LINES | Kind.PATHS:
            return st.lists(LINES if option.kind is Kind.LINES else PLACES, min_size=1, max_size=4)
        case Kind.NAMES_OR_PATHS:
            return st.lists(PLACES, min_size=1, max_size=4)
        case Kind.PATH:
            return PLACES
        case _:
            return LINES


SAID = st.fixed_dictionaries({}, optional={option.name: values_of(option) for option in OPTIONS})


def in_one_string(option: Option, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ",".join(value) if option.kind is Kind.NAMES else "\n".join(value)
    return str(value)


@given(SAID)
def test_every_dialect_says_the_same(said: dict[str, Any]) -> None:
    by_toml = choices(read_table("toml", BASE, tomllib.loads(tomli_w.dumps(said))))

    one_string = {name: in_one_string(BY_NAME[name], value) for name, value in said.items()}
    assert choices(read_strings("setup.cfg", BASE, one_string)) == by_toml

    several = {name: value if isinstance(value, list) else one_string[name] for name, value in said.items()}
    assert choices(read_strings("the command line", BASE, several)) == by_toml

    environ = {
        BY_NAME[name].variable: shlex.join(value) if isinstance(value, list) else one_string[name]
        for name, value in said.items()
    }
    assert choices(read_environment(environ, BASE)) == by_toml


@given(SAID)
def test_through_a_real_setup_cfg(said: dict[str, Any]) -> None:
    parser = configparser.ConfigParser()
    parser["bdist_platter"] = {
        name: in_one_string(BY_NAME[name], value).replace("%", "%%") for name, value in said.items()
    }
    file = io.StringIO()
    parser.write(file)
    again = configparser.ConfigParser()
    again.read_string(file.getvalue())
    by_file = choices(read_strings("setup.cfg", BASE, dict(again.items("bdist_platter"))))
    assert by_file == choices(read_table("toml", BASE, said))


@given(st.lists(LINES.map(lambda text: "--" + text.replace(" ", "_"))))
def test_pip_options_that_are_quoted_arrive_whole(words: list[str]) -> None:
    assert pip_arguments([f"--find-links={shlex.quote(word)}" for word in words]) == [
        f"--find-links={word}" for word in words
    ]


SECRETS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters="/"), min_size=1)
SCHEMES = st.sampled_from(["https", "http", "git+https", "ssh", "svn+ssh"])


@given(SCHEMES, SECRETS, SECRETS, LINES, LINES)
def test_nothing_of_a_secret_is_left(scheme: str, user: str, password: str, before: str, after: str) -> None:
    text = f"{scheme}://{user}:{password}@host/path"
    assert redact(text) == f"{scheme}://host/path"
    around = f"{before.replace('/', '')} {text} {after.replace('@', '')}"
    assert redact(around) == f"{before.replace('/', '')} {scheme}://host/path {after.replace('@', '')}"
    assert redact(redact(around)) == redact(around)


@given(SCHEMES, SECRETS, SECRETS, st.sampled_from(["", ":8080"]), NAMES)
def test_a_url_without_userinfo_leads_to_the_same_place(
    scheme: str, user: str, password: str, port: str, path: str
) -> None:
    url = f"{scheme}://{quote(user, safe='')}:{quote(password, safe='')}@host{port}/{path}?q=a@b"
    bare = without_userinfo(url)
    assert bare == f"{scheme}://host{port}/{path}?q=a@b"
    assert urlsplit(bare).username is None
    assert without_userinfo(bare) == bare


@given(st.lists(st.text()), st.lists(st.text()))
def test_keys_are_equal_only_for_equal_parts(one: list[str], other: list[str]) -> None:
    assert (key_of(*one) == key_of(*other)) == (one == other)
