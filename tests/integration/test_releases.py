"""install.sh --root and the program that it leaves, as processes: deploying, switching, going back."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support import handmade, keys, linked, roots
from support.children import runs
from support.interpreters import each

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Done = subprocess.CompletedProcess[str]


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, handmade.Bundle]:
    """Bundles of four versions of one application, of which 1.10 is the newest."""
    folder = tmp_path_factory.mktemp("releases")
    return {version: bundle(folder, version) for version in ("1.8", "1.9", "1.10", "2.0rc1")}


def bundle(folder: Path, version: str, **more: Any) -> handmade.Bundle:
    text = f"def main():\n    print('greet {version}')\n"
    points = "[console_scripts]\ngreet = greet:main\n"
    wheel = handmade.wheel(folder / "wheels", "greet", version, files={"greet.py": text}, entry_points=points)
    return handmade.bundle(folder, [wheel], bytecode=True, **more)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "srv" / "Ada's app"


@pytest.fixture
def deploy(bundles: Mapping[str, handmade.Bundle], root: Path) -> Callable[..., Done]:
    """Runs install.sh --root of a version's bundle."""

    def run(version: str, *words: str | Path, code: int = 0) -> Done:
        done = handmade.run(bundles[version], "--root", root, *words)
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    return run


def platter(root: Path, *words: str, code: int = 0, **options: Any) -> Done:
    """The program in the root, with little more than a PATH."""
    environment = {"PATH": os.defpath}
    done = subprocess.run(
        [root / "platter", *words], check=False, capture_output=True, text=True, timeout=60, env=environment, **options
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def greeting(root: Path) -> str:
    return subprocess.run(
        [root / "versions/current/bin/greet"], check=True, capture_output=True, text=True, env={}
    ).stdout.strip()


def journal(root: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (root / "platter-journal.jsonl").read_text().splitlines()]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def versions(root: Path) -> list[str]:
    return names(root / "versions")


# Deploying


def test_nothing_lies_within_a_release_or_is_replaced_with_a_root(
    deploy: Callable[..., Done], bundles: Mapping[str, handmade.Bundle], root: Path, tmp_path: Path
) -> None:
    deploy("1.9")
    (tmp_path / "way").symlink_to(root / "versions")
    before = sorted(path for path in tmp_path.rglob("*") if "lib" not in path.parts)
    for words in (
        ("--root", root / "versions/1.9"),
        ("--root", root / "versions/current/x"),
        ("--root", root / "versions"),
        ("--root", tmp_path / "way/../versions/3.0"),
        (root / "versions/1.9/lib/x",),
        (tmp_path / "way/current/x",),
        ("--force", root),
        ("--force", root.parent),
    ):
        done = handmade.run(bundles["1.10"], *words)
        assert (done.returncode, done.stdout, "\nhint: " in done.stderr) == (6, "", True), (words, done.stderr)
    assert sorted(path for path in tmp_path.rglob("*") if "lib" not in path.parts) == before


@keys.needs_openssh
def test_a_root_belongs_to_one_signer(bundles: Mapping[str, handmade.Bundle], root: Path, tmp_path: Path) -> None:
    signed = {}
    for version, who in (("1.9", "alice"), ("1.10", "bob"), ("2.0rc1", "bob")):
        key = keys.make(tmp_path, name=f"{who} {version}")
        path = linked.copy(bundles[version].path, tmp_path / version)
        signed[version] = handmade.Bundle(path=keys.sign(path, key), info=bundles[version].info)
        allowed = keys.allow(tmp_path / f"allowed {version}", key, who=f"{who}@example.com")
        with (tmp_path / "allowed").open("a") as file:
            file.write(allowed.read_text())
    asking: list[str | Path] = ["--allowed-signers", tmp_path / "allowed"]

    def deploy(version: str, *words: str | Path, code: int = 0) -> Done:
        done = handmade.run(signed[version], "--root", root, *words)
        assert done.returncode == code, done.stderr
        return done

    handmade.run(bundles["1.8"], "--root", root)  # unsigned
    deploy("1.9", *asking)
    said = deploy("1.10", *asking, code=6).stderr
    assert "releases that alice@example.com signed, and this bundle was signed by bob@example.com\nhint: " in said
    assert "--new-signer" in said
    assert versions(root) == ["1.8", "1.9", "current"]
    assert "signature was not checked" in deploy("1.10", "--check").stderr
    deploy("1.10", *asking, "--new-signer")
    assert deploy("2.0rc1", *asking).stderr == ""  # another key of the same name
    rows = json.loads(platter(root, "list", "--json").stdout)
    bob = "bob@example.com"
    assert [row["signer"] for row in rows] == [None, "alice@example.com", bob, bob]
    assert [line["signer"] for line in journal(root) if line["what"] == "install"] == [row["signer"] for row in rows]
    assert "--new-signer needs --allowed-signers" in deploy("1.9", "--new-signer", code=2).stderr


def test_two_deployments_and_back(deploy: Callable[..., Done], root: Path) -> None:
    assert deploy("1.9").stdout.splitlines()[-2:] == ["  nothing was reloaded", "1.9 is active now."]
    assert names(root) == ["platter", "platter-journal.jsonl", "versions"]
    assert versions(root) == ["1.9", "current"]
    assert (root / "versions/current").readlink() == Path("1.9")
    assert deploy("1.10").stdout.splitlines()[-1] == "1.10 is active now, 1.9 was before."
    assert greeting(root) == "greet 1.10"
    assert platter(root, "rollback").stdout == "  nothing was reloaded\n1.9 is active now, 1.10 was before.\n"
    assert greeting(root) == "greet 1.9"
    changes = [(line["what"], line["from"], line["to"], line["result"]) for line in journal(root)]
    assert changes == [
        ("install", None, "1.9", "done"),
        ("activate", None, "1.9", "done"),
        ("install", None, "1.10", "done"),
        ("activate", "1.9", "1.10", "done"),
        ("rollback", "1.10", "1.9", "done"),
    ]
    assert all(line["who"] and line["when"] for line in journal(root))


def test_deploying_again_changes_nothing(deploy: Callable[..., Done], root: Path) -> None:
    deploy("1.9")
    before = journal(root)
    said = deploy("1.9", "--reload", "exit 1").stdout
    assert said.splitlines() == [
        f"greet 1.9 is installed in {root}/versions/1.9 already.",
        "1.9 is active already; not run: the reload command.",
        "  kept for later switches: --reload",
    ]
    assert deploy("1.9", "--reload", "exit 1").stdout.splitlines() == said.splitlines()[:2]
    assert journal(root) == before
    assert "the reload command exited with status 1" in deploy("1.10", code=8).stderr  # it was kept


def test_an_active_release_whose_python_is_gone_can_be_replaced(deploy: Callable[..., Done], root: Path) -> None:
    deploy("1.9")
    deploy("1.9", "--force", code=6)
    python = root / "versions/1.9/bin/python"
    python.unlink()
    python.symlink_to("/nonexistent/python")
    said = deploy("1.9", code=5).stderr
    assert "found nothing" in said
    assert "--force" in said
    deploy("1.9", "--force")
    assert greeting(root) == "greet 1.9"


def test_deploying_an_older_one_again_activates_it(deploy: Callable[..., Done], root: Path) -> None:
    deploy("1.9")
    deploy("1.10")
    deploy("1.9")
    assert greeting(root) == "greet 1.9"


def test_without_activation(deploy: Callable[..., Done], root: Path, tmp_path: Path) -> None:
    deploy("1.9", "--no-activate")
    assert versions(root) == ["1.9"]
    platter(root, "activate", "1.9")
    deploy("1.10", "--no-activate", "--health-check", f"greet >{tmp_path}/out")
    assert greeting(root) == "greet 1.9"
    assert (tmp_path / "out").read_text() == "greet 1.10\n"
    deploy("2.0rc1", "--no-activate", "--health-check", "false", code=8)


def test_keep(deploy: Callable[..., Done], root: Path) -> None:
    for version in ("1.8", "1.9", "1.10"):
        deploy(version, "--keep", "2")
    assert versions(root) == ["1.10", "1.9", "current"]
    deploy("2.0rc1", "--keep=1", "--no-activate")
    assert versions(root) == ["1.10", "1.9", "2.0rc1", "current"]
    deploy("2.0rc1")
    deploy("1.9", "--keep=1", "--no-activate")  # it is there already, and it is wanted
    assert versions(root) == ["1.10", "1.9", "2.0rc1", "current"]


def test_failing_commands(deploy: Callable[..., Done], root: Path) -> None:
    deploy("1.9")
    done = deploy("1.10", "--health-check", "greet; exit 1", code=8)
    assert "greet 1.10\n" in done.stdout
    assert done.stderr.splitlines()[0].endswith("the health check exited with status 1; 1.9 is still active")
    assert greeting(root) == "greet 1.9"
    deploy("1.10", "--reload", '[ "$PLATTER_VERSION" = 1.9 ]', "--keep", "1", code=8)
    assert greeting(root) == "greet 1.9"
    assert versions(root) == ["1.10", "1.9", "current"]
    results = [line["result"] for line in journal(root)]
    assert results[-2:] == [
        "release 1.10: the health check exited with status 1",
        "release 1.10: the reload command exited with status 1",
    ]


def test_commands_of_the_last_deployment(deploy: Callable[..., Done], root: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    commands = [f"echo {what} $PLATTER_VERSION >>{log}" for what in ("check", "reload")]
    kept = root / ".platter-commands.json"

    def ran() -> list[str]:
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return lines

    deploy("1.8", "--health-check", "false", "--reload", commands[1], code=8)
    assert not kept.exists()
    deploy("1.8", "--health-check", commands[0], "--reload", commands[1])
    assert kept.stat().st_mode & 0o777 == 0o600
    deploy("1.9")
    assert ran() == ["check 1.8", "reload 1.8", "check 1.9", "reload 1.9"]
    assert "nothing was reloaded" not in platter(root, "rollback").stdout
    assert ran() == ["check 1.8", "reload 1.8"]
    assert "nothing was reloaded" in platter(root, "activate", "1.9", "--no-reload", "--no-health-check").stdout
    assert ran() == []
    platter(root, "rollback", "--reload", f"echo other >>{log}")
    assert ran() == ["check 1.8", "other"]
    deploy("1.10", "--no-reload")
    assert "nothing was reloaded" in platter(root, "rollback").stdout
    assert ran() == ["check 1.10", "check 1.8"]
    kept.chmod(0o644)
    done = platter(root, "rollback")
    assert "mode 0600" in done.stderr
    assert "nothing was reloaded" in done.stdout
    assert ran() == []


def test_first_deployment_that_fails_leaves_nothing(tmp_path: Path, root: Path) -> None:
    made = bundle(tmp_path, "1.0", post_install="exit 1\n")
    assert handmade.run(made, "--root", root).returncode == 7
    assert not root.parent.exists()


def test_later_deployment_that_fails_leaves_all_as_it_was(
    deploy: Callable[..., Done], root: Path, tmp_path: Path
) -> None:
    deploy("1.9")
    before = journal(root)
    made = bundle(tmp_path, "3.0", post_install="exit 1\n")
    assert handmade.run(made, "--root", root).returncode == 7
    assert (versions(root), journal(root), greeting(root)) == (["1.9", "current"], before, "greet 1.9")
    made.data.joinpath("greet-3.0-py3-none-any.whl").write_bytes(b"broken")
    assert handmade.run(made, "--root", root).returncode == 4
    assert (versions(root), journal(root), greeting(root)) == (["1.9", "current"], before, "greet 1.9")


def test_check_touches_nothing(deploy: Callable[..., Done], root: Path) -> None:
    assert deploy("1.9", "--check").stdout == f"greet 1.9 can be installed into {root}/versions/1.9.\n"
    assert not root.parent.exists()
    (root / "versions/current").mkdir(parents=True)
    deploy("1.9", "--check", code=6)
    deploy("1.9", code=6)
    assert versions(root) == ["current"]


def test_another_bundle_of_the_same_version(deploy: Callable[..., Done], root: Path, tmp_path: Path) -> None:
    deploy("1.9")
    deploy("1.10")
    other = bundle(tmp_path, "1.9", requires_python=">=3.7")
    done = handmade.run(other, "--root", root)
    assert (done.returncode, "is in the way: greet 1.9 is installed there" in done.stderr) == (6, True)
    assert handmade.run(other, "--root", root, "--force", "--no-activate").returncode == 0
    platter(root, "activate", "1.9")
    for same, words in ((other, ["--force"]), (bundle(tmp_path / "third", "1.9", requires_python=">=3.6"), [])):
        done = handmade.run(same, "--root", root, *words)
        assert (done.returncode, "is the active release" in done.stderr) == (6, True)
    assert greeting(root) == "greet 1.9"


def test_a_version_that_is_no_name(tmp_path: Path, root: Path) -> None:
    made = bundle(tmp_path, "1.0")
    made.info["version"] = "../../1.0"
    made.seal()
    done = handmade.run(made, "--root", root)
    assert (done.returncode, "'../../1.0'" in done.stderr) == (4, True), done.stderr


def test_plain_installations_and_links_by_hand_go_on(
    deploy: Callable[..., Done], bundles: Mapping[str, handmade.Bundle], root: Path
) -> None:
    assert handmade.run(bundles["1.8"], root / "versions/1.8").returncode == 0
    subprocess.run(["ln", "-sfn", "1.8", "current"], check=True, cwd=root / "versions")
    deploy("1.9")
    subprocess.run(["ln", "-sfn", "1.8/", "current"], check=True, cwd=root / "versions")
    assert json.loads(platter(root, "list", "--json").stdout)[0] | {"when": ""} == {
        "version": "1.8", "project": "greet", "state": "complete", "when": "", "active": True, "previous": False,
        "revision": None, "stranger": None, "signer": None, "link_mode": None, "shared_files": 0, "interpreter": None,
        "shared_paths": [],
    }  # fmt: skip
    platter(root, "rollback")
    assert greeting(root) == "greet 1.9"
    platter(root, "rollback")
    assert greeting(root) == "greet 1.8"
    noticed = [(line["what"], line["to"]) for line in journal(root) if line["result"] == "noticed"]
    assert noticed == [("install", "1.8"), ("activate", "1.8"), ("activate", "1.8")]


def test_two_operators(deploy: Callable[..., Done], root: Path, tmp_path: Path) -> None:
    deploy("1.9")
    deploy("1.10")
    hold: list[str] = [
        "activate",
        "1.9",
        "--health-check",
        f"touch {tmp_path}/held; while [ ! -e {tmp_path}/go ]; do sleep 0.05; done",
    ]
    first = subprocess.Popen([str(root / "platter"), *hold], env={"PATH": os.defpath})
    until(tmp_path / "held")
    assert "another process is changing the releases (process " in platter(root, "rollback", code=6).stderr
    deploy("1.8", code=6)
    assert "1.10" in platter(root, "list").stdout
    (tmp_path / "go").touch()
    assert first.wait(timeout=60) == 0
    assert versions(root) == ["1.10", "1.9", "current"]


def until(path: Path) -> None:
    for _ in range(1200):
        if path.exists():
            return
        time.sleep(0.05)
    raise AssertionError(f"{path} never came")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_during_the_reload(
    deploy: Callable[..., Done], root: Path, tmp_path: Path, number: signal.Signals
) -> None:
    deploy("1.9")
    deploy("1.10")
    words: list[str | Path] = [root / "platter", "rollback", "--reload", f"touch {tmp_path}/reached; exec sleep 60"]
    running = subprocess.Popen(words, env={"PATH": os.defpath}, stderr=subprocess.PIPE, text=True)
    until(tmp_path / "reached")
    running.send_signal(number)
    _, errors = running.communicate(timeout=60)
    assert (running.returncode, number.name in errors) == (-number, True)
    assert greeting(root) == "greet 1.10"
    assert journal(root)[-1]["result"] == f"interrupted by {number.name}"


class TestReady:
    """The service is a file, which the ready command looks for."""

    READY = 'grep -qx "$PLATTER_VERSION" "$PLATTER_ROOT/serves"'
    RELOAD = '(sleep 0.5; echo "$PLATTER_VERSION" >"$PLATTER_ROOT/serves") >/dev/null 2>&1 &'

    def test_a_service_that_takes_a_moment(self, deploy: Callable[..., Done], root: Path) -> None:
        done = deploy("1.9", "--reload", self.RELOAD, "--ready", self.READY)
        assert done.stdout.splitlines()[-3:] == ["  reloading", "  waiting until 1.9 is ready", "1.9 is active now."]
        deploy("1.10")  # the commands are kept
        assert (root / "serves").read_text() == "1.10\n"
        assert "  waiting until 1.9 is ready\n" in platter(root, "rollback").stdout
        assert (root / "serves").read_text() == "1.9\n"
        line = journal(root)[-1]
        assert [(one["name"], one["release"], one["result"]) for one in line["ran"]] == [
            ("reload command", "1.9", "done"),
            ("ready command", "1.9", "done"),
        ]
        assert "waiting" not in platter(root, "rollback", "--no-ready").stdout

    def test_never(self, deploy: Callable[..., Done], root: Path) -> None:
        deploy("1.9", "--reload", self.RELOAD, "--ready", self.READY)
        done = deploy("1.10", "--reload", "[ $PLATTER_VERSION = 1.10 ]", "--ready-timeout", "1", code=8)
        assert done.stderr == (
            "install.sh: release 1.10 was not ready within 1 s: the ready command exited with status 1; 1.9 is active"
            " again, but release 1.9: the reload command exited with status 1\n"
            "hint: its output above should say why; --ready-timeout SECONDS gives it more time\n"
        )
        done = deploy("1.10", "--ready", "sleep 60 & exec sleep 60", "--ready-timeout=1", code=8)
        assert "was still running after" in done.stderr
        assert "1.9 is active again, but release 1.9 was not ready within 1 s" in done.stderr
        assert greeting(root) == "greet 1.9"
        assert deploy("1.10").stderr == ""  # what failed was not kept

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
    def test_interrupted(self, deploy: Callable[..., Done], root: Path, number: signal.Signals) -> None:
        """It was reloaded, so it is reloaded again."""
        deploy("1.9", "--reload", self.RELOAD, "--ready", self.READY)
        deploy("1.10")
        words: list[str | Path] = [
            root / "platter",
            "rollback",
            "--ready",
            'touch "$PLATTER_ROOT/reached"; exec sleep 60',
        ]
        running = subprocess.Popen(words, env={"PATH": os.defpath}, stderr=subprocess.PIPE, text=True)
        until(root / "reached")
        running.send_signal(number)
        _, errors = running.communicate(timeout=60)
        assert (running.returncode, number.name in errors) == (-number, True)
        assert "1.10 is active again, and reloaded" in errors
        assert greeting(root) == "greet 1.10"
        ran = [(one["name"], one["release"], one["result"]) for one in journal(root)[-1]["ran"]]
        assert ran == [
            ("reload command", "1.9", "done"),
            ("ready command", "1.9", "interrupted"),
            ("reload command", "1.10", "done"),
        ]

    def test_time_limits_that_are_none(self, deploy: Callable[..., Done], root: Path) -> None:
        for option in ("--ready-timeout", "--command-timeout"):
            for wrong in ("0", "-3", "soon", "1e3", "9999999"):
                said = deploy("1.9", option, wrong, code=2).stderr
                assert f"{option} needs a whole number of seconds from 1 to 999999" in said
        assert not root.parent.exists()
        deploy("1.9")
        assert "needs a whole number" in platter(root, "rollback", "--ready-timeout", "0", code=2).stderr


def test_commands_that_take_too_long(deploy: Callable[..., Done], root: Path, tmp_path: Path) -> None:
    """Their daemons end, too; and no password is told."""
    deploy("1.9")
    secret = "PASSWORD=s3cret"
    daemons = tmp_path / "daemons"
    daemon = f"setsid -f sh -c 'echo $$ >>{daemons}; exec sleep 60' & sleep 60; : {secret}"
    done = deploy("1.10", "--health-check", daemon, "--command-timeout", "1", code=8)
    assert "the health check was still running after 1 s, and was ended; 1.9 is still active" in done.stderr
    assert "hint: if it needs more time, give it that with --command-timeout SECONDS" in done.stderr
    assert [runs(number) for number in daemons.read_text().split()] == [False]
    done = deploy("1.10", "--reload", daemon, "--command-timeout", "1", code=8)
    assert "the reload command was still running after 1 s, and was ended; 1.9 is active again, but" in done.stderr
    assert [runs(number) for number in daemons.read_text().split()] == [False, False, False]  # it was reloaded, too
    assert greeting(root) == "greet 1.9"
    assert secret not in done.stderr + done.stdout + (root / "platter-journal.jsonl").read_text()


def test_commands_find_nobody_at_the_terminal(deploy: Callable[..., Done]) -> None:
    script = 'read answer && exit 3; [ -z "$answer" ] && ! (exec </dev/tty) 2>/dev/null'
    deploy("1.9", "--health-check", script, "--reload", script, "--ready", script)


def test_a_flood_of_output(bundles: Mapping[str, handmade.Bundle], root: Path) -> None:
    """A gigabyte goes by, and nothing of it is kept."""
    program = (
        "import resource, subprocess, sys\n"
        "done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)\n"
        "print(done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
    )
    flood = "head -c 1000000000 /dev/zero | tr '\\0' x"
    words: list[str | Path] = [bundles["1.9"].script, "--root", root, "--health-check", flood, "--ready", flood]
    done = subprocess.run([sys.executable, "-c", program, *words], check=True, capture_output=True, text=True)
    status, kilobytes = map(int, done.stdout.split())
    assert (status, kilobytes < 200_000) == (0, True), kilobytes


# The program


@each()
def test_program_under_every_python(python: str, tmp_path: Path) -> None:
    root = roots.make(tmp_path, "1.0", "1.1", "1.2")
    program = roots.leave_program(root)
    for words in (
        ["activate", "1.0"],
        ["activate", "1.2"],
        ["list"],
        ["rollback"],
        ["doctor"],
        ["prune", "--keep", "1"],
    ):
        command = [python, "-I", "-S", "-W", "error", str(program), *words]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), words
    assert versions(Path(root.path)) == ["1.0", "1.2", "current"]
    assert roots.current(root) == "1.0"


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox", "mksh", "yash"])
def test_program_under_every_shell(shell: str, tmp_path: Path) -> None:
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"{shell} is not here")
    program = roots.leave_program(roots.make(tmp_path, "1.0"))
    for name, folder in (("./platter", program.parent), ("root/platter", tmp_path), (str(program), tmp_path)):
        words = [found, *(["sh"] if shell == "busybox" else []), name, "list"]
        done = subprocess.run(words, check=False, capture_output=True, text=True, cwd=folder, env={})
        assert (done.returncode, done.stderr) == (0, "")
        assert "1.0  complete" in done.stdout


