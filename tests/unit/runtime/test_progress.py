"""What a person sees: on a terminal, in a log, and when quiet."""

from __future__ import annotations

import io
import re
import threading
import time
from itertools import pairwise

import pytest

from platter_setuptools.runtime.progress import BufferedProgress, Live, Plain, Progress, human_size, open_progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def colourful(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")


def plain(text: str) -> str:
    """The text without what moves the cursor and colours it."""
    return re.sub("\x1b\\[[0-9;?]*[A-Za-z]|\r", "", text)


def tell(progress: Progress) -> None:
    with progress.step("Fetching [3 files]") as tell_more:
        tell_more("Fetching 1 of 3, 2.0 kB")
        progress.detail("a tool's line")
        progress.detail("")
        tell_more("Fetching 3 of 3, 9.0 kB")
    progress.warn("something [odd]")
    with progress.step("Writing it"):
        pass
    progress.done("the [end]\n  of it")


def test_what_is_buffered_is_told_later() -> None:
    buffered, stream = BufferedProgress(), io.StringIO()
    tell(buffered)
    buffered.replay(Plain(stream))
    assert stream.getvalue().splitlines() == [
        "Fetching [3 files]",
        "warning: something [odd]",
        "Writing it",
        "the [end]",
        "  of it",
    ]


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (96_200_000, "96.2 MB"),
        (999_960_000, "1.0 GB"),
        (1_500_000_000, "1.5 GB"),
        (5_000_000_000_000, "5000.0 GB"),
    ],
)
def test_sizes(size: int, text: str) -> None:
    assert human_size(size) == text


class TestQuiet:
    def test_warnings_only(self) -> None:
        stream = Terminal()
        with open_progress(quiet=True, verbose=False, stream=stream) as progress:
            assert type(progress) is Progress
            tell(progress)
        assert stream.getvalue() == "warning: something [odd]\n"


class TestPlain:
    def test_a_line_for_each_step(self) -> None:
        stream = io.StringIO()
        with open_progress(quiet=False, verbose=False, stream=stream) as progress:
            tell(progress)
        assert stream.getvalue() == ("Fetching [3 files]\nwarning: something [odd]\nWriting it\nthe [end]\n  of it\n")

    def test_a_warning_is_printed_once(self) -> None:
        stream = io.StringIO()
        with open_progress(quiet=False, verbose=False, stream=stream) as progress:
            for text in ("one", "two", "one"):
                progress.warn(text)
        assert stream.getvalue() == "warning: one\nwarning: two\n"

    def test_verbose(self) -> None:
        stream = Terminal()
        with open_progress(quiet=False, verbose=True, stream=stream) as progress:
            tell(progress)
        assert "\n    a tool's line\n" in stream.getvalue()
        assert "\n    \n" not in stream.getvalue()

    def test_a_dumb_terminal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TERM", "dumb")
        with open_progress(quiet=False, verbose=False, stream=Terminal()) as progress:
            assert type(progress) is Plain

    def test_standard_error_is_the_default(self, capsys: pytest.CaptureFixture[str]) -> None:
        with open_progress(quiet=False, verbose=False) as progress, progress.step("hello"):
            pass
        captured = capsys.readouterr()
        assert (captured.out, captured.err) == ("", "hello\n")


