"""Several things at once, none left running: a pool of threads for one step, and threads beside the main one."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from platter_setuptools.runtime.signals import DaemonThread, block_signals, signals_held_back

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence

    from platter_setuptools.runtime.processes import Runner

_T = TypeVar("_T")
_R = TypeVar("_R")
_P = ParamSpec("_P")

CORES = os.cpu_count() or 1


class Pool:
    """Threads that run what is submitted, in this order."""

    def __init__(self, executor: ThreadPoolExecutor) -> None:
        self._executor = executor
        self._begun: list[Future[Any]] = []

    def begin(self, work: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> Future[_R]:
        with signals_held_back():  # a signal would break a thread that is just starting
            future = self._executor.submit(work, *args, **kwargs)
        self._begun.append(future)
        return future

    def check(self) -> None:
        """Raise the error of what has failed so far."""
        for future in self._begun:
            if future.done():
                future.result()


@contextlib.contextmanager
def threads(number: int, run: Runner) -> Iterator[Pool]:
    """Open a pool of so many threads for the block.

    An error in the block ends all of it: work that has not begun is dropped, processes that `run` started are ended,
    and the threads are gone when the error is raised.
    """
    executor = ThreadPoolExecutor(number, initializer=block_signals)
    try:
        yield Pool(executor)
    except BaseException:
        run.stop()
        raise
    finally:
        executor.shutdown(cancel_futures=True)


def in_threads(work: Callable[[_T], _R], items: Sequence[_T], run: Runner, *, number: int = 4) -> list[_R]:
    """Return the results of `work` in the order of `items`. The first error ends it, see `threads`."""
    with threads(number, run) as pool:
        return [future.result() for future in [pool.begin(work, item) for item in items]]


class Background:
    """Daemon threads beside the main one. The owner calls `join` at the end."""

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []

    def start(self, work: Callable[[], _R]) -> Future[_R]:
        """Start the work in a thread of its own. The future's `result` waits for it and raises what it raised."""
        future: Future[_R] = Future()
        thread = DaemonThread(_complete, future, work)
        with signals_held_back():
            thread.start()
            self._threads.append(thread)
        return future

    def join(self, patience: float) -> None:
        """Wait for all threads, but no more than so many seconds."""
        deadline = time.monotonic() + patience
        while self._threads:
            self._threads.pop().join(max(0.0, deadline - time.monotonic()))


class OncePerKey(Generic[_R]):
    """Results that are computed once, by the first thread that needs one. The others wait for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._results: dict[Hashable, Future[_R]] = {}

    def get(self, key: Hashable, work: Callable[[], _R]) -> _R:
        """Return the result for the key. If the work fails, raise its error; the next to ask tries again."""
        with self._lock:
            known = self._results.get(key)
            future = self._results.setdefault(key, Future())
        if not known:
            _complete(future, work)
            if future.exception():
                del self._results[key]
        return future.result()


def _complete(future: Future[_R], work: Callable[[], _R]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:  # noqa: BLE001 - raised again where the result is asked for
        future.set_exception(error)
