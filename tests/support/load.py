"""Requests from several threads without a pause, each on a connection of its own, and what became of each."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING

import urllib3

if TYPE_CHECKING:
    from types import TracebackType


class Load:
    """Ask for a page again and again until the block ends.

    `answers` counts the texts of good answers, `lost` everything else: refused and broken connections, other statuses,
    and answers that took longer than `timeout` seconds. Nothing is tried again.
    """

    def __init__(self, url: str, *, threads: int = 4, timeout: float = 30.0) -> None:
        self.answers: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self._url, self._timeout = url, timeout
        self._ended = threading.Event()
        self._changed = threading.Condition()
        self._threads = [threading.Thread(target=self._ask) for _ in range(threads)]

    def await_answer(self, text: str, timeout: float = 30.0) -> None:
        """Wait until one more answer is this text."""
        with self._changed:
            before = self.answers[text]
            assert self._changed.wait_for(lambda: self.answers[text] > before, timeout), (self.answers, self.lost)

    def _ask(self) -> None:
        with urllib3.PoolManager(retries=False, timeout=self._timeout) as pool:
            while not self._ended.is_set():
                try:
                    answer = pool.request("GET", self._url, headers={"Connection": "close"})
                    good, text = answer.status == 200, answer.data.decode()
                except urllib3.exceptions.HTTPError as error:
                    good, text = False, type(error).__name__
                with self._changed:
                    (self.answers if good else self.lost)[text] += 1
                    self._changed.notify_all()

    def __enter__(self) -> Load:  # noqa: PYI034 - Self came with Python 3.11
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()
