"""Commands of operators and projects: what they have, how long they may take, and how they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from platter_setuptools.payload import process, supervisor
from support.children import children
from support.interpreters import each

PATH = {"PATH": os.environ["PATH"]}
# A process in a session of its own, whose parent has ended, which ignores what asks it to end: it has the fifo open.
DAEMON = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
held = os.open("fifo", os.O_WRONLY)
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
with open("daemon", "w") as file:
    print(os.getpid(), file=file)
os.write(held, b"daemon\\n")
time.sleep(300)
"""
START_DAEMON = f"{sys.executable} -c '{DAEMON}'"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "GRACE", 0.2)


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "fifo")
    return tmp_path / "fifo"


def run(script: str, folder: Path, limit: float = 60) -> str:
    return process.run(["sh", "-c", script], str(folder), PATH, limit)


def test_has_no_standard_input_and_a_session_of_its_own(tmp_path: Path) -> None:
    assert run('cat >in && [ ! -s in ] && [ "$(ps -o sid= -p $$ | tr -d " ")" = $$ ]', tmp_path) == ""


def test_has_no_terminal(tmp_path: Path) -> None:
    """Also where the installer has one."""
    program = "import sys\nfrom platter_setuptools.payload import process\n" + textwrap.dedent(
        """
        import os
        assert os.ttyname(0)
        print(process.run(["sh", "-c", "exec </dev/tty"], sys.argv[1], {"PATH": sys.argv[2]}, 60))
        """
    )
    leader, follower = os.openpty()
    words = [sys.executable, "-c", program, str(tmp_path), PATH["PATH"]]
    done = subprocess.run(
        ["setsid", "--ctty", "--wait", *words], check=False, stdin=follower, capture_output=True, text=True, timeout=60
    )
    os.close(leader)
    os.close(follower)
    assert done.stdout == "exited with status 2\n", done.stderr


@pytest.mark.parametrize(
    ("script", "failure"),
    [
        ("exit 0", ""),
        ("exit 3", "exited with status 3"),
        ("kill -TERM $$", "was ended by signal SIGTERM"),
        ("kill -34 $$", "was ended by signal 34"),
    ],
)
def test_how_it_ended(tmp_path: Path, script: str, failure: str) -> None:
    known = {one.value for one in signal.Signals}
    if "34" in script and 34 in known:
        failure = f"was ended by signal {signal.Signals(34).name}"
    assert run(script, tmp_path) == failure


def test_what_ends_at_once(tmp_path: Path) -> None:
    for _ in range(40):
        assert process.run(["/bin/false"], str(tmp_path), PATH, 5) == "exited with status 1"


