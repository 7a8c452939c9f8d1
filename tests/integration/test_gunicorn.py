"""A real gunicorn while `current` is switched under it: which release answers then, and what is lost."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest
import urllib3

from support import gunicorn
from support.gunicorn import BROKEN, NEW, OLD
from support.load import Load
from support.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from support.front_ends import Done

pytestmark = pytest.mark.network
SCRIPT = ["gunicorn"]
MODULE = ["python", "-m", "gunicorn"]


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two releases with different versions of gunicorn, and one that cannot be started; the old one is active."""
    return gunicorn.root(tmp_path_factory.mktemp("gunicorn"))


@pytest.fixture
def active_old(root: Path) -> Iterator[Path]:
    platter(root, "activate", OLD)
    yield root
    platter(root, "activate", OLD)


def platter(root: Path, *words: str, code: int = 0) -> Done:
    done = subprocess.run([root / "platter", *words], check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def serve(root: Path, folder: Path, command: Sequence[str] = SCRIPT, *, activated: bool) -> Service:
    """gunicorn of the active release, as a unit names it."""
    started = Service(folder, gunicorn.command(root, command, activated=activated), activated=activated)
    assert started.start(), started.log.read_text()
    return started


def test_a_script_keeps_its_release(active_old: Path, tmp_path: Path) -> None:
    """Whatever is imported late, and on HUP and USR2: its first line names the release that it belongs to."""
    with serve(active_old, tmp_path, activated=False) as service:
        old = service.ask()
        assert old.startswith(f"{OLD} with gunicorn ")
        platter(active_old, "activate", NEW)
        assert service.ask("late") == f"{old}, late {OLD}"
        for number in (signal.SIGHUP, signal.SIGUSR2):
            with Load(service.url) as load:
                service.kill(number)
                service.await_log("Booting worker", times=2)
                load.await_answer(old)
            assert (set(load.answers), load.lost) == ({old}, {})


def test_a_module_of_current_mixes_releases(active_old: Path, tmp_path: Path) -> None:
    with serve(active_old, tmp_path, MODULE, activated=False) as service:
        old = service.ask()
        platter(active_old, "activate", NEW)
        assert service.ask("late") == f"{old}, late {NEW}"  # without any reload
        with Load(service.url) as load:
            service.kill(signal.SIGHUP)
            # The new application, run by the gunicorn of the old release.
            load.await_answer(old.replace(f"{OLD} with", f"{NEW} with"))
        assert load.lost == {}


@pytest.mark.parametrize("activated", [False, True], ids=["alone", "with a socket unit"])
def test_restart(active_old: Path, tmp_path: Path, *, activated: bool) -> None:
    with serve(active_old, tmp_path, activated=activated) as service:
        old = service.ask()
        with Load(service.url) as load:
            load.await_answer(old)
            platter(active_old, "activate", NEW, "--reload", service.restart_command)
            new = service.ask()
            load.await_answer(new)
        assert new.startswith(f"{NEW} with gunicorn ")
        assert new.split()[-1] != old.split()[-1]
        assert set(load.answers) == {old, new}
        assert bool(load.lost) is not activated, load.lost


def test_nothing_is_lost_with_a_socket(active_old: Path, tmp_path: Path) -> None:
    """There and back, and to a release that does not start, with a health check that finds out, and without."""
    with serve(active_old, tmp_path, activated=True) as service:
        reload = ("--reload", service.restart_command)
        check = ("--health-check", "gunicorn --check-config yourapp:app")
        with Load(service.url) as load:
            for version in (NEW, OLD):
                platter(active_old, "activate", version, *check, *reload)
                load.await_answer(service.ask())
            said = platter(active_old, "activate", BROKEN, *check, *reload, code=8).stderr
            assert f"health check exited with status 1; {OLD} is still active" in said
            ready = ("--ready", service.ask_command(timeout=1), "--ready-timeout", "2")
            said = platter(active_old, "activate", BROKEN, "--no-health-check", *reload, *ready, code=8).stderr
            assert f"{OLD} is active again, reloaded" in said
            load.await_answer(service.ask())
        assert {text.split()[0] for text in load.answers} == {OLD, NEW}
        assert load.lost == {}


@pytest.mark.skipif(not shutil.which("systemd-socket-activate"), reason="there is no systemd-socket-activate")
def test_the_socket_that_systemd_gives(active_old: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    words = gunicorn.command(active_old, SCRIPT, activated=True)
    with (tmp_path / "log").open("wb") as log:
        activation = ["systemd-socket-activate", f"--listen=127.0.0.1:{port}", *words]
        with subprocess.Popen(activation, stdin=subprocess.DEVNULL, stderr=log, cwd=tmp_path) as process:
            try:
                retries = urllib3.Retry(20, backoff_factor=0.05)  # until it listens
                said = urllib3.request("GET", f"http://127.0.0.1:{port}/", retries=retries, timeout=30).data.decode()
                assert said.startswith(f"{OLD} with gunicorn ")
            finally:
                process.terminate()
