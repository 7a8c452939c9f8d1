"""The application's own tests. They need nothing but the standard library, so a server can run them as well."""

from __future__ import annotations

import contextlib
import io
import os
import random
import subprocess
import sys
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

from corkboard import create_app
from corkboard._trigrams import coverage, likeness
from corkboard.board import TITLE_MAX, BadNote, Board, Note
from corkboard.cli import main
from corkboard.finding import find, related


def trigrams(text: str) -> set[str]:
    """What _trigrams.c does, in the slow and plain way."""
    blanked = "".join(character.lower()[0] if character.isalnum() else " " for character in text)
    padded = [f"  {word} " for word in blanked.split()]
    return {word[i : i + 3] for word in padded for i in range(len(word) - 2)}


class Trigrams(unittest.TestCase):
    def test_one_word(self) -> None:
        # "cork" has 5 trigrams, "cord" as many; "  c", " co" and "cor" are in both.
        self.assertEqual(likeness("cork", "cord"), 2 * 3 / 10)
        self.assertEqual(coverage("cork", "cord"), 3 / 5)

    def test_ends_of_the_scale(self) -> None:
        self.assertEqual(likeness("Pin it!", "pin IT"), 1.0)
        self.assertEqual(likeness("pin", "board"), 0.0)
        self.assertEqual(coverage("pin", "a board, and a pin in it"), 1.0)

    def test_texts_without_a_word(self) -> None:
        for empty in ("", "  ", "?!", "\0"):
            self.assertEqual(likeness(empty, empty), 0.0)
            self.assertEqual(coverage(empty, "pin"), 0.0)

    def test_every_width_of_string(self) -> None:
        for word in ("latin", "Straße", "шпилька", "図書館", "\U00010400\U00010401\U00010402"):
            self.assertEqual(likeness(word, f" {word}. "), 1.0)
            self.assertEqual(coverage(word, "zebu"), 0.0)

    def test_agrees_with_the_plain_way(self) -> None:
        chance = random.Random(5)
        for _ in range(500):
            a, b = ("".join(chance.choices("abcÄü9 ,\0я\U0001f4cc", k=chance.randrange(30))) for _ in range(2))
            of_a, of_b = trigrams(a), trigrams(b)
            shared = len(of_a & of_b)
            self.assertEqual(likeness(a, b), 2 * shared / (len(of_a) + len(of_b) or 1), (a, b))
            self.assertEqual(coverage(a, b), shared / (len(of_a) or 1), (a, b))

    def test_refuses_what_is_no_text(self) -> None:
        for arguments in (("pin", b"pin"), (None, "pin"), ("pin",)):
            with self.assertRaises(TypeError):
                likeness(*arguments)


