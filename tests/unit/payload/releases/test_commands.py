"""What runs around a switch: time limits, the wait until a release is ready, and the record of it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from platter_setuptools.payload import process, supervisor
from platter_setuptools.payload.errors import CommandError, HookError
from platter_setuptools.payload.releases.commands import Commands, Steps
from support import roots

if TYPE_CHECKING:
    from platter_setuptools.payload.releases.root import Root

COUNT = "echo x >>tries; [ $(grep -c x tries) -ge %d ]"
LIMIT = 60


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return roots.make(tmp_path, "1.0")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "GRACE", 0.2)


def steps(root: Root, **commands: Any) -> Steps:
    return Steps(root, Commands({"PATH": os.environ["PATH"]}, **commands))


def ran(done: Steps) -> list[tuple[object, object, object]]:
    return [(one["name"], one["release"], one["result"]) for one in done.ran]


def test_in_their_order(root: Root, capfd: pytest.CaptureFixture[str]) -> None:
    done = steps(root, reload="echo a", ready="echo b", health_check="echo c")
    done.check_health("1.0")
    done.bring_up("1.0")
    said = capfd.readouterr().out.splitlines()
    assert said == ["  checking the health of 1.0", "c", "  reloading", "a", "  waiting until 1.0 is ready", "b"]
    assert [one[0] for one in ran(done)] == ["health check", "reload command", "ready command"]
    assert all(isinstance(one["seconds"], float) and 0 <= one["seconds"] < LIMIT for one in done.ran)


def test_nothing_is_nothing(root: Root, capfd: pytest.CaptureFixture[str]) -> None:
    done = steps(root)
    done.check_health("1.0")
    done.bring_up("1.0")
    assert (done.ran, capfd.readouterr().out) == ([], "")


@pytest.mark.parametrize("name", ["health_check", "reload"])
def test_a_command_that_hangs(root: Root, name: str) -> None:
    done = steps(root, **{name: "sleep 300 & PASSWORD=s3cret; sleep 300"}, command_timeout=1)
    with pytest.raises(
        CommandError, match=r"release 1\.0: the .* was still running after 1 s, and was ended"
    ) as caught:
        (done.check_health if name == "health_check" else done.bring_up)("1.0")
    assert "--command-timeout" in caught.value.hint
    assert ran(done) == [(name.replace("_", " ").replace("reload", "reload command"), "1.0", caught.value.message)]
    assert "s3cret" not in str(caught.value)
    assert not done.brought_up


class TestScripts:
    @pytest.fixture
    def script(self, root: Root) -> Path:
        path = Path(root.folder("1.0"), ".platter-scripts", "pre-activate.sh")
        path.parent.mkdir()
        return path

    def test_that_fails(self, root: Root, script: Path) -> None:
        script.write_text("false; true")  # sh -e
        done = steps(root)
        with pytest.raises(HookError, match=r"release 1\.0: pre-activate\.sh exited with status 1\n") as caught:
            done.prepare("1.0")
        assert caught.value.exit_code == 7
        assert ran(done) == [("pre-activate.sh", "1.0", "release 1.0: pre-activate.sh exited with status 1")]

    def test_its_variables(self, root: Root, script: Path, capfd: pytest.CaptureFixture[str]) -> None:
        script.write_text('echo "$HERE $DATA_DIR $PLATTER_VERSION $PLATTER_PREVIOUS"; umask; pwd')
        done = Steps(root, Commands({"PATH": os.environ["PATH"]}, umask=0o077), "0.9")
        done.prepare("1.0")
        folder = root.folder("1.0")
        said = ["  running pre-activate.sh", f"{folder} {folder}/.platter-scripts/data 1.0 0.9", "0022", folder]
        assert capfd.readouterr().out.splitlines() == said
        assert ran(done) == [("pre-activate.sh", "1.0", "done")]
        done.bring_up("1.0")  # there is no post-activate.sh
        assert len(done.ran) == 1

    @pytest.mark.parametrize("previous", ["", "/opt/elsewhere", "current", "../x"])
    def test_what_was_active_is_no_release(
        self, root: Root, script: Path, capfd: pytest.CaptureFixture[str], previous: str
    ) -> None:
        script.write_text('echo "after <$PLATTER_PREVIOUS>"')
        Steps(root, Commands({"PATH": os.environ["PATH"]}), previous).prepare("1.0")
        assert "after <>\n" in capfd.readouterr().out

    def test_that_hangs(self, root: Root, script: Path) -> None:
        script.write_text("sleep 300 & sleep 300")
        with pytest.raises(HookError, match="was still running after 1 s, and was ended") as caught:
            steps(root, command_timeout=1).prepare("1.0")
        assert "--command-timeout" in caught.value.hint


class TestReady:
    def test_is_tried_until_it_succeeds(self, root: Root) -> None:
        done = steps(root, ready=COUNT % 3)
        done.bring_up("1.0")
        assert ran(done) == [("ready command", "1.0", "done")]
        assert Path(root.folder("1.0"), "tries").read_text() == "x\n" * 3

    def test_never_comes(self, root: Root) -> None:
        done, began = steps(root, ready="echo x >>tries; exit 7", ready_timeout=2), time.monotonic()
        told = r"release 1\.0 was not ready within 2 s: the ready command exited with status 7\n"
        with pytest.raises(CommandError, match=told) as caught:
            done.bring_up("1.0")
        assert 1.8 < time.monotonic() - began < LIMIT
        assert "--ready-timeout" in caught.value.hint
        assert len(Path(root.folder("1.0"), "tries").read_text().splitlines()) > 2
        assert [one["result"] for one in done.ran] == [caught.value.message]

    def test_hangs(self, root: Root) -> None:
        """It ends with its children at the deadline, which is that of all attempts together."""
        began = time.monotonic()
        done = steps(root, ready="[ -e first ] || { touch first; exit 1; }; sleep 300 & sleep 300", ready_timeout=3)
        with pytest.raises(CommandError, match=r"not ready within 3 s: the ready command was still running after [12]"):
            done.bring_up("1.0")
        assert time.monotonic() - began < LIMIT

    def test_is_tried_again_after_an_attempt_that_hangs(self, root: Root) -> None:
        done = steps(
            root, ready="[ ! -e first ] || exit 0; touch first; sleep 300", command_timeout=1, ready_timeout=60
        )
        done.bring_up("1.0")
        assert ran(done) == [("ready command", "1.0", "done")]

    def test_is_not_waited_for(self, root: Root) -> None:
        done = steps(root, reload="true", ready="exit 1")
        done.bring_up("1.0", waiting=False)
        assert ran(done) == [("reload command", "1.0", "done")]

    def test_that_cannot_be_started(self, root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(process, "SHELL", "/nonexistent/sh")
        with pytest.raises(CommandError, match="the ready command cannot be started: No such file or directory"):
            steps(root, ready="true", ready_timeout=1).bring_up("1.0")
