"""Locks that are files: who holds one is told, and nothing is left of it."""

from __future__ import annotations

import errno
import fcntl
import os
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.payload.errors import DestinationError, HostError
from platter_setuptools.payload.install import install_lock
from platter_setuptools.payload.install.install_lock import Lock, open_locked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install_lock, "_PATIENCE", 0)


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[Lock]:
    made = Lock(str(tmp_path / "dst"))
    yield made
    made.release()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_beside_a_folder_that_is_not_there(lock: Lock, tmp_path: Path) -> None:
    lock.acquire()
    assert names(tmp_path) == [".dst.platter-lock"]
    assert (tmp_path / ".dst.platter-lock").stat().st_mode & 0o777 == 0o600
    lock.release()
    assert names(tmp_path) == []


def test_beside_and_within_a_folder(lock: Lock, tmp_path: Path) -> None:
    (tmp_path / "dst").mkdir()
    lock.acquire()
    assert names(tmp_path) == [".dst.platter-lock", "dst"]
    assert names(tmp_path / "dst") == [".platter-lock"]
    lock.release_folder()
    assert names(tmp_path / "dst") == []
    lock.release_folder()  # which may be said twice, and lets go of nothing else
    assert names(tmp_path) == [".dst.platter-lock", "dst"]


def test_a_second_one_is_told_who_has_it(lock: Lock) -> None:
    lock.acquire()
    with pytest.raises(
        DestinationError, match=f"another installation into this folder is running .process {os.getpid()}"
    ):
        Lock(lock.destination).acquire()
    lock.release()
    (other := Lock(lock.destination)).acquire()
    other.release()


def test_what_a_stranger_wrote_into_it_is_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text("\x1b[2Jgone")
    with path.open("r+") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError) as caught:
            open_locked(str(path))
    assert caught.value.strerror == ""


def test_a_file_that_nobody_holds_is_taken(tmp_path: Path) -> None:
    """A run that was killed left it."""
    path = tmp_path / "lock"
    path.write_text("process 1 on elsewhere")
    os.close(open_locked(str(path)))
    assert path.read_text().startswith(f"process {os.getpid()} on ")


def test_a_full_disk(lock: Lock, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has room for an empty file, as a rule; that there is none for what the file says is no reason to refuse."""

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    lock.acquire()
    with pytest.raises(DestinationError, match="another installation"):
        Lock(lock.destination).acquire()


@pytest.mark.parametrize("kind", ["link", "folder"])
def test_what_stands_in_its_place(tmp_path: Path, kind: str) -> None:
    path, theirs = tmp_path / "lock", tmp_path / "theirs"
    theirs.write_text("x")
    if kind == "link":
        path.symlink_to(theirs)
    else:
        path.mkdir()
    with pytest.raises(OSError):
        open_locked(str(path))
    assert theirs.read_text() == "x"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a file away")
def test_a_file_of_somebody_else(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    os.chown(path, 65534, 65534)
    with pytest.raises(HostError, match=r"belongs to .*, and this runs as") as caught:
        open_locked(str(path))
    assert "remove the file" in caught.value.hint


@pytest.mark.parametrize(
    ("module", "function", "number"),
    [(fcntl, "flock", one) for one in (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL)]
    + [(os, "fchmod", errno.EPERM)],  # FAT
)
def test_a_filesystem_without_locks_or_modes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: object, function: str, number: int
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(module, function, fail)
    with pytest.raises(HostError, match="its filesystem has no locks, or no modes: "):
        open_locked(str(tmp_path / "lock"))
    assert names(tmp_path) == []


def test_a_name_that_went_between_opening_and_locking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its owner removed the file when it let go: the lock is taken on the file that has the name then."""
    path = tmp_path / "lock"
    removed: list[int] = []

    def flock(descriptor: int) -> None:
        if not removed:
            path.unlink()
        removed.append(descriptor)

    monkeypatch.setattr(install_lock, "_flock", flock)
    descriptor = open_locked(str(path))
    assert len(removed) == 2
    assert os.path.samestat(os.fstat(descriptor), path.stat())
    os.close(descriptor)


def test_who_may_not_write_beside_it_locks_the_folder_alone(
    lock: Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dst").mkdir()
    real = install_lock.open_locked

    def refuse(path: str) -> int:
        if path == lock.file:
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(install_lock, "open_locked", refuse)
    lock.acquire()
    assert names(tmp_path / "dst") == [".platter-lock"]
