"""Run commands of operators and scripts of projects: no standard input, a session of their own, a time limit.

Their output is not read here, so that it may be of any length.
"""

import contextlib
import os
import signal
from typing import Dict, List, Mapping, Sequence

from . import signals, supervisor, untrusted

# Not what PATH says: that begins with the release, whose packages may bring a program of any name.
SHELL = "/bin/sh"
LIMIT = 300  # seconds that a command may take if nobody says otherwise
_OVERRAN = "was still running after "
_SIZE = 4096  # of an answer: one write to a pipe
_ERROR, _STATUS, _OVER = b"e", b"s", b"o"


def activated(before: Mapping[str, str], virtualenv: str) -> Dict[str, str]:
    """Return the environment as after `. bin/activate`."""
    active = {name: value for name, value in before.items() if name != "PYTHONHOME"}
    active["VIRTUAL_ENV"] = virtualenv
    active["PATH"] = os.path.join(virtualenv, "bin") + os.pathsep + before.get("PATH", os.defpath)
    return active


def words_of(path: str) -> List[str]:
    """Return the command for a script: by its `#!` line, read here so that it works on a noexec mount, or `sh -e`.

    OSError or ValueError if it is not a file that can be read.
    """
    with untrusted.open_file(path) as stream:
        line = stream.readline(4096)
    words = line[2:].strip().split(None, 1) if line.startswith(b"#!") else []
    if not words:
        return [SHELL, "-e", path]
    return [os.fsdecode(word) for word in words] + [path]


def run(
    words: Sequence[str], folder: str, environment: Mapping[str, str], limit: float = LIMIT, umask: int = 0o022
) -> str:
    """Return how it failed, such as `exited with status 1`; empty if it did not. OSError if it cannot be started.

    After `limit` seconds, or an exception such as Interrupted, all of its processes are ended, daemons too, and so they
    are if this process is killed with SIGKILL. What it leaves in the background when it ends by itself stays: it may
    have started a service.
    """
    with signals.postponed() as mask:  # a signal between start and try would leave it behind
        order = supervisor.Order(words, folder, environment, limit, umask, mask, supervisor.GRACE)
        report, answer = os.pipe()
        control, ask = os.pipe()
        watcher = os.fork()
        if not watcher:
            _watch(order, control, answer, (report, ask))
        os.close(answer)
        os.close(control)
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            said = os.read(report, _SIZE)
        except BaseException:
            with contextlib.suppress(BrokenPipeError):
                os.write(ask, b"end")
            raise
        finally:
            os.waitpid(watcher, 0)
            os.close(report)
            os.close(ask)
    return _told(said, limit)


def advice(failure: str) -> str:
    """Return the hint for a failure that `run` returned."""
    if failure.startswith(_OVERRAN):
        return "if it needs more time, give it that with --command-timeout SECONDS"
    return "its output above should say why"


def _watch(order: supervisor.Order, control: int, answer: int, others: Sequence[int]) -> None:
    """Supervise the command in this new process, and write how it ended to the descriptor `answer`. Never return."""
    said = b""
    try:
        os.setsid()  # a Ctrl-C at the terminal is for the process that waits for the answer
        for one in others:
            os.close(one)
        ended = supervisor.supervise(order, control)
        numbers = " ".join(map(str, ended.left[:20]))
        said = (_OVER + numbers.encode("ascii")) if ended.overran else _STATUS + b"%d" % ended.status
    except OSError as error:
        said = _ERROR + b"%d" % (error.errno or 0)
    finally:
        with contextlib.suppress(OSError):
            os.write(answer, said)
        os._exit(0)


def _told(said: bytes, limit: float) -> str:
    kind, rest = said[:1], said[1:].decode("ascii")
    if kind == _ERROR:
        raise OSError(int(rest), os.strerror(int(rest)))
    if kind == _OVER:
        left = "; these processes could not be ended: %s" % rest if rest else ""
        return "%s%g s, and was ended%s" % (_OVERRAN, round(limit, 1), left)
    if kind != _STATUS:
        return "was left alone, since the process that watched over it was killed"
    status = int(rest)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        known = {one.value: one.name for one in signal.Signals}
        return "was ended by signal %s" % known.get(number, number)
    return "exited with status %d" % os.WEXITSTATUS(status) if status else ""
