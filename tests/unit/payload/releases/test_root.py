"""A root and its journal: what is read from folders and links, and what is written down."""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.payload.errors import BundleError, DestinationError, HostError
from platter_setuptools.payload.install import install_lock, install_state, owners
from platter_setuptools.payload.releases import deploy
from platter_setuptools.payload.releases.journal import ACTIVATE, Entry
from platter_setuptools.payload.releases.root import Release, Root, checked_version
from platter_setuptools.payload.terminal import Terminal
from support import roots
from support.roots import changes, release

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return roots.make(tmp_path, "1.0", "1.1")


def point(root: Root, target: str | Path) -> None:
    Path(root.current).unlink(missing_ok=True)
    Path(root.current).symlink_to(target)


def test_releases_and_their_states(root: Root) -> None:
    release(root, "1.2", state="unfinished", when="")
    Path(root.folder("0.9"), "bin").mkdir(parents=True)
    Path(root.folder("0.9"), "bin", "python").touch()
    Path(root.folder(".1.3.platter-trash")).mkdir()
    Path(root.folder("notes")).touch()
    Path(root.folder("stable")).symlink_to("1.0")
    point(root, "1.0")
    assert [(one.version, one.state, one.usable) for one in root.releases()] == [
        ("0.9", "foreign", True),
        ("1.2", "unfinished", False),
        ("1.0", "complete", True),
        ("1.1", "complete", True),
    ]
    assert root.release("2.0") == Release("2.0", "", usable=False)
    assert Root("/nonexistent", Terminal()).releases() == []


def test_a_release_without_its_interpreter_cannot_be_used(root: Root) -> None:
    python = Path(root.folder("1.0"), "bin", "python")
    python.unlink()
    python.symlink_to("/nonexistent/python3")
    assert root.release("1.0").state == "complete"
    assert not root.release("1.0").usable


@pytest.mark.parametrize("link", ["1.0", "1.0/", "./1.0", "../versions/1.0", "{versions}/1.0", "{alias}/versions/1.0"])
def test_active_whatever_the_link_looks_like(root: Root, tmp_path: Path, link: str) -> None:
    alias = tmp_path / "alias"
    alias.symlink_to(root.path)
    point(root, link.format(versions=root.versions, alias=alias))
    assert root.active() == "1.0"


def test_active_by_way_of_another_link(root: Root) -> None:
    Path(root.folder("stable")).symlink_to("1.1")
    point(root, "stable")
    assert root.active() == "1.1"


def test_active_is_none_gone_or_elsewhere(root: Root) -> None:
    assert root.active() == ""
    point(root, "7.0")
    assert root.active() == "7.0"
    point(root, "/opt/elsewhere")
    assert root.active() == "/opt/elsewhere"
    point(root, "current")
    assert root.active() == "current"
    assert not root.release("current").usable


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch])
def test_current_that_is_no_link(root: Root, make: Callable[[Path], None]) -> None:
    make(Path(root.current))
    with pytest.raises(DestinationError, match="is not a link"):
        root.check()


def test_versions_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "versions").symlink_to(tmp_path / "disk")
    root = Root(str(tmp_path / "app"), Terminal())
    release(root, "1.0")
    point(root, "1.0")
    assert root.active() == "1.0"
    assert (tmp_path / "disk" / "1.0").is_dir()


def test_check_refuses_files_for_folders(tmp_path: Path) -> None:
    (tmp_path / "versions").touch()
    with pytest.raises(DestinationError, match="not a folder"):
        Root(str(tmp_path), Terminal()).check()
    with pytest.raises(DestinationError, match="not a folder"):
        Root(str(tmp_path / "versions"), Terminal()).check()


def test_folders_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    root = Root(str(tmp_path / "file" / "root"), Terminal())
    root.check()
    with pytest.raises(HostError, match="root cannot be made: Not a directory") as caught, root.held(make=True):
        pass
    assert "make it as an administrator, and give it to" in caught.value.hint


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give folders away")
def test_check_refuses_what_belongs_to_somebody_else(root: Root) -> None:
    root.check()
    os.chown(root.path, 65534, -1)
    with pytest.raises(HostError, match="belongs to nobody, and this runs as root"):
        root.check()


