"""Pages of the manual as tests read them: their blocks, and what a comment in front of a block says about it.

    <!-- file: setup.py -->           the block is written to this file before the next commands are run
    <!-- wrong file: setup.py -->     the same, and what follows shows what is wrong with it
    <!-- needs: ssh-keygen -->        without this program the page is left at this place
    <!-- not run: it needs web1 -->   the commands are looked at, and not run

Commands stand in `console` blocks behind `$`, or `server$` for those that run on the server; a line that begins with
`> ` goes on with the command before it. What follows is what they print, in which `…` stands for anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(
    r"(?:^<!-- (?P<word>[a-z ]+): (?P<about>[^\n]*) -->\n)?^```(?P<language>[\w{}]*)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
_PROMPT = re.compile(r"(?:(?P<where>server)[$#]|\$) (?P<command>.*)")  # the superuser's ends with #


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block. `word` and `about` are empty where no comment stands before it."""

    page: str
    line: int
    language: str
    text: str
    word: str
    about: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True, kw_only=True)
class Step:
    """A command and what it prints."""

    command: str
    expected: str
    on_server: bool
    place: str


def pages() -> list[str]:
    """The pages that are read here: the manual's own, and those beside it that it includes or that lead to it."""
    own = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md"))
    return [*own, "README.md", "SECURITY.md", "CONTRIBUTING.md"]


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page."""
    text = (ROOT / page).read_text("utf-8")
    return [
        Block(
            page=page,
            line=text.count("\n", 0, found.start("text")),
            language=found["language"],
            text=found["text"],
            word=found["word"] or "",
            about=found["about"] or "",
        )
        for found in _FENCE.finditer(text)
    ]


def steps(block: Block) -> Iterator[Step]:
    """The commands of a `console` block, each with the lines that follow it."""
    lines = block.text.splitlines()
    while lines:
        found = _PROMPT.fullmatch(lines.pop(0))
        assert found, f"{block.place}: expected a prompt"
        command, printed = [found["command"]], list[str]()
        while lines and (command[-1].endswith("\\") or lines[0].startswith("> ")):
            command.append(lines.pop(0).removeprefix("> "))
        while lines and not _PROMPT.fullmatch(lines[0]):
            printed.append(lines.pop(0))
        yield Step(
            command="\n".join(command),
            expected="\n".join(printed),
            on_server=bool(found["where"]),
            place=block.place,
        )


def says(expected: str, printed: str) -> bool:
    """Whether this is what was to be printed. A line that is a lone `…` stands for any number of lines, or none.

    How many spaces there are in a row makes no difference.
    """
    pattern = ""
    for line in _plain(expected):
        pattern += "(?:.*\n)*" if line == "…" else re.escape(line).replace("…", ".*") + r"\n"
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in _plain(printed))) is not None


def _plain(text: str) -> list[str]:
    return [re.sub(" +", " ", line.rstrip()) for line in text.splitlines()]
