"""Logins: those that uv's store and the keyring know, asked for as uv and pip ask."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING

import pytest

from platter_setuptools._in_process.run_pip import without_secrets
from platter_setuptools.errors import CommandError
from platter_setuptools.resolve.credentials import Asking
from platter_setuptools.resolve.indexes import IndexSettings
from support.fakes import Call, FakeRunner

if TYPE_CHECKING:
    from collections.abc import Callable

URL = "https://host/files/x-1.0-py3-none-any.whl"


def keyring(*answers: tuple[tuple[str, ...], str]) -> Callable[[Call], str]:
    def answer(call: Call) -> str:
        if call.command[0] == "keyring":
            for words, said in answers:
                if call.command[1:] == words:
                    return said
        raise CommandError("nothing", returncode=1, output=[])

    return answer


def test_of_uv_s_store() -> None:
    def answer(call: Call) -> str:
        assert json.loads(call.stdin) == {"uri": URL}
        value = "Basic " + base64.b64encode(b"me:p:w").decode()
        return json.dumps({"headers": {"Authorization": [value]}})

    ask = Asking(IndexSettings(), FakeRunner(answer))
    assert ask(URL) == ask(URL.replace("x-", "y-")) == ("me", "p:w")
    assert "p:w" not in repr(ask)


@pytest.mark.parametrize("said", ["", "[]", "{}", '{"headers": {}}', '{"headers": {"Authorization": ["Basic !"]}}'])
def test_what_uv_does_not_know(said: str) -> None:
    run = FakeRunner(lambda _call: said)
    ask = Asking(IndexSettings(), run)
    assert ask(URL) is None
    assert ask(URL) is None
    assert len(run.calls) == 1


@pytest.mark.parametrize(
    ("index", "words", "said"),
    [
        ("https://me@host/simple/", ("get", "https://host/simple/", "me"), "pw\n"),
        ("https://me@host/simple/", ("get", "host", "me"), "pw\n"),
        ("https://host/simple/", ("--mode", "creds", "get", "https://host/simple/"), "me\npw\n"),
        ("https://host/simple/", ("--mode", "creds", "get", "host"), "me\npw\n"),
    ],
)
def test_of_the_keyring(index: str, words: tuple[str, ...], said: str) -> None:
    settings = IndexSettings(extra_index_urls=("https://other/", index), keyring_provider="subprocess")
    assert Asking(settings, FakeRunner(keyring((words, said))))(URL) == ("me", "pw")
    for silent in (settings, IndexSettings(extra_index_urls=(index,))):
        answers = keyring() if silent is settings else keyring((words, said))
        assert Asking(silent, FakeRunner(answers))(URL) is None


def test_looking_for_a_password_takes_time_in_proportion() -> None:
    words = ["-i", "://" * (1 << 18)]
    start = time.process_time()
    assert without_secrets(words) == (words, {})
    assert time.process_time() - start < 5


def test_pip_s_own_pip_has_no_password_on_its_command_line() -> None:
    words = ["python", "pip", "install", "-i", "https://u:p@h/s", "--extra-index-url", "https://h/2"]
    words += ["--find-links", "/a b", "--extra-index-url", "https://u:p@h/3", "--extra-index-url", "https://h/4?t=x"]
    kept, said = without_secrets([*words, "--proxy", "http://u:p@p", "--", "setuptools"])
    assert kept == [
        *("python", "pip", "install", "--extra-index-url", "https://h/2", "--find-links", "/a b", "--", "setuptools"),
    ]
    assert said == {
        "PIP_INDEX_URL": "https://u:p@h/s",
        "PIP_EXTRA_INDEX_URL": "https://u:p@h/3 https://h/4?t=x",
        "PIP_PROXY": "http://u:p@p",
    }
