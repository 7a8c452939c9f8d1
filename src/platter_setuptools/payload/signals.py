"""Handle SIGINT, SIGTERM and SIGHUP; those that are ignored already (nohup) stay ignored."""

import os
import signal
from contextlib import contextmanager
from typing import AbstractSet, Iterator

from .errors import SIGNALLED, Interrupted

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_heard = frozenset(number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN)


def listen() -> None:
    """Turn the first signal from now on into an error."""
    for number in _heard:
        signal.signal(number, _stop)


def leave() -> None:
    """Restore the system's handlers, except for signals that were ignored."""
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def ignore_signals() -> None:
    """Ignore signals from now on: only cleaning up and exiting are left, which are short."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def postponed() -> Iterator[AbstractSet[int]]:
    """Block signals during a step that must be recorded when it is done. Yield the mask from before."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield before
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _stop(number: int, _frame: object) -> None:
    ignore_signals()
    raise Interrupted("interrupted by %s" % signal.Signals(number).name, number=number)


def end(status: int) -> None:
    """End by the signal of this exit code, as its sender expects; return if it is not a signal's."""
    if status > SIGNALLED:
        signal.signal(status - SIGNALLED, signal.SIG_DFL)
        os.kill(os.getpid(), status - SIGNALLED)
