"""What is shown: no secrets, and nothing that a terminal obeys, through whichever front end it goes."""

from __future__ import annotations

import io
import re
import time
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.errors import PlatterError
from platter_setuptools.payload.cleaning import clean, redact
from platter_setuptools.payload.terminal import Terminal
from platter_setuptools.runtime.progress import Live, Plain, Progress
from platter_setuptools.runtime.streams import print_result, print_text, standard_error
from platter_setuptools.urls import has_secret

if TYPE_CHECKING:
    from collections.abc import Callable

HOSTILE = "a\x1b]0;title\x07\x9b2J\u202eb\ud800c\x1b[31md\re https://me:S3cr3t@host/x"
SHOWN = "a\\x1b]0;title\\x07\\x9b2J\\u202eb\\ud800cd\\x0de https://host/x"


def test_what_a_terminal_obeys() -> None:
    assert clean(HOSTILE) == SHOWN
    assert clean(clean(HOSTILE)) == SHOWN


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, with Zürich, 東京 and a\nsecond line", "plain, with Zürich, 東京 and a\nsecond line"),
        ("\tcaret\r\n", "    caret\n"),
        ("\x1b[1;31merror\x1b[0m: no", "error: no"),
        ("a\u2028b\u200bc\ufeff", "a\\u2028b\\u200bc\\ufeff"),
        ("caf\udce9", "caf\\xe9"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_words(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_all_of_unicode() -> None:
    shown = clean("".join(map(chr, range(0x110000))))
    assert not re.search("[\0-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", shown)


@pytest.mark.parametrize(
    "text",
    [
        "https://me:S3cr3t@host/x",
        "git+https://S3cr3t@host/x",
        "https:/me:S3cr3t@host/x",  # as a Path has it
        "/home/me/app/http:/me:S3cr3t@host/r.txt does not exist",
        "git+ssh:/me:S3cr3t@host",
        "https://me:pa/S3cr3t@host/x",
        "https://me:p@S3cr3t@host/x",
        "https://me:pa S3cr3t@host/x",
        "'https://me:p/a S3cr3t@host/x'",
        "https://me@example.com:pa/S3cr3t@host/x",
        "https://me@example.com:pa S3cr3t@host/x",
        "https://a.example/x,https://me:S3cr3t@host/y",
        "found 'ftp://me:S3cr3t\"@host'",
    ],
)
def test_passwords(text: str) -> None:
    assert "S3cr3t" not in redact(text)
    assert redact(text).count("host") == 1


@pytest.mark.parametrize(
    "text",
    [
        "git+https://host/repository.git@v1.0#egg=x",
        "https://host:8443/x@1.0",
        "https://[::1]:8443/x@1.0",
        "https://host:8443 is asked by me@example.com",
        "https://host: tell me@example.com",
        "file:///home/me@work/x",
        "PATH=/usr/bin:/home/me@work/bin",
        "me@example.com",
    ],
)
def test_what_is_no_password(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize("judge", [clean, redact, has_secret])
@pytest.mark.parametrize(
    "part",
    [
        "a",
        "a" * 99 + "://",
        "://",
        ":",
        "@",
        "https://",
        "https://a:",
        "http:/a@",
        "\x1b[",
        "\x1b[3;",
        "a.-+",
        "$",
        '"',
    ],
)
def test_time_in_proportion_to_the_text(judge: Callable[[str], object], part: str) -> None:
    text = part * (1_000_000 // len(part))
    start = time.process_time()
    judge(text)
    judge(text + "@")
    assert time.process_time() - start < 5


def test_an_error_is_clean_from_the_beginning() -> None:
    error = PlatterError(HOSTILE, hint=HOSTILE, output=[HOSTILE])
    assert (error.message, str(error), error.hint, error.output) == (SHOWN, SHOWN, SHOWN, (SHOWN,))


def test_streams(capsys: pytest.CaptureFixture[str]) -> None:
    standard_error().writelines([HOSTILE])
    print_text(HOSTILE)
    assert (capsys.readouterr()) == (SHOWN + "\n", SHOWN)


def test_a_name_is_for_scripts_as_it_is_and_cleaned_for_a_terminal(
    capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    print_result("dist/\x1b\udce9")
    assert capsysbinary.readouterr().out == b"dist/\x1b\xe9\n"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    print_result("dist/\x1b")
    assert capsysbinary.readouterr().out == b"dist/\\x1b\n"


def test_lines_of_progress() -> None:
    stream = io.StringIO()
    plain = Plain(stream, verbose=True)
    plain.warn(HOSTILE)
    plain.detail(HOSTILE)
    plain.done(HOSTILE)
    Progress(stream).warn(HOSTILE)
    assert stream.getvalue() == f"warning: {SHOWN}\n    {SHOWN}\n{SHOWN}\nwarning: {SHOWN}\n"


def test_live_progress_obeys_itself_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    stream = io.StringIO()
    live = Live(stream)
    with live.step(HOSTILE) as tell:
        tell(HOSTILE)
    live.warn(HOSTILE)
    live.done(HOSTILE)
    with live.hand_over(HOSTILE):
        pass
    shown = stream.getvalue()
    assert shown.count("\\x1b]0;title\\x07\\x9b2J\\u202eb") >= 4
    assert not re.search("\x1b]|\x07|\x9b|\u202e|S3cr3t", shown)
    assert "\x1b[" in shown  # its own colours


def test_the_server(capfd: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal()
    terminal.step(HOSTILE)
    terminal.result(HOSTILE)
    terminal.warn(HOSTILE)
    terminal.error(HOSTILE)
    out, err = capfd.readouterr()
    assert out == f"{SHOWN}\n{SHOWN}\n"
    assert err == f"warning: {SHOWN}\ninstall.sh: {SHOWN}\n"
