"""Standard output and standard error, which may be closed, full, or without a reader.

All output goes through here and is cleaned (payload/cleaning.py), except the live progress (progress.py), which writes
to `terminal_error`, and cleans each text before it adds colours.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from typing import TYPE_CHECKING, Any, TextIO, cast

from platter_setuptools.errors import PlatterError
from platter_setuptools.payload.cleaning import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_STANDARD_ERROR = 2


def keep_standard_descriptors() -> None:
    """Occupy closed standard descriptors, so that no other file becomes a tool's standard output."""
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
    """Return the stream for warnings and errors, which cleans them. It never fails."""
    return cast("TextIO", _Unfailing(sys.stderr, clean))


def terminal_error() -> TextIO:
    """Return the stream like `standard_error`, but with escape sequences for a terminal."""
    return cast("TextIO", _Unfailing(sys.stderr, str))


def print_notice(text: str) -> None:
    """Print a line on standard error."""
    standard_error().write(f"{text}\n")


def print_result(name: str) -> None:
    """Print a path on standard output for scripts. Raises PlatterError if it cannot be written.

    It is printed in the bytes of the disk, so that scripts can open it; only for a terminal it is cleaned.
    """
    if sys.stdout is None:  # closed from the beginning: nobody wants to know
        return
    try:
        if sys.stdout.isatty():
            sys.stdout.write(f"{_printable(name)}\n")
        elif hasattr(sys.stdout, "buffer"):
            sys.stdout.flush()
            sys.stdout.buffer.write(os.fsencode(f"{name}\n"))
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
    try:
        sys.stdout.write(f"{_printable(text)}\n")
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads it has seen enough
        _empty(sys.stdout)
    except OSError as error:
        _empty(sys.stdout)
        raise PlatterError(
            f"standard output cannot be written to: {error.strerror}", hint="see where standard output leads to"
        ) from error


def print_json(result: Mapping[str, Any]) -> None:
    """Print this object on standard output. Raises PlatterError if it cannot be written."""
    print_text(json.dumps(result, indent=2))


def _printable(text: str) -> str:
    """Return the cleaned text in characters that standard output has."""
    encoding = sys.stdout.encoding or "utf-8"
    return clean(text).encode(encoding, "replace").decode(encoding)


class _Unfailing(io.TextIOBase):
    """A stream that drops what cannot be written; `prepare` gets every text before that."""

    def __init__(self, stream: TextIO | None, prepare: Callable[[str], str]) -> None:
        self._stream = stream
        self._prepare = prepare

    @property
    def encoding(self) -> str:  # type: ignore[override] # a property serves as well
        return getattr(self._stream, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        return self._stream is not None and not self._stream.closed and self._stream.isatty()

    def write(self, text: str, /) -> int:
        self._try(lambda stream: stream.write(self._prepare(text)))
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


def _empty(stream: TextIO) -> None:
    """Let what the stream still holds go nowhere: the interpreter would stumble over it at its end."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
