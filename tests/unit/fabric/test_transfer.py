"""Scripts on their way to a host, and its answers, whatever its login shell is and prints."""

from __future__ import annotations

import io
import re
import shutil
import subprocess

import pytest

from platter_setuptools.fabric import transfer

MARK = "c0ffee"
# All that csh or fish see within single quotes, and what printf and sh see within double ones.
SCRIPT = """\
printf '%s|' 'a!b' "$1" 'it'"'"'s' '\\\\' 100% "`echo x`" 'ü' '\\n'
# a comment, and an error
echo wrong >&2
exit 3"""
SAID = "a!b||it's|\\\\|100%|x|ü|\\n|"


def test_a_command_is_one_line_that_no_shell_looks_into() -> None:
    line = transfer.command(SCRIPT, MARK)
    assert re.fullmatch(r"""sh -c 'eval "\$\(printf "[^"'$`!\n]*"\)"'""", line)
    assert line.isascii()


@pytest.mark.parametrize("shell", ["sh", "dash", "bash", "busybox sh", "zsh", "ksh", "mksh", "csh", "tcsh", "fish"])
def test_every_login_shell(shell: str) -> None:
    words = shell.split()
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not here")
    done = subprocess.run(
        [*words, "-c", transfer.command(SCRIPT, MARK)], check=False, capture_output=True, encoding="utf-8"
    )
    answer = transfer.read(done.stdout, done.stderr, done.returncode, MARK)
    assert answer == transfer.Answer(stdout=SAID, stderr="wrong\n", exited=3)


def test_noise_around_an_answer() -> None:
    noisy = f"Welcome!\nno end of line\n{MARK}\nyes\n{MARK}Good-bye\n"
    assert transfer.read(noisy, noisy, 0, MARK) == transfer.Answer(stdout="yes\n", stderr="yes\n", exited=0)


@pytest.mark.parametrize("said", ["", "Welcome!\n", f"\n{MARK}\nhal"])
def test_an_answer_that_is_not_whole(said: str) -> None:
    assert transfer.read(said, f"\n{MARK}\n{MARK}", 0, MARK) == transfer.Answer(
        stdout=said, stderr="", exited=0, whole=False
    )


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_what_is_shown_while_it_comes(size: int) -> None:
    shown = io.StringIO()
    live = transfer.Live(shown, MARK)
    text = f"Welcome!\n\n{MARK}\nfirst\nsecond\nunfinished{MARK}Good-bye\n"
    for start in range(0, len(text), size):
        live.write(text[start : start + size])
        live.flush()
    assert shown.getvalue() == "first\nsecond\nunfinished"
