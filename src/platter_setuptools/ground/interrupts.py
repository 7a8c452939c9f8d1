"""SIGTERM and SIGHUP end a build as Ctrl-C does: with everything cleaned up."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING

from platter_setuptools.ground.errors import InterruptedBuildError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


@contextlib.contextmanager
def signals_as_errors() -> Iterator[None]:
    """Within the block those signals raise InterruptedBuildError in the main thread; elsewhere nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers, and only it is interrupted
        return

    def stop(number: int, _frame: FrameType | None) -> None:
        raise InterruptedBuildError(f"stopped by {signal.Signals(number).name}: nothing was written")

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
