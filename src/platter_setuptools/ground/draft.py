"""Drafts: what is made in the background from a guess, and kept if the guess was right."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Generic, TypeVar

from platter_setuptools.ground.consent import Consent
from platter_setuptools.ground.errors import PlatterError
from platter_setuptools.ground.interrupts import signals_held_back
from platter_setuptools.ground.threads import Later

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from platter_setuptools.ground.progress import Progress, Tell

_R = TypeVar("_R")


class Draft(Generic[_R]):
    """What `make` makes, from the beginning of the block on. It is nobody's before it is kept."""

    def __init__(self, make: Callable[[Consent, Progress], _R]) -> None:
        self._make, self._consent, self._told = make, Consent(), Untold()

    def __enter__(self) -> Draft[_R]:
        try:
            self._result = Later(self._work)
        except BaseException:  # a signal: it has begun, and no block will end it
            self._consent.decide(False)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._consent.decide(False)

    def outcome(self, progress: Progress, *, right: bool) -> _R | None:
        """It, if the guess was right, and what it has to tell; else nothing is left of it.

        None also if it failed: then it has to be made in its turn, and that tells why.
        """
        if not right:
            self._consent.decide(False)
        self._consent.awaited.wait()  # a signal still ends all of it
        with signals_held_back(), contextlib.suppress(PlatterError, OSError):
            self._consent.decide(right)
            result = self._result.result()
            self._told.tell(progress)
            return result
        return None

    def _work(self) -> _R:
        try:
            return self._make(self._consent, self._told)
        finally:
            self._consent.awaited.set()


class Untold:
    """A Progress that keeps for later what it is told, or for ever."""

    def __init__(self) -> None:
        self._entries: list[Callable[[Progress], object]] = []

    @contextlib.contextmanager
    def step(self, text: str) -> Iterator[Tell]:
        self._entries.append(lambda progress: _pass(progress.step(text)))
        yield lambda _text: None

    hand_over = step

    def detail(self, line: str) -> None: ...

    def warn(self, text: str) -> None:
        self._entries.append(lambda progress: progress.warn(text))

    def done(self, text: str) -> None:
        self._entries.append(lambda progress: progress.done(text))

    def tell(self, progress: Progress) -> None:
        for entry in self._entries:
            entry(progress)


def _pass(step: AbstractContextManager[object]) -> None:
    with step:
        """It is over."""