def test_program_is_one_readable_file(deploy: Callable[..., Done], root: Path, tmp_path: Path) -> None:
    deploy("1.9")
    with zipfile.ZipFile(root / "platter") as archive:
        assert archive.testzip() is None
        assert all(member.compress_type == zipfile.ZIP_STORED for member in archive.infolist())
        assert b"def rollback(" in archive.read("platter_payload/releases/switch.py")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "app-releases").symlink_to(root / "platter")
    environment = {"PATH": f"{tmp_path}/bin:{os.defpath}", "PYTHONPATH": "/nonexistent", "PYTHONHOME": "/nonexistent"}
    done = subprocess.run(["app-releases", "list"], check=True, capture_output=True, text=True, env=environment)
    assert "1.9  complete" in done.stdout


def test_program_finds_another_python(deploy: Callable[..., Done], root: Path, tmp_path: Path) -> None:
    deploy("1.9")
    text = (root / "platter").read_bytes()
    start, end = text.index(b"for python in '") + 15, text.index(b"' python3 ")
    (root / "platter").write_bytes(
        text[:start] + b"/gone/python3.99".ljust(end - start, b"x")[: end - start] + text[end:]
    )
    (tmp_path / "python3").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "python3").chmod(0o755)
    environment = {"PATH": str(tmp_path)}
    done = subprocess.run(
        ["/bin/sh", root / "platter", "list"], check=True, capture_output=True, text=True, env=environment
    )
    assert "1.9  complete" in done.stdout
    shutil.rmtree(root / "versions/1.9/bin")
    done = subprocess.run(
        ["/bin/sh", root / "platter", "list"], check=False, capture_output=True, text=True, env=environment
    )
    assert (done.returncode, "there is no Python 3.8" in done.stderr) == (3, True)


