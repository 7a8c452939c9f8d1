"""Releases and destinations of another user: told, and never run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.payload.errors import BundleError, CommandError, HostError
from platter_setuptools.payload.install import install_state, owners
from platter_setuptools.payload.preflight import health
from platter_setuptools.payload.releases import doctor
from platter_setuptools.payload.releases.commands import Commands, Steps
from platter_setuptools.payload.releases.root import previous
from platter_setuptools.payload.releases.switch import activate, point
from support import roots

if TYPE_CHECKING:
    from collections.abc import Callable

    from platter_setuptools.payload.releases.root import Root

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give files away")
NOBODY = 65534


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return roots.make(tmp_path, "1.0", "1.1", "1.2")


@AS_ROOT
@pytest.mark.parametrize("part", ["", "bin", "bin/python", "bin/sh", "pyvenv.cfg", ".platter-release.json"])
def test_nothing_of_a_stranger_is_run(root: Root, part: str, tmp_path: Path) -> None:
    with root.held():
        activate(root, "1.1", roots.NONE)
        activate(root, "1.0", roots.NONE)
    folder = Path(root.folder("1.1"))
    python = folder / "bin" / "python"
    python.unlink()
    python.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    python.chmod(0o755)
    for name in ("bin/sh", "pyvenv.cfg"):
        (folder / name).touch()
    os.chown(folder / part, NOBODY, NOBODY)
    commands = Commands({}, f"touch {tmp_path}/ran", f"touch {tmp_path}/ran")
    with root.held(), pytest.raises(HostError, match="belongs to nobody, and this runs as root"):
        activate(root, "1.1", commands)
    with pytest.raises(CommandError, match="was not run"):
        Steps(root, commands).check_health("1.1")
    assert previous(root)[0] == "1.2" or previous(root)[0] == ""
    assert root.release("1.1").state == "foreign"
    with pytest.raises(BundleError, match="belongs to nobody"):
        doctor.examine(root, ["1.1"])
    assert [one.kind for one in health.examine(str(folder))] == [HostError]
    assert not (tmp_path / "ran").exists()


@AS_ROOT
def test_what_was_active_before_is_not_reloaded_if_it_is_a_strangers(root: Root, tmp_path: Path) -> None:
    point(root, "1.0")
    os.chown(root.folder("1.0"), NOBODY, NOBODY)
    with root.held(), pytest.raises(CommandError):
        activate(root, "1.1", Commands({}, "", f"echo $PLATTER_VERSION >>{tmp_path}/ran; false"))
    assert (tmp_path / "ran").read_text() == "1.1\n"
    assert roots.current(root) == "1.0"


@AS_ROOT
def test_a_planted_destination(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = tmp_path / "shared" / "app"
    planted.mkdir(parents=True)
    assert owners.stranger(str(planted)) == ""
    os.chown(planted, NOBODY, -1)
    assert "belongs to nobody" in owners.stranger(str(planted))
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    assert owners.stranger(str(planted)) == ""  # a group may share the folder above
    planted.parent.chmod(0o1777)
    assert "belongs to nobody" in owners.stranger(str(planted))
    os.chown(planted, 1234, -1)
    assert owners.stranger(str(planted)) == ""


def test_what_anybody_could_change(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o1777)
    app = tmp_path / "shared" / "app"
    app.mkdir()
    app.chmod(0o777)
    assert "can be changed by anybody" in owners.stranger(str(app))


def elsewhere(path: Path) -> None:
    path.with_name("elsewhere").write_text(path.read_text() if path.exists() else "{}")
    path.symlink_to("elsewhere")


@pytest.mark.parametrize(
    "make",
    [
        os.mkfifo,
        elsewhere,
        lambda path: path.write_text("[" * 50_000),
        lambda path: path.write_text(" " * (1 << 20)),
        lambda path: path.symlink_to("/dev/zero"),
        Path.mkdir,
    ],
)
def test_markers_that_are_none(root: Root, make: Callable[[Path], None]) -> None:
    path = Path(root.folder("1.0"), install_state.FILE)
    path.unlink()
    make(path)
    assert install_state.read(root.folder("1.0")) is None
    assert {one.version: one.state for one in root.releases()} == {
        "1.0": "foreign",
        "1.1": "complete",
        "1.2": "complete",
    }
    with root.held():
        activate(root, "1.1", roots.NONE)
    assert roots.current(root) == "1.1"
