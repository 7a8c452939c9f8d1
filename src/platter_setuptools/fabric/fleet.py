"""Many hosts: a few first, the others in batches, an end when too many fail, and a table of what became of each."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from platter_setuptools.ground.errors import PlatterError
from platter_setuptools.ground.streams import standard_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

DONE, FAILED, NOT_TRIED = "done", "failed", "not tried"
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

    A failure among the canaries ends it, as do `max_failures` in all. Ctrl-C lets the hosts finish that are at work.
    """
    outcomes: list[Outcome] = []
    stopped = False
    for hosts in plan.batches():
        if stopped:
            outcomes += [Outcome(host=host, state=NOT_TRIED) for host in hosts]
            continue
        with ThreadPoolExecutor(len(hosts)) as pool:
            futures = [pool.submit(_try, act, host) for host in hosts]
            try:
                for future in futures:
                    future.result()
            except KeyboardInterrupt:
                tell("Stopping: waiting for the hosts that are at work")
                stopped = True
        outcomes += [future.result() for future in futures]
        failed = sum(one.state == FAILED for one in outcomes)
        stopped = stopped or failed >= plan.max_failures or (failed > 0 and len(outcomes) <= plan.canary)
    return outcomes


def _try(act: Callable[[str], str], host: str) -> Outcome:
    start = time.monotonic()
    try:
        text, state, code = act(host), DONE, 0
    except PlatterError as error:
        hint = [f"hint: {error.hint}"] if error.hint else []
        text, state, code = "\n".join([error.message, *hint, *error.output]), FAILED, error.exit_code
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not hide what became of the other hosts
        text, state, code = PlatterError(f"{type(error).__name__}: {error}").message, FAILED, 1
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
    counts = {state: sum(one.state == state for one in outcomes) for state in (DONE, FAILED, NOT_TRIED)}
    return "\n".join([*lines, ", ".join(f"{count} {state}" for state, count in counts.items() if count)])


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """0 if all is done, the code of the failed hosts if they have the same, else 1."""
    codes = {one.code for one in outcomes if one.state == FAILED}
    if not codes:
        return int(any(one.state == NOT_TRIED for one in outcomes))
    return codes.pop() if len(codes) == 1 else 1


def tell(text: str) -> None:
    """A line on standard error, whichever thread it comes from."""
    with _lock:
        stream = standard_error()
        stream.write(f"{text}\n")
        stream.flush()
