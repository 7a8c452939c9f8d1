"""Completion in the shells themselves, and the manual page as man(1) shows it."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.cli import command_line
from platter_setuptools.cli.outline import outline
from platter_setuptools.config.options import FORMATS, OPTIONS
from support.front_ends import PLATTER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMMANDS = {command.words[0] for command in outline(command_line._parser()).commands}
BUILD = {f"--{option.name}" for option in OPTIONS}

needs = {
    name: pytest.mark.skipif(not shutil.which(name), reason=f"{name} is not installed") for name in ("fish", "zsh")
}
# What is on the line, and what is offered for its last word.
LINES: list[tuple[list[str], set[str]]] = [
    ([""], COMMANDS),
    (["in"], {"inspect"}),
    (["cache", ""], {"dir", "info", "prune"}),
    (["build", "--no-p"], {"--no-pip"}),
    (["build", "--format", "tar.x"], {"tar.xz"}),
    (["cache", "prune", "--ma"], {"--max-size"}),
    (["completion", ""], {"bash", "zsh", "fish"}),
    (["inspect", "--s"], {"--sbom"}),
]


def script(shell: str) -> str:
    return subprocess.run([PLATTER, "completion", shell], check=True, capture_output=True, text=True).stdout


class TestBash:
    @pytest.mark.parametrize(("words", "expected"), [*LINES, (["build", "--format", "=", "zi"], {"zip"})])
    def test_it_completes(self, words: list[str], expected: set[str], tmp_path: Path) -> None:
        (tmp_path / "script").write_text(script("bash"))
        assert self.offered(tmp_path, words) == expected

    def test_all_options_of_build(self, tmp_path: Path) -> None:
        (tmp_path / "script").write_text(script("bash"))
        assert self.offered(tmp_path, ["build", "-"]) >= BUILD
        assert set(FORMATS) == self.offered(tmp_path, ["build", "--format", ""])

    def test_shellcheck_has_nothing_to_say(self, tmp_path: Path) -> None:
        (tmp_path / "script").write_text(script("bash"))
        # 2207: to split the words that compgen gives is what is meant.
        command: list[str | Path] = ["shellcheck", "--shell=bash", "--exclude=SC2207", tmp_path / "script"]
        assert subprocess.run(command, check=False, capture_output=True, text=True).stdout == ""

    def offered(self, folder: Path, words: list[str]) -> set[str]:
        code = 'source ./script; COMP_WORDS=(platter "$@"); COMP_CWORD=$#; _platter; printf "%s\\n" "${COMPREPLY[@]}"'
        done = subprocess.run(
            ["bash", "-c", code, "bash", *words], cwd=folder, check=True, capture_output=True, text=True
        )
        assert done.stderr == ""
        return set(done.stdout.split())


@needs["fish"]
class TestFish:
    @pytest.mark.parametrize(("words", "expected"), LINES)
    def test_it_completes(self, words: list[str], expected: set[str], tmp_path: Path) -> None:
        (tmp_path / "script").write_text(script("fish"))
        line = f"platter {' '.join(words)}"
        command = ["fish", "--no-config", "-c", "source ./script; complete -C $argv[1]", line]
        environ = {**os.environ, "HOME": str(tmp_path)}
        done = subprocess.run(command, cwd=tmp_path, env=environ, check=True, capture_output=True, text=True)
        assert done.stderr == ""
        assert {one.split("\t")[0] for one in done.stdout.splitlines()} == expected


@needs["zsh"]
class TestZsh:
    @pytest.mark.parametrize(
        ("typed", "completed"),
        [
            ("platter insp", "platter inspect "),
            ("platter cache pr", "platter cache prune "),
            ("platter cache prune --ma", "platter cache prune --max-size="),
            ("platter build --format=tar.x", "platter build --format=tar.xz "),
            ("platter completion fi", "platter completion fish "),
            ("platter inspect some-f", "platter inspect some-file "),
        ],
    )
    def test_it_completes(self, typed: str, completed: str, tmp_path: Path) -> None:
        (tmp_path / "script").write_text(script("zsh"))
        (tmp_path / "some-file").touch()
        with terminal(["zsh", "-f", "-i"], tmp_path) as shell:
            os.write(shell, b"PS1='> '; autoload -Uz compinit; compinit -u -D; source ./script; echo re''ady\n")
            read_until(shell, "ready")
            # What the line editor holds is told as a comment, since a screen cannot be read.
            os.write(shell, b"tell() { print -r \"[$BUFFER]\" }; zle -N tell; bindkey '^X' tell; echo ag''ain\n")
            read_until(shell, "again")
            os.write(shell, f"{typed}\t".encode())
            time.sleep(0.3)
            os.write(shell, b"\x18")
            assert f"[{completed}" in read_until(shell, "]")


@contextlib.contextmanager
def terminal(command: list[str], folder: Path) -> Iterator[int]:
    shell, theirs = pty.openpty()
    environ = {"PATH": os.environ["PATH"], "TERM": "dumb", "HOME": str(folder)}
    command = ["setsid", "--ctty", "--wait", *command]
    process = subprocess.Popen(command, cwd=folder, env=environ, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    try:
        yield shell
    finally:
        os.close(shell)
        process.wait(20)


def read_until(shell: int, mark: str) -> str:
    text, end = "", time.monotonic() + 20
    poll = select.poll()  # unlike select it takes any number of open files
    poll.register(shell, select.POLLIN)
    while mark not in text and time.monotonic() < end:
        if poll.poll(100):
            text += os.read(shell, 4096).decode("utf-8", "replace")
    assert mark in text, text
    return text


class TestManual:
    def test_it_tells_all_options_and_commands(self, tmp_path: Path) -> None:
        page = subprocess.run([PLATTER, "man"], check=True, capture_output=True, text=True).stdout
        if not shutil.which("man"):
            pytest.skip("man is not installed")
        (tmp_path / "platter.1").write_text(page)
        command = ["man", "--warnings", "--encoding=UTF-8", "-l", "platter.1"]
        environ = {**os.environ, "MANWIDTH": "100", "MAN_KEEP_FORMATTING": "", "LC_ALL": "C.UTF-8"}
        done = subprocess.run(command, cwd=tmp_path, env=environ, check=True, capture_output=True, text=True)
        assert done.stderr == ""
        text = re.sub(".\b", "", done.stdout)
        for words in (*sorted(BUILD), *(option.variable for option in OPTIONS), "EXIT STATUS", "platter cache prune"):
            assert words in text
        assert not re.search(r"\\[a-z]", text)
