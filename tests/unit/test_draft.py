"""Drafts: kept when the guess was right, gone when it was wrong, made again when they failed."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING, TypeVar

import pytest

from platter_setuptools.ground.draft import Draft
from platter_setuptools.ground.errors import InterruptedBuildError, PlatterError
from platter_setuptools.ground.threads import Later, settle
from support.fakes import Diary

if TYPE_CHECKING:
    from collections.abc import Callable

    from platter_setuptools.ground.consent import Consent
    from platter_setuptools.ground.progress import Progress

_R = TypeVar("_R")


class Letter:
    """A letter that is sent with consent."""

    def __init__(self, *, failing: bool = False) -> None:
        self.sent, self.torn, self.failing = False, False, failing

    def write(self, consent: Consent, progress: Progress) -> str:
        with progress.step("Writing"):
            progress.warn("a blot")
        if self.failing:
            raise PlatterError("no ink")
        try:
            consent.wait()
        except InterruptedBuildError:
            self.torn = True
            raise
        self.sent = True
        return "dear"


def test_a_right_guess_is_kept_and_told_of() -> None:
    letter, diary = Letter(), Diary()
    with Draft(letter.write) as draft:
        assert (letter.sent, diary.entries) == (False, [])
        assert draft.outcome(diary, right=True) == "dear"
    assert letter.sent
    assert diary.entries == [("step", "Writing"), ("warn", "a blot")]


def test_of_a_wrong_guess_nothing_is_left() -> None:
    letter, diary = Letter(), Diary()
    with Draft(letter.write) as draft:
        assert draft.outcome(diary, right=False) is None
        assert letter.torn
    assert (letter.sent, diary.entries) == (False, [])


def test_a_failure_is_no_news() -> None:
    letter, diary = Letter(failing=True), Diary()
    with Draft(letter.write) as draft:
        assert draft.outcome(diary, right=True) is None
    assert diary.entries == []


def test_a_signal_ends_the_waiting_for_what_is_not_wanted() -> None:
    """What comes before consent is asked for may take long: bytecode, say."""
    over = threading.Event()

    def make(consent: Consent, _progress: Progress) -> None:
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        over.wait(10)
        consent.wait()

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), Draft(make) as draft:
        draft.outcome(Diary(), right=False)
    assert time.monotonic() - began < 5
    over.set()
    settle(10)


def test_a_signal_while_it_begins_is_a_no(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(Later[_R]):
        def __init__(self, work: Callable[[], _R]) -> None:
            super().__init__(work)
            raise KeyboardInterrupt

    monkeypatch.setattr("platter_setuptools.ground.draft.Later", Interrupted)
    letter = Letter()
    with pytest.raises(KeyboardInterrupt), Draft(letter.write):
        pass
    settle(10)
    assert (letter.sent, letter.torn) == (False, True)


def test_an_error_before_the_decision_is_a_no() -> None:
    letter = Letter()
    with pytest.raises(PlatterError, match="no network"), Draft(letter.write):
        raise PlatterError("no network")
    settle(10)
    assert (letter.sent, letter.torn) == (False, True)
