"""Work beside the main thread. Hashing, compressing and writing let other threads go on, so two cores share it."""

from __future__ import annotations

import functools
import queue
import threading
from typing import TYPE_CHECKING, Protocol

from platter_setuptools.ground.interrupts import signals_held_back

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_WAITING = 16  # tasks: enough to keep both sides busy, and memory small


class Background:
    """A thread that does tasks one by one, in the order in which they come.

    When one of them raises an error the others are left out, and the error is raised where the work is handed in or
    waited for.
    """

    def __init__(self) -> None:
        # Two simple queues, one of them of free places: a bounded queue.Queue can lose a wake-up when a signal raises.
        self._tasks: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._places: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(_WAITING):
            self._places.put(None)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)
        with signals_held_back():
            self._thread.start()

    def do(self, task: Callable[[], object]) -> None:
        """Let the task be done; waits while too many others are waiting."""
        self._places.get()
        if self._error:
            raise self._error
        self._tasks.put(task)

    def finish(self) -> None:
        """Wait until everything is done, and end the thread."""
        self.end()
        if self._error:
            raise self._error

    def end(self) -> None:
        """Wait, and end the thread, whatever came of its work."""
        if self._thread.is_alive():
            self._tasks.put(None)
            self._thread.join()

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            if not self._error:
                try:
                    task()
                except BaseException as error:  # noqa: BLE001 - it is raised again in the thread that waits
                    self._error = error
            self._places.put(None)


class Digest(Protocol):
    """A hash object as hashlib makes it."""

    def update(self, data: bytes | memoryview, /) -> None: ...

    def hexdigest(self) -> str: ...


class Checks(Background):
    """Hashes what it is fed, and compares what is expected."""

    def __init__(self) -> None:
        self._wrong: list[str] = []
        super().__init__()

    def feed(self, digest: Digest, *parts: bytes | memoryview) -> None:
        self.do(functools.partial(_update, digest, parts))

    def expect(self, digest: Digest, sha256: str, name: str) -> None:
        """Let what `digest` has been fed be compared with `sha256` (hexadecimal); `name` tells it apart."""
        self.do(functools.partial(self._compare, digest, sha256, name))

    def wrong(self) -> tuple[str, ...]:
        """Wait until all is hashed; the names of what was not as expected."""
        self.finish()
        return tuple(self._wrong)

    def _compare(self, digest: Digest, sha256: str, name: str) -> None:
        if digest.hexdigest() != sha256:
            self._wrong.append(name)


def _update(digest: Digest, parts: Sequence[bytes | memoryview]) -> None:
    for part in parts:
        digest.update(part)