def test_what_cannot_be_started(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        process.run(["/nonexistent"], str(tmp_path), PATH)
    with pytest.raises(FileNotFoundError):
        process.run(["true"], str(tmp_path / "nonexistent"), PATH)


def test_leaves_no_descriptors_and_processes(tmp_path: Path) -> None:
    def held() -> tuple[int, set[str]]:
        return len(list(Path("/proc/self/fd").iterdir())), children()

    before = held()
    for _ in range(3):
        assert run("exit 0", tmp_path) == ""
        with pytest.raises(FileNotFoundError):
            process.run(["/nonexistent"], str(tmp_path), PATH)
    assert held() == before


def test_what_it_leaves_in_the_background_stays(tmp_path: Path) -> None:
    assert run("sleep 300 & echo $! >pid", tmp_path) == ""
    number = int((tmp_path / "pid").read_text())
    os.kill(number, signal.SIGTERM)  # ProcessLookupError if it is gone


def test_daemons_stay_after_a_failure_too(tmp_path: Path, fifo: Path) -> None:
    held = os.open(fifo, os.O_RDWR)
    assert run(f"{START_DAEMON}; exit 1", tmp_path) == "exited with status 1"
    assert os.read(held, 20) == b"daemon\n"
    os.close(held)
    os.kill(int((tmp_path / "daemon").read_text()), signal.SIGKILL)  # ProcessLookupError if it is gone


@each()
def test_under_every_python(tmp_path: Path, python: str) -> None:
    """None of them warns of anything."""
    program = textwrap.dedent(
        """
        import sys
        sys.path.insert(0, sys.argv[1])
        from payload import process, supervisor
        supervisor.GRACE = 0.2
        for words, limit in ((["/bin/false"], 60), (["sh", "-c", "setsid -f sleep 300; sleep 300"], 0.3)):
            print(process.run(words, sys.argv[2], {"PATH": sys.argv[3]}, limit))
        """
    )
    place = str(Path(process.__file__).parents[1])
    words = [python, "-I", "-S", "-B", "-W", "error", "-c", program, place, str(tmp_path), PATH["PATH"]]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["exited with status 1", "was still running after 0.3 s, and was ended"]


class TestTimeLimit:
    def test_ends_all_of_it(self, tmp_path: Path, fifo: Path) -> None:
        """What ignores SIGTERM, what runs in the background, and what left the session as a daemon does."""
        held = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        began = time.monotonic()
        failure = run(f'trap "" TERM; exec 9>fifo; {START_DAEMON}; sleep 300 & wait; sleep 300', tmp_path, 1)
        assert failure == "was still running after 1 s, and was ended"
        assert time.monotonic() - began < 30
        os.set_blocking(held, True)
        with os.fdopen(held, "rb") as stream:
            assert stream.read() == b"daemon\n"  # its end comes with the end of the last that could write

    def test_asks_first(self, tmp_path: Path) -> None:
        script = 'trap "echo asked >asked; exit" TERM; sleep 300 & wait'
        assert run(script, tmp_path, 0.3) == "was still running after 0.3 s, and was ended"
        assert (tmp_path / "asked").read_text() == "asked\n"

    def test_without_proc(self, tmp_path: Path, fifo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("os.path.isdir", lambda _: False)
        held = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        failure = run('trap "" TERM; exec 9>fifo; sleep 300 & wait; sleep 300', tmp_path, 0.3)
        assert failure == "was still running after 0.3 s, and was ended"
        os.set_blocking(held, True)
        assert os.read(held, 1) == b""

    def test_says_what_cannot_be_ended(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Such as a process of another user."""
        kill = os.kill

        def refuse(*_: int) -> None:
            raise PermissionError

        monkeypatch.setattr("os.kill", refuse)
        failure = run("echo $$ >pid; exec sleep 300", tmp_path, 0.3)
        number = int((tmp_path / "pid").read_text())
        assert failure == (
            f"was still running after 0.3 s, and was ended; these processes could not be ended: {number}"
        )
        kill(number, signal.SIGKILL)

    def test_of_any_length(self, tmp_path: Path) -> None:
        assert run("true", tmp_path, 10**9) == ""


def our_program(folder: Path, script: str) -> subprocess.Popen[bytes]:
    """Run a command in a process of its own, which has one thread as an installation has."""
    program = textwrap.dedent(
        """
        import os, sys
        from platter_setuptools.payload import process, signals, supervisor
        supervisor.GRACE = 0.2
        signals.listen()
        try:
            process.run(["sh", "-c", sys.argv[3], str(os.getpid())], sys.argv[1], {"PATH": sys.argv[2]})
        except signals.Interrupted as error:
            sys.exit(error.exit_code)
        """
    )
    words = [sys.executable, "-c", program, str(folder), PATH["PATH"], script]
    return subprocess.Popen(words, stdout=subprocess.PIPE, start_new_session=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
def test_ends_with_us(tmp_path: Path, fifo: Path, number: signal.Signals) -> None:
    script = f'trap "" TERM; exec 9>fifo; sleep 300 & {START_DAEMON}; kill -{number.name[3:]} $0; wait; sleep 300'
    with our_program(tmp_path, script) as ours:
        assert fifo.read_bytes() == b"daemon\n"
    assert ours.returncode == 128 + number


def test_ends_when_we_are_killed(tmp_path: Path, fifo: Path) -> None:
    """With our whole process group."""
    with our_program(tmp_path, f"{START_DAEMON}; sleep 300 & wait; true") as ours:
        with fifo.open() as stream:
            assert stream.readline() == "daemon\n"
            os.killpg(ours.pid, signal.SIGKILL)
            assert stream.read() == ""
        # The standard output of all of them is a pipe: it ends with the last of them.
        assert ours.communicate(timeout=60)[0] == b""


def test_a_watcher_that_is_killed(tmp_path: Path) -> None:
    assert run("kill -KILL $PPID", tmp_path).startswith("was left alone, since the process that watched")
