"""The project's scripts around a switch, in real bundles: what they find, when they run, what their failure undoes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from platter_setuptools.bundle.members import from_folder
from support import handmade, projects
from support.archives import write_archive
from support.children import runs
from support.front_ends import output, unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from support.front_ends import Yard

DOCS = Path(__file__).parents[2] / "docs"
Done = subprocess.CompletedProcess[str]
LOG = 'echo "$(basename "$0") $PLATTER_VERSION after ${PLATTER_PREVIOUS:-nothing}" >>"$PLATTER_ROOT/log"\n'
SCRIPTS = {"pre-activate.sh": LOG, "post-activate.sh": LOG}
RELOAD = 'echo "reload $PLATTER_VERSION after ${PLATTER_PREVIOUS:-nothing}" >>"$PLATTER_ROOT/log"'
KILL = 'kill -KILL "$(ps -o ppid= -p "$PPID" | tr -d " ")"; sleep 60\n'  # the installer, by way of who watches over us


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "srv" / "Ada's app"


@pytest.fixture
def deploy(tmp_path: Path, root: Path) -> Callable[..., Done]:
    """A function that installs a version whose bundle has these scripts and further files."""

    def run(
        version: str, *words: str | Path, files: Mapping[str, str] = SCRIPTS, code: int = 0, **options: Any
    ) -> Done:
        made = bundle(tmp_path / "bundles", version, files)
        done = handmade.run(made, "--root", root, *words, **options)
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    return run


def bundle(folder: Path, version: str, files: Mapping[str, str]) -> handmade.Bundle:
    folder = folder / f"{version}-{len(list(folder.glob('*')))}"
    wheel = handmade.wheel(folder / "wheels", "app", version, files={"app.py": f"VERSION = {version!r}\n"})
    made = handmade.bundle(folder, [wheel], bytecode=True)
    for name, text in files.items():
        (made.path / name).parent.mkdir(parents=True, exist_ok=True)
        (made.path / name).write_text(text)
    made.seal()
    return made


def platter(root: Path, *words: str, code: int = 0, **variables: str) -> Done:
    environment = {"PATH": os.defpath, **variables}
    done = subprocess.run(
        [root / "platter", *words], check=False, capture_output=True, text=True, timeout=60, env=environment
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def log(root: Path) -> list[str]:
    lines = (root / "log").read_text().splitlines() if (root / "log").exists() else []
    (root / "log").unlink(missing_ok=True)
    return lines


def active(root: Path) -> str:
    return (root / "versions" / "current").readlink().name


def journal(root: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (root / "platter-journal.jsonl").read_text().splitlines()]


def ran(root: Path) -> list[tuple[str, str, str]]:
    return [(one["name"], one["release"], one["result"]) for one in journal(root)[-1]["ran"]]


def test_from_build_to_rollback(yard: Yard, tmp_path: Path) -> None:
    """A Python program and a shell script without its executable bit, named in pyproject.toml, and their data."""
    root = tmp_path / "srv"
    migrate = """
        #!/usr/bin/env python
        import os, pathlib, sys
        import hello
        here, data = (pathlib.Path(os.environ[name]) for name in ("HERE", "DATA_DIR"))
        assert here == pathlib.Path.cwd() == pathlib.Path(sys.prefix) == pathlib.Path(os.environ["VIRTUAL_ENV"])
        assert (data / "sql" / "1.sql").read_text() == "create table\\n"
        assert not list(data.glob("*.whl"))
        print("migrated", os.environ["PLATTER_VERSION"], os.environ.get("PLATTER_RUN_ONCE"))
    """
    files = {
        "deploy/migrate.py": migrate,
        "deploy/after": 'echo "after $PLATTER_VERSION, before ${PLATTER_PREVIOUS:-nothing}"\n',
        "deploy/collect": 'mkdir "$DATA_DIR/sql"; echo "create table" >"$DATA_DIR/sql/1.sql"\n',
        "pyproject.toml": """
            [build-system]
            requires = ["setuptools"]
            build-backend = "setuptools.build_meta"

            [tool.platter]
            postbuild-script = "deploy/collect"
            pre-activate-script = "deploy/migrate.py"
            post-activate-script = "deploy/after"
        """,
    }
    project = projects.hello(tmp_path / "project", files)
    old = yard.build(project)
    text = (project / "setup.py").read_text()
    assert text.count("1.0") == 1
    (project / "setup.py").write_text(text.replace("1.0", "1.1"))
    assert yard.platter("config", cwd=project).stdout.count("deploy/") == 3
    new = yard.build(project, "--post-activate-script", project / "deploy" / "after")
    for archive in (old, new):
        yard.platter("verify", archive, cwd=project)
        told = "runs       pre-activate.sh, post-activate.sh (the project's, on the server)"
        assert told in yard.platter("inspect", archive, cwd=project).stdout
    facts = json.loads(yard.platter("inspect", "--json", new, cwd=project).stdout)
    jsonschema.validate(facts, json.loads((DOCS / "inspect.schema.json").read_text()))
    sources = {"pre-activate.sh": "deploy/migrate.py", "post-activate.sh": "deploy/after"}
    assert facts["server_scripts"] == [
        {"name": name, "sha256": hashlib.sha256((project / source).read_bytes()).hexdigest()}
        for name, source in sources.items()
    ]
    environment = {"PATH": os.environ["PATH"], "PLATTER_RUN_ONCE": "1"}
    said: list[str] = []
    for archive in (old, new):
        path = unpack(archive, tmp_path / archive.name)
        assert {"pre-activate.sh", "post-activate.sh"} <= {one.name for one in path.iterdir()}
        words: list[str | Path] = [path / "install.sh", "-p", sys.executable, "--root", root]
        done = subprocess.run(words, check=True, capture_output=True, text=True, env=environment)
        said += done.stdout.splitlines()[-6:]
        shutil.rmtree(path)
    assert said == [
        "  running pre-activate.sh",
        "migrated 1.0 1",
        "  running post-activate.sh",
        "after 1.0, before nothing",
        "  nothing was reloaded",
        "1.0 is active now.",
        "  running pre-activate.sh",
        "migrated 1.1 1",
        "  running post-activate.sh",
        "after 1.1, before 1.0",
        "  nothing was reloaded",
        "1.1 is active now, 1.0 was before.",
    ]
    assert platter(root, "rollback").stdout.splitlines()[:2] == ["  running post-activate.sh", "after 1.0, before 1.1"]
    assert "migrated 1.1 None\n" in platter(root, "activate", "1.1").stdout
    settings = (project / "pyproject.toml").read_text().replace('post-activate-script = "deploy/after"\n', "")
    (project / "pyproject.toml").write_text(settings.replace("deploy/migrate.py", "deploy/after"))
    changed = yard.build(project, "-o", tmp_path / "changed")
    expected = [{"name": "post-activate.sh", "change": "removed"}, {"name": "pre-activate.sh", "change": "altered"}]
    for side in (new, root / "versions" / "current"):
        found = json.loads(yard.platter("diff", "--json", side, changed, cwd=project, code=1).stdout)
        jsonschema.validate(found, json.loads((DOCS / "diff.schema.json").read_text()))
        assert (found["files"], found["wheels"]) == (expected, [])
    assert output(root / "versions" / "current" / "bin" / "hello") == "hello from leaf 2.0"
    assert platter(root, "doctor").stdout.count("as it was installed") == 2


def test_in_their_order(deploy: Callable[..., Done], root: Path) -> None:
    check = 'echo "health check $PLATTER_VERSION of $(readlink ../current)" >>"$PLATTER_ROOT/log"'
    deploy("1.0", "--health-check", check, "--reload", RELOAD, "--ready", "echo ready >>$PLATTER_ROOT/log")
    assert log(root) == [
        "pre-activate.sh 1.0 after nothing",
        "health check 1.0 of ",
        "post-activate.sh 1.0 after nothing",
        "reload 1.0 after nothing",
        "ready",
    ]
    deploy("1.1")
    assert [line for line in log(root) if "activate" in line] == [
        "pre-activate.sh 1.1 after 1.0",
        "post-activate.sh 1.1 after 1.0",
    ]
    assert [(one[0], one[2]) for one in ran(root)] == [
        ("pre-activate.sh", "done"),
        ("health check", "done"),
        ("post-activate.sh", "done"),
        ("reload command", "done"),
        ("ready command", "done"),
    ]
    deploy("1.1")  # is active already
    assert log(root) == []
    platter(root, "rollback", "--no-health-check", "--no-ready")
    assert log(root) == ["post-activate.sh 1.0 after 1.1", "reload 1.0 after 1.1"]
    platter(root, "activate", "1.0")  # is active already
    assert log(root) == []
    deploy("1.2", "--no-activate")
    assert [line for line in log(root) if "activate" in line] == []


def test_a_destination_alone(tmp_path: Path) -> None:
    """Nothing is activated there; but it may be a release later."""
    made = bundle(tmp_path, "1.0", SCRIPTS)
    root = tmp_path / "root"
    assert handmade.run(made, root / "versions" / "1.0").returncode == 0
    assert not (root / "log").exists()
    assert handmade.run(bundle(tmp_path, "1.1", {}), "--root", root).returncode == 0
    platter(root, "activate", "1.0")
    assert log(root) == ["pre-activate.sh 1.0 after 1.1", "post-activate.sh 1.0 after 1.1"]


def test_what_they_find(deploy: Callable[..., Done], root: Path) -> None:
    names = "HERE VIRTUAL_ENV DATA_DIR PLATTER_ROOT PLATTER_VERSION PLATTER_PREVIOUS PLATTER_RUN_ONCE"
    report = f"""
        set -u
        for name in {names}; do eval "echo $name=\\${{$name-unset}}"; done >"$PLATTER_ROOT/$1"
        {{ pwd; command -v python; umask; ls "$DATA_DIR"; cat; }} >>"$PLATTER_ROOT/$1"
    """
    files = {
        "pre-activate.sh": "#!/bin/sh -u\nset -- found\n" + report,
        "data/mine": "",
        "post-install.sh": "set -eu; echo $PLATTER_VERSION $PLATTER_ROOT >$VIRTUAL_ENV/told",
    }
    deploy("1.0", files={})
    umask = os.umask(0o077)
    try:
        deploy("1.1", files=files, env={"PATH": os.defpath, "PLATTER_RUN_ONCE": "1"}, input="nobody reads this")
    finally:
        os.umask(umask)
    release = root / "versions" / "1.1"
    assert (root / "found").read_text().splitlines() == [
        f"HERE={release}",
        f"VIRTUAL_ENV={release}",
        f"DATA_DIR={release}/.platter-scripts/data",
        f"PLATTER_ROOT={root}",
        "PLATTER_VERSION=1.1",
        "PLATTER_PREVIOUS=1.0",
        "PLATTER_RUN_ONCE=1",
        f"{release}",
        f"{release}/bin/python",
        "0022",
        "mine",
        "pylock.toml",
    ]
    assert (release / "told").read_text() == f"1.1 {root}\n"


def test_a_bundle_that_is_one_file(tmp_path: Path, root: Path) -> None:
    made = bundle(tmp_path, "1.0", {**SCRIPTS, "data/etc/mine": "x"})
    file = write_archive(list(from_folder(made.path)), made.path.name, "run", tmp_path / "dist", 315532800)[0]
    words: list[str | Path] = ["sh", file, "-p", sys.executable, "--root", root]
    subprocess.run(words, check=True, capture_output=True)
    assert log(root) == ["pre-activate.sh 1.0 after nothing", "post-activate.sh 1.0 after nothing"]
    assert (root / "versions/1.0/.platter-scripts/data/etc/mine").read_text() == "x"


class TestFailures:
    def test_before_the_switch(self, deploy: Callable[..., Done], root: Path) -> None:
        done = deploy("1.0", files={"pre-activate.sh": "echo why >&2; exit 3\n"}, code=7)
        assert done.stderr == (
            "why\ninstall.sh: release 1.0: pre-activate.sh exited with status 3; there is still no active release\n"
            "hint: its output above should say why\n"
        )
        assert not (root / "versions" / "current").is_symlink()
        deploy("1.1", "--reload", RELOAD)
        assert log(root)[-1] == "reload 1.1 after nothing"
        done = deploy("1.2", files={**SCRIPTS, "pre-activate.sh": "exit 3\n"}, code=7)
        assert "1.1 is still active" in done.stderr
        assert (active(root), log(root)) == ("1.1", [])
        assert ran(root) == [("pre-activate.sh", "1.2", "release 1.2: pre-activate.sh exited with status 3")]
        assert "pre-activate.sh exited with status 3" in platter(root, "activate", "1.2", code=7).stderr
        assert platter(root, "doctor").returncode == 0

    def test_the_first_installation_keeps_no_commands(self, deploy: Callable[..., Done], root: Path) -> None:
        """They may be why it failed: the same installation once more has them, and `activate` has none."""
        kept, words = root / ".platter-commands.json", ("--health-check", "true", "--reload", RELOAD)
        fails = {"pre-activate.sh": '[ -e "$PLATTER_ROOT/database" ]\n'}
        deploy("1.0", *words, files=fails, code=7)
        assert not kept.exists()
        deploy("1.0", *words, files=fails, code=7)  # the release is there already
        assert not kept.exists()
        (root / "database").touch()
        said = platter(root, "activate", "1.0").stdout.splitlines()
        assert said == ["  running pre-activate.sh", "  nothing was reloaded", "1.0 is active now."]
        assert log(root) == []
        deploy("1.1", *words, files={"pre-activate.sh": "exit 1\n"}, code=7)
        assert not kept.exists()
        deploy("1.2", *words, files=fails)
        assert log(root) == ["reload 1.2 after 1.0"]
        assert "  reloading\n" in platter(root, "rollback").stdout

    def test_after_the_switch(self, deploy: Callable[..., Done], root: Path) -> None:
        """The release before is switched to as any other: its script runs, and it is reloaded."""
        deploy("1.0", "--reload", RELOAD)
        log(root)
        done = deploy("1.1", files={**SCRIPTS, "post-activate.sh": LOG + "exit 4\n"}, code=7)
        assert "post-activate.sh exited with status 4; 1.0 is active again, and reloaded" in done.stderr
        assert active(root) == "1.0"
        assert log(root) == [
            "pre-activate.sh 1.1 after 1.0",
            "post-activate.sh 1.1 after 1.0",
            "post-activate.sh 1.0 after 1.1",
            "reload 1.0 after 1.1",
        ]
        deploy("1.2", "--ready", "[ $PLATTER_VERSION = 1.0 ]", "--ready-timeout=1", code=8)
        assert [line for line in log(root) if "1.0 after" in line] == [
            "post-activate.sh 1.0 after 1.2",
            "reload 1.0 after 1.2",
        ]
        assert [(one[0], one[1]) for one in ran(root)][-3:] == [
            ("post-activate.sh", "1.0"),
            ("reload command", "1.0"),
            ("ready command", "1.0"),
        ]

    def test_the_way_back_reloads_whatever_fails(self, deploy: Callable[..., Done], root: Path) -> None:
        """Else the service would go on with the code of a release that is not active."""
        fails_later = LOG + '[ ! -e "$PLATTER_ROOT/fail" ]\n'
        deploy("1.0", "--reload", RELOAD, files={**SCRIPTS, "post-activate.sh": fails_later})
        (root / "fail").touch()
        log(root)
        done = deploy("1.1", "--ready", "[ $PLATTER_VERSION = 1.0 ]", "--ready-timeout=1", code=8)
        told = "; 1.0 is active again, reloaded and ready, but release 1.0: post-activate.sh exited with status 1\n"
        assert told in done.stderr
        assert log(root)[-2:] == ["post-activate.sh 1.0 after 1.1", "reload 1.0 after 1.1"]
        assert active(root) == "1.0"
        done = deploy("1.2", "--reload", f"{RELOAD}; exit 9", code=8)
        told = "but release 1.0: post-activate.sh exited with status 1; release 1.0: the reload command exited with"
        assert told in done.stderr

    def test_what_hangs(self, deploy: Callable[..., Done], root: Path, tmp_path: Path) -> None:
        deploy("1.0", files={})
        daemons = tmp_path / "daemons"
        script = f"setsid -f sh -c 'echo $$ >>{daemons}; exec sleep 60'; sleep 60\n"
        done = deploy("1.1", "--command-timeout=1", files={"pre-activate.sh": script}, code=7)
        assert "pre-activate.sh was still running after 1 s, and was ended; 1.0 is still active" in done.stderr
        assert "hint: if it needs more time, give it that with --command-timeout SECONDS" in done.stderr
        assert [runs(number) for number in daemons.read_text().split()] == [False]
        done = deploy("1.2", "--command-timeout=1", files={"post-activate.sh": script}, code=7)
        assert "post-activate.sh was still running after 1 s, and was ended; 1.0 is active again" in done.stderr
        assert [runs(number) for number in daemons.read_text().split()] == [False, False]
        assert active(root) == "1.0"

    def test_needs_a_terminal(self, deploy: Callable[..., Done]) -> None:
        """It gets none, also from a person's shell, and says so."""
        done = deploy("1.0", files={"pre-activate.sh": "read -r answer </dev/tty\n"}, code=7)
        assert "/dev/tty" in done.stderr

    def test_nothing_that_runs_it(self, deploy: Callable[..., Done]) -> None:
        done = deploy("1.0", files={"pre-activate.sh": "#!/nonexistent/python\n"}, code=7)
        assert "pre-activate.sh cannot be started: No such file or directory" in done.stderr

    def test_a_flood(self, tmp_path: Path) -> None:
        """As much as the disk takes: it goes where the output of install.sh goes, and is not kept in memory."""
        with (tmp_path / "out").open("wb") as out:
            made = bundle(tmp_path, "1.0", {"pre-activate.sh": "head -c 300000000 /dev/zero\n"})
            words: list[str | Path] = [made.script, "-p", sys.executable, "--root", tmp_path / "root"]
            limited = ["sh", "-c", 'ulimit -v 600000; exec "$@"', "sh", *words]
            assert subprocess.run(limited, check=False, stdout=out).returncode == 0
        assert (tmp_path / "out").stat().st_size > 300_000_000
        (tmp_path / "out").unlink()

    def test_what_became_of_it_in_the_release(self, deploy: Callable[..., Done], root: Path) -> None:
        deploy("1.0", files={**SCRIPTS, "data/mine": "x"})
        deploy("1.1", files={})
        kept = root / "versions/1.0/.platter-scripts"
        (kept / "data/mine").write_text("y")
        finding = ".platter-scripts/data/mine is not what was installed"
        assert f"1.0: {finding}" in platter(root, "doctor", code=4).stderr
        assert f"warning: 1.0: {finding}" in platter(root, "activate", "1.0").stderr
        platter(root, "activate", "1.1")
        (kept / "pre-activate.sh").unlink()
        log(root)
        done = platter(root, "activate", "1.0", code=7)
        assert "1.0: pre-activate.sh cannot be read: No such file or directory; 1.1 is still active" in done.stderr
        os.mkfifo(kept / "pre-activate.sh")
        done = platter(root, "activate", "1.0", code=7)
        assert "1.0: pre-activate.sh cannot be read: it is not a file; 1.1 is still active" in done.stderr
        assert (log(root), active(root)) == ([], "1.1")


