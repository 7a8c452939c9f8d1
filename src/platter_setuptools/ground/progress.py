"""What a person sees while a bundle is made: a live picture on a terminal, plain lines elsewhere. All on stderr."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING, Protocol, TextIO, cast

from platter_setuptools.ground.streams import standard_error, terminal_error
from platter_setuptools.payload.cleaning import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from typing import TypeAlias

    from rich.live import Live as Display
    from rich.spinner import Spinner
    from rich.text import Text

    Tell: TypeAlias = Callable[[str], None]


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

    def step(self, text: str) -> AbstractContextManager[Tell]:
        """Something goes on as long as the block does: `Resolving for CPython 3.11`. Several may go on at once.

        The block is given a function that takes how far it is: `Fetching 12 of 67, 34.1 MB`. It may be called often,
        and from any thread.
        """

    def hand_over(self, text: str) -> AbstractContextManager[Tell]:
        """A step that writes to the terminal itself, or asks there: nothing else moves on it meanwhile."""

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

    @contextlib.contextmanager
    def step(self, text: str) -> Iterator[Tell]:
        self.done(text)
        yield lambda _text: None

    hand_over = step

    def detail(self, line: str) -> None: ...

    def warn(self, text: str) -> None:
        self._print(f"warning: {text}")

    def done(self, text: str) -> None: ...

    def _print(self, text: str) -> None:
        print(clean(text), file=self._stream, flush=True)


class Plain(Quiet):
    """A line for every step: for logs, and for tests."""

    def __init__(self, stream: TextIO, *, verbose: bool = False) -> None:
        super().__init__(stream)
        self._verbose = verbose

    def detail(self, line: str) -> None:
        if self._verbose and line:
            self._print(f"    {line}")

    def done(self, text: str) -> None:
        self._print(text)


class Live:
    """What goes on turns and counts at the end of the screen, a line for each step; what is finished stays above."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console  # noqa: PLC0415 - a build without a terminal need not load it

        # Soft wrapping leaves it to the terminal to break long lines: a path can be copied whole.
        self._console = Console(file=stream, highlight=False, markup=False, emoji=False, soft_wrap=True)
        self._running: tuple[Spinner, ...] = ()  # replaced, never changed: the display reads it without our lock
        self._display: Display | None = None
        self._moves = True
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def step(self, text: str) -> Iterator[Tell]:
        from rich.spinner import Spinner  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        spinner = Spinner("dots", Text(clean(text)), style="status.spinner")
        finished = False
        try:
            with self._lock:
                self._running += (spinner,)
                self._update()
            yield lambda text: spinner.update(text=Text(clean(text)))
            finished = True
        finally:
            with self._lock:
                self._running = tuple(one for one in self._running if one is not spinner)
                self._update()
                if finished and self._moves:
                    self._console.print(Text.assemble(("✓", "green"), " ", cast("Text", spinner.text)))

    @contextlib.contextmanager
    def hand_over(self, text: str) -> Iterator[Tell]:
        self.close()
        self._console.print(clean(text))
        yield lambda _text: None
        with self._lock:
            self._moves = True
            self._update()

    def detail(self, line: str) -> None: ...

    def warn(self, text: str) -> None:
        from rich.text import Text  # noqa: PLC0415

        self._console.print(Text.assemble(("warning:", "yellow"), f" {clean(text)}"))

    def done(self, text: str) -> None:
        self._console.print(clean(text))

    def close(self) -> None:
        """Take what moves off the screen, and let nothing move any more."""
        with self._lock:
            self._moves = False
            self._update()

    def _update(self) -> None:
        moves = bool(self._running) and self._moves
        if moves and not self._display:
            self._display = self._new_display()
            self._display.start()
        elif self._display and not moves:
            self._display.stop()
            self._display = None

    def _new_display(self) -> Display:
        from rich.console import Group  # noqa: PLC0415
        from rich.live import Live as Display  # noqa: PLC0415

        return Display(
            console=self._console,
            transient=True,
            refresh_per_second=12.5,
            get_renderable=lambda: Group(*self._running),
        )


@contextlib.contextmanager
def open_progress(*, quiet: bool, verbose: bool, stream: TextIO | None = None) -> Iterator[Progress]:
    """The Progress that fits the options and the terminal. NO_COLOR and TERM=dumb give plain lines' colours."""
    lines = stream or standard_error()
    if quiet:
        yield Quiet(lines)
    elif verbose or not lines.isatty() or os.environ.get("TERM") == "dumb":
        yield Plain(lines, verbose=verbose)
    else:
        live = Live(stream or terminal_error())
        try:
            yield live
        finally:
            live.close()