def test_program_is_upgraded_and_never_downgraded(tmp_path: Path, root: Path) -> None:
    def program(version: str, created_by: str) -> bytes:
        made = bundle(tmp_path / version, version)
        made.info["created_by"] = created_by
        made.seal()
        assert handmade.run(made, "--root", root).returncode == 0
        return (root / "platter").read_bytes().splitlines()[1]

    assert program("1.0", "platter-setuptools 0.9.0") == b"# platter 0.9.0"
    assert program("1.1", "platter-setuptools 0.10.0.dev1") == b"# platter 0.10.0.dev1"
    assert program("1.2", "platter-setuptools 0.9.0") == b"# platter 0.10.0.dev1"


def test_what_is_not_our_program_stays(deploy: Callable[..., Done], root: Path) -> None:
    root.mkdir(parents=True)
    (root / "platter").write_text("precious")
    assert "stays as it is" in deploy("1.9").stderr
    assert (root / "platter").read_text() == "precious"


def test_program_usage(tmp_path: Path) -> None:
    root = roots.leave_program(roots.make(tmp_path, "1.0")).parent
    wrong = ("", "what", "list 1.0", "activate", "prune", "prune --keep x", "rollback --force", "doctor 1 2", "list -x")
    for line in wrong:
        assert "hint: platter --help" in platter(root, *line.split(), code=2).stderr, line
    for words in (["--help"], ["list", "--help"]):
        assert "Exit codes:" in platter(root, *words).stdout
    assert platter(root, "activate", "1.0", "--reload", "test --help").stdout == "  reloading\n1.0 is active now.\n"


