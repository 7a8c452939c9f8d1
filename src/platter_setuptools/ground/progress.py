"""What a person sees while a bundle is made: a live line on a terminal, plain lines elsewhere. All on stderr."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING, Protocol, TextIO

from platter_setuptools.ground.streams import standard_error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.status import Status


def human_size(size: int) -> str:
    """A number of bytes for people, in decimal units: `96.2 MB`."""
    amount = float(size)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:  # noqa: PLR2004
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


class Progress(Protocol):
    """Where the steps tell what they are doing."""

    def step(self, text: str) -> None:
        """Something begins: `Resolving for CPython 3.11`."""

    def hand_over(self, text: str) -> None:
        """Something begins that may ask the user: nothing else moves on the terminal meanwhile."""

    def advance(self, text: str) -> None:
        """The step goes on: `Fetching 12 of 67, 34.1 MB`. Comes often and from several threads."""

    def detail(self, line: str) -> None:
        """A line of a tool that is running; shown when verbose."""

    def warn(self, text: str) -> None:
        """Something that the user should know and that does not stop us."""

    def done(self, text: str) -> None:
        """The last words: the artifact and its figures."""


class Quiet:
    """Warnings only."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def step(self, text: str) -> None: ...

    def hand_over(self, text: str) -> None: ...

    def advance(self, text: str) -> None: ...

    def detail(self, line: str) -> None: ...

    def warn(self, text: str) -> None:
        print(f"warning: {text}", file=self._stream, flush=True)

    def done(self, text: str) -> None: ...


class Plain(Quiet):
    """A line for every step: for logs, and for tests."""

    def __init__(self, stream: TextIO, *, verbose: bool = False) -> None:
        super().__init__(stream)
        self._verbose = verbose

    def step(self, text: str) -> None:
        print(text, file=self._stream, flush=True)

    hand_over = step

    def detail(self, line: str) -> None:
        if self._verbose and line:
            print(f"    {line}", file=self._stream, flush=True)

    def done(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


class Live:
    """Finished steps stay as lines; the running one turns and counts below them."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console  # noqa: PLC0415 - a build without a terminal need not load it

        self._console = Console(file=stream, highlight=False)
        self._status: Status | None = None
        self._latest = ""
        self._lock = threading.Lock()

    def step(self, text: str) -> None:
        with self._lock:
            self._settle()
            self._latest = text
            self._status = self._console.status(_escaped(text))
            self._status.start()

    def hand_over(self, text: str) -> None:
        with self._lock:
            self._settle()
            self._console.print(_escaped(text))

    def advance(self, text: str) -> None:
        with self._lock:
            self._latest = text
            if self._status:
                self._status.update(_escaped(text))

    def detail(self, line: str) -> None: ...

    def warn(self, text: str) -> None:
        with self._lock:
            self._console.print(f"[yellow]warning:[/yellow] {_escaped(text)}")

    def done(self, text: str) -> None:
        with self._lock:
            self._settle()
            self._console.print(_escaped(text))

    def close(self) -> None:
        """Take the running line off the screen; what it said last stays."""
        with self._lock:
            if self._status:
                self._status.stop()
                self._status = None

    def _settle(self) -> None:
        if self._status:
            self._status.stop()
            self._status = None
            self._console.print(f"[green]✓[/green] {_escaped(self._latest)}")


def _escaped(text: str) -> str:
    from rich.markup import escape  # noqa: PLC0415

    return escape(text)


@contextlib.contextmanager
def open_progress(*, quiet: bool, verbose: bool, stream: TextIO | None = None) -> Iterator[Progress]:
    """The Progress that fits the options and the terminal. NO_COLOR and TERM=dumb give plain lines' colours."""
    stream = stream or standard_error()
    if quiet:
        yield Quiet(stream)
    elif verbose or not stream.isatty() or os.environ.get("TERM") == "dumb":
        yield Plain(stream, verbose=verbose)
    else:
        live = Live(stream)
        try:
            yield live
        finally:
            live.close()
