"""Drafts: kept when the guess was right, gone when it was wrong, made again when they failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from platter_setuptools.ground.draft import Draft
from platter_setuptools.ground.errors import InterruptedBuildError, PlatterError
from platter_setuptools.ground.threads import settle
from support.fakes import Diary

if TYPE_CHECKING:
    from platter_setuptools.ground.consent import Consent
    from platter_setuptools.ground.progress import Progress


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


def test_an_error_before_the_decision_is_a_no() -> None:
    letter = Letter()
    with pytest.raises(PlatterError, match="no network"), Draft(letter.write):
        raise PlatterError("no network")
    settle(10)
    assert (letter.sent, letter.torn) == (False, True)
