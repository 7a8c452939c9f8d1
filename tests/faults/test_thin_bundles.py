"""Thin bundles whose installation is killed, or whose base goes away meanwhile."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from faults.mounts import with_mounts
from faults.server import end_group
from platter_setuptools.thinning import make_thin
from support import handmade

if TYPE_CHECKING:
    from pathlib import Path

    from faults.ledger import Trial, Trials

SEND = "hint: send the full bundle"


class Bundles:
    """1.0 and 1.2 have a wheel that 1.1 lacks; `thin` is 1.2 without what 1.0 brought."""

    def __init__(self, folder: Path) -> None:
        files = {f"engine/part{number}.py": f"x = {number}\n" * 99 for number in range(40)}
        engine = handmade.wheel(folder / "wheels", "engine", files={**files, "engine/__init__.py": "NAME = 'engine'\n"})
        words = handmade.wheel(folder / "wheels", "words", files={"words.py": "NAME = 'words'\n"})
        self.full = {
            version: self._bundle(folder, version, *others)
            for version, others in {"1.0": (engine, words), "1.1": (words,), "1.2": (engine, words)}.items()
        }
        base, full = self.full["1.0"].path, self.full["1.2"].path
        path = make_thin(full, [base], frozenset(), output=folder / "thin", kind="dir", mtime=315532800).path
        self.thin = handmade.Bundle(path=path, info={})

    @staticmethod
    def _bundle(folder: Path, version: str, *others: Path) -> handmade.Bundle:
        points = "[console_scripts]\ngreet = greet:main\n"
        text = f"import words\n\n\ndef main():\n    print('{version}', words.NAME)\n"
        wheel = handmade.wheel(folder / "wheels", "greet", version, files={"greet.py": text}, entry_points=points)
        return handmade.bundle(folder, [wheel, *others], bytecode=True)


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Bundles:
    return Bundles(tmp_path_factory.mktemp("thin"))


@pytest.fixture
def seconds(bundles: Bundles, root: Path) -> float:
    """How long a thin bundle takes here."""
    began = time.monotonic()
    assert run(deployment(bundles.thin, root)).returncode == 0
    forget(root)
    return time.monotonic() - began


@pytest.fixture
def root(bundles: Bundles, tmp_path: Path) -> Path:
    """A root with 1.0 and 1.1, which is active."""
    for version in ("1.0", "1.1"):
        assert run(deployment(bundles.full[version], tmp_path / "root")).returncode == 0
    return tmp_path / "root"


def deployment(bundle: handmade.Bundle, root: Path) -> list[Any]:
    return [bundle.script, "-p", sys.executable, "--root", root]


def run(words: list[Any]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, check=False, capture_output=True, text=True, timeout=120, env={"PATH": os.defpath})


def listed(root: Path) -> dict[str, str]:
    """Return the state of each release; the active one runs."""
    found = json.loads(run([root / "platter", "list", "--json"]).stdout)
    (active,) = (one["version"] for one in found if one["active"])
    assert run([root / "versions" / "current" / "bin" / "greet"]).stdout == f"{active} words\n"
    return {one["version"]: one["state"] for one in found}


def forget(root: Path) -> None:
    """Let 1.1 be active, and 1.2 not be there."""
    assert run([root / "platter", "activate", "1.1"]).returncode == 0
    shutil.rmtree(root / "versions" / "1.2")


def test_kill(trials: Trials, bundles: Bundles, root: Path, seconds: float) -> None:
    """The release before serves, and the thin bundle can be installed again."""
    for trial in trials("thin bundle: kill -9 at any moment", full=60, few=4):
        with trial:
            end(deployment(bundles.thin, root), trial.random.uniform(0, seconds))
            assert {version: state for version, state in listed(root).items() if version != "1.2"} == {
                "1.0": "complete",
                "1.1": "complete",
            }
            done = run(deployment(bundles.thin, root))
            assert done.returncode == 0, done.stderr
            assert listed(root)["1.2"] == "complete"
            assert run([root / "platter", "doctor"]).returncode == 0
            forget(root)


def test_prune_of_the_base(trials: Trials, bundles: Bundles, root: Path, seconds: float) -> None:
    """prune waits for its turn, or is refused; the installation has what it needs, or says so."""
    for trial in trials("thin bundle: its base is pruned meanwhile", full=30, few=2):
        with trial:
            assert run(deployment(bundles.full["1.0"], root)).returncode == 0
            assert run([root / "platter", "activate", "1.1"]).returncode == 0
            meanwhile(trial, bundles, root, seconds, [root / "platter", "prune", "--keep", "1"])


def test_removal_of_the_base(trials: Trials, bundles: Bundles, root: Path, seconds: float) -> None:
    """Somebody removes the folder of a release by hand: the installation is whole, or nothing is left of it."""
    for trial in trials("thin bundle: its base is removed meanwhile", full=60, few=4):
        with trial:
            assert run(deployment(bundles.full["1.0"], root)).returncode == 0
            assert run([root / "platter", "activate", "1.1"]).returncode == 0
            meanwhile(trial, bundles, root, seconds, ["rm", "-rf", root / "versions" / "1.0"])


def meanwhile(trial: Trial, bundles: Bundles, root: Path, seconds: float, words: list[Any]) -> None:
    """Install the thin bundle, and run a command at any moment of it."""
    process = subprocess.Popen(
        deployment(bundles.thin, root), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        process.wait(trial.random.uniform(0, seconds))
    except subprocess.TimeoutExpired:
        run(words)
    _, said = process.communicate(timeout=120)
    states = listed(root)
    if process.returncode:
        assert process.returncode == 4, said
        assert SEND in said
        assert "1.2" not in states
        assert not [path.name for path in (root / "versions").iterdir() if path.name.startswith(".platter")]
    else:
        assert states["1.2"] == "complete"
        assert run([root / "versions/1.2/bin/python", "-c", "import engine.part39"]).returncode == 0
        forget(root)


def end(words: list[Any], moment: float) -> None:
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        process.wait(moment)
    except subprocess.TimeoutExpired:
        end_group(process, signal.SIGKILL)


@pytest.mark.parametrize("folder", ["", "versions"], ids=["root", "its releases"])
@pytest.mark.parametrize("checking", [[], ["--check"]], ids=["install", "check"])
def test_read_only(trials: Trials, bundles: Bundles, root: Path, folder: str, checking: list[str]) -> None:
    """It is refused in one message, and the release before serves."""
    script = 'mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"; shift; exec "$@"'
    before = sorted(str(path) for path in root.rglob("*"))
    with trials.one("thin bundle: a root that is mounted read-only"):
        done = run(with_mounts(script, root / folder, *deployment(bundles.thin, root), *checking))
        assert done.returncode == 5, done.stderr
        assert f"{root / folder} cannot be written to\nhint: look at its mode" in done.stderr
        assert sorted(str(path) for path in root.rglob("*")) == before
        assert set(listed(root)) == {"1.0", "1.1"}
