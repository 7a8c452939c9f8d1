"""Watch over one command from a process of its own, and end all of its processes when time is up or it is asked to.

It outlives an installer that is killed with SIGKILL, and ends the command then. Where the system has
PR_SET_CHILD_SUBREAPER, it also becomes the parent of processes that leave the command's session, such as daemons.
"""

import contextlib
import os
import select
import signal
import subprocess
import time
from typing import AbstractSet, Dict, List, Mapping, NamedTuple, Optional, Sequence, Set

GRACE = 5.0  # seconds between SIGTERM and SIGKILL
_PAUSE = 0.05
_LONGEST = 3600.0  # seconds to wait at a time: poll takes no number of any size
_PR_SET_CHILD_SUBREAPER = 36


class Order(NamedTuple):
    """A command, and what it gets: `mask` is its signal mask, `limit` its time in seconds."""

    words: Sequence[str]
    folder: str
    environment: Mapping[str, str]
    limit: float
    umask: int
    mask: AbstractSet[int]
    grace: float = GRACE


class Ended(NamedTuple):
    """How a command ended: its wait status, or `overran` if the time limit was over or the installer asked for the end.

    `left` are its processes that could not be ended, such as those of another user.
    """

    status: int = 0
    overran: bool = False
    left: Sequence[int] = ()


def supervise(order: Order, control: int) -> Ended:
    """Run the command to its end. OSError if it cannot be started.

    A byte on the descriptor `control` asks for its end; the end of that pipe says that the installer was killed.
    """
    _adopt_orphans()
    wake = _wake_up_for_children()
    deadline = time.monotonic() + order.limit
    process = _start(order)
    leader, process.returncode = process.pid, 0  # or a Popen that is forgotten might take the exit status with it
    events = select.poll()
    events.register(control, select.POLLIN)
    events.register(wake, select.POLLIN)
    while True:
        status = _reap(leader)
        if status is not None:
            return Ended(status)
        left = deadline - time.monotonic()
        if left <= 0:
            return Ended(overran=True, left=end(leader, order.grace))
        if control in dict(events.poll(min(left, _LONGEST) * 1000)):
            asked = os.read(control, 1)
            return Ended(overran=True, left=end(leader, order.grace if asked else 0))
        with contextlib.suppress(BlockingIOError):
            os.read(wake, 512)


def end(leader: int, grace: float) -> List[int]:
    """Send SIGTERM to all of the command's processes, after `grace` seconds SIGKILL. Return those that still run."""
    asked: Set[int] = set()
    began = time.monotonic()
    while True:
        _reap(leader)
        members = _members(leader)
        passed = time.monotonic() - began
        if not members or passed > grace + GRACE:
            return members
        for process in members:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if passed >= grace:
                    os.kill(process, signal.SIGKILL)
                elif process not in asked:
                    os.kill(process, signal.SIGTERM)
        asked.update(members)
        time.sleep(_PAUSE)


def _start(order: Order) -> "subprocess.Popen[bytes]":
    def prepare() -> None:
        os.umask(order.umask)
        signal.pthread_sigmask(signal.SIG_SETMASK, order.mask)

    return subprocess.Popen(
        order.words,
        cwd=order.folder,
        env=order.environment,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=prepare,  # noqa: PLW1509 - there are no other threads
    )


def _adopt_orphans() -> None:
    with contextlib.suppress(ImportError, OSError, AttributeError):  # not every Python and system has it
        import ctypes  # noqa: PLC0415

        zero = ctypes.c_ulong(0)
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(1), zero, zero, zero)


def _wake_up_for_children() -> int:
    """Return a descriptor that can be read when a child has ended."""
    wake, woken = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(woken, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    return wake


def _reap(leader: int) -> Optional[int]:
    """Collect all children that have ended. Return the status of the leader if it is one of them."""
    found = None
    with contextlib.suppress(ChildProcessError):
        while True:
            process, status = os.waitpid(-1, os.WNOHANG)
            if not process:
                break
            if process == leader:
                found = status
    return found


def _members(leader: int) -> List[int]:
    """Return the live processes of the command's session, and our other descendants.

    Without /proc it is the negative number of the command's process group, which os.kill takes.
    """
    found: Set[int] = set()
    parents: Dict[int, int] = {}
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
        with contextlib.suppress(OSError, ValueError):
            with open("/proc/%d/stat" % int(name), "rb") as stream:
                line = stream.read()
            # After the name of the program, which may hold anything.
            state, parent, group, session = line[line.rindex(b")") + 1 :].split()[:4]
            if state not in (b"Z", b"X"):
                parents[int(name)] = int(parent)
                if leader in (int(group), int(session)):
                    found.add(int(name))
    if not parents:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, 0)
            return [-leader]
        return []
    ours = {os.getpid()}
    while True:
        more = {process for process, parent in parents.items() if parent in ours} - ours
        if not more:
            break
        ours |= more
    return sorted((found | ours) - {os.getpid()})
