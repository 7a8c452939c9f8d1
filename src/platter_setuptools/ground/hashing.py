"""Hashing beside the work: hashlib lets other threads go on, so that on two cores it costs next to nothing."""

from __future__ import annotations

import functools
import queue
import threading
from typing import TYPE_CHECKING, Protocol

from platter_setuptools.ground.interrupts import signals_held_back

if TYPE_CHECKING:
    from collections.abc import Callable

_WAITING = 32  # chunks: enough to keep both sides busy, and memory small


class Digest(Protocol):
    """A hash object as hashlib makes it."""

    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


class Checks:
    """A thread that hashes what it is fed, in order, and compares what is expected."""

    def __init__(self) -> None:
        # Two simple queues, one of them of free places: a bounded queue.Queue can lose a wake-up when a signal raises.
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._places: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(_WAITING):
            self._places.put(None)
        self._wrong: list[str] = []
        self._thread = threading.Thread(target=self._work, daemon=True)
        with signals_held_back():
            self._thread.start()

    def feed(self, digest: Digest, data: bytes) -> None:
        self._places.get()
        self._tasks.put(functools.partial(digest.update, data))

    def expect(self, digest: Digest, sha256: str, name: str) -> None:
        """Let what `digest` has been fed be compared with `sha256` (hexadecimal); `name` tells it apart."""
        self._places.get()
        self._tasks.put(functools.partial(self._compare, digest, sha256, name))

    def finish(self) -> tuple[str, ...]:
        """Wait until all is hashed, and end the thread; gives the names of what was not as expected."""
        if self._thread.is_alive():
            self._tasks.put(None)
            self._thread.join()
        return tuple(self._wrong)

    def _compare(self, digest: Digest, sha256: str, name: str) -> None:
        if digest.hexdigest() != sha256:
            self._wrong.append(name)

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            task()
            self._places.put(None)
