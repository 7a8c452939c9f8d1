"""The journal of a root: what is written, what is read of it, and the lock beside it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.payload.errors import DestinationError, HostError
from platter_setuptools.payload.releases import journal
from platter_setuptools.payload.releases.journal import Entry, Journal
from platter_setuptools.payload.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(str(tmp_path), Terminal("platter"))
    yield made
    made.release()


@pytest.fixture
def held(book: Journal) -> Journal:
    book.acquire()
    return book


def test_what_is_written_is_read(held: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "who", lambda: "ada")
    held.write("install", "", "1.0")
    held.write("activate", "1.0", "1.1", "the health check exited with 1")
    first, second = held.read()
    assert first._replace(when="") == Entry("", "ada", "install", "", "1.0", "done")
    assert (first.changed, second.changed) == (True, False)
    assert first.when <= second.when
    lines = [json.loads(line) for line in Path(held.path).read_text().splitlines()]
    assert (lines[0]["from"], lines[0]["revision"], lines[0]["signer"]) == (None, None, None)


def test_what_was_noticed_nobody_did(held: Journal) -> None:
    held.write("remove", "1.0", "", journal.NOTICED)
    (entry,) = held.read()
    assert entry.who == "unknown"
    assert entry.changed


def test_a_line_that_was_cut_off(held: Journal) -> None:
    """A full disk or a power failure did that: the next line does not become a part of it."""
    held.write("install", "", "1.0")
    with Path(held.path).open("a") as stream:
        stream.write('{"when": "2026-0')
    held.write("install", "", "1.1")
    assert [one.to for one in held.read()] == ["1.0", "1.1"]


@pytest.mark.parametrize(
    "line",
    ["", "[]", "null", "{", "\0\0\0", '{"when": 1}', '{"to": ["1.0"]}', "[" * 60_000, '{"to": "' + "x" * 70_000 + '"}'],
)
def test_lines_that_are_none(line: str) -> None:
    good = json.dumps({"when": "", "who": "", "what": "install", "from": None, "to": "1.0", "result": "done"})
    assert [one.to for one in journal.parse([line.encode(), good.encode()])] == ["1.0"]


def test_a_long_history_is_read_from_its_end(book: Journal) -> None:
    line = json.dumps({"what": "install", "to": "1.0", "result": "done", "more": "x" * 1000})
    last = json.dumps({"what": "install", "to": "2.0", "result": "done"})
    Path(book.path).write_text(f"{line}\n" * 9000 + f"{last}\n")
    entries = book.read()
    assert 7000 < len(entries) < 9000
    assert entries[-1].to == "2.0"


def test_two_at_once(held: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platter_setuptools.payload.install.install_lock._PATIENCE", 0)
    other = Journal(held.root, Terminal("platter"))
    with pytest.raises(DestinationError, match=f"another process is changing the releases.*process {os.getpid()}"):
        other.acquire()
    held.release()
    other.acquire()
    other.release()


def test_nothing_is_left_where_nothing_has_happened(held: Journal) -> None:
    held.release()
    assert list(Path(held.root).iterdir()) == []


def test_a_root_that_is_not_there(tmp_path: Path) -> None:
    book = Journal(str(tmp_path / "gone"), Terminal("platter"))
    with pytest.raises(FileNotFoundError):
        book.acquire()
    assert book.read() == []


@pytest.mark.parametrize("kind", ["link", "hard link", "folder", "pipe"])
def test_what_is_no_file_of_its_own(book: Journal, tmp_path: Path, kind: str) -> None:
    (theirs := tmp_path / "theirs").write_text("x")
    path = Path(book.path)
    if kind == "link":
        path.symlink_to(theirs)
    elif kind == "hard link":
        path.hardlink_to(theirs)
    elif kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    with pytest.raises((DestinationError, HostError)):
        book.acquire()
    assert theirs.read_text() == "x"
    assert not (tmp_path / ".platter-lock").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_root_believes_nothing_that_others_can_change(book: Journal, capfd: pytest.CaptureFixture[str]) -> None:
    Path(book.path).write_text(json.dumps({"what": "install", "to": "1.0", "result": "done"}) + "\n")
    Path(book.path).chmod(0o666)
    assert book.read() == []
    assert "is not used: it can be changed by anybody" in capfd.readouterr().err
    with pytest.raises(HostError, match="it can be changed by anybody") as caught:
        book.acquire()
    assert "0644" in caught.value.hint


def test_a_full_disk_is_told_and_no_more(
    held: Journal, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with monkeypatch.context() as context:
        context.setattr(held.terminal, "error", print)
        held.write("install", "", "1.0")
    assert "cannot be written to: No space left on device" in capfd.readouterr().out


def test_who(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "user_name", lambda _: "root")
    monkeypatch.delenv("SUDO_USER", raising=False)
    assert journal.who() == "root"
    monkeypatch.setenv("SUDO_USER", "ada")
    assert journal.who() == "root (ada)"
    monkeypatch.setenv("SUDO_USER", "root")
    assert journal.who() == "root"
