"""What the user reads: steps on standard output, errors on standard error. All of it is cleaned here."""

import contextlib
import os

from .cleaning import clean


class Terminal:
    """Writes straight to the descriptors, so that a closed pipe or a full disk never stops an installation."""

    def __init__(self, program: str = "install.sh", *, quiet: bool = False) -> None:
        self.program = program
        self.quiet = quiet

    def step(self, text: str) -> None:
        if not self.quiet:
            _write(1, text)

    def result(self, text: str) -> None:
        """What was asked for: OSError if it cannot be written, unless its reader has seen enough."""
        with contextlib.suppress(BrokenPipeError):
            _write_all(1, text)

    def warn(self, text: str) -> None:
        if not self.quiet:
            _write(2, "warning: " + text)

    def error(self, text: str) -> None:
        """What went wrong, told under the program's name."""
        _write(2, "%s: %s" % (self.program, text))


def _write(descriptor: int, text: str) -> None:
    with contextlib.suppress(OSError):
        _write_all(descriptor, text)


def _write_all(descriptor: int, text: str) -> None:
    data = (clean(text) + "\n").encode("utf-8")
    while data:
        data = data[os.write(descriptor, data) :]
