"""Work beside the main thread. Hashing, compressing and writing let other threads go on, so two cores share it."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING

from platter_setuptools.ground.interrupts import signals_held_back

if TYPE_CHECKING:
    from collections.abc import Callable

_WAITING = 16  # tasks: enough to keep both sides busy, and memory small


class Background:
    """A thread that does tasks one by one, in the order in which they come; at the end of the block all are done.

    When one of them raises an error the others are left out, and the error is raised where the work is handed in, or at
    the end.
    """

    def __init__(self) -> None:
        # Two simple queues, one of them of free places: a bounded queue.Queue can lose a wake-up when a signal raises.
        self._tasks: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._places: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(_WAITING):
            self._places.put(None)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Background:  # noqa: PYI034 - Self came with Python 3.11
        with signals_held_back():
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._tasks.put(None)
        self._thread.join()
        if self._error and not kind:
            raise self._error

    def do(self, task: Callable[[], object]) -> None:
        """Let the task be done; waits while too many others are waiting."""
        self._places.get()
        if self._error:
            raise self._error
        self._tasks.put(task)

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            if not self._error:
                try:
                    task()
                except BaseException as error:  # noqa: BLE001 - it is raised again in the thread that waits
                    self._error = error
            self._places.put(None)
