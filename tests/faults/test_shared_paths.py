"""Folders and files in ROOT/shared while releases are installed and removed, and that is ended at any moment."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import stat
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from faults.server import end_group
from support import handmade

if TYPE_CHECKING:
    from pathlib import Path

    from faults.ledger import Trials

VERSIONS = ("1.0", "1.1", "1.2")
PATHS = ("app.env", "media/", "var/cache/", "var/log/")
MODE = 0o2750
LOCKED = 6
# It reads its settings and its uploads through the links.
GREET = """
import os
import sys


def main():
    with open(sys.prefix + "/app.env") as file:
        print('VERSION', file.read().strip(), *sorted(os.listdir(sys.prefix + "/media")))
    os.listdir(sys.prefix + "/var/log")
"""


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, handmade.Bundle]:
    """Three versions that share paths; the last one has a post-install.sh, which uses them."""
    folder = tmp_path_factory.mktemp("sharing")
    points = "[console_scripts]\ngreet = greet:main\n"
    script = 'cat "$VIRTUAL_ENV/app.env" >/dev/null && ls "$VIRTUAL_ENV/media" "$VIRTUAL_ENV/var/cache" >/dev/null\n'
    made = {}
    for version in VERSIONS:
        files = {"greet.py": GREET.replace("VERSION", version)}
        wheel = handmade.wheel(folder / "wheels", "greet", version, files=files, entry_points=points)
        last = script if version == VERSIONS[-1] else None
        made[version] = handmade.bundle(folder, [wheel], bytecode=True, shared=PATHS, post_install=last)
    return made


class Root:
    """A root with the one file that has to be there, and what a user has uploaded."""

    def __init__(self, path: Path) -> None:
        self.path, self.shared = path, path / "shared"
        self.shared.mkdir(parents=True)
        for folder in (path, self.shared):
            folder.chmod(MODE)
        (self.shared / "app.env").write_text("SECRET=1\n")
        (self.shared / "app.env").chmod(0o600)

    def upload(self, name: str) -> None:
        (self.shared / "media").mkdir(exist_ok=True)
        (self.shared / "media").chmod(MODE)
        (self.shared / "media" / name).write_text(name)

    def files(self) -> dict[str, tuple[str, int, int]]:
        """Hash, mode and inode of each file."""
        found = {}
        for path in self.shared.rglob("*"):
            status = path.lstat()
            if stat.S_ISREG(status.st_mode):
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                found[str(path.relative_to(self.shared))] = (digest, status.st_mode, status.st_ino)
        return found

    def check(self, before: dict[str, tuple[str, int, int]]) -> None:
        """The files are the very same. Folders have the mode of the root as soon as they have their names."""
        assert self.files() == before
        for path in self.shared.rglob("*"):
            assert not path.is_symlink()
            if path.is_dir() and path.name != ".platter-new":
                assert stat.S_IMODE(path.stat().st_mode) == MODE, path
        for release in (self.path / "versions").glob("[0-9]*"):
            note = release / ".platter-release.json"
            if note.exists() and json.loads(note.read_text())["state"] == "complete":
                for name in ("app.env", "media", "var/cache", "var/log"):
                    assert (release / name).resolve() == (self.shared / name).resolve(), release
                    assert (release / name).exists()
        if (self.path / "versions" / "current").is_symlink():
            version = (self.path / "versions" / "current").readlink().name
            done = run([self.path / "versions/current/bin/greet"])
            assert done.startswith(f"{version} SECRET=1"), done

    def check_tidy(self) -> None:
        assert list(self.path.rglob(".platter-new")) == []


def run(words: list[Any], codes: tuple[int, ...] = (0,)) -> str:
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=60, env={"PATH": os.defpath})
    assert done.returncode in codes, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def deployment(made: handmade.Bundle, root: Root, *words: str) -> list[Any]:
    return [made.script, "-p", sys.executable, "--root", root.path, *words]


def test_kill(trials: Trials, bundles: dict[str, handmade.Bundle], tmp_path: Path) -> None:
    """Half of the tries begin with an empty root, so that folders are made; the others with what was before."""
    root = Root(tmp_path / "first")
    for trial in trials("shared paths: kill -9 at any moment", full=100, few=6):
        with trial:
            if trial.number % 2 == 0:
                root = Root(tmp_path / f"root{trial.number}")
            if trial.random.random() < 0.5:
                root.upload(f"cat{trial.number}.png")
            before = root.files()
            version = trial.random.choice(VERSIONS)
            words = deployment(bundles[version], root, *trial.random.choice([[], ["--force"], ["--keep", "1"]]))
            process = subprocess.Popen(
                words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
            )
            try:
                process.wait(trial.random.uniform(0, 0.9))
            except subprocess.TimeoutExpired:
                end_group(process, signal.SIGKILL)
            root.check(before)
            run(deployment(bundles[version], root))
            root.check(before)
            root.check_tidy()
            assert sorted(path.name for path in root.shared.iterdir()) == ["app.env", "media", "var"]
            run([root.path / "platter", "doctor"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_signals(trials: Trials, bundles: dict[str, handmade.Bundle], tmp_path: Path, number: signal.Signals) -> None:
    """Either it is done, or ROOT is as it was: without the folders that it had made."""
    for trial in trials("shared paths: SIGINT, SIGTERM, SIGHUP", full=20, few=2):
        with trial:
            root = Root(tmp_path / f"root{trial.number}")
            before = root.files()
            words = deployment(bundles["1.2"], root)
            process = subprocess.Popen(
                words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
            )
            try:
                process.wait(trial.random.uniform(0, 0.9))
            except subprocess.TimeoutExpired:
                end_group(process, number)
            root.check(before)
            root.check_tidy()
            there = sorted(str(path.relative_to(root.path)) for path in root.path.iterdir())
            if not (root.path / "versions" / "1.2" / ".platter-release.json").exists():
                assert there == ["shared"]
                assert [path.name for path in root.shared.iterdir()] == ["app.env"]


def test_two_at_once(trials: Trials, bundles: dict[str, handmade.Bundle], tmp_path: Path) -> None:
    """Both would make the same folders. One does; the other one says that the first is at it, or comes after it."""
    for trial in trials("shared paths: two installations at once", full=20, few=2):
        with trial:
            root = Root(tmp_path / f"root{trial.number}")
            before = root.files()
            processes = [
                subprocess.Popen(
                    deployment(bundles[version], root), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
                )
                for version in VERSIONS[:2]
            ]
            ends = [(process.communicate(timeout=60)[1], process.returncode) for process in processes]
            assert 0 in [code for _, code in ends], ends
            for said, code in ends:
                assert code == 0 or (code == LOCKED and "another process is changing the releases" in said)
            root.check(before)
            root.check_tidy()
            run([root.path / "platter", "doctor"])