def test_list_that_nobody_can_read_is_a_failure(tmp_path: Path) -> None:
    program = roots.leave_program(roots.make(tmp_path, "1.0"))
    for words in (["list"], ["list", "--json"]):
        with Path("/dev/full").open("wb") as full:
            done = subprocess.run([program, *words], check=False, stdout=full, stderr=subprocess.PIPE, text=True)
        assert (done.returncode, done.stderr.splitlines()[0]) == (1, "platter: No space left on device")
    shell = f"'{program}' list | true"
    assert subprocess.run(shell, shell=True, check=True, capture_output=True).stderr == b""


def test_list(deploy: Callable[..., Done], root: Path) -> None:
    deploy("1.9")
    deploy("1.10")
    rows = [line.split() for line in platter(root, "list").stdout.splitlines()]
    assert [(row[0], row[1], *row[3:]) for row in rows] == [
        ("1.9", "complete", "before", "greet"),
        ("1.10", "complete", "active", "greet"),
    ]
    shutil.rmtree(root / "versions/1.10")
    assert "current points at 1.10" in platter(root, "list").stderr


def test_doctor(deploy: Callable[..., Done], root: Path) -> None:
    deploy("1.9")
    deploy("1.10")
    assert platter(root, "doctor").stdout == "1.9: as it was installed\n1.10: as it was installed\n"
    release = root / "versions/1.10"
    (packages,) = release.glob("lib/python*/site-packages")
    (packages / "greet.py").write_text("changed")
    (release / "bin/greet").unlink()
    subprocess.run(["ln", "-sf", "1.10", "current"], check=True, cwd=root / "versions")
    text = platter(root, "doctor", "1.10", code=4).stderr
    for finding in (
        "greet.py is not what was installed",
        "bin/greet is missing",
        "1.10 is a link to 1.10, where there is",
    ):
        assert finding in text
    assert platter(root, "doctor", "1.9").stdout == "1.9: as it was installed\n"
    (recorded,) = packages.glob("greet-*.dist-info/RECORD")
    os.mkfifo(packages / "pipe")
    (packages / "link").symlink_to("/etc/passwd")
    strange = ("/dev/zero", "../../../../../../../../../../../../etc/passwd", "pipe", "link")
    recorded.write_text("".join(f"{name},sha256=x,\n" for name in strange))
    text = platter(root, "doctor", "1.10", code=4).stderr
    assert "/dev/zero is not in the release, and was not checked" in text
    assert "/etc/passwd is not in the release, and was not checked" in text
    assert "site-packages/pipe is not what was installed" in text
    assert "site-packages/link cannot be read" in text
    recorded.write_text("greet.py,,\n")
    assert "greet-1.10.dist-info/RECORD is not whole" in platter(root, "doctor", "1.10", code=4).stderr
    recorded.unlink()
    assert "greet-1.10.dist-info/RECORD cannot be read" in platter(root, "doctor", "1.10", code=4).stderr
    python = release / "bin/python"
    python.unlink()
    python.symlink_to("/nonexistent/python3.11")
    text = platter(root, "doctor", code=4).stderr
    assert "current points at 1.10, which cannot be used" in text
    assert "1.10: Python: expected 3." in text
    assert "found nothing" in platter(root, "doctor", "1.10", code=4).stderr
    python.unlink()
    python.write_text("#!/bin/sh\nprintf 3.7\n")
    python.chmod(0o755)
    assert "found one that does not run: it prints something else" in platter(root, "doctor", code=4).stderr
    shutil.rmtree(release / "bin")
    done = platter(root, "doctor", code=4)
    assert done.stdout == "1.9: as it was installed\n1.10: damaged\n"
    assert "found nothing" in done.stderr
    assert "there is no release '7'" in platter(root, "doctor", "7", code=6).stderr


