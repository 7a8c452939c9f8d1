"""Processes that share a list of jobs; threads would wait for each other (the GIL).

Plain fork and pipes: multiprocessing needs semaphores, and so /dev/shm, which some servers lack.
"""

import itertools
import json
import os
import selectors
import signal
from typing import IO, Any, Callable, Dict, Iterator, Tuple

from . import signals
from .errors import BY_EXIT_CODE, InstallError, foreseen

_NUMBER = 4
_READ = 1 << 16
_PULSE = 0.1


def cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        return os.cpu_count() or 1


def run(jobs: int, work: Callable[[int], Any], processes: int) -> Iterator[Tuple[int, Any]]:
    """Yield (job, result) as jobs get done, in any order; results travel as JSON.

    The first error of a worker is raised here. Leaving the iterator, by an error or early, ends all workers.
    """
    with _Workers(jobs, work, processes) as workers:
        yield from workers.results()


class _Workers:
    """Processes that start with the block and end with it."""

    def __init__(self, jobs: int, work: Callable[[int], Any], processes: int) -> None:
        self._waiting = iter(range(jobs))
        self._work = work
        self._size = min(processes, jobs)
        self._workers: Dict[int, int] = {}

    def __enter__(self) -> "_Workers":  # noqa: PYI034 - Self came with Python 3.11
        todo_out, todo_in = os.pipe()
        self._todo = os.fdopen(todo_in, "wb", buffering=0)
        try:
            try:
                for _ in range(self._size):
                    pid, results = _start(todo_out, todo_in, self._work)
                    self._workers[results] = pid
            finally:
                os.close(todo_out)
            # One job per worker in work and one in waiting: a pipe need not hold the whole list.
            _hand_out(self._todo, self._waiting, 2 * self._size)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for pid in self._workers.values():
            os.kill(pid, signal.SIGKILL)
        for results, pid in self._workers.items():
            os.close(results)
            os.waitpid(pid, 0)
        self._todo.close()

    def results(self) -> Iterator[Tuple[int, Any]]:
        """Read the answers and hand out more jobs, until every worker has said good-bye."""
        workers = self._workers
        buffers = dict.fromkeys(workers, b"")
        with selectors.DefaultSelector() as selector:
            for results in workers:
                selector.register(results, selectors.EVENT_READ)
            while workers:
                for key, _ in selector.select():
                    results = key.fd
                    data = os.read(results, _READ)
                    if not data:
                        selector.unregister(results)
                        _bury(results, workers)
                        continue
                    lines = (buffers[results] + data).split(b"\n")
                    buffers[results] = lines.pop()
                    for line in lines:
                        yield _answer(line)
                        _hand_out(self._todo, self._waiting, 1)


def _start(todo_out: int, todo_in: int, work: Callable[[int], Any]) -> Tuple[int, int]:
    results_out, results_in = os.pipe()
    parent = os.getpid()
    with signals.postponed() as mask:  # what handles them in the parent must not do so in the worker
        pid = os.fork()
        if not pid:
            # From here on this is the worker; it must never return into the caller's code.
            status = 1
            try:
                signals.leave()
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
                _end_with(parent)
                os.close(todo_in)
                os.close(results_out)
                _serve(todo_out, results_in, work)
                status = 0
            finally:
                os._exit(status)
    os.close(results_in)
    return pid, results_out


def _end_with(parent: int) -> None:
    """Check several times per second whether the parent lives: after a kill -9 nothing else would end this process."""

    def look(*_: object) -> None:
        if os.getppid() != parent:
            os._exit(1)

    signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, _PULSE, _PULSE)


def _serve(todo: int, results: int, work: Callable[[int], Any]) -> None:
    while True:
        number = os.read(todo, _NUMBER)
        if len(number) < _NUMBER:
            return
        job = int.from_bytes(number, "big")
        try:
            message: Dict[str, Any] = {"job": job, "result": work(job)}
        except Exception as error:  # noqa: BLE001 - it is told to the parent, which raises it
            told = foreseen(error)
            message = {"error": told.message, "hint": told.hint, "code": told.exit_code}
        data = json.dumps(message).encode("ascii") + b"\n"
        while data:
            data = data[os.write(results, data) :]


def _hand_out(todo: IO[bytes], waiting: Iterator[int], count: int) -> None:
    """Write the next numbers; the end of the list is the end of the pipe."""
    if todo.closed:
        return
    numbers = list(itertools.islice(waiting, count))
    try:
        todo.write(b"".join(number.to_bytes(_NUMBER, "big") for number in numbers))
        if len(numbers) < count:
            todo.close()
    except BrokenPipeError:  # no worker is left; why, their exit statuses will tell
        todo.close()


def _bury(results: int, workers: Dict[int, int]) -> None:
    pid = workers.pop(results)
    os.close(results)
    _, status = os.waitpid(pid, 0)
    if status:
        raise InstallError(
            "a worker process ended early (%s)"
            % ("signal %d" % os.WTERMSIG(status) if os.WIFSIGNALED(status) else "status %d" % os.WEXITSTATUS(status)),
            hint="if it was killed for want of memory, give the machine more or free some, and try again",
        )


def _answer(line: bytes) -> Tuple[int, Any]:
    message = json.loads(line)
    if "error" in message:
        raise BY_EXIT_CODE[message["code"]](message["error"], hint=message["hint"])
    return message["job"], message["result"]
