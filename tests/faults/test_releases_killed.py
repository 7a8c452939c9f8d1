"""Releases whose deployment, switch or removal is ended at any moment, by kill -9 or by a signal that asks for it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from faults.server import end_group, told_of_signal
from platter_setuptools.payload.releases import switch
from platter_setuptools.payload.releases.commands import Commands
from platter_setuptools.payload.releases.root import previous
from support import handmade, roots

if TYPE_CHECKING:
    from faults.ledger import Trials

VERSIONS = ("1.0", "1.1", "1.2")


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, handmade.Bundle]:
    """Three versions of an application that prints its own."""
    folder = tmp_path_factory.mktemp("releases")
    points = "[console_scripts]\ngreet = greet:main\n"
    made = {}
    for version in VERSIONS:
        files = {"greet.py": f"def main():\n    print('{version}')\n"}
        wheel = handmade.wheel(folder / "wheels", "greet", version, files=files, entry_points=points)
        made[version] = handmade.bundle(folder, [wheel], bytecode=True)
    return made


def test_kill(trials: Trials, bundles: dict[str, handmade.Bundle], tmp_path: Path) -> None:
    """Whatever was going on: what is active is whole and known to be, and the next run carries on."""
    root = tmp_path / "root"
    deployments: list[list[Any]] = [
        [made.script, "-p", sys.executable, "--root", root, "--keep", "2"] for made in bundles.values()
    ]
    program = root / "platter"
    switches: list[list[Any]] = [[program, "rollback", "--reload", "sleep 0.05"], [program, "prune", "--keep", "1"]]
    for words in deployments:
        run(words)
    for trial in trials("releases: kill -9 at any moment", full=100, few=6):
        with trial:
            deploying = trial.random.random() < 0.5
            words = trial.random.choice(deployments if deploying else switches)
            end(words, trial.random.uniform(0, 0.7 if deploying else 0.12), signal.SIGKILL)
            check(root)
            if trial.random.random() < 0.5:
                run(trial.random.choice([*deployments, *switches]))
                check(root)
    run([program, "prune", "--keep", "1"])
    assert not [path.name for path in (root / "versions").iterdir() if path.name.startswith(".")]
    run([program, "doctor"])


# A database has the tables up to a version, and grows; a service is what was reloaded last.
MIGRATE = """
db=$(cat "$PLATTER_ROOT/db" 2>/dev/null || echo 1.0)
sleep 0.03
if expr "$PLATTER_VERSION" ">" "$db" >/dev/null; then db=$PLATTER_VERSION; fi
echo "$db" >"$PLATTER_ROOT/db.new" && mv "$PLATTER_ROOT/db.new" "$PLATTER_ROOT/db"
setsid -f sleep 0.1
"""
COMMANDS = (
    *("--health-check", '! expr "$PLATTER_VERSION" ">" "$(cat "$PLATTER_ROOT/db")"'),
    *("--reload", 'sleep 0.03; echo "$PLATTER_VERSION" >"$PLATTER_ROOT/serves"'),
    *("--ready", 'sleep 0.03; grep -qx "$PLATTER_VERSION" "$PLATTER_ROOT/serves"'),
)


def test_kill_with_scripts(trials: Trials, bundles: dict[str, handmade.Bundle], tmp_path: Path) -> None:
    """What is active was prepared; nothing that was started is left; the next run brings the service up."""
    root = tmp_path / "root"
    deployments: dict[str, list[Any]] = {}
    for version, made in bundles.items():
        copy = handmade.Bundle(path=tmp_path / version, info=made.info)
        shutil.copytree(made.path, copy.path, symlinks=True)
        (copy.path / "pre-activate.sh").write_text(MIGRATE)
        (copy.path / "post-activate.sh").write_text("sleep 0.03\n")
        copy.seal()
        deployments[version] = [copy.script, "-p", sys.executable, "--root", root, *COMMANDS]
    for words in deployments.values():
        run(words)
    for trial in trials("releases with scripts: kill -9 at any moment", full=100, few=6):
        with trial:
            version = trial.random.choice(VERSIONS)
            words = trial.random.choice([deployments[version], [root / "platter", "activate", version]])
            if trial.random.random() < 0.5:
                (root / "db").write_text("1.0\n" if active(root) == "1.0" else f"{active(root)}\n")
            end(words, trial.random.uniform(0, 1.2), signal.SIGKILL)
            until_nothing_runs_in(root)
            check(root)
            assert active(root) <= (root / "db").read_text().strip()
            version = trial.random.choice(VERSIONS)
            run(deployments[version])
            assert active(root) == (root / "serves").read_text().strip() == version
            check(root)


# Goes on to a release whose reload fails, and ends itself by SIGKILL on the way back: at a function, or in a command.
GOING_BACK = """
import os, signal, sys
from platter_setuptools.payload import signals
from platter_setuptools.payload.releases import switch, write_ahead
from platter_setuptools.payload.releases.commands import Commands
from platter_setuptools.payload.releases.journal import Journal
from platter_setuptools.payload.releases.root import Root
from platter_setuptools.payload.terminal import Terminal