def test_a_release_that_was_changed_is_told_everywhere(
    bundles: Mapping[str, handmade.Bundle], deploy: Callable[..., Done], root: Path
) -> None:
    deploy("1.9")
    deploy("1.10")
    release = root / "versions/1.9"
    (packages,) = release.glob("lib/python*/site-packages")
    (info,) = packages.glob("greet-*.dist-info")

    def told(text: str) -> None:
        assert text in platter(root, "doctor", "1.9", code=4).stderr
        for words in (["--check"], []):
            done = handmade.run(bundles["1.9"], *words, release)
            assert (done.returncode, text in done.stderr, done.stdout) == (6, True, ""), done.stderr
            assert "hint:" in done.stderr
        done = platter(root, "activate", "1.9")
        assert text in done.stderr
        assert "1.9 is active now" in done.stdout
        assert text in platter(root, "rollback").stderr + platter(root, "rollback").stderr
        platter(root, "activate", "1.10")

    upgraded = info.rename(packages / "greet-2.0.dist-info")
    told("greet 1.9 is missing")
    assert "greet-2.0.dist-info was not installed from the bundle" in platter(root, "doctor", code=4).stderr
    upgraded.rename(info)
    text = (packages / "greet.py").read_text()
    (packages / "greet.py").write_text("")  # as after a power cut
    told("greet.py is not what was installed")
    (packages / "greet.py").write_text(text)
    assert "as it was installed" in platter(root, "doctor", "1.9").stdout
    assert "is installed in" in handmade.run(bundles["1.9"], release).stdout

    release.rename(root / "versions/1.9-old")
    assert "it was installed as" in platter(root, "doctor", "1.9-old", code=4).stderr
    assert "it was installed as" in platter(root, "activate", "1.9-old").stderr


