"""Installations that are ended: by kill -9 at any moment, and by signals that ask for it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from faults.server import end_group, told_of_signal

if TYPE_CHECKING:
    from collections.abc import Callable

    from faults.ledger import Trials
    from faults.server import Server


def ended(server: Server, moment: float, number: int, *options: str, alone: bool = False) -> int:
    """Start an installation, send its group a signal at that moment, if it still runs, and give its exit status."""
    process = server.start(*options)
    try:
        process.wait(moment)
    except subprocess.TimeoutExpired:
        end_group(process, number, alone=alone)
    return process.returncode


@pytest.mark.parametrize("part", [1, 2])
def test_kill(trials: Trials, new_server: Callable[[], Server], duration: float, part: int) -> None:  # noqa: ARG001
    for trial in trials("install.sh: kill -9 at any moment", full=50, few=2):
        with trial:
            server = new_server()
            # Now and then the run that repairs is killed as well.
            for _ in range(trial.random.choice([1, 1, 2])):
                alone = trial.random.random() < 0.3  # its workers have to notice
                ended(server, trial.random.uniform(0, duration * 1.1), signal.SIGKILL, alone=alone)
                server.check_bystanders()
                assert server.state() in {"absent", "empty", "unfinished", "complete"}
            server.install()


def test_kill_while_replacing(trials: Trials, new_server: Callable[[], Server], duration: float) -> None:
    for trial in trials("install.sh: kill -9 at any moment, --force", full=35, few=2):
        with trial:
            server = new_server()
            server.occupy()
            ended(server, trial.random.uniform(0, duration * 1.1), signal.SIGKILL, "--force")
            server.check_bystanders()
            assert server.state() in {"absent", "empty", "unfinished", "complete", "theirs"}
            before = server.state()
            if before == "complete":
                server.install()
                continue
            # Without --force the next run gives back what was there.
            assert server.start().wait(60) == 6, server.said
            server.check_untouched("theirs")
            server.install("--force")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_signals(trials: Trials, new_server: Callable[[], Server], duration: float, number: signal.Signals) -> None:
    for trial in trials("install.sh: SIGINT, SIGTERM, SIGHUP", full=20, few=1):
        with trial:
            server = new_server()
            force = trial.random.random() < 0.3
            if force:
                server.occupy()
            status = ended(server, trial.random.uniform(0, duration * 1.1), number, *["--force"] * force)
            if status == 0:
                server.check_installed()
            else:
                assert told_of_signal(status, number, server.said), server.said
                server.check_untouched("theirs" if force else "absent")
                server.install(*["--force"] * force)


def test_impatience(trials: Trials, new_server: Callable[[], Server], duration: float) -> None:
    """A second signal while the first one's cleaning up is under way."""
    for trial in trials("install.sh: two signals in a row", full=30, few=1):
        with trial:
            server = new_server()
            process = server.start()
            time.sleep(trial.random.uniform(0.3, 0.9) * duration)
            for pause in (trial.random.uniform(0, 0.03), 60):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, trial.random.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP]))
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(pause)
            if process.returncode == 0:
                server.check_installed()
            else:
                server.check_untouched()
