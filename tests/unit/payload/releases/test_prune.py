"""Which releases prune removes, and what it does about what killed runs have left."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.payload.install import install_lock, removal
from platter_setuptools.payload.releases import switch
from platter_setuptools.payload.releases.prune import prune, superfluous
from platter_setuptools.payload.releases.root import COMPLETE, FOREIGN, UNFINISHED, Release
from support import roots

if TYPE_CHECKING:
    from platter_setuptools.payload.releases.root import Root


@pytest.fixture
def root(tmp_path: Path) -> Root:
    """Four releases; the second is active, and there is none before it by the journal."""
    made = roots.make(tmp_path, "1.0", "1.1", "1.2", "1.3")
    switch.point(made, "1.1")
    return made


def names(root: Root) -> list[str]:
    return sorted(path.name for path in Path(root.versions).iterdir())


def pruned(root: Root, keep: int, wanted: str = "") -> list[str]:
    with root.held():
        prune(root, keep, wanted)
    return names(root)


@pytest.mark.parametrize(
    ("keep", "needed", "going"),
    [
        (1, set(), ["1.0", "1.1"]),
        (1, {"1.0"}, ["1.1"]),
        (2, set(), ["1.0"]),
        (3, set(), []),
        (9, set(), []),
    ],
)
def test_superfluous(keep: int, needed: set[str], going: list[str]) -> None:
    states = {"0.8": FOREIGN, "0.9": UNFINISHED, "1.0": COMPLETE, "1.1": COMPLETE, "1.2": COMPLETE}
    releases = [Release(version, state, usable=True) for version, state in states.items()]
    assert superfluous(releases, keep, needed) == going


def test_active_previous_and_wanted_stay(root: Root) -> None:
    assert pruned(root, 1, "1.2") == ["1.0", "1.1", "1.2", "1.3", "current"]
    assert pruned(root, 1) == ["1.0", "1.1", "1.3", "current"]
    assert roots.changes(root)[-1] == "remove 1.2 - done"


def test_unfinished_ones_go_and_foreign_ones_stay(root: Root) -> None:
    roots.release(root, "1.4", state="unfinished")
    (Path(root.versions) / "old" / "bin").mkdir(parents=True)
    assert pruned(root, 9) == ["1.0", "1.1", "1.2", "1.3", "current", "old"]


def test_what_killed_runs_have_left_beside_releases(root: Root) -> None:
    versions = Path(root.versions)
    (versions / ".1.2.platter-lock").touch()
    (versions / ".9.9.platter-trash" / "folder").mkdir(parents=True)
    (versions / ".1.3.platter-replaced").mkdir()
    (versions / ".1.0.platter-left").mkdir()  # told before, and for nobody to look at again
    assert pruned(root, 9) == [".1.0.platter-left", "1.0", "1.1", "1.2", "1.3", "current"]


def test_one_that_is_being_installed_is_left_alone(
    root: Root, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The others go all the same."""
    monkeypatch.setattr(install_lock, "_PATIENCE", 0)
    roots.release(root, "1.4", state="unfinished")
    roots.release(root, "1.5", state="unfinished")
    lock = install_lock.Lock(root.folder("1.4"))
    lock.acquire()
    try:
        assert "1.4" in pruned(root, 9)
    finally:
        lock.release()
    assert names(root) == ["1.0", "1.1", "1.2", "1.3", "1.4", "current"]
    assert "left alone: " in capfd.readouterr().err


def test_a_mount_is_left_alone(root: Root, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    folder = root.folder("1.2")
    monkeypatch.setattr(removal, "mounts", lambda path: [f"{path}/media"] if path == folder else [])
    assert "1.2" in pruned(root, 1)
    said = capfd.readouterr().err
    assert f"left alone: {folder} holds what is mounted: {folder}/media" in said
    assert "hint: unmount that first" in said


def test_a_link_is_no_release(root: Root, tmp_path: Path) -> None:
    (theirs := tmp_path / "theirs").mkdir()
    (Path(root.versions) / "0.1").symlink_to(theirs)
    pruned(root, 1)
    assert theirs.is_dir()
    assert Path(root.folder("0.1")).is_symlink()


def test_what_killed_runs_have_unpacked(root: Root) -> None:
    """In the root, or above it where that was not there yet; those of runs and machines that are alive stay."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    host = os.uname().nodename
    folders = [Path(root.path), Path(root.path).parent]
    left = [folder / f".platter-python.{host}.{ended.pid}" for folder in folders]
    kept = [folder / f".platter-python.{owner}" for folder in folders for owner in (f"{host}.{os.getpid()}", "other.1")]
    for path in (*left, *kept):
        (path / "python").mkdir(parents=True)
    pruned(root, 9)
    assert [path.exists() for path in (*left, *kept)] == [False, False, True, True, True, True]