def test_a_release_that_cannot_start_is_not_activated(deploy: Callable[..., Done], root: Path) -> None:
    deploy("1.9")
    deploy("1.10")
    settings = root / "versions/1.9/pyvenv.cfg"
    text = settings.read_text()
    settings.unlink()
    for words in (["activate", "1.9"], ["rollback"]):
        done = platter(root, *words, code=6)
        assert "cannot start" in done.stderr
        assert "hint:" in done.stderr
    assert "pyvenv.cfg" in platter(root, "doctor", code=4).stderr
    assert greeting(root) == "greet 1.10"
    settings.write_text(text)
    note = root / "versions/1.9/.platter-release.json"
    text = note.read_text()
    note.write_text(re.sub(r'"libc": ".*"', '"libc": "glibc 99.9"', text))
    assert "warning: 1.9: libc: expected glibc 99.9" in platter(root, "activate", "1.9").stderr
    note.write_text(text)
    platter(root, "activate", "1.10")
    python = root / "versions/1.9/bin/python"
    real = python.resolve()
    python.unlink()
    python.write_text("#!/bin/sh\necho libpython is gone >&2; exit 127\n")
    python.chmod(0o755)
    assert "libpython is gone" in platter(root, "activate", "1.9", code=6).stderr
    python.unlink()
    python.symlink_to(real)
    platter(root, "activate", "1.9")