path, where = sys.argv[1:]
die = "kill -9 %d" % os.getpid()

def end(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def end_after(function):
    return lambda *words: (function(*words), end())

reload = '[ "$PLATTER_VERSION" != 1.1 ]'
if where == "in the reload command":
    reload += " && " + die
signals.listen()
root = Root(path, Terminal("platter"))
with root.held():
    if where == "before it is written":
        Journal.write_ahead = end
    elif where == "before the link":
        Journal.write_ahead = end_after(Journal.write_ahead)
    elif where == "after the link":
        switch._point_back = end_after(switch._point_back)
    elif where == "before the journal":
        Journal.write = end
    elif where == "between the journal and its end":
        write_ahead.remove = end
    elif where == "after the journal":
        Journal.write = end_after(Journal.write)
    switch.activate(root, "1.1", Commands(dict(os.environ), reload=reload))
"""
FAILED = "release 1.1: the reload command exited with status 1"
# Where it is killed: what is active then, whether the failure is known, and whether the way back came to its end.
MOMENTS = {
    "before it is written": ("1.1", False, False),
    "before the link": ("1.1", True, False),
    "after the link": ("1.0", True, False),
    "in the reload command": ("1.0", True, False),
    "before the journal": ("1.0", True, False),
    "between the journal and its end": ("1.0", True, True),
    "after the journal": ("1.0", True, True),
}


@pytest.mark.parametrize("found", [False, True], ids=["new", "found active"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_kill_on_the_way_back(moment: str, found: bool, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The next run knows of the failure, does not take the release for one that worked, and ends what was begun."""
    root = roots.make(tmp_path, "0.9", "1.0", "1.1")
    for version in ("0.9", "1.0"):
        with root.held():
            switch.activate(root, version, roots.NONE)
    if found:  # another run was killed just after it had switched
        switch.point(root, "1.1")
    done = subprocess.run([sys.executable, "-c", GOING_BACK, root.path, moment], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    left, told, ended = MOMENTS[moment]
    assert roots.current(root) == left
    assert told == any(FAILED in line for line in map(str, root.journal.read()))  # also without the lock, as for list
    assert previous(root) == ("1.0" if left == "1.1" else "0.9", "")
    for _ in range(2):  # what is written down is not written twice
        with root.held():
            pass
        assert told == (sum(FAILED in line for line in roots.changes(root)) == 1)
        assert previous(root) == ("1.0" if left == "1.1" else "0.9", "")
        assert not list(Path(root.path).glob(".platter-journal-ahead*"))
    assert root.settled() == ended
    capfd.readouterr()
    with root.held():
        switch.activate(root, left, Commands({"PATH": os.defpath}, reload='echo "reloads $PLATTER_VERSION"'))
    assert (f"reloads {left}" in capfd.readouterr().out) == (not ended)
    assert root.settled()
    assert previous(root) == ("1.0" if left == "1.1" else "0.9", "")


def test_kill_during_the_reload_of_the_release_before(bundles: dict[str, handmade.Bundle], tmp_path: Path) -> None:
    """As a user sees it: ROOT/platter, install.sh and a service that would otherwise go on with the failed release."""
    root = tmp_path / "root"
    installs: dict[str, list[Any]] = {
        version: [made.script, "-p", sys.executable, "--root", root] for version, made in bundles.items()
    }
    run(installs["1.0"])
    run([*installs["1.1"], "--reload", 'echo "$PLATTER_VERSION" >"$PLATTER_ROOT/serves"'])
    die = 'kill -9 "$(cut -d " " -f 2 "$PLATTER_ROOT/.platter-lock")"; sleep 60'
    fail = f'[ "$PLATTER_VERSION" = 1.1 ] || {{ echo 1.2 >"$PLATTER_ROOT/serves"; exit 1; }}; {die}'
    done = subprocess.run([*installs["1.2"], "--reload", fail], check=False, capture_output=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, done
    until_nothing_runs_in(root)
    assert (active(root), (root / "serves").read_text()) == ("1.1", "1.2\n")
    said = run(installs["1.1"])
    assert "\n  reloading\n1.1 is active now" in said
    assert (root / "serves").read_text() == "1.1\n"
    check(root)
    lines = [json.loads(line) for line in (root / "platter-journal.jsonl").read_text().splitlines()][-3:]
    assert [(one["what"], one["from"], one["to"], one["result"]) for one in lines] == [
        ("activate", "1.1", "1.2", "release 1.2: the reload command exited with status 1; killed on the way back"),
        ("rollback", "1.2", "1.1", "noticed"),
        ("activate", "1.1", "1.1", "done"),
    ]
    assert lines[0]["ran"][0]["name"] == "reload command"
    assert "1.1 is active already" in run(installs["1.1"])
    run([root / "platter", "rollback"])
    assert active(root) == "1.0"


def until_nothing_runs_in(root: Path) -> None:
    """Who watches over a command needs a moment to end it; TimeoutError if something stays."""
    for _ in range(200):
        running = []
        for link in Path("/proc").glob("[0-9]*/cwd"):
            with contextlib.suppress(OSError):
                if link.readlink().is_relative_to(root):
                    running.append((link.parent / "cmdline").read_bytes())
        if not running:
            return
        time.sleep(0.05)
    raise TimeoutError(f"still running: {running}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_signals(trials: Trials, bundles: dict[str, handmade.Bundle], tmp_path: Path, number: signal.Signals) -> None:
    """The exit code tells the truth: 0 if the other release is active now, anything else if it is not."""
    root = tmp_path / "root"
    for version in VERSIONS[:2]:
        run([bundles[version].script, "-p", sys.executable, "--root", root])
    for trial in trials("releases: SIGINT, SIGTERM, SIGHUP", full=30, few=3):
        with trial:
            before = active(root)
            words = [root / "platter", "rollback", "--health-check", "sleep 0.03", "--reload", "sleep 0.03"]
            status = end(words, trial.random.uniform(0, 0.3), number, errors=tmp_path / "errors")
            said = (tmp_path / "errors").read_text()
            assert status == 0 or told_of_signal(status, number, said), said
            assert (active(root) == before) == (status != 0)
            check(root)


def end(words: list[Any], moment: float, number: int, errors: Path = Path(os.devnull)) -> int:
    """Start a command, send it a signal at that moment, if it is not done yet, and give its exit status.

    What it writes to standard error is in the file `errors`.
    """
    with errors.open("wb") as stream:
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=stream, start_new_session=True)
    try:
        process.wait(moment)
    except subprocess.TimeoutExpired:
        end_group(process, number)
    return process.returncode


def active(root: Path) -> str:
    return (root / "versions" / "current").readlink().name


def check(root: Path) -> None:
    """The active release runs; the list and the journal can be read, and the list knows which one is active."""
    version = active(root)
    assert run([root / "versions/current/bin/greet"]).strip() == version
    listed = {one["version"]: one for one in json.loads(run([root / "platter", "list", "--json"]))}
    assert (listed[version]["state"], listed[version]["active"]) == ("complete", True)
    for line in (root / "platter-journal.jsonl").read_text().splitlines():
        assert json.loads(line).keys() == {"when", "who", "what", "from", "to", "result", "revision", "signer", "ran"}


def run(words: list[Any]) -> str:
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=60, env={"PATH": os.defpath})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
