"""Builds that are ended: by kill -9 at any moment, and by signals that ask for it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from faults.server import end_group, told_of_signal
from support import projects

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from pathlib import Path

    from faults.builds import Builder
    from faults.ledger import Trials
    from support.front_ends import Yard

    NewBuilder = Callable[[], Builder]
    NewScene = Callable[[random.Random], "Scene"]
    Expected = Callable[[str], dict[str, str]]

KINDS = ["tar.gz", "zip", "dir", "tar.zst"]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A building machine as an earlier build has left it, the format that is built, and how long that may take."""

    builder: Builder
    kind: str
    older: dict[str, str]
    seconds: float


@pytest.fixture(scope="session")
def seconds(new_builder: NewBuilder) -> tuple[float, float]:
    """How long an undisturbed build takes here and now, with a cold store and with a warm one."""
    builder, found = new_builder(), []
    for _ in range(2):
        began = time.monotonic()
        builder.build()
        found.append(time.monotonic() - began)
    return found[0], found[1]


@pytest.fixture
def new_scene(new_builder: NewBuilder, warm: Builder, seconds: tuple[float, float]) -> Callable[[random.Random], Scene]:
    def make(chance: random.Random) -> Scene:
        builder, kind, with_store = new_builder(), chance.choice(KINDS), chance.random() < 0.5
        if with_store:
            builder.warm_up(warm)
        if chance.random() < 0.3:  # an older bundle of the same name
            builder.build(f"--format={kind}", "--no-pip")
        return Scene(builder=builder, kind=kind, older=builder.shown(), seconds=seconds[with_store])

    return make


def ended(scene: Scene, moment: float, number: int) -> int:
    """Start a build, send it a signal when this part of its time is over, and give its exit status."""
    process = scene.builder.start(f"--format={scene.kind}")
    try:
        process.wait(moment * scene.seconds)
    except subprocess.TimeoutExpired:
        end_group(process, number)
    return process.returncode


@pytest.mark.parametrize("part", [1, 2])
def test_kill(trials: Trials, new_scene: NewScene, expected: Expected, part: int) -> None:  # noqa: ARG001
    for trial in trials("platter build: kill -9 at any moment", full=50, few=1):
        with trial:
            scene = new_scene(trial.random)
            builder = scene.builder
            ended(scene, trial.random.uniform(0, 1.05), signal.SIGKILL)
            assert builder.shown() in [scene.older, {}, expected(scene.kind)]
            builder.check_store()
            builder.wait_for_tools()
            assert builder.build(f"--format={scene.kind}") == expected(scene.kind)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_signals(trials: Trials, new_scene: NewScene, expected: Expected, number: signal.Signals) -> None:
    for trial in trials("platter build: SIGINT, SIGTERM, SIGHUP", full=20, few=1):
        with trial:
            scene = new_scene(trial.random)
            builder = scene.builder
            status = ended(scene, trial.random.uniform(0, 1.05), number)
            assert list(builder.scratch.iterdir()) == []
            assert builder.living() == []
            assert not [path.name for path in builder.dist.glob(".*")]
            if "nothing was written" in builder.said:
                assert status == -number
                assert builder.shown() == scene.older
            else:  # before it listens, or after its work is done
                assert status == 0 or told_of_signal(status, number, builder.said), builder.said
                assert builder.shown() in [scene.older, expected(scene.kind)]
            builder.check_store()
            assert builder.build(f"--format={scene.kind}") == expected(scene.kind)


def test_damaged_store(trials: Trials, new_builder: NewBuilder, warm: Builder, expected: Expected) -> None:
    builder = new_builder()
    builder.warm_up(warm)
    for trial in trials("wheel cache: one file damaged", full=30, few=1):
        with trial:
            path = trial.random.choice([path for path in sorted(builder.cache.rglob("*")) if path.is_file()])
            content = bytearray(path.read_bytes())
            if trial.random.random() < 0.5:
                content[trial.random.randrange(len(content))] ^= 1 << trial.random.randrange(8)
            else:
                del content[trial.random.randrange(len(content)) :]
            path.unlink()  # a hard link elsewhere stays as it is
            path.write_bytes(content)
            assert builder.build(damaged=path) == expected("tar.gz")
            if "blobs" in path.parts and path.exists() and path.read_bytes() == content:
                assert builder.unused(path), f"{path} is still damaged"


def test_kill_while_setuptools_writes_the_wheel(trials: Trials, yard: Yard, tmp_path: Path) -> None:
    """setuptools writes a wheel where it belongs from the first byte on; so that is somewhere else."""
    setup = projects.SETUP_PY.replace("py_modules", "data_files=[('', ['big'])],\n        py_modules")
    for trial in trials("setup.py bdist_platter: kill -9 while the wheel is written", full=5, few=1):
        with trial:
            project = projects.hello(tmp_path / str(trial.number), {"setup.py": setup})
            (project / "big").write_bytes(trial.random.randbytes(15_000_000))  # half a second of work
            dist = project / "dist"
            words = [sys.executable, "setup.py", "bdist_platter"]
            quiet = subprocess.DEVNULL
            process = subprocess.Popen(
                words, cwd=project, env=yard.environ, stdout=quiet, stderr=quiet, start_new_session=True
            )
            while not [path for path in dist.rglob("*.whl") if path.stat().st_size]:
                assert process.poll() is None
                time.sleep(0.01)
            end_group(process, signal.SIGKILL)
            assert not [path.name for path in dist.iterdir() if not path.name.startswith(".")]
            yard.command(project)
            names = sorted(path.name for path in dist.iterdir())
            assert names == ["hello-1.0-linux-x86_64.tar.gz", "hello-1.0-py3-none-any.whl"]
