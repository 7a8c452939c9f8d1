"""Several things at once, and none of them left running when one fails."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from platter_setuptools.ground.interrupts import signals_held_back

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from platter_setuptools.ground.run import Runner

_T = TypeVar("_T")
_R = TypeVar("_R")
_P = ParamSpec("_P")

CORES = os.cpu_count() or 1


class Threads:
    """Threads that share what is begun, in the order in which it is."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._begun: list[Future[Any]] = []

    def begin(self, work: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> Future[_R]:
        with signals_held_back():  # a thread that is being started would not survive one
            future = self._pool.submit(work, *args, **kwargs)
        self._begun.append(future)
        return future

    def check(self) -> None:
        """Raises the error of what has failed by now."""
        for future in self._begun:
            if future.done():
                future.result()


@contextlib.contextmanager
def threads(number: int, run: Runner) -> Iterator[Threads]:
    """So many threads for the block.

    An error in the block ends it all: what has not begun never does, processes started by `run` are ended, and the
    threads are gone when it is raised.
    """
    pool = ThreadPoolExecutor(number)
    try:
        yield Threads(pool)
    except BaseException:
        run.stop()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def in_threads(work: Callable[[_T], _R], items: Sequence[_T], run: Runner, *, number: int = 4) -> list[_R]:
    """The results of `work` in the order of `items`; the first error ends it."""
    with threads(number, run) as group:
        return [future.result() for future in [group.begin(work, item) for item in items]]


class Later(Generic[_R]):
    """What a thread of its own works out. Who does not want it any more need not wait: see `settle`."""

    def __init__(self, work: Callable[[], _R]) -> None:
        self._future: Future[_R] = Future()
        thread = threading.Thread(target=self._work, args=(work,), daemon=True)
        with signals_held_back():
            thread.start()
            _unsettled.append(thread)

    def result(self) -> _R:
        """What came of it; waits until it is there. Raises what the work has raised."""
        return self._future.result()

    def _work(self, work: Callable[[], _R]) -> None:
        try:
            self._future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised again where the result is wanted
            self._future.set_exception(error)


_unsettled: list[threading.Thread] = []


def settle(patience: float) -> None:
    """Wait for what was begun for later and is still going on, at most so many seconds."""
    deadline = time.monotonic() + patience
    while _unsettled:
        _unsettled.pop().join(max(0.0, deadline - time.monotonic()))
