"""Standard output and standard error, which may be closed, full, or gone with whoever read them.

All that we print goes through here, and is cleaned on its way (payload/cleaning.py). Only what draws on a terminal
itself (progress.py) writes to `terminal_error`, and cleans each text before it adds colours.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING, TextIO, cast

from platter_setuptools.ground.errors import PlatterError
from platter_setuptools.payload.cleaning import clean

if TYPE_CHECKING:
    from collections.abc import Callable

_STANDARD_ERROR = 2


def keep_standard_descriptors() -> None:
    """Occupy those of 0, 1 and 2 that are closed: no file that we open shall become a tool's standard output."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STANDARD_ERROR:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


def share_a_terminal() -> bool:
    """Return whether standard output and standard error are the same terminal."""
    try:
        return sys.stdout.isatty() and sys.stderr.isatty() and os.path.sameopenfile(1, 2)
    except (AttributeError, OSError, ValueError):  # closed, or replaced
        return False


def standard_error() -> TextIO:
    """Where warnings and errors go, cleaned. That nobody can read them is no reason to fail."""
    return cast("TextIO", _Cleaning(sys.stderr))


def terminal_error() -> TextIO:
    """As `standard_error`, for what writes sequences of its own that a terminal obeys."""
    return cast("TextIO", _Unfailing(sys.stderr))


def print_result(name: str) -> None:
    """Tell a script the name of what was made, on standard output. Raises PlatterError if it cannot be told.

    The name goes out as it is, or a script could not open it: only a terminal gets it cleaned.
    """
    if sys.stdout is None:  # closed from the beginning: nobody wants to know
        return
    encoding = sys.stdout.encoding or "utf-8"
    try:
        if sys.stdout.isatty():
            sys.stdout.write(f"{clean(name)}\n")
        elif hasattr(sys.stdout, "buffer"):
            sys.stdout.flush()
            sys.stdout.buffer.write(f"{name}\n".encode(encoding, "surrogateescape"))
        else:
            sys.stdout.write(f"{name}\n")
        sys.stdout.flush()
    except OSError as error:
        _empty(sys.stdout)
        raise PlatterError(
            f"{name} is made, but standard output does not take its name: {error.strerror}",
            hint="see where standard output leads to",
        ) from error


def print_text(text: str) -> None:
    """Print what was asked for, cleaned, in the characters that standard output has.

    Raises PlatterError if it takes none.
    """
    if sys.stdout is None:
        return
    encoding = sys.stdout.encoding or "utf-8"
    try:
        sys.stdout.write(f"{clean(text).encode(encoding, 'replace').decode(encoding)}\n")
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads it has seen enough
        _empty(sys.stdout)
    except OSError as error:
        _empty(sys.stdout)
        raise PlatterError(
            f"standard output cannot be written to: {error.strerror}", hint="see where standard output leads to"
        ) from error


class _Unfailing(io.TextIOBase):
    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override] # a property serves as well
        return getattr(self._stream, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        return self._stream is not None and not self._stream.closed and self._stream.isatty()

    def write(self, text: str, /) -> int:
        self._try(lambda stream: stream.write(text))
        return len(text)

    def flush(self) -> None:
        self._try(lambda stream: stream.flush())

    def _try(self, action: Callable[[TextIO], object]) -> None:
        # Who replaced sys.stderr may have closed it by now, and whatever is an io object is flushed when it goes.
        if self._stream is not None and not self._stream.closed:
            try:
                action(self._stream)
            except OSError:
                _empty(self._stream)


class _Cleaning(_Unfailing):
    def write(self, text: str, /) -> int:
        return super().write(clean(text))


def _empty(stream: TextIO) -> None:
    """Let what the stream still holds go nowhere: the interpreter would stumble over it at its end."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
