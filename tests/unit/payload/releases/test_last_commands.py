"""The commands of the last deployment: kept for their owner alone, and believed only then."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.payload.releases import last_commands
from platter_setuptools.payload.releases.switch import Commands
from support import roots

if TYPE_CHECKING:
    from collections.abc import Callable

    from platter_setuptools.payload.releases.root import Root


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return roots.make(tmp_path, "1.0")


def known(root: Root, check: str | None = None, reload: str | None = None) -> tuple[str, str]:
    found = last_commands.commands(root, check, reload, 0o022)
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
    last_commands.write(root, Commands({}, "check", "reload"))
    assert known(root) == ("check", "reload")
