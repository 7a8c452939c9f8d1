"""Which notes are meant, and which belong together."""

from __future__ import annotations

from typing import Callable, NamedTuple

from corkboard._trigrams import coverage, likeness
from corkboard.board import Note

FOUND_FROM = 0.4
RELATED_FROM = 0.25
RELATED_MAX = 3


class Hit(NamedTuple):
    note: Note
    score: float

    @property
    def percent(self) -> int:
        return round(self.score * 100)


def find(query: str, notes: list[Note]) -> list[Hit]:
    """The notes that have most of the query's words, or of words spelled nearly like them; the best first."""
    return _best(notes, lambda note: coverage(query, note.words), FOUND_FROM)


def related(to: Note, notes: list[Note]) -> list[Hit]:
    others = [note for note in notes if note.id != to.id]
    return _best(others, lambda note: likeness(to.words, note.words), RELATED_FROM)[:RELATED_MAX]


def _best(notes: list[Note], score: Callable[[Note], float], least: float) -> list[Hit]:
    hits = [Hit(note, score(note)) for note in notes]
    return sorted((hit for hit in hits if hit.score >= least), key=lambda hit: hit.score, reverse=True)
