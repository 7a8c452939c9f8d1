"""Commands of operators and projects: what they have, and how they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.payload import process, signals
from platter_setuptools.payload.errors import Interrupted

if TYPE_CHECKING:
    from pathlib import Path

PATH = {"PATH": os.environ["PATH"]}


def test_has_no_standard_input_and_a_session_of_its_own(tmp_path: Path) -> None:
    script = 'cat >in && [ ! -s in ] && [ "$(ps -o sid= -p $$ | tr -d " ")" = $$ ]'
    assert process.run(["sh", "-c", script], str(tmp_path), PATH) == ""


def test_what_it_leaves_in_the_background_stays(tmp_path: Path) -> None:
    assert process.run(["sh", "-c", "sleep 300 & echo $! >pid"], str(tmp_path), PATH) == ""
    number = int((tmp_path / "pid").read_text())
    os.kill(number, signal.SIGTERM)  # ProcessLookupError if it is gone


def test_ends_with_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_GRACE", 0.2)
    signals.listen()
    os.mkfifo(tmp_path / "fifo")
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)
    script = f'trap "" TERM; exec >fifo; sleep 300 & kill -TERM {os.getpid()}; wait; sleep 300'
    with pytest.raises(Interrupted):
        process.run(["sh", "-c", script], str(tmp_path), PATH)
    assert os.read(reader, 1) == b""  # comes with the end of the last that could write
    os.close(reader)


def test_ends_when_we_are_killed(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    program = textwrap.dedent(
        """
        import sys
        from platter_setuptools.payload import process
        process.run(["sh", "-c", 'echo started >fifo; sleep 300; true'], sys.argv[1], {"PATH": sys.argv[2]})
        """
    )
    # The standard output of all of them is a pipe: it ends with the last of them.
    words = [sys.executable, "-c", program, str(tmp_path), PATH["PATH"]]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as ours:
        assert fifo.read_text() == "started\n"
        ours.kill()
        assert ours.communicate(timeout=60)[0] == b""
