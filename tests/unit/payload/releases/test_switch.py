"""Activating and going back: the link, the commands around the switch, and what the journal says of it."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from pathlib import Path

import pytest

from platter_setuptools.payload import signals
from platter_setuptools.payload.errors import CommandError, DestinationError, InstallError, Interrupted
from platter_setuptools.payload.install import install_state
from platter_setuptools.payload.releases.commands import Commands
from platter_setuptools.payload.releases.prune import prune, superfluous
from platter_setuptools.payload.releases.root import COMPLETE, Release, Root, previous
from platter_setuptools.payload.releases.switch import activate, point, rollback
from support import roots
from support.roots import NONE, changes, current, release

PATH = {"PATH": os.environ["PATH"]}


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return roots.make(tmp_path, "1.0", "1.1", "1.2")


def switched(root: Root, *versions: str) -> None:
    for version in versions:
        with root.held():
            activate(root, version, NONE)


def rolled_back(root: Root) -> str:
    with root.held():
        rollback(root, NONE)
    return current(root)


def remove(root: Root, version: str) -> None:
    shutil.rmtree(root.folder(version))


class TestActivate:
    def test_points_and_writes_it_down(self, root: Root, capfd: pytest.CaptureFixture[str]) -> None:
        switched(root, "1.0", "1.1")
        assert current(root) == "1.1"
        assert changes(root)[3:] == ["activate - 1.0 done", "activate 1.0 1.1 done"]
        assert capfd.readouterr().out.splitlines()[-1] == "1.1 is active now, 1.0 was before."
        assert [path.name for path in Path(root.versions).iterdir() if "platter" in path.name] == []

    def test_again_is_nothing_new(self, root: Root, capfd: pytest.CaptureFixture[str]) -> None:
        switched(root, "1.0")
        before = changes(root)
        with root.held():
            activate(root, "1.0", Commands({}, "exit 1", "exit 1", "exit 1"))
        assert changes(root) == before
        assert (
            capfd.readouterr().out.splitlines()[-1]
            == "1.0 is active already; not run: the health check, the reload command and the ready command."
        )

    def test_made_anew_is_checked_and_reloaded(self, root: Root, tmp_path: Path) -> None:
        switched(root, "1.0")
        with root.held():
            activate(root, "1.0", Commands(PATH, f"touch {tmp_path}/health", f"touch {tmp_path}/reload"), anew=True)
        assert (tmp_path / "health").exists()
        assert (tmp_path / "reload").exists()
        assert current(root) == "1.0"

    @pytest.mark.parametrize("version", ["2.0", "../1.0", "current", "", "a\nb"])
    def test_what_is_not_there(self, root: Root, version: str) -> None:
        switched(root, "1.0")
        with pytest.raises(DestinationError, match="there is no release") as caught:
            switched(root, version)
        assert "1.0, 1.1, 1.2" in caught.value.hint
        assert current(root) == "1.0"

    def test_what_is_unfinished_or_broken(self, root: Root) -> None:
        release(root, "1.3", state="unfinished")
        with pytest.raises(DestinationError, match="not completely installed"):
            switched(root, "1.3")
        (Path(root.folder("1.0")) / "bin" / "python").unlink()
        with pytest.raises(DestinationError, match="no working bin/python"):
            switched(root, "1.0")
        assert not os.path.lexists(root.current)

    def test_a_virtualenv_from_earlier_days(self, root: Root) -> None:
        (Path(root.folder("0.9")) / "bin").mkdir(parents=True)
        (Path(root.folder("0.9")) / "bin" / "python").symlink_to(sys.executable)
        point(root, "0.9")
        switched(root, "1.0")
        assert rolled_back(root) == "0.9"

    @pytest.mark.parametrize("link", ["{versions}/1.0", "/opt/elsewhere", "nothing"])
    def test_any_link_is_replaced_by_a_relative_one(self, root: Root, link: str) -> None:
        Path(root.current).symlink_to(link.format(versions=root.versions))
        switched(root, "1.1")
        assert current(root) == "1.1"

    def test_what_a_killed_switch_left(self, root: Root) -> None:
        Path(root.versions, ".current.platter-new").symlink_to("1.0")
        switched(root, "1.1")
        assert current(root) == "1.1"

    def test_a_folder_in_its_place_is_no_link_to_replace(self, root: Root) -> None:
        Path(root.current).mkdir()
        with pytest.raises(InstallError, match="cannot be pointed at"):
            point(root, "1.0")


class TestCommands:
    SHOW = 'printf "%s\\n" "$VIRTUAL_ENV" "$HERE" "$PWD" "$PLATTER_ROOT" "$PLATTER_VERSION" "$(command -v python)"'

    def attempt(self, root: Root, version: str, *, check: str = "", reload: str = "") -> None:
        signals.listen()  # as each run of the program does
        with root.held():
            activate(root, version, Commands(PATH, check, reload))

    def test_where_they_run(self, root: Root, tmp_path: Path) -> None:
        out = tmp_path / "out put"
        self.attempt(
            root,
            "1.1",
            check=f'({self.SHOW}; readlink ../current) >"{out}" || true',
            reload=f'readlink ../current >>"{out}"',
        )
        folder = root.folder("1.1")
        seen = [folder, folder, folder, root.path, "1.1", f"{folder}/bin/python", "1.1"]
        assert out.read_text().splitlines() == seen

    def test_unhealthy(self, root: Root, tmp_path: Path) -> None:
        switched(root, "1.0")
        with pytest.raises(CommandError, match=r"release 1\.1: the health check exited with status 3") as caught:
            self.attempt(root, "1.1", check="echo secret is not told >&2; exit 3", reload=f"touch {tmp_path}/reloaded")
        assert caught.value.exit_code == 8
        assert "secret" not in str(caught.value)
        assert current(root) == "1.0"
        assert not (tmp_path / "reloaded").exists()
        assert changes(root)[-1] == "activate 1.0 1.1 release 1.1: the health check exited with status 3"
        assert caught.value.message.endswith("the health check exited with status 3; 1.0 is still active")

    def test_reload_fails(self, root: Root, tmp_path: Path) -> None:
        switched(root, "1.0")
        out = tmp_path / "out"
        told = "the reload command was ended by signal SIGTERM; 1.0 is active again, and reloaded\nhint: "
        with pytest.raises(CommandError, match=told):
            self.attempt(root, "1.1", reload=f"readlink ../current >>{out}; [ $PLATTER_VERSION = 1.0 ] || kill $$")
        assert current(root) == "1.0"
        assert out.read_text().splitlines() == ["1.1", "1.0"]
        assert changes(root)[-1].startswith("activate 1.0 1.1 release 1.1: the reload command")
        assert previous(root)[0] == ""

    def test_not_ready(self, root: Root, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        """The release before is reloaded, and waited for."""
        switched(root, "1.0")
        out = tmp_path / "out"
        commands = Commands(
            PATH,
            reload=f"echo reload $PLATTER_VERSION >>{out}",
            ready=f"echo ready $PLATTER_VERSION >>{out}; [ $PLATTER_VERSION = 1.0 ]",
            ready_timeout=2,
        )
        with root.held(), pytest.raises(CommandError) as caught:
            activate(root, "1.1", commands)
        assert caught.value.message == (
            "release 1.1 was not ready within 2 s: the ready command exited with status 1;"
            " 1.0 is active again, reloaded and ready"
        )
        assert current(root) == "1.0"
        lines = out.read_text().splitlines()
        assert (lines[:2], lines[-2:]) == (["reload 1.1", "ready 1.1"], ["reload 1.0", "ready 1.0"])
        assert changes(root)[-1].startswith("activate 1.0 1.1 release 1.1 was not ready")
        (line,) = Path(root.journal.path).read_text().splitlines()[-1:]
        assert [(one["name"], one["release"], one["result"]) for one in json.loads(line)["ran"]] == [
            ("reload command", "1.1", "done"),
            ("ready command", "1.1", "release 1.1 was not ready within 2 s: the ready command exited with status 1"),
            ("reload command", "1.0", "done"),
            ("ready command", "1.0", "done"),
        ]
        assert "is active now" not in capfd.readouterr().out.splitlines()[-1]

    def test_not_ready_without_a_reload_command(self, root: Root) -> None:
        switched(root, "1.0")
        with root.held(), pytest.raises(CommandError, match=r"1\.0 is active again, and ready\n"):
            activate(root, "1.1", Commands(PATH, ready="[ $PLATTER_VERSION = 1.0 ]", ready_timeout=2))

    def test_interrupted_while_it_is_not_ready(self, root: Root, tmp_path: Path) -> None:
        """What was reloaded is reloaded again, without waiting."""
        switched(root, "1.0")
        signals.listen()
        out = tmp_path / "out"
        commands = Commands(
            PATH, reload=f"echo $PLATTER_VERSION >>{out}", ready=f"kill -TERM {os.getpid()}; sleep 60", ready_timeout=60
        )
        with root.held(), pytest.raises(Interrupted):
            activate(root, "1.1", commands)
        assert current(root) == "1.0"
        assert out.read_text().splitlines() == ["1.1", "1.0"]
        assert changes(root)[-1] == "activate 1.0 1.1 interrupted by SIGTERM"

    def test_interrupted_while_going_back(self, root: Root) -> None:
        switched(root, "1.0")
        signals.listen()
        reload = f"[ $PLATTER_VERSION = 1.0 ] || exit 1; kill -TERM {os.getpid()}; sleep 60"
        with root.held(), pytest.raises(CommandError, match=r"1\.0 is active again, but interrupted by SIGTERM"):
            activate(root, "1.1", Commands(PATH, reload=reload))
        assert current(root) == "1.0"

    def test_reload_fails_for_the_first_release_of_all(self, root: Root) -> None:
        with pytest.raises(CommandError):
            self.attempt(root, "1.0", reload="false")
        assert not os.path.lexists(root.current)

    def test_reload_that_fails_for_both(self, root: Root) -> None:
        switched(root, "1.0")
        with pytest.raises(CommandError) as caught:
            self.attempt(root, "1.1", reload="exit 9")
        assert caught.value.message == (
            "release 1.1: the reload command exited with status 9; 1.0 is active again,"
            " but release 1.0: the reload command exited with status 9"
        )

    @pytest.mark.parametrize("link", ["{versions}/1.0/", "/opt/elsewhere"])
    def test_the_link_goes_back_as_it_was_written(self, root: Root, link: str) -> None:
        link = link.format(versions=root.versions)
        Path(root.current).symlink_to(link)
        with pytest.raises(CommandError):
            self.attempt(root, "1.1", reload="false")
        assert os.readlink(root.current) == link  # noqa: PTH115 - a Path would drop the last slash

    def test_a_switch_that_was_cut_off_is_carried_through(self, root: Root, tmp_path: Path) -> None:
        switched(root, "1.0")
        point(root, "1.1")
        self.attempt(root, "1.1", reload=f"touch {tmp_path}/reloaded")
        assert (tmp_path / "reloaded").exists()
        assert root.settled()
        assert previous(root) == ("1.0", "")

    def test_a_switch_that_was_cut_off_and_fails(self, root: Root) -> None:
        switched(root, "1.0")
        point(root, "1.1")
        with pytest.raises(CommandError):
            self.attempt(root, "1.1", reload="[ $PLATTER_VERSION = 1.0 ]")
        assert current(root) == "1.0"
        assert changes(root)[-1] == "rollback 1.1 1.0 done"
        assert root.settled()
        assert previous(root) == ("", "")  # 1.1 was never brought up
        with root.held():
            activate(root, "1.0", Commands(PATH, reload="false"))  # it is active already
        with pytest.raises(CommandError, match=r"1\.0 is still active"), root.held():
            activate(root, "1.0", Commands(PATH, reload="false"), anew=True)
        assert current(root) == "1.0"

    def test_a_switch_by_hand_that_lasts_is_no_failure_of_the_next(self, root: Root) -> None:
        switched(root, "1.0")
        point(root, "1.1")
        with pytest.raises(CommandError):
            self.attempt(root, "1.2", check="false")
        assert (current(root), previous(root)) == ("1.1", ("1.0", ""))


class TestRollback:
    def test_goes_to_the_one_before_and_back_again(self, root: Root) -> None:
        switched(root, "1.0", "1.2", "1.1")
        assert rolled_back(root) == "1.2"
        assert rolled_back(root) == "1.1"
        assert changes(root)[-2:] == ["rollback 1.1 1.2 done", "rollback 1.2 1.1 done"]

    def test_goes_by_the_journal_and_not_by_times(self, root: Root) -> None:
        switched(root, "1.2", "1.0")
        os.utime(root.folder("1.1"))
        assert rolled_back(root) == "1.2"

    def test_knows_of_links_made_by_hand(self, root: Root) -> None:
        switched(root, "1.0")
        point(root, "1.2")
        assert rolled_back(root) == "1.0"

    def test_passes_over_what_is_gone(self, root: Root, capfd: pytest.CaptureFixture[str]) -> None:
        switched(root, "1.0", "1.1", "1.2")
        remove(root, "1.1")
        assert rolled_back(root) == "1.0"
        assert "1.1, active before, cannot be used any more, going back to 1.0" in capfd.readouterr().err

    def test_without_a_journal_it_is_the_one_installed_before(
        self, root: Root, capfd: pytest.CaptureFixture[str]
    ) -> None:
        switched(root, "1.1")
        Path(root.journal.path).unlink()
        assert rolled_back(root) == "1.0"
        assert "the journal does not say" in capfd.readouterr().err

    def test_nothing_to_go_back_to(self, root: Root) -> None:
        with pytest.raises(DestinationError, match="no release to go back to from nothing"):
            rolled_back(root)
        switched(root, "1.0")
        with pytest.raises(DestinationError, match=r"no release to go back to from 1\.0") as caught:
            rolled_back(root)
        assert caught.value.hint.endswith("1.1, 1.2")
        assert current(root) == "1.0"

    def test_when_the_active_one_is_gone(self, root: Root) -> None:
        switched(root, "1.0", "1.1")
        remove(root, "1.1")
        assert rolled_back(root) == "1.0"
        Path(root.current).unlink()
        assert rolled_back(root) == "1.0"


class TestPrune:
    def test_which_go(self) -> None:
        found = [Release(str(number), COMPLETE, usable=True) for number in range(6)]
        found.insert(0, Release("old", "foreign", usable=True))
        assert superfluous(found, 2, {"1"}) == ["0", "2", "3"]
        assert superfluous(found, 1, set()) == ["0", "1", "2", "3", "4"]
        assert superfluous(found, 9, set()) == []

    def test_never_the_active_one_or_the_one_before(self, root: Root) -> None:
        release(root, "1.3")
        switched(root, "1.1", "1.0")
        with root.held():
            prune(root, 1)
        assert [one.version for one in root.releases()] == ["1.0", "1.1", "1.3"]
        assert changes(root)[-1] == "remove 1.2 - done"

    def test_clears_what_was_interrupted(self, root: Root) -> None:
        release(root, "1.3", state="unfinished")
        release(root, "1.4", state="unfinished")
        release(root, ".1.2.platter-trash")
        Path(root.folder("1.1")).rename(root.folder(".1.1.platter-replaced"))
        Path(root.folder(".1.5.platter-lock")).touch()
        Path(root.current).symlink_to("1.4")
        Path(root.folder("notes")).mkdir()
        with root.held():
            prune(root, 9)
        assert sorted(path.name for path in Path(root.versions).iterdir()) == [
            "1.0",
            "1.1",
            "1.2",
            "1.4",
            "current",
            "notes",
        ]

    def test_leaves_alone_what_is_being_installed(
        self, root: Root, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from platter_setuptools.payload.install.destination import Destination  # noqa: PLC0415

        monkeypatch.setattr("platter_setuptools.payload.install.install_lock._PATIENCE", 0)
        running = Destination(root.folder("1.3"), "x")
        running.acquire()
        note = install_state.Marker("unfinished", "x", "app", "1.3", "p", "3", created=True)
        running.prepare(note, running.state(), force=False)
        with root.held():
            prune(root, 1)
        assert "left alone" in capfd.readouterr().err
        assert root.release("1.3").state == "unfinished"
        running.release()


def test_no_read_fails_during_switches(root: Root) -> None:
    """`current`, and a file behind it, are there at every moment."""
    switched(root, "1.0")
    path = Path(root.current) / install_state.FILE
    seen, done = [0], threading.Event()

    def look() -> None:
        while not done.is_set() or seen[0] < 10_000:
            path.stat()
            seen[0] += 1

    failures: list[BaseException] = []

    def safely() -> None:
        try:
            look()
        except OSError as error:
            failures.append(error)

    reader = threading.Thread(target=safely)
    reader.start()
    for number in range(200):
        switched(root, ("1.1", "1.2")[number % 2])
    done.set()
    reader.join()
    assert failures == []
    assert seen[0] >= 10_000
    assert len(changes(root)) == 204


class TestCommandsOfTheOperator:
    def test_run_by_the_systems_shell(self, root: Root) -> None:
        shell = Path(root.folder("1.0"), "bin", "sh")
        shell.write_text("#!/bin/false\n")
        shell.chmod(0o755)
        with root.held():
            activate(root, "1.0", Commands(PATH, "true", "true"))
        assert current(root) == "1.0"

    def test_have_the_operators_umask(self, root: Root) -> None:
        with root.held():
            activate(root, "1.0", Commands(PATH, "touch made", umask=0o077))
        assert Path(root.folder("1.0"), "made").stat().st_mode & 0o777 == 0o600