def test_what_post_install_does_is_no_damage(tmp_path: Path, root: Path) -> None:
    made = bundle(tmp_path, "1.0")
    (made.path / "post-install.sh").write_text(
        "cd \"$VIRTUAL_ENV\"/lib/python*/site-packages; echo '# more' >>greet.py; rm -r __pycache__\n"
        "mkdir plugin-1.dist-info; printf 'Name: plugin\\nVersion: 1\\n' >plugin-1.dist-info/METADATA\n"
    )
    made.seal()
    for _ in range(2):
        done = handmade.run(made, "--root", root)
        assert done.returncode == 0, done.stderr
    (packages,) = root.glob("versions/1.0/lib/python*/site-packages")
    text = platter(root, "doctor", code=4).stderr
    assert "greet.py is not" not in text
    (packages / "greet.py").write_text("later")
    assert "greet.py is not what was installed" in platter(root, "doctor", code=4).stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
def test_somebody_elses_root(deploy: Callable[..., Done], root: Path) -> None:
    deploy("1.9")
    deploy("1.10")
    for folder in [*root.parents][:-1]:
        folder.chmod(folder.stat().st_mode | 0o055)
    for words in (["rollback"], ["prune", "--keep", "1"], ["activate", "1.9"]):
        assert "belongs to root, and this runs as nobody" in platter(root, *words, code=5, user="nobody").stderr
    assert "1.10" in platter(root, "list", user="nobody").stdout
    os.chown(root, 65534, -1)
    assert "belongs to nobody, and this runs as root" in deploy("1.8", code=5).stderr
    assert greeting(root) == "greet 1.10"


