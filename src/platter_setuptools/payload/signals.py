"""SIGINT, SIGTERM and SIGHUP ask for the end; those that are ignored already (nohup) stay ignored."""

import os
import signal
from contextlib import contextmanager
from typing import AbstractSet, Iterator

from .errors import SIGNALLED, Interrupted

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_heard = frozenset(number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN)


def listen() -> None:
    """From here on the first signal becomes an error."""
    for number in _heard:
        signal.signal(number, _stop)


def leave() -> None:
    """From here on they are the system's again, and end the process; but for those that were ignored."""
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def turn_deaf() -> None:
    """From here on there is only cleaning up, or going home; both are short and must not be cut off."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def postponed() -> Iterator[AbstractSet[int]]:
    """For steps that have to be noted as soon as they are done, or nobody would undo them; the mask from before."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield before
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _stop(number: int, _frame: object) -> None:
    turn_deaf()
    raise Interrupted("interrupted by %s" % signal.Signals(number).name, number=number)


def end(status: int) -> None:
    """End by the signal that an exit code stands for, as its sender expects; return if it stands for none."""
    if status > SIGNALLED:
        signal.signal(status - SIGNALLED, signal.SIG_DFL)
        os.kill(os.getpid(), status - SIGNALLED)
