"""The progress of a build on standard error: live on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING, TextIO, cast

from platter_setuptools.payload.cleaning import clean
from platter_setuptools.runtime.streams import standard_error, terminal_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from typing import TypeAlias

    from rich.live import Live as Display
    from rich.spinner import Spinner
    from rich.text import Text

    Tell: TypeAlias = Callable[[str], None]

_SHOWN = 5  # names in a warning


def human_size(size: int) -> str:
    """Return a number of bytes for people, in decimal units: `96.2 MB`."""
    amount = float(size)
    for unit, digits in (("B", 0), ("kB", 1), ("MB", 1)):
        if round(amount, digits) < 1000:  # noqa: PLR2004
            return f"{amount:.{digits}f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def counted(number: int, noun: str) -> str:
    """Return `1 file`, `2 files`."""
    return f"{number} {noun}{'s' * (number != 1)}"


def first_few(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


class Progress:
    """Reports the progress of a build: here warnings only, as with `--quiet`. Subclasses report more."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._warned: set[str] = set()

    @contextlib.contextmanager
    def step(self, text: str) -> Iterator[Tell]:
        """Show a step during the block: `Resolving for CPython 3.11`. There may be several at once.

        The block gets a function for its progress: `Fetching 12 of 67, 34.1 MB`. It may be called often, and from any
        thread.
        """
        self.done(text)
        yield lambda _text: None

    def hand_over(self, text: str) -> AbstractContextManager[Tell]:
        """Show a step that writes to the terminal itself, or asks there; everything else stands still."""
        return self.step(text)

    def detail(self, line: str) -> None:
        """Print a line of a running tool, if verbose."""

    def warn(self, text: str) -> None:
        """Print a warning, once: several targets share wheels, and a build may resolve more than once."""
        if text not in self._warned:
            self._warned.add(text)
            self._print_warning(text)

    def done(self, text: str) -> None:
        """Print the result: the artifact and its figures."""

    def _print_warning(self, text: str) -> None:
        self._print(f"warning: {text}")

    def _print(self, text: str) -> None:
        print(clean(text), file=self._stream, flush=True)


class Plain(Progress):
    """Prints a line for every step: for logs, and for tests."""

    def __init__(self, stream: TextIO, *, verbose: bool = False) -> None:
        super().__init__(stream)
        self._verbose = verbose

    def detail(self, line: str) -> None:
        if self._verbose and line:
            self._print(f"    {line}")

    def done(self, text: str) -> None:
        self._print(text)


class BufferedProgress(Progress):
    """Keeps what it is told, until `replay` passes it on."""

    def __init__(self) -> None:
        self._told: list[tuple[str, str]] = []

    @contextlib.contextmanager
    def step(self, text: str) -> Iterator[Tell]:
        self._told.append(("step", text))
        yield lambda _text: None

    def warn(self, text: str) -> None:
        self._told.append(("warn", text))

    def done(self, text: str) -> None:
        self._told.append(("done", text))

    def replay(self, progress: Progress) -> None:
        """Pass on all that was told. Every step is finished by now."""
        for kind, text in self._told:
            if kind == "step":
                with progress.step(text):
                    pass
            else:
                (progress.warn if kind == "warn" else progress.done)(text)


class Live(Progress):
    """Shows a line with a spinner for each step at the end of the screen; finished steps stay above."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console  # noqa: PLC0415 - a build without a terminal need not load it

        super().__init__(stream)
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

    def _print_warning(self, text: str) -> None:
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
    """Return the Progress for the options and the terminal. NO_COLOR: no colours; TERM=dumb: plain lines."""
    lines = stream or standard_error()
    if quiet:
        yield Progress(lines)
    elif verbose or not lines.isatty() or os.environ.get("TERM") == "dumb":
        yield Plain(lines, verbose=verbose)
    else:
        live = Live(stream or terminal_error())
        try:
            yield live
        finally:
            live.close()