class TestSharedFiles:
    @pytest.fixture
    def sharing(self, tmp_path: Path) -> list[handmade.Bundle]:
        """Two releases with one dependency, and a third with a post-install.sh."""
        files = {"dep/__init__.py": "", "dep/mod.py": "x = 1\n", "dep/data.txt": "data" * 100}
        dep = handmade.wheel(tmp_path, "dep", files=files, scripts={"dep-tool": "#!python\n"})
        made = []
        for version, script in (("1.0", None), ("1.1", None), ("1.2", "true\n")):
            wheel = handmade.wheel(tmp_path / version, "app", version)
            made.append(handmade.bundle(tmp_path, [wheel, dep], bytecode=True, post_install=script))
        return made

    @staticmethod
    def shared(root: Path, one: str, other: str) -> set[str]:
        (first, second) = (next((root / "versions" / name).glob("lib/python*/site-packages")) for name in (one, other))
        names = [path.relative_to(first) for path in first.rglob("*") if path.is_file()]
        return {str(name) for name in names if (second / name).is_file() and (second / name).samefile(first / name)}

    def install(self, made: handmade.Bundle, root: Path, *words: str) -> Done:
        done = handmade.run(made, "--root", root, *words)
        assert done.returncode == 0, done.stderr
        return done

    def test_hard_links(self, sharing: list[handmade.Bundle], root: Path) -> None:
        for made in sharing[:2]:
            self.install(made, root, "--link-mode", "hardlink")
        found = self.shared(root, "1.0", "1.1")
        assert {"dep/mod.py", "dep/data.txt", "dep-1.0.dist-info/METADATA"} < found
        assert not {name for name in found if "RECORD" in name or "app" in name or "INSTALLER" in name}
        old, new = json.loads(platter(root, "list", "--json").stdout)
        assert (old["link_mode"], old["shared_files"]) == (None, 0)
        assert (new["link_mode"], new["shared_files"]) == ("hardlink", len(found))
        assert f"1.1: as it was installed, shares {len(found)} files (hardlink)" in platter(root, "doctor").stdout
        (path,) = (root / "versions" / "1.1").rglob("mod.py")
        path.write_text("x = 2\n")
        said = platter(root, "doctor", code=4).stderr
        assert all(f"{version}: lib" in said for version in ("1.0", "1.1"))
        platter(root, "activate", "1.0")
        self.install(sharing[1], root, "--link-mode", "copy", "--force")
        platter(root, "doctor", "1.1")
        assert self.shared(root, "1.0", "1.1") == set()

    def test_a_post_install_script_might_change_them(self, sharing: list[handmade.Bundle], root: Path) -> None:
        self.install(sharing[0], root)
        self.install(sharing[2], root)
        assert self.shared(root, "1.0", "1.2") == set()
        platter(root, "doctor")

    def test_none_outside_of_a_root(self, sharing: list[handmade.Bundle], root: Path) -> None:
        self.install(sharing[0], root)
        assert handmade.run(sharing[1], root / "versions" / "1.1").returncode == 0
        assert self.shared(root, "1.0", "1.1") == set()
        assert not (root / "versions" / "1.1" / ".platter-wheels").exists()
        done = handmade.run(sharing[1], "--link-mode", "copy", root / "other")
        assert (done.returncode, done.stderr.splitlines()[0]) == (2, "install.sh: --link-mode needs --root")
