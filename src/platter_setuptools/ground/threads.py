"""Several things at once, and none of them left running when one fails."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from platter_setuptools.ground.interrupts import signals_held_back

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from platter_setuptools.ground.run import Runner

_T = TypeVar("_T")
_R = TypeVar("_R")


def in_threads(work: Callable[[_T], _R], items: Sequence[_T], run: Runner, *, threads: int = 4) -> list[_R]:
    """The results of `work` in the order of `items`.

    The first error ends it: what has not begun never does, processes started by `run` are ended, and all threads are
    gone when the error is raised.
    """
    pool = ThreadPoolExecutor(threads)
    try:
        with signals_held_back():  # a thread that is being started would not survive one
            results = pool.map(work, items)
        return list(results)
    except BaseException:
        run.stop()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
