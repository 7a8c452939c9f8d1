"""Output for users: steps on standard output, errors on standard error, all cleaned here."""

import contextlib
import os
from typing import Callable

from . import signals
from .cleaning import clean
from .errors import Interrupted, foreseen


class Terminal:
    """Writes directly to the descriptors, so that a closed pipe or a full disk never stops an installation."""

    def __init__(self, program: str = "install.sh", *, quiet: bool = False) -> None:
        self.program = program
        self.quiet = quiet

    def step(self, text: str) -> None:
        if not self.quiet:
            _write(1, text)

    def result(self, text: str) -> None:
        """Print a result. Raises OSError if it cannot be written, except to a closed pipe."""
        with contextlib.suppress(BrokenPipeError):
            _write_all(1, text)

    def warn(self, text: str) -> None:
        if not self.quiet:
            _write(2, "warning: " + text)

    def error(self, text: str) -> None:
        """Print an error after the program's name."""
        _write(2, "%s: %s" % (self.program, text))


def exit_code(terminal: Terminal, work: Callable[[], None]) -> int:
    """Do the work of a program and return its exit code.

    What it raises is told in a line, and with a traceback only if PLATTER_DEBUG is set. Signals end the work.
    """
    try:
        signals.listen()
        work()
    except (Exception, Interrupted) as error:
        signals.ignore_signals()
        if os.environ.get("PLATTER_DEBUG"):
            raise
        told = foreseen(error)
        terminal.error(str(told))
        return told.exit_code
    return 0


def _write(descriptor: int, text: str) -> None:
    with contextlib.suppress(OSError):
        _write_all(descriptor, text)


def _write_all(descriptor: int, text: str) -> None:
    data = (clean(text) + "\n").encode("utf-8")
    while data:
        data = data[os.write(descriptor, data) :]
