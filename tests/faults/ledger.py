"""How often each fault was tried, and what of it was survived: the table at the end of `nox -s faults`.

A test asks the `trials` fixture for as many tries as it wants of one fault, and goes on after one that was lost, so
that the table tells how many are. Losing any fails the test. `--faults=full` asks for the full counts.
"""

from __future__ import annotations

import contextlib
import random
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

# How a count and the seed travel from one process to another.
_PROPERTY, _SEED = "fault", "faults_seed"


@dataclass(kw_only=True)
class Trial:
    """One try: a context in which everything has to hold."""

    number: int
    random: random.Random
    lost: list[str] = field(default_factory=list)

    def __enter__(self) -> Trial:  # noqa: PYI034 - Self came with Python 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False  # Ctrl-C, pytest's own, or nothing
        self.lost.append("".join(traceback.format_exception(kind, error, trace)))
        return True


class Trials:
    """The tries of one test."""

    def __init__(self, item: pytest.Item) -> None:
        self._item = item
        self._full = item.config.getoption("faults") == "full"
        self._seed: int = item.config.getoption("faults_seed")
        self.random = random.Random(f"{self._seed} {item.name}")  # `item.name` tells the parts of a test apart

    def count(self, *, full: int, few: int) -> int:
        return full if self._full else few

    def __call__(self, fault: str, *, full: int, few: int) -> Iterator[Trial]:
        """As many tries as the option asks for; at their end the test fails if one was lost.

        A long row is divided into parts, parameters of a test, so that several processes share it.
        """
        lost: list[str] = []
        done = 0
        try:
            for number in range(self.count(full=full, few=few)):
                trial = Trial(number=number, random=self.random)
                yield trial
                done += 1
                lost += [f"try {number}: {text}" for text in trial.lost]
        finally:
            self.note(fault, tries=done, lost=len(lost))
        if lost:
            pytest.fail(f"{fault}: lost {len(lost)} of {done}, seed {self._seed}\n" + "\n".join(lost), pytrace=False)

    @contextlib.contextmanager
    def one(self, fault: str) -> Iterator[None]:
        """The one try of a test that does not count itself."""
        lost = 1
        try:
            yield
            lost = 0
        finally:
            self.note(fault, tries=1, lost=lost)

    def note(self, fault: str, *, tries: int, lost: int) -> None:
        self._item.user_properties.append((_PROPERTY, [fault, tries, lost]))


@pytest.fixture
def trials(request: pytest.FixtureRequest) -> Trials:
    assert isinstance(request.node, pytest.Item)
    return Trials(request.node)


class _Table:
    """Sums up what the reports bring."""

    def __init__(self) -> None:
        self._rows: dict[str, tuple[int, int]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call":
            return
        for name, value in report.user_properties:
            if name == _PROPERTY and isinstance(value, list):
                fault, tries, lost = value
                before = self._rows.get(fault, (0, 0))
                self._rows[fault] = (before[0] + tries, before[1] + lost)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
        if not self._rows:
            return
        counts, seed = config.getoption("faults"), config.getoption("faults_seed")
        terminalreporter.section(f"faults: --faults={counts} --faults-seed={seed}")
        width = max(map(len, self._rows))
        terminalreporter.line(f"{'fault':{width}}  tries  survived  lost")
        for fault, (tries, lost) in sorted(self._rows.items()):
            terminalreporter.line(f"{fault:{width}}  {tries:5}  {tries - lost:8}  {lost:4}", red=lost > 0)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("faults")
    group.addoption("--faults", choices=["few", "full"], default="few", help="how often faults are tried")
    group.addoption("--faults-seed", type=int, metavar="N", help="decides on the random moments, bits and names")


def pytest_configure(config: pytest.Config) -> None:
    if config.option.faults_seed is None:
        # A worker of xdist takes the one that it is handed.
        config.option.faults_seed = getattr(config, "workerinput", {}).get(_SEED) or random.randint(1, 10**6)
    config.pluginmanager.register(_Table())


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of xdist the seed."""
    node.workerinput[_SEED] = node.config.option.faults_seed
