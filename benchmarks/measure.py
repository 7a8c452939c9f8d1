"""Measuring: a command's time and memory, and two sides in turns."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

_TAIL = 30


class BenchError(Exception):
    """A side failed, or did not do what the other one did: nothing can be compared then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one run took. Seconds and bytes; `peak` is that of the largest process; `size` is what a side made."""

    wall: float = 0.0
    user: float = 0.0
    system: float = 0.0
    peak: int = 0
    size: int = 0

    def __add__(self, other: Figures) -> Figures:
        return Figures(
            wall=self.wall + other.wall,
            user=self.user + other.user,
            system=self.system + other.system,
            peak=max(self.peak, other.peak),
            size=self.size + other.size,
        )


def _nothing() -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One side of a pair: what is measured, what has to happen before each time, and whether it came out right."""

    label: str
    run: Callable[[], Figures]
    prepare: Callable[[], None] = field(default=_nothing)
    check: Callable[[], None] = field(default=_nothing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Ours and a peer; without a peer the bar is a figure of its own. `check` compares what both made."""

    ours: Side
    peer: Side | None = None
    check: Callable[[], None] = field(default=_nothing)


def run(
    words: Sequence[str | Path], *, cwd: Path, environ: Mapping[str, str], accepted: Collection[int] = (0,)
) -> Figures:
    """Run a command to its end. Raises BenchError with the end of its output for an exit status not accepted."""
    with tempfile.TemporaryFile() as log:
        began = time.perf_counter()
        process = subprocess.Popen(
            [os.fspath(word) for word in words],
            cwd=cwd,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        _pid, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in accepted:
            log.seek(0)
            lines = log.read().decode("utf-8", "replace").splitlines()[-_TAIL:]
            shown = " ".join(map(str, words[:6]))
            raise BenchError(f"{shown} … ended with {process.returncode}:\n" + "\n".join(f"  {line}" for line in lines))
    # ru_maxrss is in KiB, on Linux.
    return Figures(wall=wall, user=usage.ru_utime, system=usage.ru_stime, peak=usage.ru_maxrss * 1024)


def output(words: Sequence[str | Path], *, cwd: Path, environ: Mapping[str, str]) -> str:
    """What a command prints, for everything that is not measured. Raises BenchError."""
    done = subprocess.run(words, cwd=cwd, env=environ, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode:
        lines = (done.stdout + done.stderr).decode("utf-8", "replace").splitlines()[-_TAIL:]
        raise BenchError(f"{words[0]} ended with {done.returncode}:\n" + "\n".join(f"  {line}" for line in lines))
    return done.stdout.decode()


def timed_within(words: Sequence[str | Path], *, cwd: Path, environ: Mapping[str, str]) -> Figures:
    """A step that a process measures itself: the last line that it prints is a JSON object with `seconds`."""
    return Figures(wall=json.loads(output(words, cwd=cwd, environ=environ).splitlines()[-1])["seconds"])


def alternate(pair: Pair, runs: int, tell: Callable[[str], None]) -> tuple[list[Figures], list[Figures]]:
    """Run ours and the peer in turns, so that what else the machine does falls on both. Checks the last run."""
    ours: list[Figures] = []
    peers: list[Figures] = []
    for number in range(1, runs + 1):
        for side, figures in ((pair.ours, ours), (pair.peer, peers)):
            if side:
                side.prepare()
                figures.append(side.run())
                tell(f"  {number}/{runs} {side.label}: {figures[-1].wall:.2f} s")
                if number == runs:
                    side.check()
    pair.check()
    return ours, peers
