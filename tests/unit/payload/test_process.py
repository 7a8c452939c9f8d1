"""Commands of operators and projects: what they have, and how they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

from platter_setuptools.payload import process

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


def test_ends_with_us(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    # A process of its own, which has one thread as an installation has: others would take the signal at any moment.
    program = textwrap.dedent(
        """
        import os, sys
        from platter_setuptools.payload import process, signals
        process._GRACE = 0.2
        signals.listen()
        script = 'trap "" TERM; exec >fifo; sleep 300 & kill -TERM $0; wait; sleep 300'
        try:
            process.run(["sh", "-c", script, str(os.getpid())], sys.argv[1], {"PATH": sys.argv[2]})
        except signals.Interrupted as error:
            sys.exit(error.exit_code)
        """
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path), PATH["PATH"]]) as ours:
        assert fifo.read_bytes() == b""  # its end comes with the end of the last that could write
    assert ours.returncode == 128 + signal.SIGTERM


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
