"""Releases that share files, by hard links: whatever happens to one of them, the others stay as they were."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from faults.server import end_group
from support import handmade

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faults.ledger import Trials

VERSIONS = ("1.0", "1.1", "1.2")
LINKED = ("--link-mode", "hardlink")


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, handmade.Bundle]:
    """Three versions of an application that has most of its files from another wheel."""
    folder = tmp_path_factory.mktemp("sharing")
    files = {f"engine/part{number}.py": f"NUMBER = {number}\n" * 50 for number in range(40)}
    files |= {"engine/__init__.py": "", "engine/data.bin": "0123456789" * 40_000}
    engine = handmade.wheel(folder, "engine", files=files)
    points = "[console_scripts]\ngreet = greet:main\n"
    made = {}
    for version in VERSIONS:
        text = f"import engine.part7\n\n\ndef main():\n    print('{version}')\n"
        wheel = handmade.wheel(folder / version, "greet", version, files={"greet.py": text}, entry_points=points)
        made[version] = handmade.bundle(folder, [wheel, engine], bytecode=True)
    return made


class Server:
    """A root, and what the files of its first release were when that was installed."""

    def __init__(self, folder: Path, bundles: Mapping[str, handmade.Bundle]) -> None:
        self.root, self.bundles = folder / "root", bundles
        self.install("1.0", "--reload", "true")
        self.first = self.files("1.0")

    def words(self, version: str, *options: str) -> list[Any]:
        return [self.bundles[version].script, "-p", sys.executable, "-q", "--root", self.root, *LINKED, *options]

    def install(self, version: str, *options: str, code: int = 0) -> str:
        return run(self.words(version, *options), code)

    def platter(self, *words: str, code: int = 0) -> str:
        return run([self.root / "platter", *words], code)

    def site(self, version: str) -> Path:
        (found,) = (self.root / "versions" / version).glob("lib/python*/site-packages")
        return found

    def files(self, version: str) -> dict[str, tuple[bytes, int, int]]:
        """What lies in the folder of the wheel that the versions share: content, mode and time."""
        paths = [path for path in self.site(version).glob("engine/**/*") if path.is_file()]
        return {
            str(path.relative_to(self.site(version))): (path.read_bytes(), path.stat().st_mode, path.stat().st_mtime_ns)
            for path in paths
        }

    def check(self) -> None:
        """The first release is what it was; the active one runs; each complete one is as it was installed."""
        assert self.files("1.0") == self.first
        version = (self.root / "versions" / "current").readlink().name
        assert run([self.root / "versions/current/bin/greet"]).strip() == version
        for one in json.loads(self.platter("list", "--json")):
            if one["state"] == "complete":
                self.platter("doctor", one["version"])

    def shared(self, version: str) -> int:
        listed = {one["version"]: one for one in json.loads(self.platter("list", "--json"))}
        return int(listed[version]["shared_files"])


def whole(files: Mapping[str, tuple[bytes, int, int]]) -> dict[str, tuple[bytes, int]]:
    """Files without their time, which is that of the installation for those that were not linked."""
    return {name: (content, mode) for name, (content, mode, _) in files.items()}


def run(words: list[Any], code: int = 0) -> str:
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=60, env={"PATH": os.defpath})
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def test_kill(trials: Trials, bundles: Mapping[str, handmade.Bundle], tmp_path: Path) -> None:
    server = Server(tmp_path, bundles)
    for trial in trials("shared files: kill -9 at any moment", full=60, few=4):
        with trial:
            server.platter("activate", "1.0")
            options = ["--force"] if trial.random.random() < 0.5 else []
            version = trial.random.choice(VERSIONS[1:])
            process = subprocess.Popen(
                server.words(version, "--no-activate", *options),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            try:
                process.wait(trial.random.uniform(0, 0.8))
            except subprocess.TimeoutExpired:
                end_group(process, signal.SIGKILL, alone=trial.random.random() < 0.3)
            server.check()
            server.install(version)
            server.check()


def test_removed_and_replaced(trials: Trials, bundles: Mapping[str, handmade.Bundle], tmp_path: Path) -> None:
    """prune, rm, --force and rollback of any of them leave the files of the others."""
    server = Server(tmp_path, bundles)
    for trial in trials("shared files: prune, --force, rollback", full=10, few=1):
        with trial:
            for version in VERSIONS[1:]:
                server.install(version)
                assert server.shared(version) > len(server.first)
            server.platter("rollback")
            server.check()
            server.install("1.2", "--force")
            server.check()
            shutil.rmtree(server.root / "versions" / "1.1")
            server.check()
            server.platter("activate", "1.0")
            server.platter("prune", "--keep", "1")
            server.check()


def test_two_at_once(trials: Trials, bundles: Mapping[str, handmade.Bundle], tmp_path: Path) -> None:
    """Each is done or says that another one runs; all that is complete afterwards is whole."""
    server = Server(tmp_path, bundles)
    for trial in trials("shared files: two installations and a prune at once", full=12, few=2):
        with trial:
            words = [*(server.words(one, "--force", "--no-activate") for one in VERSIONS[1:])]
            words.append([server.root / "platter", "prune", "--keep", "3"])
            processes = [
                subprocess.Popen(one, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for one in words
            ]
            for process in processes:
                said = process.communicate(timeout=60)[1]
                assert process.returncode in {0, 6}, said
            server.check()


def test_the_base_is_removed_meanwhile(trials: Trials, bundles: Mapping[str, handmade.Bundle], tmp_path: Path) -> None:
    """By hand, since prune waits: what is gone is taken from the bundle."""
    for trial in trials("shared files: the base is removed meanwhile", full=12, few=2):
        with trial:
            server = Server(tmp_path / str(trial.number), bundles)
            process = subprocess.Popen(server.words("1.1"), stderr=subprocess.DEVNULL)
            try:
                process.wait(trial.random.uniform(0.1, 0.6))
            except subprocess.TimeoutExpired:
                shutil.rmtree(server.root / "versions" / "1.0", ignore_errors=True)
            assert process.wait(60) == 0
            assert whole(server.files("1.1")) == whole(server.first)
            server.platter("doctor", "1.1")


def test_an_edited_base(trials: Trials, bundles: Mapping[str, handmade.Bundle], tmp_path: Path) -> None:
    """An edit never comes into the next release, and doctor reports it in all that have it."""
    for trial in trials("shared files: a base that somebody edited", full=12, few=2):
        with trial:
            server = Server(tmp_path / str(trial.number), bundles)
            server.install("1.1")
            names = [one for one in server.first if "init" not in one]
            module = trial.random.choice([one for one in names if one.endswith((".py", ".bin"))])
            of_module = Path(module).stem + "."
            bytecode = trial.random.choice([one for one in names if one.endswith(".pyc") and of_module not in one])
            for name in (module, bytecode):
                path = server.site("1.1") / name
                content = bytearray(path.read_bytes())
                content[trial.random.randrange(len(content))] ^= 1
                path.write_bytes(content)
            for version in VERSIONS[:2]:
                said = server.platter("doctor", version, code=4)
                assert said.count(" is not what was installed") == 2
                assert f"{module} is not what was installed" in said
                assert f"{bytecode} is not what was installed" in said
            said = run([one for one in server.words("1.2") if one != "-q"])
            assert "2 files of 1.1 are not as they were installed: taken from the bundle" in said
            assert whole(server.files("1.2")) == whole(server.first)
            server.platter("doctor", "1.2")
            for name in (module, bytecode):
                assert not (server.site("1.2") / name).samefile(server.site("1.1") / name)
