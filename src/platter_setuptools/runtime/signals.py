"""SIGTERM and SIGHUP end a build like Ctrl-C, after cleaning up, which no signal interrupts."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path
    from types import FrameType

    _Handler = Callable[[int, FrameType | None], object]

_ALL = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
HINT = "run it again when you like"


class Stopped(KeyboardInterrupt):
    """SIGTERM or SIGHUP, as an exception; `signal` is its number.

    Not an Exception: code that handles failures of tools must not handle it.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.signal = number


_written: list[str] = []


def note_written(path: Path) -> None:
    """Note that this is finished, for the message of a signal that comes later."""
    _written.append(f"{path} was written")


def what_stopped(error: KeyboardInterrupt) -> tuple[str, int]:
    """Return the message for the user, and the number of the signal."""
    how, number = (f"{error}", error.signal) if isinstance(error, Stopped) else ("interrupted", int(signal.SIGINT))
    return f"{how}: {', '.join(_written) or 'nothing was written'}", number


def signals_as_errors() -> AbstractContextManager[None]:
    """In the block SIGTERM and SIGHUP raise Stopped in the main thread; other threads are not affected."""

    def stop(number: int, _frame: FrameType | None) -> None:
        raise Stopped(number)

    _written.clear()
    return _handled((signal.SIGTERM, signal.SIGHUP), stop)


@contextlib.contextmanager
def signals_held_back() -> Iterator[None]:
    """In the block these signals and SIGINT are delayed; the first one is handled when the block ends."""
    came: list[int] = []
    try:
        with _handled(_ALL, lambda number, _frame: came.append(number)):
            yield
    finally:
        if came:
            signal.raise_signal(came[0])


def block_signals() -> None:
    """Block these signals and SIGINT in this thread, which is not the main one.

    Python handles them in the main thread. What that waits for is interrupted only if the kernel delivers them there.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _ALL)


class DaemonThread(threading.Thread):
    """A thread that leaves signals to the main one, and does not keep the process alive."""

    def __init__(self, target: Callable[..., object], *args: object) -> None:
        super().__init__(target=target, args=args, daemon=True)

    def run(self) -> None:
        block_signals()
        super().run()


@contextlib.contextmanager
def signals_unblocked() -> Iterator[None]:
    """Undo `block_signals` in the block: a process inherits what the thread that starts it blocks."""
    if threading.current_thread() is threading.main_thread():
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_UNBLOCK, _ALL)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def signals_told(tell: Callable[[int], object]) -> AbstractContextManager[None]:
    """In the block these signals and SIGINT only call this function with their number."""
    return _handled(_ALL, lambda number, _frame: tell(number))


@contextlib.contextmanager
def _handled(numbers: Sequence[signal.Signals], handler: _Handler) -> Iterator[None]:
    """Let `handler` handle these signals in the block, if this is the main thread: no other may, or is interrupted."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # What is ignored stays ignored: `nohup` and a shell's `&` mean it.
    heeded = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in heeded}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, signal.SIG_DFL if earlier is None else earlier)


def end_by_signal(number: int) -> None:
    """End this process by the signal, so that a shell sees 130 for SIGINT and 143 for SIGTERM."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):  # closed, or gone with its reader
            stream.flush()
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)


def ignore_signals() -> None:
    """Ignore signals from now on: nothing is left to interrupt."""
    for number in _ALL:
        signal.signal(number, signal.SIG_IGN)