class TestKilled:
    """kill -9 of the installer while a script or a command runs: what the next run does."""

    def test_before_the_switch(self, deploy: Callable[..., Done], root: Path) -> None:
        deploy("1.0", "--reload", RELOAD)
        log(root)
        once = f'[ -e "$PLATTER_ROOT/killed" ] || {{ touch "$PLATTER_ROOT/killed"; {KILL.strip()}; }}\n'
        made = {"pre-activate.sh": LOG + once, "post-activate.sh": LOG}
        deploy("1.1", files=made, code=-signal.SIGKILL)
        assert (active(root), log(root)) == ("1.0", ["pre-activate.sh 1.1 after 1.0"])
        platter(root, "doctor")
        done = platter(root, "activate", "1.1")
        assert "1.1 is active now, 1.0 was before." in done.stdout
        assert log(root) == [
            "pre-activate.sh 1.1 after 1.0",
            "post-activate.sh 1.1 after 1.0",
            "reload 1.1 after 1.0",
        ]

    @pytest.mark.parametrize("where", ["post-activate.sh", "reload", "ready"])
    @pytest.mark.parametrize("fails", [False, True])
    def test_after_the_switch(
        self, deploy: Callable[..., Done], root: Path, tmp_path: Path, where: str, *, fails: bool
    ) -> None:
        """The same bundle carries it through, or goes back to the release that was active before."""
        deploy("1.0", "--reload", RELOAD)
        once = f'[ -e "$PLATTER_ROOT/killed" ] || {{ touch "$PLATTER_ROOT/killed"; {KILL.strip()}; }}\n'
        made = bundle(tmp_path, "1.1", {**SCRIPTS, "post-activate.sh": LOG + (once if where in SCRIPTS else "")})
        words = [] if where in SCRIPTS else [f"--{where}", once]
        assert handmade.run(made, "--root", root, *words).returncode == -signal.SIGKILL
        assert active(root) == "1.1"
        assert journal(root)[-1]["to"] == "1.1"
        assert journal(root)[-1]["what"] == "install"
        log(root)
        commands = ["--ready", "[ $PLATTER_VERSION = 1.0 ]", "--ready-timeout", "1"] if fails else ["--ready", "true"]
        done = handmade.run(made, "--root", root, *commands)
        assert done.returncode == (8 if fails else 0), done.stderr
        forward = ["pre-activate.sh 1.1 after 1.0", "post-activate.sh 1.1 after 1.0", "reload 1.1 after 1.0"]
        back = ["post-activate.sh 1.0 after 1.1", "reload 1.0 after 1.1"]
        assert log(root) == forward + (back if fails else [])
        assert active(root) == ("1.0" if fails else "1.1")
        platter(root, "doctor")

    def test_a_migration_that_fails_then(self, deploy: Callable[..., Done], root: Path, tmp_path: Path) -> None:
        """What a killed run has switched to is not kept, if it is not prepared."""
        deploy("1.0", "--reload", RELOAD)
        fail = '[ ! -e "$PLATTER_ROOT/fail" ] || exit 5\n'
        made = bundle(tmp_path, "1.1", {"pre-activate.sh": fail})
        assert handmade.run(made, "--root", root, "--reload", KILL).returncode == -signal.SIGKILL
        assert active(root) == "1.1"
        (root / "fail").touch()
        log(root)
        done = handmade.run(made, "--root", root)
        assert (done.returncode, "1.0 is active again, and reloaded" in done.stderr) == (7, True), done.stderr
        assert (active(root), log(root)) == ("1.0", ["post-activate.sh 1.0 after 1.1", "reload 1.0 after 1.1"])
        # From now on 1.0 is what was active all the time: nothing that fails leads to 1.1.
        deploy("1.0", "--reload", "false")
        assert "there is no release to go back to from 1.0" in platter(root, "rollback", code=6).stderr
        assert active(root) == "1.0"
        assert [one["result"] for one in journal(root)].count("noticed") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
