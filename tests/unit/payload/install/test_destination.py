"""DST before, between and after: each test stops a run between two of its steps, as kill -9 does."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from platter_setuptools.payload.errors import DestinationError, HostError
from platter_setuptools.payload.install import install_state, removal
from platter_setuptools.payload.install.destination import Destination
from platter_setuptools.payload.install.install_lock import Lock
from platter_setuptools.payload.install.install_state import State

NOTE = install_state.Marker("unfinished", "b" * 64, "app", "1.0", "linux-x86_64", "3.11.4", created=True)
DONE = NOTE._replace(state="complete")


@pytest.fixture
def dst(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "dst"


def begin(dst: Path, *, force: bool = False) -> Destination:
    found = Destination(str(dst), NOTE.bundle)
    found.acquire()
    found.prepare(NOTE, found.state(), force=force)
    (dst / "lib").mkdir()
    (dst / "lib" / "half").touch()
    return found


def end(found: Destination) -> None:
    found.finish(DONE)
    found.release()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def old(dst: Path) -> None:
    dst.mkdir(parents=True)
    (dst / "old").touch()


class Killed(BaseException):
    """Stands for the end of the process: nothing of ours runs after it."""


def kill_in(monkeypatch: pytest.MonkeyPatch, function: str, *, after: bool, nth: int = 1) -> None:
    """Let the nth call of a function of os be the last thing that happens."""
    original, calls = getattr(os, function), [0]

    def stop(*arguments: object, **named: object) -> object:
        calls[0] += 1
        if calls[0] < nth:
            return original(*arguments, **named)
        if after:
            original(*arguments, **named)
        raise Killed

    monkeypatch.setattr(os, function, stop)


def forget(found: Destination, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the kernel does for a dead process: descriptors are closed, the lock file stays."""
    monkeypatch.undo()
    for _, descriptor in found._lock._held:
        os.close(descriptor)


def test_states(dst: Path) -> None:
    found = Destination(str(dst), NOTE.bundle)
    assert found.state() is State.ABSENT
    dst.mkdir(parents=True)
    assert found.state() is State.EMPTY
    (dst / install_state.DRAFT).touch()
    assert found.state() is State.UNFINISHED
    (dst / install_state.DRAFT).unlink()
    install_state.write(str(dst), NOTE)
    assert found.state() is State.UNFINISHED
    install_state.write(str(dst), DONE)
    assert found.state() is State.INSTALLED
    install_state.write(str(dst), DONE._replace(bundle="c" * 64))
    assert found.state() is State.OTHER
    (dst / install_state.FILE).write_text("{}")
    assert found.state() is State.FOREIGN
    assert Destination(str(dst / install_state.FILE), "").state() is State.FOREIGN
    assert Destination(str(dst / install_state.FILE / "below"), "").state() is State.ABSENT


@pytest.mark.parametrize("text", ["", "[]", '{"state": "complete"}', "{", "\ud800"])
def test_markers_that_are_none(tmp_path: Path, text: str) -> None:
    (tmp_path / install_state.FILE).write_text(text, errors="surrogatepass")
    assert install_state.read(str(tmp_path)) is None


def test_success(dst: Path) -> None:
    end(begin(dst))
    assert names(dst) == [install_state.FILE, "lib"]
    assert install_state.read(str(dst)) == DONE
    assert names(dst.parent) == ["dst"]


def test_rollback_removes_what_was_made(dst: Path) -> None:
    found = begin(dst)
    found.rollback()
    found.release()
    assert not dst.parent.exists()


def test_rollback_leaves_an_empty_folder_and_its_parents(dst: Path) -> None:
    dst.mkdir(parents=True, mode=0o700)
    inode = dst.stat().st_ino
    found = begin(dst)
    found.rollback()
    found.release()
    assert names(dst) == []
    assert dst.stat().st_ino == inode


def test_parents_that_somebody_uses_stay(dst: Path) -> None:
    found = begin(dst)
    (dst.parent / "neighbour").touch()
    found.rollback()
    found.release()
    assert names(dst.parent) == ["neighbour"]


