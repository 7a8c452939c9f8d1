"""SIGTERM and SIGHUP end a build as Ctrl-C does: with everything cleaned up, and no signal ends the cleaning."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType

    _Handler = Callable[[int, FrameType | None], object]

HINT = "run it again when you like"


class Stopped(KeyboardInterrupt):
    """SIGTERM or SIGHUP asked us to stop; `signal` is its number.

    It is no Exception: code that takes a failed tool for an answer must not take the signal for one.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}: nothing was written")
        self.signal = number


def what_stopped(error: KeyboardInterrupt) -> tuple[str, int]:
    """Return the message for the user, and the number of the signal."""
    return (str(error), error.signal) if isinstance(error, Stopped) else _CTRL_C


_CTRL_C = ("interrupted: nothing was written", int(signal.SIGINT))


@contextlib.contextmanager
def signals_as_errors() -> Iterator[None]:
    """Within the block those signals raise Stopped in the main thread; elsewhere nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers, and only it is interrupted
        return

    def stop(number: int, _frame: FrameType | None) -> None:
        raise Stopped(number)

    before = _handle((signal.SIGTERM, signal.SIGHUP), stop)
    try:
        yield
    finally:
        _restore(before)


@contextlib.contextmanager
def signals_held_back() -> Iterator[None]:
    """Within the block these signals and SIGINT wait; the first that came counts when the block ends."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = _handle((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), lambda number, _frame: came.append(number))
    try:
        yield
    finally:
        _restore(before)
        if came:
            signal.raise_signal(came[0])


@contextlib.contextmanager
def signals_told(tell: Callable[[int], object]) -> Iterator[None]:
    """Within the block these signals and SIGINT call this function with their number, and do nothing else."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = _handle((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), lambda number, _frame: tell(number))
    try:
        yield
    finally:
        _restore(before)


def end_by_signal(number: int) -> None:
    """End this process as the signal would have ended it, so that a shell sees 130 for SIGINT and 143 for SIGTERM."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):  # closed, or gone with its reader
            stream.flush()
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)


def turn_deaf() -> None:
    """From here on there is nothing left to interrupt."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _handle(numbers: Sequence[signal.Signals], handler: _Handler) -> dict[signal.Signals, Any]:
    # What is ignored stays ignored: `nohup` and a shell's `&` mean it.
    heeded = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    return {number: signal.signal(number, handler) for number in heeded}


def _restore(handlers: dict[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, signal.SIG_DFL if handler is None else handler)