class TestLive:
    def seen(self) -> str:
        stream = Terminal()
        with open_progress(quiet=False, verbose=False, stream=stream) as progress:
            assert isinstance(progress, Live)
            tell(progress)
        return stream.getvalue()

    def test_a_warning_is_printed_once(self) -> None:
        stream = Terminal()
        with open_progress(quiet=False, verbose=False, stream=stream) as progress:
            progress.warn("one")
            progress.warn("one")
        assert stream.getvalue().count("one") == 1

    def test_finished_steps_stay_as_they_ended(self) -> None:
        seen = self.seen()
        assert "✓\x1b[0m Fetching 3 of 3, 9.0 kB\n" in seen
        assert "✓\x1b[0m Writing it\n" in seen
        assert "a tool's line" not in seen

    def test_nothing_is_taken_for_markup(self) -> None:
        seen = self.seen()
        assert "something [odd]" in seen
        assert "the [end]\n  of it" in seen

    def test_nothing_moves_while_somebody_else_asks(self) -> None:
        stream = Terminal()
        with (
            open_progress(quiet=False, verbose=False, stream=stream) as progress,
            progress.step("Building"),
            progress.hand_over("Signing [key]"),
        ):
            before = stream.getvalue()
            time.sleep(0.3)  # the running line turns several times in that
            assert stream.getvalue() == before
        assert "✓\x1b[0m Building\n" in stream.getvalue()
        assert before.endswith("Signing [key]\n")
        assert before.rfind("\x1b[?25h") > before.rfind("\x1b[?25l")

    def test_the_cursor_comes_back(self) -> None:
        seen = self.seen()
        assert seen.rfind("\x1b[?25h") > seen.rfind("\x1b[?25l") >= 0

    def test_the_cursor_comes_back_after_an_error(self) -> None:
        stream = Terminal()

        def fail() -> None:
            with (
                open_progress(quiet=False, verbose=False, stream=stream) as progress,
                progress.step("Building"),
            ):
                raise KeyError

        with pytest.raises(KeyError):
            fail()
        assert stream.getvalue().rfind("\x1b[?25h") > stream.getvalue().rfind("\x1b[?25l")
        assert "✓" not in stream.getvalue()

    def test_colours(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert "\x1b[32m" in self.seen()
        monkeypatch.setenv("NO_COLOR", "1")
        seen = self.seen()
        assert "✓ Fetching 3 of 3" in seen
        assert "\x1b[32m" not in seen
        assert "\x1b[33m" not in seen

    def test_what_comes_before_any_step(self) -> None:
        stream = Terminal()
        with open_progress(quiet=False, verbose=False, stream=stream) as progress:
            progress.warn("careful")
            progress.done("over")
        assert "✓" not in stream.getvalue()
        assert stream.getvalue().endswith("over\n")

    def test_from_several_threads(self) -> None:
        stream = Terminal()
        with open_progress(quiet=False, verbose=False, stream=stream) as progress:
            with progress.step("Building") as tell_more:
                threads = [threading.Thread(target=tell_more, args=(f"Building {n}",)) for n in range(20)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
            progress.done("over")
        assert stream.getvalue().count("✓") == 1

    def test_steps_side_by_side(self) -> None:
        stream = Terminal()
        with open_progress(quiet=False, verbose=False, stream=stream) as progress, progress.step("Resolving"):
            with progress.step("Fetching 2 files") as tell_more:
                tell_more("Fetching 2 of 2")
                time.sleep(0.3)  # the picture is drawn several times in that
            drawn = stream.getvalue()
        lines = [plain(line) for line in drawn.splitlines()]
        assert any(first.endswith("Resolving") and "Fetching 2 of 2" in second for first, second in pairwise(lines))
        assert [line[2:] for line in map(plain, stream.getvalue().splitlines()) if line.startswith("✓")] == [
            "Fetching 2 of 2",
            "Resolving",
        ]

    def test_what_is_still_going_on_at_the_end_says_no_more(self) -> None:
        stream = Terminal()
        with open_progress(quiet=False, verbose=False, stream=stream) as progress:
            late = progress.step("Fetching")
            late.__enter__()
        before = stream.getvalue()
        late.__exit__(None, None, None)
        with progress.step("Building"):
            time.sleep(0.2)
        assert stream.getvalue() == before

    def test_a_long_line_is_not_broken(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "20")
        stream, path = Terminal(), "/a/long/path/that/somebody/wants/to/copy.tar.gz"
        with open_progress(quiet=False, verbose=False, stream=stream) as progress:
            with progress.step(path):
                time.sleep(0.2)
            progress.done(path)
        assert [line for line in map(plain, stream.getvalue().splitlines()) if path in line] == [f"✓ {path}", path]
