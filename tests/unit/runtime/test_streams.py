"""Streams that are closed, full or gone."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from platter_setuptools.runtime.streams import print_result, standard_error

CODE = """
import os, sys
from platter_setuptools.errors import PlatterError
from platter_setuptools.runtime.streams import keep_standard_descriptors, print_result, standard_error
keep_standard_descriptors()
stream = standard_error()
stream.write("told\\n" * 3000)
stream.flush()
assert stream.isatty() is False and stream.encoding
file = open(os.devnull)
assert file.fileno() > 2
try:
    print_result("the result")
except PlatterError as error:
    stream.write(error.message)
    sys.exit(9)
"""


def run(redirection: str) -> subprocess.CompletedProcess[str]:
    words = ["sh", "-c", f'exec "$@" {redirection}', "-", sys.executable, "-c", CODE]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def test_as_usual() -> None:
    done = run("")
    assert (done.returncode, done.stdout, done.stderr) == (0, "the result\n", "told\n" * 3000)


@pytest.mark.parametrize("redirection", ["2>&-", "<&- 2>&-", "2>/dev/full"])
def test_nobody_reads_errors(redirection: str) -> None:
    if "full" in redirection and not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    done = run(redirection)
    assert (done.returncode, done.stdout, done.stderr) == (0, "the result\n", "")


def test_a_path_goes_out_in_the_bytes_of_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever characters standard output has."""
    name = os.fsdecode("/pü/日本\n".encode() + b"\xff")
    out = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(out, encoding="ascii"))
    print_result(name)
    assert out.getvalue() == os.fsencode(name) + b"\n"


def test_a_terminal_gets_the_characters_that_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    out = io.BytesIO()
    monkeypatch.setattr("sys.stdout", Terminal(out, encoding="ascii"))
    print_result("/pü/\x1b[1m")
    assert out.getvalue() == b"/p?/\n"


def test_a_stream_that_somebody_closed_later(monkeypatch: pytest.MonkeyPatch) -> None:
    replaced = io.StringIO()
    monkeypatch.setattr("sys.stderr", replaced)
    stream = standard_error()
    replaced.close()
    stream.write("told")
    stream.flush()
    assert not stream.isatty()
    stream.close()


def test_closed_output_is_no_failure() -> None:
    assert run(">&-").returncode == 0
    assert run("<&- >&- 2>&-").returncode == 0


def test_a_result_that_cannot_be_told_is_one() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    done = run(">/dev/full")
    assert done.returncode == 9
    assert done.stderr.endswith(
        "the result is made, but standard output does not take its name: No space left on device"
    )
    assert run(">/dev/full 2>/dev/full").returncode == 9
