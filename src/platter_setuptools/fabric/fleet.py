"""Run a task on many hosts: canaries first, then batches, until too many fail; report the outcome of each."""

from __future__ import annotations

import signal
import threading
import time
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING

from platter_setuptools.errors import PlatterError
from platter_setuptools.runtime.signals import signals_told
from platter_setuptools.runtime.streams import print_notice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

DONE, FAILED, UNKNOWN, NOT_TRIED = "done", "failed", "unknown", "not tried"
_LEFT = "was still working when this ended, and continues; `fab releases` shows what is active there"
_AT_ONCE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    hosts: tuple[str, ...]
    batch: int
    canary: int
    max_failures: int

    def batches(self) -> Iterator[tuple[str, ...]]:
        """Yield the canaries, then the others in their order; at most `batch` at a time."""
        first, rest = self.hosts[: self.canary], self.hosts[self.canary :]
        for hosts in (first, rest):
            for start in range(0, len(hosts), self.batch):
                yield hosts[start : start + self.batch]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The outcome of a host. `code` is 0 only for success; `text` begins with the most important line."""

    host: str
    state: str
    text: str = ""
    code: int = 1
    seconds: float = 0.0


def go(plan: Plan, act: Callable[[str], str]) -> list[Outcome]:
    """Run `act`, which returns a text or raises, for every host. Return the outcomes in the order of the hosts.

    Stop after a failure among the canaries, or after `max_failures`. Ctrl-C waits for the hosts that are working; a
    second one, SIGTERM and SIGHUP do not, and their outcome is unknown.
    """
    outcomes: list[Outcome] = []
    inbox: SimpleQueue[Outcome | int] = SimpleQueue()
    stopped = 0
    with signals_told(lambda number: inbox.put(1 if number == signal.SIGINT else 2)):
        for hosts in plan.batches():
            if stopped:
                outcomes += [Outcome(host=host, state=NOT_TRIED) for host in hosts]
                continue
            start, known = time.monotonic(), dict[str, Outcome]()
            for host in hosts:
                # A daemon thread does not keep this process from ending.
                threading.Thread(target=_try, args=(act, host, inbox), daemon=True).start()
            while len(known) < len(hosts) and stopped < _AT_ONCE:
                came = inbox.get()
                if isinstance(came, Outcome):
                    known[came.host] = came
                elif (stopped := stopped + came) < _AT_ONCE:
                    print_notice("Stopping: waiting for the hosts that are working; Ctrl-C again leaves them")
            passed = time.monotonic() - start
            outcomes += [
                known.get(host) or Outcome(host=host, state=UNKNOWN, text=_LEFT, seconds=passed) for host in hosts
            ]
            failed = sum(one.state == FAILED for one in outcomes)
            if failed >= plan.max_failures or (failed > 0 and len(outcomes) <= plan.canary):
                stopped = max(stopped, 1)
    return outcomes


def _try(act: Callable[[str], str], host: str, inbox: SimpleQueue[Outcome | int]) -> None:
    """Put the outcome of this host into the inbox."""
    start = time.monotonic()
    try:
        text, state, code = act(host), DONE, 0
    except Exception as error:  # noqa: BLE001 - no error may hide the outcomes of other hosts
        if not isinstance(error, PlatterError):
            error = PlatterError(f"{type(error).__name__}: {error}", hint="check the host, and try again")
        hint = [f"hint: {error.hint}"] if error.hint else []
        text, state, code = "\n".join([error.message, *hint, *error.output]), FAILED, error.exit_code
    print_notice(f"{host}: {state}")
    inbox.put(Outcome(host=host, state=state, text=text, code=code, seconds=time.monotonic() - start))


def table(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Yield a line for every host, and further lines for the output of one that is done."""
    width = max((len(one.host) for one in outcomes), default=0)
    for one in outcomes:
        first, *more = one.text.splitlines() or [""]
        time_taken = f"{one.seconds:6.1f} s" if one.state != NOT_TRIED else ""
        yield f"{one.host:{width}}  {one.state:9}  {time_taken:8}  {first}".rstrip()
        if one.state == DONE:
            yield from (f"{'':{width}}  {'':9}  {'':8}  {line}".rstrip() for line in more)


def failures(outcomes: Sequence[Outcome]) -> str:
    """Return the further output of failed hosts, and the number of hosts in each state."""
    lines = []
    for one in outcomes:
        if one.state == FAILED and (more := one.text.splitlines()[1:]):
            lines += [f"{one.host}:", *(f"    {line}" for line in more)]
    counts = {state: sum(one.state == state for one in outcomes) for state in (DONE, FAILED, UNKNOWN, NOT_TRIED)}
    return "\n".join([*lines, ", ".join(f"{count} {state}" for state, count in counts.items() if count)])


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """Return 0 if all are done, the exit code of the failed hosts if it is the same, else 1."""
    codes = {one.code for one in outcomes if one.state in (FAILED, UNKNOWN)}
    if not codes:
        return int(any(one.state == NOT_TRIED for one in outcomes))
    return codes.pop() if len(codes) == 1 else 1
