"""The one place that starts processes. These tests start tiny ones."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest

from platter_setuptools.errors import CommandError, InterruptedBuildError, PlatterError
from platter_setuptools.runtime.concurrency import in_threads
from platter_setuptools.runtime.processes import Runner, excerpt
from platter_setuptools.runtime.signals import Stopped, signals_as_errors
from support.fakes import FakeRunner

if TYPE_CHECKING:
    from collections.abc import Callable


def sh(script: str, *arguments: str) -> list[str]:
    return ["sh", "-c", script, "sh", *arguments]


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in 10 seconds"
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    """Whether a process has ended, collected by its parent or not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (ProcessLookupError, FileNotFoundError):
        return True


class TestResults:
    def test_standard_output(self) -> None:
        assert Runner()(sh("echo one; echo two >&2; printf three")) == "one\nthree"

    def test_arguments_are_not_a_shells(self, tmp_path: Path) -> None:
        awkward = "$(touch x); 'quo\"te' *\n"
        assert Runner()(sh('printf %s "$1"', awkward), cwd=tmp_path) == awkward
        assert list(tmp_path.iterdir()) == []

    def test_paths_as_arguments_and_working_folder(self, tmp_path: Path) -> None:
        assert Runner()([Path("/bin/sh"), "-c", "pwd"], cwd=tmp_path) == f"{os.path.realpath(tmp_path)}\n"

    def test_environment_is_added_to(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("KEPT", "kept")
        monkeypatch.setenv("OTHER", "old")
        assert Runner()(sh("echo $KEPT $OTHER"), env={"OTHER": "new"}) == "kept new\n"
        assert Runner()(sh("echo $KEPT $OTHER")) == "kept old\n"

    def test_whoever_asked_for_a_bundle_asked_for_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PLATTER_BUILD", "1")
        assert Runner()(sh("echo [$PLATTER_BUILD]")) == "[]\n"

    def test_a_tool_without_a_home_gets_one_there(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def homeless() -> Path:
            raise RuntimeError("Could not determine home directory.")

        monkeypatch.setattr(Path, "home", homeless)
        run = Runner()
        run.keep_temporary_files_in(tmp_path)
        assert run(sh("echo $HOME")) == f"{tmp_path}\n"

    def test_temporary_files_go_where_they_are_removed(self, tmp_path: Path) -> None:
        run = Runner()
        run.keep_temporary_files_in(tmp_path)
        assert run(sh("echo $TMPDIR")) == f"{tmp_path}\n"
        assert run(sh("echo $TMPDIR"), env={"TMPDIR": "/own"}) == "/own\n"

    def test_the_umask_is_not_the_users(self) -> None:
        before = os.umask(0o077)
        try:
            assert Runner()(sh("umask")).strip() in {"0022", "022"}
        finally:
            os.umask(before)

    def test_standard_input(self) -> None:
        assert Runner()(["cat"], stdin="grüße\n" * 50_000) == "grüße\n" * 50_000
        assert Runner()(["cat"]) == ""

    def test_input_that_nobody_reads(self) -> None:
        assert Runner()(sh("exec <&-; echo done"), stdin="x" * 1_000_000) == "done\n"

    def test_much_output_on_both_sides(self) -> None:
        script = "i=0; while [ $i -lt 3000 ]; do echo out$i; echo error$i >&2; i=$((i+1)); done"
        lines: list[str] = []
        output = Runner(lines.append)(sh(script))
        assert output.splitlines() == [f"out{number}" for number in range(3000)]
        assert len(lines) == 6000

    def test_output_that_is_not_utf8(self) -> None:
        assert Runner()(sh(r"printf 'caf\351\n'")) == "caf\N{REPLACEMENT CHARACTER}\n"


class TestFailure:
    def test_exit_status_and_last_lines(self) -> None:
        script = "i=0; while [ $i -lt 100 ]; do echo line $i >&2; i=$((i+1)); done; exit 3"
        with pytest.raises(CommandError, match="ended with exit status 3") as caught:
            Runner()(sh(script))
        assert caught.value.returncode == 3
        assert caught.value.output == tuple(f"line {number}" for number in range(75, 100))

    def test_standard_output_counts_among_the_last_lines(self) -> None:
        with pytest.raises(CommandError) as caught:
            Runner()(sh("echo 'ERROR: no'; exit 1"))
        assert caught.value.output == ("ERROR: no",)

    def test_the_command_is_cut_short_and_redacted(self) -> None:
        command = sh("exit 1", "https://user:secret@host/x")
        with pytest.raises(CommandError) as caught:
            Runner()(command[:3] + command[4:])
        assert str(caught.value) == "`sh -c 'exit 1' https://host/x` ended with exit status 1"
        with pytest.raises(CommandError, match="…`"):
            Runner()(command)

    def test_no_secrets_in_lines(self) -> None:
        lines: list[str] = []
        with pytest.raises(CommandError) as caught:
            Runner(lines.append)(sh("echo https://u:secret@h/ >&2; echo git+ssh://u:secret@h; exit 1"))
        assert sorted(caught.value.output) == sorted(lines) == ["git+ssh://h", "https://h/"]

    @pytest.mark.parametrize(
        ("command", "reason"),
        [
            (["/no/such/command"], "cannot start /no/such/command: No such file or directory"),
            (["/"], "cannot start /: Permission denied"),
        ],
    )
    def test_commands_that_cannot_be_started(self, command: list[str], reason: str) -> None:
        with pytest.raises(CommandError) as caught:
            Runner()(command)
        assert (caught.value.message, caught.value.returncode, caught.value.output) == (reason, 127, (reason,))

    def test_a_signal(self) -> None:
        with pytest.raises(CommandError) as caught:
            Runner()(sh("kill -9 $$"))
        assert caught.value.returncode == -9


class TestTerminal:
    def test_it_shares_our_session(self) -> None:
        print_session = [sys.executable, "-c", "import os; print(os.getsid(0))"]
        assert int(Runner()(print_session, terminal=True)) == os.getsid(0)
        assert int(Runner()(print_session)) != os.getsid(0)

    def test_it_is_ended_with_us_all_the_same(self, tmp_path: Path) -> None:
        run = Runner()
        errors: list[CommandError] = []

        def work() -> None:
            try:
                run(sh("echo $$ >pid.new; mv pid.new pid; exec sleep 60"), cwd=tmp_path, terminal=True)
            except CommandError as error:
                errors.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        wait_for((tmp_path / "pid").exists)
        run.stop()
        thread.join(10)
        assert not thread.is_alive()
        assert is_gone(int((tmp_path / "pid").read_text()))
        assert [error.returncode for error in errors] == [-signal.SIGKILL]


class TestStop:
    @pytest.mark.parametrize("output", ["", ">/dev/null 2>&1"])
    def test_children_are_ended_with_their_parent(self, output: str, tmp_path: Path) -> None:
        run = Runner()
        errors: list[BaseException] = []

        def work() -> None:
            try:
                run(sh(f"sleep 60 {output} & echo $! >child.new; mv child.new child; wait"), cwd=tmp_path)
            except CommandError as error:
                errors.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        wait_for((tmp_path / "child").exists)
        run.stop()
        thread.join(10)
        assert not thread.is_alive()
        wait_for(lambda: is_gone(int((tmp_path / "child").read_text())))
        assert [type(error) for error in errors] == [CommandError]

    def test_nothing_starts_any_more(self) -> None:
        run = Runner()
        run.stop()
        with pytest.raises(PlatterError, match="being stopped"):
            run(["true"])
        run.stop()

    def test_an_interruption_ends_the_command(self, tmp_path: Path) -> None:
        def interrupt() -> None:
            wait_for((tmp_path / "child").exists)
            os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            with pytest.raises(KeyboardInterrupt):
                Runner()(sh("sleep 60 & echo $! >child.new; mv child.new child; wait"), cwd=tmp_path)
        finally:
            signal.signal(signal.SIGINT, before)
            thread.join()
        wait_for(lambda: is_gone(int((tmp_path / "child").read_text())))

    def test_a_listener_that_fails(self, tmp_path: Path) -> None:
        def fail(line: str) -> None:
            raise InterruptedBuildError(line)

        with pytest.raises(InterruptedBuildError):
            Runner(fail)(sh("echo $$ >child; echo hello; sleep 60"), cwd=tmp_path)
        wait_for(lambda: is_gone(int((tmp_path / "child").read_text())))


class TestSignals:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
    def test_they_raise_within_the_block_only(self, number: signal.Signals) -> None:
        def wait() -> None:
            with signals_as_errors():
                os.kill(os.getpid(), number)
                time.sleep(10)

        outside = signal.signal(number, signal.SIG_DFL)  # under nohup it would be ignored
        try:
            with pytest.raises(Stopped, match=f"stopped by {number.name}"):
                wait()
            assert signal.getsignal(number) == signal.SIG_DFL
        finally:
            signal.signal(number, outside)

    def test_other_threads_are_left_alone(self) -> None:
        before = signal.getsignal(signal.SIGTERM)
        seen: list[object] = []

        def work() -> None:
            with signals_as_errors():
                seen.append(signal.getsignal(signal.SIGTERM))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert seen == [before]


class TestThreads:
    def test_results_are_in_order(self) -> None:
        def work(number: int) -> int:
            time.sleep(0.02 * (3 - number))
            return number * 2

        run = FakeRunner()
        assert in_threads(work, [0, 1, 2, 3], run) == [0, 2, 4, 6]
        assert in_threads(work, [], run) == []
        assert not run.stopped

    def test_the_first_error_ends_it(self) -> None:
        begun: list[int] = []
        release = threading.Event()

        class Stopping(FakeRunner):
            def stop(self) -> None:
                super().stop()
                release.set()

        def work(number: int) -> None:
            begun.append(number)
            if number == 0:
                raise ValueError("first")
            release.wait(10)

        run = Stopping()
        with pytest.raises(ValueError, match="first"):
            in_threads(work, list(range(100)), run, number=2)
        assert run.stopped
        assert len(begun) < 10
        assert not [one for one in threading.enumerate() if one.name.startswith("ThreadPoolExecutor")]


def test_a_command_that_is_ended_for_the_failure_of_another_tells_that() -> None:
    run = Runner()
    started = threading.Event()

    def work(first: bool) -> str:
        if first:
            started.set()
            return run(sh("sleep 60"))
        started.wait()
        # Threads of its own, as one of the two would have for its fetching.
        return in_threads(lambda _item: run(sh("echo the disk is full >&2; exit 9")), [1], run)[0]

    with pytest.raises(CommandError) as caught:
        in_threads(work, [True, False], run)
    assert caught.value.returncode == 9


class TestExcerpt:
    """Of a long output the end is shown, and the first line that tells of an error."""

    NOISE: ClassVar = [f"cc -c {number}.c -Werror" for number in range(40)]

    @pytest.mark.parametrize(
        "line",
        [
            "src/a.c:12:5: error: unknown type name 'x'",
            "src/a.c:1:10: fatal error: Python.h: No such file or directory",
            "error[E0308]: mismatched types",
            "CMake Error at CMakeLists.txt:3 (find_package):",
            "a.c:(.text+0x5): undefined reference to `f'",
            "a.c(3): fatal error C1083: Cannot open include file",
            "ModuleNotFoundError: No module named 'numpy'",
            'ERROR: Dependency "openblas" not found',
        ],
    )
    def test_the_first_error_is_in_it(self, line: str) -> None:
        shown = excerpt(["cc a.c", line, *self.NOISE, "error: command 'cc' failed"])
        assert shown[:2] == [line, "…"]
        assert shown[2:] == [*self.NOISE[-22:], "error: command 'cc' failed"]
        assert len(shown) == 25

    def test_what_is_short_is_shown_as_it_is(self) -> None:
        lines = ["error: 1", *self.NOISE[:24]]
        assert excerpt(lines) == lines
        assert excerpt([]) == []
        assert excerpt(self.NOISE) == self.NOISE[-25:]

    def test_a_command_that_fails(self) -> None:
        with pytest.raises(CommandError) as caught:
            Runner()(sh("echo 'x.c:1: error: https://a:secret@b.c' >&2; seq 100; exit 3"))
        assert len(caught.value.said) == 101
        assert len(caught.value.output) == 25
        assert "secret" not in "".join([*caught.value.said, *caught.value.output])
