from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from platter_setuptools.payload import worker_pool
from platter_setuptools.payload.errors import BundleError, InstallError
from support.children import children

if TYPE_CHECKING:
    from collections.abc import Generator


@pytest.mark.parametrize("processes", [1, 2, 5])
@pytest.mark.parametrize("jobs", [0, 1, 3, 500])
def test_every_job_is_done_once(jobs: int, processes: int) -> None:
    found = dict(worker_pool.run(jobs, lambda job: [job * 2, os.getpid()], processes))
    assert {job: double for job, (double, _) in found.items()} == {job: job * 2 for job in range(jobs)}
    assert os.getpid() not in {pid for _, pid in found.values()}


def test_large_answers() -> None:
    assert dict(worker_pool.run(3, lambda _: "x" * 1_000_000, 2)) == dict.fromkeys(range(3), "x" * 1_000_000)


def test_who_leaves_early_ends_all_workers() -> None:
    before = children()
    found = cast("Generator[tuple[int, None]]", worker_pool.run(2, lambda job: time.sleep(100 * job), 2))
    assert next(found) == (0, None)
    found.close()
    assert children() == before


def test_errors_keep_their_kind() -> None:
    def work(job: int) -> int:
        raise BundleError(f"job {job}", hint="mend it")

    with pytest.raises(BundleError, match="job") as caught:
        list(worker_pool.run(5, work, 2))
    assert caught.value.hint == "mend it"


def test_unforeseen_errors_become_one_line() -> None:
    with pytest.raises(InstallError, match="ZeroDivisionError") as caught:
        list(worker_pool.run(2, lambda job: 1 // job, 1))
    assert caught.value.exit_code == 1


def test_a_worker_that_dies() -> None:
    with pytest.raises(InstallError, match="signal 9"):
        list(worker_pool.run(3, lambda _: os.kill(os.getpid(), signal.SIGKILL), 2))
    with pytest.raises(InstallError, match="status 7"):
        list(worker_pool.run(1, lambda _: os._exit(7), 2))


def test_leaving_early_ends_the_workers() -> None:
    def work(job: int) -> None:
        time.sleep(100 * job)

    before = children()
    with contextlib.closing(cast("Generator[tuple[int, None]]", worker_pool.run(4, work, 2))) as running:
        next(running)
    assert children() == before


def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    program = f"""\
import os, sys, time
sys.path.insert(0, {str(Path(worker_pool.__file__).parents[2])!r})
from platter_setuptools.payload import worker_pool as crew
def work(job):
    open({str(tmp_path)!r} + "/%d" % os.getpid(), "w").close()
    time.sleep(100)
list(crew.run(2, work, 2))
"""
    parent = subprocess.Popen([sys.executable, "-c", program])
    while len(list(tmp_path.iterdir())) < 2:
        time.sleep(0.01)
    parent.kill()
    parent.wait()
    for pid in (int(path.name) for path in tmp_path.iterdir()):
        for _ in range(100):
            if not _alive(pid):
                break
            time.sleep(0.05)
        assert not _alive(pid)


def test_what_is_ignored_ends_no_worker() -> None:
    """With nohup, the end of the terminal must not end an installation half-way."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert dict(worker_pool.run(2, lambda _: os.kill(os.getpid(), signal.SIGHUP), 2)) == {0: None, 1: None}


def test_a_worker_is_interrupted_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It must not return into the caller's code, and roll back what is the parent's to roll back."""
    parent, fork = os.getpid(), os.fork

    def interrupted() -> int:
        pid = fork()
        if not pid:
            os.kill(os.getpid(), signal.SIGINT)
        return pid

    monkeypatch.setattr(os, "fork", interrupted)
    try:
        with pytest.raises(InstallError, match="signal 2"):
            list(worker_pool.run(1, str, 1))
    finally:
        if os.getpid() != parent:
            (tmp_path / "returned").touch()
            os._exit(0)
    assert not (tmp_path / "returned").exists()


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
