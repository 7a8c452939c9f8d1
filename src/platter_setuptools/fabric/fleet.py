"""Many hosts: a few first, the others in batches, an end when too many fail, and a table of what became of each."""

from __future__ import annotations

import signal
import threading
import time
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING

from platter_setuptools.ground.errors import PlatterError
from platter_setuptools.ground.interrupts import signals_told
from platter_setuptools.ground.streams import standard_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

DONE, FAILED, UNKNOWN, NOT_TRIED = "done", "failed", "unknown", "not tried"
_LEFT = "was at work when this ended, and goes on; `fab releases` tells what is active there"
_AT_ONCE = 2
_lock = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    hosts: tuple[str, ...]
    batch: int
    canary: int
    max_failures: int

    def batches(self) -> Iterator[tuple[str, ...]]:
        """The canaries, then the others in their order; never more than `batch` at a time."""
        first, rest = self.hosts[: self.canary], self.hosts[self.canary :]
        for hosts in (first, rest):
            for start in range(0, len(hosts), self.batch):
                yield hosts[start : start + self.batch]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a host. `code` is 0 only if all went well; `text` has the last words first."""

    host: str
    state: str
    text: str = ""
    code: int = 1
    seconds: float = 0.0


def go(plan: Plan, act: Callable[[str], str]) -> list[Outcome]:
    """Run `act` for every host; it gives what there is to say, or raises. The outcomes are in the order of the hosts.

    A failure among the canaries ends it, as do `max_failures` in all. Ctrl-C lets the hosts finish that are at work; a
    second one, SIGTERM and SIGHUP leave them at work, and what becomes of them is unknown.
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
                # A daemon, which does not keep this process from ending.
                threading.Thread(target=_put, args=(inbox, act, host), daemon=True).start()
            while len(known) < len(hosts) and stopped < _AT_ONCE:
                came = inbox.get()
                if isinstance(came, Outcome):
                    known[came.host] = came
                elif (stopped := stopped + came) < _AT_ONCE:
                    tell("Stopping: waiting for the hosts that are at work; Ctrl-C again leaves them")
            passed = time.monotonic() - start
            outcomes += [
                known.get(host) or Outcome(host=host, state=UNKNOWN, text=_LEFT, seconds=passed) for host in hosts
            ]
            failed = sum(one.state == FAILED for one in outcomes)
            if failed >= plan.max_failures or (failed > 0 and len(outcomes) <= plan.canary):
                stopped = max(stopped, 1)
    return outcomes


def _put(inbox: SimpleQueue[Outcome | int], act: Callable[[str], str], host: str) -> None:
    inbox.put(_try(act, host))


def _try(act: Callable[[str], str], host: str) -> Outcome:
    start = time.monotonic()
    try:
        text, state, code = act(host), DONE, 0
    except PlatterError as error:
        hint = [f"hint: {error.hint}"] if error.hint else []
        text, state, code = "\n".join([error.message, *hint, *error.output]), FAILED, error.exit_code
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not hide what became of the other hosts
        text, state, code = (
            PlatterError(
                f"{type(error).__name__}: {error}", hint="see what the message says of the host, and try again"
            ).message,
            FAILED,
            1,
        )
    tell(f"{host}: {state}")
    return Outcome(host=host, state=state, text=text, code=code, seconds=time.monotonic() - start)


def table(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """A line for every host; more of them where there is more to say about one that is done."""
    width = max((len(one.host) for one in outcomes), default=0)
    for one in outcomes:
        first, *more = one.text.splitlines() or [""]
        time_taken = f"{one.seconds:6.1f} s" if one.state != NOT_TRIED else ""
        yield f"{one.host:{width}}  {one.state:9}  {time_taken:8}  {first}".rstrip()
        if one.state == DONE:
            yield from (f"{'':{width}}  {'':9}  {'':8}  {line}".rstrip() for line in more)


def failures(outcomes: Sequence[Outcome]) -> str:
    """How many went wrong, and all that the failed hosts said beyond their line in the table."""
    lines = []
    for one in outcomes:
        if one.state == FAILED and (more := one.text.splitlines()[1:]):
            lines += [f"{one.host}:", *(f"    {line}" for line in more)]
    counts = {state: sum(one.state == state for one in outcomes) for state in (DONE, FAILED, UNKNOWN, NOT_TRIED)}
    return "\n".join([*lines, ", ".join(f"{count} {state}" for state, count in counts.items() if count)])


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """0 if all is done, the code of the failed hosts if they have the same, else 1."""
    codes = {one.code for one in outcomes if one.state in (FAILED, UNKNOWN)}
    if not codes:
        return int(any(one.state == NOT_TRIED for one in outcomes))
    return codes.pop() if len(codes) == 1 else 1


def tell(text: str) -> None:
    """A line on standard error, whichever thread it comes from."""
    with _lock:
        stream = standard_error()
        stream.write(f"{text}\n")
        stream.flush()
