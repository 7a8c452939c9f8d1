"""The line that is written ahead of the journal: what is believed of it, and for how long."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from platter_setuptools.payload.releases import write_ahead
from platter_setuptools.payload.releases.journal import ACTIVATE, INSTALL
from platter_setuptools.payload.releases.root import Root
from platter_setuptools.payload.terminal import Terminal
from support import roots
from support.roots import changes

KEPT = "activate 1.0 1.1 not ready; killed on the way back"


@pytest.fixture
def root(tmp_path: Path) -> Root:
    """A root whose last run was killed on the way back from 1.1 to 1.0."""
    made = roots.make(tmp_path, "1.0", "1.1")
    Path(made.current).symlink_to("1.0")
    with made.held():
        made.journal.write_ahead(ACTIVATE, "1.0", "1.1", "not ready", [{"name": "ready command"}])
    return made


def ahead(root: Root) -> Path:
    return Path(root.path, write_ahead.FILE)


def test_the_next_run_adds_it_once(root: Root) -> None:
    before = changes(root)
    assert root.journal.read()[-1].result == "not ready; killed on the way back"
    Path(root.path, write_ahead.FILE + ".new").touch()
    for _ in range(2):
        with root.held():
            pass
        assert changes(root) == [*before, KEPT, "rollback 1.1 1.0 noticed"]
    assert json.loads(Path(root.journal.path).read_text().splitlines()[-2])["ran"] == [{"name": "ready command"}]
    assert sorted(path.name for path in Path(root.path).iterdir()) == ["platter-journal.jsonl", "versions"]


def test_where_nothing_is_active_there_is_no_way_back(root: Root) -> None:
    Path(root.current).unlink()
    with root.held():
        pass
    assert changes(root)[-2:] == [KEPT, "activate 1.0 - noticed"]


def test_the_line_of_a_run_that_goes_on_takes_its_place(root: Root) -> None:
    with root.held():
        root.journal.write_ahead(ACTIVATE, "1.0", "1.1", "failed", [])
        root.journal.write(ACTIVATE, "1.0", "1.1", "failed")
        assert not ahead(root).exists()
    assert changes(root)[-1] == "activate 1.0 1.1 failed"


def test_a_journal_that_has_grown_has_it(root: Root) -> None:
    with Path(root.journal.path).open("a") as stream:
        stream.write(json.dumps({"what": INSTALL, "to": "1.2", "result": "done"}) + "\n")
    assert root.journal.read()[-1].to == "1.2"
    with root.held():
        pass
    assert not any("killed" in line.result for line in root.journal.read())
    assert not ahead(root).exists()


@pytest.mark.parametrize("text", ["", "[]", "null", '{"size": SIZE}', '{"size": SIZE, "line": []}', "[" * 60_000])
def test_what_is_no_line(root: Root, text: str) -> None:
    before = changes(root)
    ahead(root).write_text(text.replace("SIZE", str(Path(root.journal.path).stat().st_size)))
    with root.held():
        pass
    assert changes(root) == before
    assert not ahead(root).exists()


def test_nothing_is_read_or_written_through_a_link(root: Root, tmp_path: Path) -> None:
    (precious := tmp_path / "precious").write_text(text := ahead(root).read_text())
    ahead(root).unlink()
    ahead(root).symlink_to(precious)
    assert not any("killed" in line.result for line in root.journal.read())
    Path(root.path, write_ahead.FILE + ".new").symlink_to(precious)
    with root.held():
        root.journal.write_ahead(ACTIVATE, "1.0", "1.1", "failed", [])
        assert not ahead(root).is_symlink()
    assert precious.read_text() == text


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give files away")
def test_the_superuser_believes_only_what_nobody_else_can_change(root: Root) -> None:
    os.chown(ahead(root), 65534, -1)
    assert not any("killed" in line.result for line in root.journal.read())
    os.chown(ahead(root), 0, -1)
    ahead(root).chmod(0o646)
    assert not any("killed" in line.result for line in root.journal.read())
    ahead(root).chmod(0o644)
    assert root.journal.read()[-1].result == "not ready; killed on the way back"


def test_a_full_disk_is_told_and_no_more(
    root: Root, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(write_ahead, "write_new", full)
    with root.held():
        root.journal.write_ahead(ACTIVATE, "1.0", "1.1", "failed", [])
    assert ".platter-journal-ahead.json: No space left on device" in capfd.readouterr().err


def test_a_root_that_is_not_there(tmp_path: Path) -> None:
    assert Root(str(tmp_path / "gone"), Terminal()).journal.read() == []