def test_a_root_that_is_mounted_read_only(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is told to become the user that they are."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(HostError, match="cannot be written to") as caught:
        root.check()
    assert "mounted read-only" in caught.value.hint


def test_a_path_that_is_too_long(tmp_path: Path) -> None:
    root = Root(str(tmp_path / ("n" * 256)), Terminal())
    with pytest.raises(OSError, match="too long"):
        root.link()


@pytest.mark.parametrize("name", ["", "current", ".", "..", "../x", "a/b", ".hidden", "-1", "1 0", "1\n", "\u0661"])
def test_versions_that_are_no_folder_names(name: str) -> None:
    with pytest.raises(BundleError):
        checked_version(name)


@pytest.mark.parametrize("name", ["1.0", "1!2.0rc1.post2.dev3+local.4", "2026.2"])
def test_versions_that_are(name: str) -> None:
    assert checked_version(name) == name


class TestHeld:
    def test_makes_its_folders_and_removes_them_if_nothing_happens(self, tmp_path: Path) -> None:
        root = Root(str(tmp_path / "srv" / "app"), Terminal())
        with root.held(make=True):
            assert Path(root.versions).is_dir()
            assert Path(root.journal.path).exists()
        assert list(tmp_path.iterdir()) == []

    def test_does_not_make_them_unasked(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError), Root(str(tmp_path / "app"), Terminal()).held():
            pass

    def test_excludes(self, root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(install_lock, "_PATIENCE", 0)
        with root.held():
            other = Root(root.path, Terminal())
            with (
                pytest.raises(DestinationError, match=f"another process is changing .*process {os.getpid()}"),
                other.held(),
            ):
                pass
            assert Path(root.journal.path).exists()

    def test_notices_what_happened_without_it(self, root: Root) -> None:
        point(root, "1.1")
        with root.held():
            pass
        noticed = ["install - 1.0 noticed", "install - 1.1 noticed", "activate - 1.1 noticed"]
        assert changes(root) == noticed
        with root.held():
            pass
        assert changes(root) == noticed
        (Path(root.folder("1.0")) / "bin" / "python").unlink()
        Path(root.folder("1.0")).rename(root.folder(".gone"))
        point(root, "1.0")
        with root.held():
            pass
        assert changes(root)[3:] == ["remove 1.0 - noticed", "activate 1.1 1.0 noticed"]

    def test_planted_journals_are_not_written_to(self, root: Root, tmp_path: Path) -> None:
        precious = tmp_path / "precious"
        precious.write_text("x")
        Path(root.journal.path).symlink_to(precious)
        with pytest.raises(HostError), root.held():
            pass
        Path(root.journal.path).unlink()
        Path(root.journal.path).hardlink_to(precious)
        with pytest.raises(DestinationError, match="not a file of its own"), root.held():
            pass
        assert precious.read_text() == "x"

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give files away")
    def test_the_superuser_does_not_believe_what_others_can_change(
        self, root: Root, capfd: pytest.CaptureFixture[str]
    ) -> None:
        with root.held():
            root.journal.write(ACTIVATE, "1.0", "1.1")
        journal = Path(root.journal.path)
        for owner, mode in ((65534, 0o644), (0, 0o666)):
            os.chown(journal, owner, owner)
            journal.chmod(mode)
            assert root.journal.read() == []
            assert "can be changed by" in capfd.readouterr().err
            with pytest.raises(HostError, match="can be changed by"), root.held():
                pass


class TestJournal:
    @pytest.mark.parametrize("kind", ["pipe", "device", "folder", "link"])
    def test_what_is_no_file_is_told_and_not_waited_for(
        self, root: Root, kind: str, capfd: pytest.CaptureFixture[str]
    ) -> None:
        path = Path(root.journal.path)
        make: dict[str, Callable[[], None]] = {
            "pipe": lambda: os.mkfifo(path),
            "device": lambda: path.symlink_to("/dev/zero"),
            "folder": path.mkdir,
            "link": lambda: path.symlink_to(__file__),
        }
        make[kind]()
        assert root.journal.read() == []
        assert f"{path} is not used: " in capfd.readouterr().err

    def test_lines_that_are_too_much(self, root: Root) -> None:
        good = '{"when": "", "who": "", "what": "activate", "from": "", "to": "1.0", "result": "done"}'
        Path(root.journal.path).write_text("\n".join(["[" * 60_000, '"' + "x" * 100_000 + '"', good]))
        assert [entry.to for entry in root.journal.read()] == ["1.0"]
        with Path(root.journal.path).open("a") as stream:
            stream.truncate(9 << 20)
            stream.seek(0, os.SEEK_END)
            stream.write("\n" + good + "\n")
        assert [entry.to for entry in root.journal.read()] == ["1.0"]

    def test_a_line(self, root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SUDO_USER", "ada")
        Path(root.folder("1.0")).rename(root.folder(".1"))
        Path(root.folder("1.1")).rename(root.folder(".2"))
        with root.held():
            root.journal.write(ACTIVATE, "1.0", "1.1")
        (line,) = Path(root.journal.path).read_text().splitlines()
        entry = json.loads(line)
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry.pop("when"))
        assert entry.pop("who").endswith(" (ada)")
        assert entry == {
            "what": "activate", "from": "1.0", "to": "1.1", "revision": None, "signer": None, "result": "done",
            "ran": [],
        }  # fmt: skip
        assert stat.S_IMODE(Path(root.journal.path).stat().st_mode) & 0o022 == 0

    def test_the_revision_of_the_release_that_it_is_about(self, root: Root) -> None:
        revision = f"{'0123456789' * 4}-dirty"
        note = install_state.read(root.folder("1.1"))
        assert note
        install_state.write(root.folder("1.1"), note._replace(revision=revision))
        with root.held():
            root.journal.write(ACTIVATE, "1.0", "1.1")
        assert json.loads(Path(root.journal.path).read_text().splitlines()[-1])["revision"] == revision
        assert [one.note.revision for one in root.releases()] == ["", revision]

    def test_torn_and_foreign_lines_are_passed_over_and_ended(self, root: Root) -> None:
        Path(root.journal.path).write_bytes(
            b'[]\n{"what": 3, "to": "1.0"}\n\xff\n{"what": "activate", "to": "1.0", "result": "done", "more": 1}\n{"wha'
        )
        assert root.journal.read() == [Entry("", "", "activate", "", "1.0", "done")]
        with root.held():
            pass
        assert [one.to for one in root.journal.read() if one.what == "install"] == ["1.0", "1.1"]

    def test_a_full_disk_is_told_and_no_more(self, root: Root, capfd: pytest.CaptureFixture[str]) -> None:
        Path(root.journal.path).touch()
        with root.held():
            opened, root.journal._descriptor = root.journal._descriptor, os.open("/dev/full", os.O_WRONLY)
            root.journal.write(ACTIVATE, "", "1.0")
            os.close(root.journal._descriptor)
            root.journal._descriptor = opened
        assert "cannot be written to: No space left" in capfd.readouterr().err

    def test_history(self, root: Root) -> None:
        with root.held():
            for to, result in (("1.0", "done"), ("1.1", "1.1: the health check exited with 1"), ("1.1", "done")):
                root.journal.write(ACTIVATE, "", to, result)
        assert not root.settled()
        point(root, "1.1")
        assert root.history() == ["1.0", "1.1"]
        assert root.settled()
        point(root, "1.0")
        assert root.history() == ["1.0", "1.1", "1.0"]
        assert not root.settled()
        with root.held():
            pass
        assert root.history() == ["1.0", "1.1", "1.0"]
        assert not root.settled()


def test_users_without_a_name() -> None:
    assert owners.user_name(4711 << 16) == f"user {4711 << 16}"


def test_links_that_lead_nowhere_are_refused(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "versions").symlink_to(tmp_path / "unmounted" / "versions")
    (tmp_path / "disk").symlink_to(tmp_path / "unmounted")
    for path in ("root", "disk", "disk/app"):
        with pytest.raises(DestinationError, match=r"is a link to .*unmounted"):
            Root(str(tmp_path / path), Terminal()).check()


def test_a_root_belongs_to_one_project(root: Root) -> None:
    deploy.refuse_others(root, "App")
    with pytest.raises(DestinationError, match="holds the releases of app, and this bundle is of beta"):
        deploy.refuse_others(root, "beta")