class WithBoard(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.database = Path(folder.name) / "deep" / "notes.db"
        self.board = Board(self.database)
        self.addCleanup(self.board.engine.dispose)

    def ids(self) -> list[int]:
        return [note.id for note in self.board.notes()]


class Notes(WithBoard):
    def test_a_new_board_says_welcome(self) -> None:
        self.assertIn("Welcome to the board", [note.title for note in self.board.notes()])

    def test_pinned_notes_stay(self) -> None:
        note = self.board.pin("  Buy\n pins ", " The long ones. ", "sky")
        again = Board(self.database)
        self.addCleanup(again.engine.dispose)
        kept = again.note(note.id)
        assert kept is not None
        self.assertEqual((kept.title, kept.text, kept.colour), ("Buy pins", "The long ones.", "sky"))
        self.assertEqual(again.notes()[0].id, note.id)

    def test_an_emptied_board_stays_empty(self) -> None:
        for number in self.ids():
            self.assertTrue(self.board.unpin(number))
        again = Board(self.database)
        self.addCleanup(again.engine.dispose)
        self.assertEqual(again.count(), 0)
        self.assertFalse(again.unpin(1))

    def test_bad_notes(self) -> None:
        for arguments in ((" ",), ("x" * (TITLE_MAX + 1),), ("x", "y" * 5000), ("x", "", "beige")):
            with self.assertRaises(BadNote):
                self.board.pin(*arguments)

    def test_many_may_open_a_new_board_at_once(self) -> None:
        code = "import sys, pathlib, corkboard.board as b; print(b.Board(pathlib.Path(sys.argv[1])).count())"
        command = [sys.executable, "-c", code, str(self.database.with_name("new.db"))]
        with ThreadPoolExecutor(4) as pool:
            runs = list(pool.map(lambda _: subprocess.run(command, check=True, capture_output=True), range(4)))
        self.assertEqual({run.stdout for run in runs}, {b"4\n"})


class Finding(unittest.TestCase):
    notes = [
        Note(id=1, title="Restart gunicorn", text="After a release, on every server."),
        Note(id=2, title="Coffee", text="Beans are in the left cupboard."),
        Note(id=3, title="Gunicorn's workers", text="Two for each core of the server."),
    ]

    def test_typos_are_forgiven(self) -> None:
        self.assertEqual({hit.note.id for hit in find("gunicron", self.notes)}, {1, 3})
        self.assertEqual([hit.note.id for hit in find("cofee beens", self.notes)], [2])
        self.assertEqual(find("parachute", self.notes), [])

    def test_related_notes(self) -> None:
        self.assertEqual([hit.note.id for hit in related(self.notes[0], self.notes)], [3])


class Pages(WithBoard):
    def setUp(self) -> None:
        super().setUp()
        self.client = create_app(self.database).test_client()

    def test_the_board(self) -> None:
        page = self.client.get("/")
        self.assertEqual(page.status_code, 200)
        self.assertIn("4 notes on the board", page.text)
        self.assertIn("default-src 'self'", page.headers["Content-Security-Policy"])

    def test_pin_read_and_take_down(self) -> None:
        note = {"title": "<b>Bold</b> & new", "text": "See https://example.org/x"}
        answer = self.client.post("/notes", data=note)
        self.assertEqual(answer.status_code, 303)
        page = self.client.get(answer.location)
        self.assertIn("&lt;b&gt;Bold&lt;/b&gt; &amp; new", page.text)
        self.assertIn('<a href="https://example.org/x"', page.text)
        self.assertEqual(self.client.post(f"{answer.location}/unpin").status_code, 303)
        self.assertEqual(self.client.get(answer.location).status_code, 404)
        self.assertEqual(self.client.post(f"{answer.location}/unpin").status_code, 404)

    def test_search(self) -> None:
        page = self.client.get("/?q=gunicron")
        self.assertIn("1 of 4 notes", page.text)
        self.assertIn("Misspell it", page.text)
        self.assertIn("Nothing here is spelled like that", self.client.get("/?q=zzzz").text)

    def test_a_bad_note_comes_back_with_what_was_written(self) -> None:
        page = self.client.post("/notes", data={"title": "", "text": "Much to say"})
        self.assertEqual(page.status_code, 400)
        self.assertIn("A note needs a title.", page.text)
        self.assertIn("Much to say", page.text)

    def test_another_site_cannot_pin(self) -> None:
        answer = self.client.post("/notes", data={"title": "Ad"}, headers={"Sec-Fetch-Site": "cross-site"})
        self.assertEqual(answer.status_code, 403)

    def test_files_that_came_with_it(self) -> None:
        for path, kind in (
            ("/about", "text/html"),
            ("/static/board.css", "text/css"),
            ("/static/cork.png", "image/png"),
            ("/static/pin.svg", "image/svg+xml"),
        ):
            with self.subTest(path), self.client.get(path) as answer:
                self.assertEqual((answer.status_code, answer.mimetype), (200, kind))

    def test_health(self) -> None:
        health = self.client.get("/healthz").get_json()
        self.assertEqual((health["status"], health["notes"]), ("ok", 4))


class Command(WithBoard):
    def run_command(self, *arguments: str) -> tuple[int, str]:
        output = io.StringIO()
        with contextlib.redirect_stdout(output), mock.patch.dict(os.environ, CORKBOARD_DB=str(self.database)):
            code = main(list(arguments))
        return code, output.getvalue()

    def test_init_pin_find(self) -> None:
        self.assertEqual(self.run_command("init-db"), (0, f"{self.database}: 4 notes\n"))
        self.assertEqual(self.run_command("pin", "Water the ficus"), (0, ""))
        code, output = self.run_command("find", "fikus")
        self.assertEqual(code, 0)
        self.assertIn("Water the ficus", output)
        self.assertEqual(self.run_command("find", "zzzz")[0], 1)

    def test_mistakes_are_usage_errors(self) -> None:
        for arguments in ((), ("pin", " "), ("dance",)):
            with self.assertRaises(SystemExit) as stop, contextlib.redirect_stderr(io.StringIO()):
                self.run_command(*arguments)
            self.assertEqual(stop.exception.code, 2)


if __name__ == "__main__":
    unittest.main()
