"""What Fabric's tasks decide before and after they talk to a host."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from invoke.context import Context
from invoke.exceptions import Exit

from platter_setuptools.errors import UsageError
from platter_setuptools.fabric import deployment, fleet, host, prune
from platter_setuptools.fabric.host import Host, RemoteError
from platter_setuptools.fabric.settings import read
from platter_setuptools.fabric.transfer import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

DOCS = Path(__file__).parents[3] / "docs" / "automation.md"
EXAMPLE = Path(__file__).parents[3] / "examples" / "fabric" / "fabfile.py"


def plan(hosts: int, *, batch: int = 2, canary: int = 1, max_failures: int = 1) -> fleet.Plan:
    names = tuple(f"web{number}" for number in range(hosts))
    return fleet.Plan(hosts=names, batch=batch, canary=canary, max_failures=max_failures)


def fail_on(*bad: str) -> Any:
    def act(host: str) -> str:
        if host in bad:
            raise UsageError(f"{host} will not", hint="ask another one")
        return f"{host} did"

    return act


class TestBatches:
    @given(st.integers(0, 30), st.integers(1, 7), st.integers(0, 9))
    def test_everybody_has_a_turn_in_order(self, hosts: int, batch: int, canary: int) -> None:
        made = plan(hosts, batch=batch, canary=canary)
        batches = list(made.batches())
        assert tuple(host for one in batches for host in one) == made.hosts
        assert all(0 < len(one) <= batch for one in batches)
        ends = [sum(len(one) for one in batches[: number + 1]) for number in range(len(batches))]
        assert min(canary, hosts) in [0, *ends]  # no batch has canaries and others

    def test_canary(self) -> None:
        assert list(plan(4).batches()) == [("web0",), ("web1", "web2"), ("web3",)]


class TestGo:
    def test_all_well(self) -> None:
        outcomes = fleet.go(plan(5), fail_on())
        assert [one.host for one in outcomes] == [f"web{number}" for number in range(5)]
        assert [one.text for one in outcomes] == [f"web{number} did" for number in range(5)]
        assert fleet.exit_code(outcomes) == 0

    @pytest.mark.parametrize(
        ("bad", "settings", "states"),
        [
            (["web0"], {"max_failures": 4}, "F----"),  # a canary
            (["web0"], {"max_failures": 4, "canary": 0}, "FDDDD"),
            (["web1"], {}, "DFD--"),  # the batch is carried through
            (["web1", "web3"], {"max_failures": 2}, "DFDFD"),
            (["web1", "web2"], {"max_failures": 2}, "DFF--"),
            (["web1"], {"canary": 3, "max_failures": 4}, "DF---"),
        ],
    )
    def test_failures(self, bad: list[str], settings: dict[str, int], states: str) -> None:
        outcomes = fleet.go(plan(5, **settings), fail_on(*bad))
        letters = {fleet.DONE: "D", fleet.FAILED: "F", fleet.NOT_TRIED: "-"}
        assert "".join(letters[one.state] for one in outcomes) == states
        assert fleet.exit_code(outcomes) == 2

    def test_a_batch_is_at_work_at_the_same_time(self) -> None:
        together = threading.Barrier(3, timeout=20)

        def act(_host: str) -> str:
            together.wait()
            return ""

        assert [one.state for one in fleet.go(plan(3, batch=3, canary=0), act)] == [fleet.DONE] * 3

    def test_an_error_that_nobody_thought_of(self) -> None:
        def act(host: str) -> str:
            if host == "web1":
                raise ZeroDivisionError("by zero")
            return ""

        outcomes = fleet.go(plan(2), act)
        assert [one.text for one in outcomes] == ["", "ZeroDivisionError: by zero\nhint: check the host, and try again"]
        assert fleet.exit_code(outcomes) == 1


class TestStopping:
    """Signals while hosts are at work: each is named with what is known of it."""

    @pytest.fixture
    def states(self, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[list[str], list[fleet.Outcome]]]:
        """Return what is known when these signals come, one after the other, while web0 is at work.

        With `ends` web0 comes to its end after they are noticed, else when all is told.
        """

        def go(*numbers: int, ends: bool = False) -> tuple[list[str], list[fleet.Outcome]]:
            rest, noticed, workers = list(numbers), threading.Event(), list[threading.Thread]()

            def tell(_text: str) -> None:
                if rest:
                    os.kill(os.getpid(), rest.pop(0))
                elif ends:
                    noticed.set()

            def act(_host: str) -> str:
                workers.append(threading.current_thread())
                os.kill(os.getpid(), rest.pop(0))
                noticed.wait(20)
                return "did"

            monkeypatch.setattr(fleet, "print_notice", tell)
            outcomes = fleet.go(plan(3), act)
            noticed.set()
            for worker in workers:
                worker.join()
            return [one.state for one in outcomes], outcomes

        return go

    def test_once(self, states: Callable[..., tuple[list[str], list[fleet.Outcome]]]) -> None:
        found, outcomes = states(signal.SIGINT, ends=True)
        assert found == [fleet.DONE, fleet.NOT_TRIED, fleet.NOT_TRIED]
        assert fleet.exit_code(outcomes) == 1

    @pytest.mark.parametrize("numbers", [(signal.SIGINT, signal.SIGINT), (signal.SIGTERM,), (signal.SIGHUP,)])
    def test_at_once(
        self, states: Callable[..., tuple[list[str], list[fleet.Outcome]]], numbers: tuple[int, ...]
    ) -> None:
        before = [signal.getsignal(number) for number in numbers]
        found, outcomes = states(*numbers)
        assert found == [fleet.UNKNOWN, fleet.NOT_TRIED, fleet.NOT_TRIED]
        assert "fab releases" in outcomes[0].text
        assert fleet.exit_code(outcomes) == 1
        assert fleet.failures(outcomes) == "1 unknown, 2 not tried"
        assert [signal.getsignal(number) for number in numbers] == before


class TestHostKeys:
    class Key:
        fingerprint = "SHA256:abc"

    def test_refused(self) -> None:
        with pytest.raises(host.UnknownKeyError, match="SHA256:abc is not in known_hosts"):
            host.UnknownKeys("web1", "ssh web1", accept=False).missing_host_key(None, "web1", self.Key())

    def test_accepted_and_told_once(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        monkeypatch.setattr(host, "_told", threading.Lock())
        for name in ("web1", "web2"):
            host.UnknownKeys(name, f"ssh {name}", accept=True).missing_host_key(None, name, self.Key())
        (line,) = capsys.readouterr().err.splitlines()
        assert "web1: accepting its host key SHA256:abc" in line

    @pytest.mark.parametrize(("port", "name"), [(22, "web1.example"), (2222, "'[web1.example]:2222'")])
    def test_the_name_to_forget(self, port: int, name: str) -> None:
        assert host.known_name("web1.example", port) == name


class TestWaiting:
    """For another deployment, which holds a lock."""

    LOCKED = "install.sh: /srv/app: another process is changing the releases\nhint: wait until that has ended"

    def said(self, monkeypatch: pytest.MonkeyPatch, *outputs: str, wait: int) -> str:
        """What a host says whose script fails with these words, one after the other, and then succeeds."""
        left = list(outputs)

        def run(*_: object, **__: object) -> Answer:
            if left:
                raise RemoteError("it failed", output=left.pop(0), code=6)
            return Answer(stdout="", stderr="done", exited=0)

        monkeypatch.setattr(deployment, "PAUSE", 0.0)
        monkeypatch.setattr(Host, "run", run)
        web1 = Host("web1", SimpleNamespace(), read({"wait": wait, "root": "/srv/app"}))
        return deployment.operate(web1, "rollback")

    def test_until_it_has_ended(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.said(monkeypatch, self.LOCKED, self.LOCKED, wait=60) == "done"
        assert capsys.readouterr().err == "web1: waiting for another deployment\n" * 2

    @pytest.mark.parametrize(("output", "wait"), [(LOCKED, 0), ("hint: install another release first", 60)])
    def test_no_longer_than_asked_and_for_nothing_else(
        self, monkeypatch: pytest.MonkeyPatch, output: str, wait: int
    ) -> None:
        with pytest.raises(RemoteError):
            self.said(monkeypatch, output, wait=wait)


@pytest.mark.parametrize("keep", ["0", "abc", "-1", "¹"])
def test_how_many_to_keep(keep: str) -> None:
    with pytest.raises(Exit, match=r"error: --keep is '.*'\n  hint: give a number of at least 1") as caught:
        prune(Context(), keep=keep)
    assert caught.value.code == 2


class TestReport:
    def test_table(self) -> None:
        outcomes = fleet.go(plan(4, batch=1), fail_on("web2"))
        lines = [" ".join(line.split()) for line in fleet.table(outcomes)]
        assert lines == [
            "web0 done 0.0 s web0 did",
            "web1 done 0.0 s web1 did",
            "web2 failed 0.0 s web2 will not",
            "web3 not tried",
        ]
        assert fleet.failures(outcomes) == "web2:\n    hint: ask another one\n2 done, 1 failed, 1 not tried"

    def test_codes_that_differ(self) -> None:
        one = fleet.Outcome(host="a", state=fleet.FAILED, code=3)
        other = fleet.Outcome(host="b", state=fleet.FAILED, code=5)
        assert (fleet.exit_code([one]), fleet.exit_code([one, one]), fleet.exit_code([one, other])) == (3, 3, 1)
        assert fleet.exit_code([fleet.Outcome(host="a", state=fleet.NOT_TRIED)]) == 1


class TestSettings:
    def test_words_for_install_sh(self) -> None:
        settings = read({"root": "/srv/a b", "keep": 3, "health_check": "x && y", "install_options": ["--compile"]})
        assert settings.installing() == ["--root=/srv/a b", "--keep=3", "--health-check=x && y", "--compile"]

    def test_commands_and_time_limits(self) -> None:
        settings = read({"reload": "a b", "ready": "c", "ready_timeout": 5, "command_timeout": 600, "health_check": ""})
        assert settings.commands() == ["--reload=a b", "--ready=c", "--ready-timeout=5", "--command-timeout=600"]

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"batch": "2"}, "batch"),
            ({"batch": True}, "batch"),
            ({"batch": 0}, "batch"),
            ({"hosts": "web1"}, "hosts"),
            ({"hosts": ["web1", 2]}, "hosts"),
            ({"root": "app"}, "root"),
            ({"build_env": {"A B": "x"}}, "'A B'"),
            ({"build_env": "A=B"}, "'A=B'"),
            ({"reload": ["x"]}, "reload"),
            ({"nonsense": 1}, "nonsense"),
            ({"host_keys": "all"}, "host_keys"),
            ({"pre": "yes"}, "pre"),
            ({"connect_timeout": 0}, "connect_timeout"),
            ({"retries": -1}, "retries"),
            ({"wait": "1m"}, "wait"),
            ({"ready_timeout": 0}, "ready_timeout"),
            ({"run_once": "yes"}, "run_once"),
            ({"run_once": True, "canary": 0}, "run_once"),
            ({"run_once": True, "canary": 2}, "run_once"),
            ({"command_timeout": "5 min"}, "command_timeout"),
        ],
    )
    def test_wrong_ones(self, wrong: dict[str, Any], message: str) -> None:
        with pytest.raises(UsageError, match=message) as caught:
            read(wrong)
        assert caught.value.hint

    def test_what_a_task_needs(self) -> None:
        with pytest.raises(UsageError, match='"root" is not set'):
            read({}).need("root")


def test_the_docs_have_the_example() -> None:
    _docstring, found, code = EXAMPLE.read_text().partition("from platter_setuptools")
    assert f"``python\n{found}{code}``" in DOCS.read_text()
