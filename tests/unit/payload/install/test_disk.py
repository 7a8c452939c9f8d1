"""What is complete is on the disk first."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import sys
from pathlib import Path

import pytest

from platter_setuptools.payload.errors import HostError
from platter_setuptools.payload.install import disk, install_state
from platter_setuptools.payload.install.destination import Destination
from platter_setuptools.payload.releases import switch
from support import roots

NOTE = install_state.Marker("unfinished", "b" * 64, "app", "1.0", "linux-x86_64", "3.11.4", created=True)


def test_files_are_written_before_they_are_called_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def flush(folder: str) -> None:
        note = install_state.read(folder)
        assert note is not None
        seen.append(note.state)

    monkeypatch.setattr(disk, "flush", flush)
    found = Destination(str(tmp_path / "dst"), NOTE.bundle)
    found.acquire()
    found.prepare(NOTE, found.state(), force=False)
    found.finish(NOTE._replace(state="complete"))
    found.release()
    assert seen == ["unfinished"]


def test_a_disk_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Library:
        def __init__(self, *_: object, **__: object) -> None: ...

        def syncfs(self, _: int) -> int:
            ctypes.set_errno(5)
            return -1

    monkeypatch.setattr(ctypes, "CDLL", Library)
    with pytest.raises(HostError, match="could not be written to disk: Input/output error"):
        disk.flush(str(tmp_path))


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_filesystem_that_does_not_know_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    class Library:
        def __init__(self, *_: object, **__: object) -> None: ...

        def syncfs(self, _: int) -> int:
            ctypes.set_errno(number)
            return -1

    flushed: list[bool] = []
    monkeypatch.setattr(ctypes, "CDLL", Library)
    monkeypatch.setattr(os, "sync", lambda: flushed.append(True))
    disk.flush(str(tmp_path))
    assert flushed == [True]


def test_without_ctypes_all_filesystems_are_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[bool] = []
    monkeypatch.setitem(sys.modules, "ctypes", None)
    monkeypatch.setattr(os, "sync", lambda: flushed.append(True))
    disk.flush(str(tmp_path))
    assert flushed == [True]


def test_a_marker_where_fsync_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(os, "fsync", refuse)
    note = install_state.Marker("complete", "", "app", "1.0", "", "", created=True)
    install_state.write(str(tmp_path), note)
    assert install_state.read(str(tmp_path)) == note


def test_a_switch_that_is_called_done_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = roots.make(tmp_path, "1.0")
    synced: list[bytes] = []
    monkeypatch.setattr(disk, "sync", lambda descriptor: synced.append(os.pread(descriptor, 1 << 20, 0)))
    program = roots.leave_program(root)
    with root.held():
        switch.activate(root, "1.0", roots.NONE)
    assert program.read_bytes() in synced
    assert Path(root.journal.path).read_bytes() == synced[-1]
    assert b'"activate"' in synced[-1]


@pytest.mark.parametrize(("number", "told"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_file_that_cannot_be_flushed(monkeypatch: pytest.MonkeyPatch, number: int, *, told: bool) -> None:
    def fail(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input") if told else contextlib.nullcontext():
        disk.sync(0)