def test_interrupted(deploy: Callable[..., Done], root: Path, tmp_path: Path, number: signal.Signals) -> None:
    deploy("1.0", files={})
    made = bundle(tmp_path, "1.1", {"pre-activate.sh": 'touch "$PLATTER_ROOT/reached"; exec sleep 60\n'})
    words: list[str | Path] = [made.script, "-p", sys.executable, "--root", root]
    running = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while not (root / "reached").exists():
        assert running.poll() is None
        time.sleep(0.02)
    running.send_signal(number)
    _, errors = running.communicate(timeout=60)
    assert (running.returncode, number.name in errors, "1.0 is still active" in errors) == (-number, True, True)
    assert active(root) == "1.0"
    assert ran(root) == [("pre-activate.sh", "1.1", "interrupted")]


def test_interrupted_after_post_activate(deploy: Callable[..., Done], root: Path, tmp_path: Path) -> None:
    """What it told of the new release is told of the release before, too."""
    deploy("1.0")
    made = bundle(tmp_path, "1.1", SCRIPTS)
    log(root)
    wait = f'{RELOAD}; [ "$PLATTER_VERSION" = 1.0 ] || {{ touch "$PLATTER_ROOT/reached"; exec sleep 60; }}'
    words: list[str | Path] = [made.script, "-p", sys.executable, "--root", root, "--reload", wait]
    running = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while not (root / "reached").exists():
        assert running.poll() is None
        time.sleep(0.02)
    running.terminate()
    _, errors = running.communicate(timeout=60)
    assert (running.returncode, "1.0 is active again, and reloaded\n" in errors) == (-signal.SIGTERM, True), errors
    assert active(root) == "1.0"
    assert log(root)[-2:] == ["post-activate.sh 1.0 after 1.1", "reload 1.0 after 1.1"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give files away")
@pytest.mark.parametrize("name", ["", "pre-activate.sh"])
def test_a_script_that_another_user_can_change(deploy: Callable[..., Done], root: Path, name: str) -> None:
    deploy("1.0")
    deploy("1.1")
    log(root)
    os.chown(root / "versions/1.0/.platter-scripts" / name, 65534, -1)
    assert "belongs to nobody, and this runs as root" in platter(root, "activate", "1.0", code=5).stderr
    assert (log(root), active(root)) == ([], "1.1")


def test_prune_removes_them(deploy: Callable[..., Done], root: Path) -> None:
    deploy("1.0", files={**SCRIPTS, "data/mine": "x"})
    deploy("1.1")
    deploy("1.2", "--keep", "1")
    assert sorted(path.name for path in (root / "versions").iterdir()) == ["1.1", "1.2", "current"]
