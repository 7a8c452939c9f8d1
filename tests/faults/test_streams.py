"""Standard streams that are closed, full, gone, or read by nobody."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from faults.builds import Builder
    from faults.ledger import Trials
    from faults.server import Server

    NewServer = Callable[[], Server]
    NewBuilder = Callable[[], Builder]

INSTALLING, BUILDING = "install.sh: closed and full streams", "platter build: closed and full streams"
CLOSED = ["<&- >&- 2>&-", ">&- 2>&-", ">&-", "2>&-", "<&-"]


def closing(redirection: str) -> list[str]:
    """A command prefix under which the streams are redirected as a shell does it."""
    return ["sh", "-c", f'exec "$@" {redirection}', "-", "sh"]


class Pipe:
    """A pipe that is full, with nobody reading."""

    def __init__(self) -> None:
        self.out, self.into = os.pipe()
        os.set_blocking(self.into, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(self.into, b"x" * 4096)
        os.set_blocking(self.into, True)

    def end(self, how: str) -> None:
        """Somebody reads it at last, or goes."""
        if how == "read":
            while os.read(self.out, 65536):
                pass
        os.close(self.out)


@pytest.fixture
def full() -> Iterator[IO[bytes]]:
    path = Path("/dev/full")
    if not path.exists():
        pytest.skip("there is no /dev/full")
    with path.open("wb") as file:
        yield file


@pytest.mark.parametrize("redirection", CLOSED)
def test_install_closed(trials: Trials, new_server: NewServer, redirection: str) -> None:
    with trials.one(INSTALLING):
        new_server().install(shell=closing(redirection), stdin=None)


def test_install_full(trials: Trials, new_server: NewServer, full: IO[bytes]) -> None:
    with trials.one(INSTALLING):
        new_server().install(stdout=full, stderr=full)


def test_install_gone(trials: Trials, new_server: NewServer) -> None:
    with trials.one(INSTALLING):
        out, into = os.pipe()
        os.close(out)
        new_server().install(stdout=into, stderr=into)
        os.close(into)


@pytest.mark.parametrize("end", ["read", "gone"])
def test_install_into_a_full_pipe(trials: Trials, new_server: NewServer, end: str) -> None:
    """It waits, as everything does; when somebody reads, or nobody can any more, it goes on to its end."""
    with trials.one("install.sh: full pipe"):
        server, pipe = new_server(), Pipe()
        process = server.start(stdout=pipe.into)
        os.close(pipe.into)
        time.sleep(0.5)
        assert process.poll() is None
        pipe.end(end)
        assert process.wait(60) == 0
        server.check_installed()


def test_install_into_a_full_pipe_that_does_not_block(trials: Trials, new_server: NewServer) -> None:
    with trials.one("install.sh: full pipe"):
        pipe = Pipe()
        os.set_blocking(pipe.into, False)
        new_server().install(stdout=pipe.into, stderr=pipe.into)
        os.close(pipe.into)
        os.close(pipe.out)


def test_build_closed(
    trials: Trials, new_builder: NewBuilder, warm: Builder, expected: Callable[[str], dict[str, str]]
) -> None:
    for trial in trials(BUILDING, full=len(CLOSED), few=1):
        with trial:
            builder = new_builder()
            builder.warm_up(warm)
            prefix = closing(CLOSED[trial.number])[:-1]
            assert builder.build(prefix=prefix, stdin=None) == expected("tar.gz")


def test_build_full_or_gone(
    trials: Trials, new_builder: NewBuilder, warm: Builder, expected: Callable[[str], dict[str, str]], full: IO[bytes]
) -> None:
    """The bundle is made. Only where its path cannot be told to whoever waits for it, that is a failure."""
    builder = new_builder()
    builder.warm_up(warm)
    out, gone = os.pipe()
    os.close(out)
    ends = [full.fileno(), gone]
    cases = [(names, end) for names in (["stdout", "stderr"], ["stdout"], ["stderr"]) for end in ends]
    for trial in trials(BUILDING, full=len(cases), few=2):
        with trial:
            names, end = cases[trial.number]
            streams: dict[str, Any] = dict.fromkeys(names, end)
            assert builder.start(**streams).wait(120) == int("stdout" in names)
            assert builder.shown() == expected("tar.gz")
            if names == ["stdout"]:
                builder.check_told()
                assert "is made" in builder.said
            elif names == ["stderr"]:
                assert builder.said == f"{builder.dist}/{next(iter(expected('tar.gz')))}\n"
    os.close(gone)


@pytest.mark.parametrize("end", ["read", "gone"])
def test_build_into_a_full_pipe(
    trials: Trials, new_builder: NewBuilder, warm: Builder, expected: Callable[[str], dict[str, str]], end: str
) -> None:
    with trials.one("platter build: full pipe"):
        builder, pipe = new_builder(), Pipe()
        builder.warm_up(warm)
        process = builder.start("--verbose", stderr=pipe.into)
        os.close(pipe.into)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        pipe.end(end)
        assert process.wait(120) == 0
        assert builder.shown() == expected("tar.gz")
