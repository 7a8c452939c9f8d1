"""The commands of the last deployment: kept for their owner alone, and believed only then."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.payload.options import Given
from platter_setuptools.payload.releases import last_commands
from platter_setuptools.payload.releases.commands import Commands
from support import roots

if TYPE_CHECKING:
    from collections.abc import Callable

    from platter_setuptools.payload.releases.root import Root


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return roots.make(tmp_path, "1.0")


def known(root: Root, check: str | None = None, reload: str | None = None) -> tuple[str, str]:
    found = last_commands.commands(root, Given(check, reload), 0o022)
    return found.health_check, found.reload


def test_as_the_last_time_unless_told_otherwise(root: Root) -> None:
    assert known(root) == ("", "")
    last_commands.write(root, Commands({}, "check \u00e9\udcff", "reload"))
    path = Path(root.path, last_commands.FILE)
    assert path.stat().st_mode & 0o777 == 0o600
    assert known(root) == ("check \u00e9\udcff", "reload")
    assert known(root, "", None) == ("", "reload")
    assert known(root, "other", "") == ("other", "")
    last_commands.write(root, Commands({}))
    assert not path.exists()


def test_time_limits(root: Root) -> None:
    """Those of an earlier installer's file, of this one's, and what was given."""
    path = Path(root.path, last_commands.FILE)
    path.write_text('{"health-check": "check", "reload": ""}')
    path.chmod(0o600)
    found = last_commands.commands(root, Given(), 0o077)
    assert found._replace(environment={}) == Commands({}, "check", umask=0o077, ready_timeout=30, command_timeout=300)
    last_commands.write(root, found._replace(ready="ready", ready_timeout=5, command_timeout=600))
    found = last_commands.commands(root, Given(health_check="", ready_timeout=7), 0o077)
    assert found._replace(environment={}) == Commands({}, "", "", "ready", 0o077, 7, 600)
    last_commands.write(root, Commands({}, command_timeout=600))  # also without a command
    assert last_commands.commands(root, Given(), 0o022).command_timeout == 600


def test_what_is_kept_anew_is_told_without_the_commands(root: Root) -> None:
    path = Path(root.path, last_commands.FILE)
    assert last_commands.write(root, Commands({})) == []
    assert last_commands.write(root, Commands({}, "check", "reload", "ready", 0o022, 5, 600)) == [
        "--health-check", "--reload", "--ready", "--ready-timeout 5", "--command-timeout 600",
    ]  # fmt: skip
    inode = path.stat().st_ino
    assert last_commands.write(root, Commands({}, "check", "reload", "ready", 0o077, 5, 600)) == []
    assert path.stat().st_ino == inode  # nothing was written
    assert last_commands.write(root, Commands({}, "", "other", "ready", 0o022, 30, 600)) == [
        "--no-health-check", "--reload", "--ready-timeout 30",
    ]  # fmt: skip
    (draft := path.with_name(path.name + ".new")).touch()  # of a run that was killed
    assert last_commands.write(root, Commands({}, "", "other", "ready", 0o022, 30, 600)) == []
    assert not draft.exists()


def test_nothing_is_told_as_kept_that_could_not_be_written(root: Root, capfd: pytest.CaptureFixture[str]) -> None:
    Path(root.path, last_commands.FILE).mkdir()
    assert last_commands.write(root, Commands({}, "check")) == []
    assert "cannot be written" in capfd.readouterr().err


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.chmod(0o640),
        lambda path: path.chmod(0o602),
        lambda path: path.write_text("[" * 100_000),
        lambda path: path.write_text('{"reload": 1}'),
        lambda path: path.write_text('{"health-check": "", "reload": "x", "ready": ["y"]}'),
        lambda path: path.write_text('{"health-check": "", "reload": "x", "ready-timeout": -1}'),
        lambda path: path.write_text('{"health-check": "", "reload": "x", "command-timeout": true}'),
        fifo,
        link,
        pytest.param(
            lambda path: os.chown(path, 65534, -1),
            marks=pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give files away"),
        ),
    ],
)
def test_what_is_not_believed(root: Root, spoil: Callable[[Path], None], capfd: pytest.CaptureFixture[str]) -> None:
    last_commands.write(root, Commands({}, "check", "reload"))
    spoil(Path(root.path, last_commands.FILE))
    assert known(root) == ("", "")
    assert "are not used" in capfd.readouterr().err
    last_commands.write(root, Commands({}))
    assert not os.path.lexists(Path(root.path, last_commands.FILE))
    last_commands.write(root, Commands({}, "check", "reload"))
    assert known(root) == ("check", "reload")
