"""The machine that the manual's examples are tried on: a yard to build in, and a folder that plays the server."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import index as indexes
from support.front_ends import WITH_PIP
from support.index import Index
from support.pages import Block, Step, blocks, says, steps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.front_ends import Yard

# What the examples depend on: real distributions, packed again from those that we depend on ourselves.
GOODS = ("rich", "markdown-it-py", "mdurl", "pygments", "platformdirs")
_MARK = "-- ended with"
_TOLD = f"status=$?; echo '{_MARK}' $status; (exit $status)\n"
_COPY = """\
#!/bin/sh -e
# scp FILE... server:
for word do case $word in server:*) to=${word#server:} ;; esac; done
for word do case $word in server:*) ;; *) cp -R "$word" "$SERVER/$to" ;; esac; done
"""
_REMOTE = """\
#!/bin/sh -e
# ssh server COMMAND
shift
cd "$SERVER"
exec env -i PATH="$SERVER_PATH" HOME="$SERVER" sh -c "$*"
"""


@pytest.fixture(scope="session")
def index(tool_wheels: Path, shelf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """The index of all tests, and what the examples depend on."""
    goods = tmp_path_factory.mktemp("goods")
    for name in GOODS:
        indexes.repack(importlib.metadata.distribution(name), goods)
    running = Index(tool_wheels, shelf, goods)
    running.start()
    yield running
    running.stop()


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Two machines in two folders: `here`, with the project, and `server`, whose /srv is a folder in that."""

    here: Path
    server: Path
    environ: dict[str, str]

    def write(self, block: Block) -> None:
        """Write a block to the file that it says it is."""
        path = self.here / block.about
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text, "utf-8")
        path.chmod(0o755 if block.text.startswith("#!") else 0o644)

    def play(self, block: Block) -> None:
        """Run a block's commands as somebody who follows the page does, and compare what they print."""
        turn: list[Step] = []
        for step in steps(block):
            if turn and turn[0].on_server is not step.on_server:
                self._play(turn)
                turn = []
            turn.append(step)
        self._play(turn)

    def _play(self, turn: list[Step]) -> None:
        """Commands on the same machine share a shell. Only one whose exit status is asked for next may fail."""
        on_server = turn[0].on_server
        script = "".join(f"{self._real(one.command)}\n{_TOLD}" for one in turn)
        environ = {"PATH": self.environ["SERVER_PATH"], "HOME": str(self.server)} if on_server else self.environ
        done = subprocess.run(
            ["bash", "--norc", "-c", script],
            cwd=self.server if on_server else self.here,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
        )
        *told, _rest = re.split(rf"{_MARK} (\d+)\n", done.stdout)
        assert len(told) == 2 * len(turn), f"{turn[-1].place}: {done.stdout}"
        printed, codes = told[::2], list(map(int, told[1::2]))
        asked = [*(one.command == "echo $?" for one in turn[1:]), False]
        for step, said, code, may_fail in zip(turn, printed, codes, asked, strict=True):
            text = said.replace(f"{self.server}/srv", "/srv")
            assert says(step.expected, text), f"{step.place}: {step.command}\nprints\n{text}\nand not\n{step.expected}"
            assert code == 0 or may_fail, f"{step.place}: {step.command}\nends with {code}\n{text}"

    def _real(self, command: str) -> str:
        return command.replace("/srv", shlex.quote(f"{self.server}/srv"))


@pytest.fixture
def stage(yard: Yard) -> Stage:
    here, server, programs = yard.folder / "yourapp", yard.folder / "server", yard.folder / "programs"
    for folder in (here, server / "srv", programs):
        folder.mkdir(parents=True)
    for name, text in (("scp", _COPY), ("ssh", _REMOTE)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    (server / "bin").mkdir()
    (server / "bin" / "python3").symlink_to(os.path.realpath(sys.executable))
    environ = {
        **yard.environ,
        **WITH_PIP,
        "PATH": f"{programs}:{Path(sys.executable).parent}:{yard.environ['PATH']}",
        "SERVER": str(server),
        "SERVER_PATH": f"{server}/bin:/usr/bin:/bin",
        "PYTHONWARNINGS": "ignore",
        "COLUMNS": "100",
    }
    stage = Stage(here=here, server=server, environ=environ)
    for block in blocks("docs/quickstart.md"):  # where a page has no project of its own it goes on with this one
        if block.word == "file":
            stage.write(block)
    return stage
