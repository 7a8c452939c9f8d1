"""Run commands of operators and scripts of bundles: without standard input, in their own session, ended with us."""

import contextlib
import os
import signal
import subprocess
import time
from typing import Dict, Iterator, Mapping, Sequence

from . import signals

# Not what PATH says: that begins with the release, whose packages may bring a program of any name.
SHELL = "/bin/sh"
_GRACE = 5.0  # seconds between SIGTERM and SIGKILL
_PAUSE = 0.05


def activated(before: Mapping[str, str], virtualenv: str) -> Dict[str, str]:
    """Return the environment as after `. bin/activate`."""
    active = {name: value for name, value in before.items() if name != "PYTHONHOME"}
    active["VIRTUAL_ENV"] = virtualenv
    active["PATH"] = os.path.join(virtualenv, "bin") + os.pathsep + before.get("PATH", os.defpath)
    return active


def run(words: Sequence[str], folder: str, environment: Mapping[str, str], umask: int = 0o022) -> str:
    """Return how it failed, such as `exited with status 1`; empty if it did not. OSError if it cannot be started.

    What it leaves in the background when it ends by itself stays: it may have started a service.
    """
    with signals.postponed() as mask, _guard() as guard:  # a signal between start and try would leave it behind

        def prepare() -> None:
            os.umask(umask)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            os.write(guard, b"%d" % os.getpid())

        process = subprocess.Popen(
            words,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=prepare,  # noqa: PLW1509 - there are no other threads
        )
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            status = process.wait()
        except BaseException:
            _end(process)
            raise
    if status < 0:
        return "was ended by signal %s" % signal.Signals(-status).name
    return "exited with status %d" % status if status else ""


@contextlib.contextmanager
def _guard() -> Iterator[int]:
    """Start a process that ends a process group if this process is killed with SIGKILL.

    The leader of the group writes its number to the descriptor, so that there is no unguarded moment.
    """
    alive, ours = os.pipe()
    guard = os.fork()
    if not guard:
        try:
            os.setsid()  # a Ctrl-C at the terminal is for the process that it guards
            os.close(ours)
            for descriptor in (0, 1, 2):  # who reads our output must not wait for the guard
                os.dup2(alive, descriptor)
            group = int(os.read(alive, 20))
            os.read(alive, 1)
            os.killpg(group, signal.SIGKILL)
        finally:
            os._exit(0)
    os.close(alive)
    try:
        yield ours
    finally:
        # Not the end of the pipe: the guard must not act on a group number that may be another one's by then.
        os.kill(guard, signal.SIGKILL)
        os.waitpid(guard, 0)
        os.close(ours)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ask all of the command's processes to end; kill the rest after a while."""
    end = time.monotonic() + _GRACE
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGTERM)
        while time.monotonic() < end:
            process.poll()
            os.killpg(process.pid, 0)
            time.sleep(_PAUSE)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