def test_unfinished_remembers_whether_the_folder_was_ours(dst: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dst.mkdir(parents=True)
    forget(begin(dst), monkeypatch)
    found = begin(dst)
    found.rollback()
    found.release()
    assert dst.exists()


def test_in_the_way_unless_forced(dst: Path) -> None:
    old(dst)
    found = Destination(str(dst), NOTE.bundle)
    found.acquire()
    with pytest.raises(DestinationError, match="in the way"):
        found.prepare(NOTE, found.state(), force=False)
    found.rollback()
    found.release()
    assert names(dst) == ["old"]
    end(begin(dst, force=True))
    assert names(dst) == [install_state.FILE, "lib"]
    assert names(dst.parent) == ["dst"]


def test_forced_rollback_gives_back(dst: Path) -> None:
    old(dst)
    found = begin(dst, force=True)
    found.rollback()
    found.release()
    assert names(dst) == ["old"]
    assert names(dst.parent) == ["dst"]


def test_forced_over_a_file_and_its_rollback(dst: Path) -> None:
    dst.parent.mkdir()
    dst.write_text("old")
    found = begin(dst, force=True)
    found.rollback()
    found.release()
    assert dst.read_text() == "old"


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("function", ["rename", "mkdir"])
def test_killed_around_the_setting_aside(
    dst: Path, monkeypatch: pytest.MonkeyPatch, function: str, after: bool
) -> None:
    old(dst)
    found = Destination(str(dst), NOTE.bundle)
    found.acquire()
    kill_in(monkeypatch, function, after=after)
    with pytest.raises(Killed):
        found.prepare(NOTE, found.state(), force=True)
    forget(found, monkeypatch)
    again = Destination(str(dst), NOTE.bundle)
    again.acquire()
    again.release()
    assert names(dst) == ["old"]
    assert names(dst.parent) == ["dst"]


def test_killed_with_the_new_one_half_done(dst: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old(dst)
    forget(begin(dst, force=True), monkeypatch)
    again = Destination(str(dst), NOTE.bundle)
    again.acquire()
    again.release()
    assert names(dst) == ["old"]


@pytest.mark.parametrize("step", [("rename", False), ("rename", True), ("rmdir", False), ("rmdir", True)])
def test_killed_while_the_old_one_is_deleted(
    dst: Path, monkeypatch: pytest.MonkeyPatch, step: tuple[str, bool]
) -> None:
    old(dst)
    (dst / "folder").mkdir()
    found = begin(dst, force=True)
    kill_in(monkeypatch, step[0], after=step[1])
    with pytest.raises(Killed):
        found.finish(DONE)
    forget(found, monkeypatch)
    again = Destination(str(dst), NOTE.bundle)
    again.acquire()
    assert again.state() is State.INSTALLED
    again.release()
    assert names(dst) == [install_state.FILE, "lib"]
    assert names(dst.parent) == ["dst"]


@pytest.mark.parametrize("nth", range(1, 5))
def test_killed_while_clearing(dst: Path, monkeypatch: pytest.MonkeyPatch, nth: int) -> None:
    old(dst)
    found = begin(dst, force=True)
    for number in range(5):
        (dst / f"file{number}").touch()
    kill_in(monkeypatch, "unlink", after=True, nth=nth)
    with pytest.raises(Killed):
        found.rollback()
    forget(found, monkeypatch)
    again = Destination(str(dst), NOTE.bundle)
    again.acquire()
    again.release()
    assert names(dst) == ["old"]


def test_foreign_folder_with_a_replaced_one_beside_is_left_to_the_user(dst: Path) -> None:
    old(dst)
    (dst.parent / ".dst.platter-replaced").mkdir()
    found = Destination(str(dst), NOTE.bundle)
    with pytest.raises(DestinationError, match="both may be wanted"):
        found.acquire()
    found.rollback()
    found.release()
    assert names(dst.parent) == [".dst.platter-replaced", "dst"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give files away")
def test_planted_folders_are_not_restored(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    planted = tmp_path / ".dst.platter-replaced"
    planted.mkdir()
    os.chown(planted, 12345, 12345)
    found = Destination(str(tmp_path / "dst"), NOTE.bundle)
    with pytest.raises(DestinationError):
        found.acquire()
    found.rollback()
    found.release()
    assert not (tmp_path / "dst").exists()


def test_lock_excludes(dst: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platter_setuptools.payload.install.install_lock._PATIENCE", 0)
    found = begin(dst)
    other = Destination(str(dst), NOTE.bundle)
    with pytest.raises(DestinationError, match=f"another installation .*process {os.getpid()} on"):
        other.acquire()
    other.rollback()
    other.release()
    assert names(dst) == [install_state.LOCK, install_state.FILE, "lib"]
    end(found)
    assert names(dst) == [install_state.FILE, "lib"]
    assert names(dst.parent) == ["dst"]


def test_lock_of_a_removed_name_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The owner unlinks the file between our open and our flock."""
    found = Lock(str(tmp_path / "dst"))
    removed: list[int] = []

    def flock(descriptor: int) -> None:
        if not removed:
            removed.append(os.fstat(descriptor).st_ino)
            Path(found.file).unlink()

    monkeypatch.setattr("platter_setuptools.payload.install.install_lock._flock", flock)
    found.acquire()
    assert Path(found.file).stat().st_ino == os.fstat(found._held[0][1]).st_ino
    found.release()
    assert names(tmp_path) == []


def test_lock_file_is_no_link(tmp_path: Path) -> None:
    (tmp_path / ".dst.platter-lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        Lock(str(tmp_path / "dst")).acquire()
    assert not (tmp_path / "elsewhere").exists()


def test_marker_mode(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        install_state.write(str(tmp_path), NOTE)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / install_state.FILE).stat().st_mode) == 0o644


class TestWithoutFlock:
    """Filesystems that have no flock, or none for folders (NFS): what is said is true, and nothing stays."""

    @staticmethod
    def refuse(monkeypatch: pytest.MonkeyPatch, code: int, *, folders_only: bool) -> None:
        original = fcntl.flock

        def flock(descriptor: int, operation: int) -> None:
            if not folders_only or stat.S_ISDIR(os.fstat(descriptor).st_mode):
                raise OSError(code, os.strerror(code))
            original(descriptor, operation)

        monkeypatch.setattr(fcntl, "flock", flock)

    @pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
    def test_of_any_file(self, dst: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
        self.refuse(monkeypatch, code, folders_only=False)
        found = Destination(str(dst), NOTE.bundle)
        with pytest.raises(HostError, match="no locks") as caught:
            found.acquire()
        found.release()
        assert "another filesystem" in caught.value.hint
        assert not dst.parent.exists()

    def test_of_folders(self, dst: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.refuse(monkeypatch, errno.EBADF, folders_only=True)
        end(begin(dst))
        assert names(dst.parent) == ["dst"]


class TestLockFiles:
    @pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give files away")
    def test_of_somebody_else_are_refused(self, tmp_path: Path) -> None:
        planted = tmp_path / ".dst.platter-lock"
        planted.touch()
        os.chown(planted, 12345, 12345)
        with pytest.raises(HostError, match="belongs to user 12345"):
            Lock(str(tmp_path / "dst")).acquire()

    def test_modes(self, dst: Path) -> None:
        found = begin(dst)
        files = [dst.parent / ".dst.platter-lock", dst / install_state.LOCK]
        assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
        end(found)

    def test_who_may_only_read_cannot_hold_anything(self, dst: Path) -> None:
        """A lock on the folder itself is anybody's to take, and keeps nobody out."""
        dst.mkdir(parents=True)
        descriptor = os.open(dst, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        end(begin(dst))
        os.close(descriptor)

    def test_what_a_killed_run_left_of_them(self, dst: Path) -> None:
        dst.mkdir(parents=True)
        (dst / install_state.LOCK).touch()
        assert Destination(str(dst), NOTE.bundle).state() is State.EMPTY
        end(begin(dst))
        (dst / install_state.LOCK).touch()
        Destination(str(dst), NOTE.bundle).tidy()
        assert names(dst) == [install_state.FILE, "lib"]


def undeletable(monkeypatch: pytest.MonkeyPatch, name: str, number: int) -> None:
    """Let the system refuse to delete all files with this name."""
    original = os.unlink

    def unlink(path: str, **more: Any) -> None:
        if Path(path).name == name:
            raise OSError(number, os.strerror(number), path)
        original(path, **more)

    monkeypatch.setattr(os, "unlink", unlink)


class TestWhatCannotBeDeleted:
    @pytest.mark.parametrize(
        ("number", "name", "words"),
        [
            (errno.EPERM, "old", "immutable"),
            (errno.EACCES, "old", "belongs to"),
            (errno.EBUSY, "old", "mounted, or the kernel uses it"),
            (errno.EROFS, "old", "read-only"),
            (errno.EBUSY, ".nfs0001", "deleted file open"),
        ],
    )
    def test_is_told_once_and_set_aside(
        self, dst: Path, monkeypatch: pytest.MonkeyPatch, number: int, name: str, words: str
    ) -> None:
        (dst / "deep").mkdir(parents=True)
        (dst / "deep" / name).touch()
        (dst / "goes").touch()
        undeletable(monkeypatch, name, number)
        told: list[str] = []
        for _ in range(2):
            found = Destination(str(dst), NOTE.bundle, told.append)
            found.acquire()
            found.prepare(NOTE, found.state(), force=True)
            end(found)
        assert len(told) == 1
        assert words in told[0]
        assert f"{dst}/deep/{name}" not in told[0]  # it is not there any more
        left = dst.parent / ".dst.platter-left"
        assert sorted(str(path.relative_to(left)) for path in left.rglob("*")) == ["deep", f"deep/{name}"]
        assert names(dst.parent) == [".dst.platter-left", "dst"]

    def test_in_an_unfinished_one(self, dst: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        forget(begin(dst), monkeypatch)
        undeletable(monkeypatch, "half", errno.EPERM)
        told: list[str] = []
        found = Destination(str(dst), NOTE.bundle, told.append)
        found.acquire()
        found.prepare(NOTE, found.state(), force=False)
        found.finish(DONE)
        found.release()
        assert names(dst) == [install_state.FILE]
        assert names(dst.parent) == [".dst.platter-left", "dst"]
        assert len(told) == 1

    def test_a_rollback_goes_on(self, dst: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        old(dst)
        undeletable(monkeypatch, "half", errno.EPERM)
        found = begin(dst, force=True)
        found.rollback()
        found.release()
        assert names(dst) == ["old"]


class TestLowerLayerOfAnOverlay:
    """Folders that were there before cannot be renamed."""

    @pytest.fixture(autouse=True)
    def _lower(self, dst: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        old(dst)
        (dst / "folder").mkdir(mode=0o700)
        (dst / "folder" / "link").symlink_to("nowhere")
        original, inode = os.rename, dst.stat().st_ino

        def rename(source: str, target: str) -> None:
            if os.lstat(source).st_ino == inode:
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), source)
            original(source, target)

        monkeypatch.setattr(os, "rename", rename)

    def test_forced(self, dst: Path) -> None:
        end(begin(dst, force=True))
        assert names(dst) == [install_state.FILE, "lib"]
        assert names(dst.parent) == ["dst"]

    def test_forced_and_back(self, dst: Path) -> None:
        found = begin(dst, force=True)
        found.rollback()
        found.release()
        assert names(dst) == ["folder", "old"]
        assert stat.S_IMODE((dst / "folder").stat().st_mode) == 0o700
        assert (dst / "folder" / "link").readlink() == Path("nowhere")

    def test_what_cannot_be_copied_stays(self, dst: Path) -> None:
        os.mkfifo(dst / "pipe")
        with pytest.raises(DestinationError, match="cannot be copied"):
            begin(dst, force=True)
        assert names(dst) == [install_state.LOCK, "folder", "old", "pipe"]

    def test_discarded(self, dst: Path) -> None:
        install_state.write(str(dst), DONE)
        found = Destination(str(dst), NOTE.bundle)
        found.acquire()
        found.discard()
        found.release()
        assert names(dst.parent) == []


class TestMountsInside:
    def test_are_refused_by_name(self, dst: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        old(dst)
        monkeypatch.setattr(removal, "mounts", lambda _: [f"{dst}/media"])
        for forced in (True, False):
            found = Destination(str(dst), NOTE.bundle)
            found.acquire()
            with pytest.raises(DestinationError, match=f"holds what is mounted: {dst}/media"):
                found.prepare(NOTE, found.state(), force=True) if forced else found.discard()
            found.rollback()
            found.release()
            assert names(dst) == ["old"]
            assert names(dst.parent) == ["dst"]

    def test_are_found_with_the_escapes_of_the_kernel(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        table = tmp_path / "mountinfo"
        table.write_text(
            "22 1 0:20 / /srv/app/me\\040dia rw - ext4 /dev/a rw\n"
            "23 1 0:20 / /srv/application rw - ext4 /dev/a rw\n"
            "24 1 0:20 / /srv rw - ext4 /dev/a rw\n"
        )
        monkeypatch.setattr(removal, "_MOUNTS", str(table))
        assert removal.mounts("/srv/app") == ["/srv/app/me dia"]

    def test_another_filesystem_that_came_meanwhile_is_not_entered(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "old" / "media").mkdir(parents=True)
        (tmp_path / "old" / "media" / "photo").touch()
        inode = (tmp_path / "old" / "media").stat().st_ino
        monkeypatch.setattr(removal, "_mount", lambda _, status: (str(status.st_ino == inode), 1))
        (kept,) = removal.remove(str(tmp_path / "old"))
        assert "media: another mount or filesystem begins there" in kept
        assert (tmp_path / "old" / "media" / "photo").exists()
