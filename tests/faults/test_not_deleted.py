"""What is mounted inside an old release, and what cannot be deleted, while releases are removed and replaced."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from faults.mounts import with_mounts
from support import handmade

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from faults.ledger import Trials

VERSIONS = ("1.0", "1.1", "1.2", "1.3")
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for mounts and attributes of files")

# Each is done to "$old/media", which has "$old/media/photo"; "$work" is a folder beside the root.
MOUNTS = {
    "tmpfs": 'mount -t tmpfs none "$old/media"; echo precious >"$old/media/photo"',
    "bind": 'mount --bind "$work/data" "$old/media"',
    "bind, read-only": 'mount --bind "$work/data" "$old/media"; mount -o remount,bind,ro "$old/media"',
    "bind of a file": 'mount --bind "$work/data/photo" "$old/media/photo"',
    "bind of a part of it": 'mkdir "$old/inner"; mount --bind "$old/media" "$old/inner"',
    "in use": 'mount -t tmpfs none "$old/media"; echo precious >"$old/media/photo"; exec 9<"$old/media/photo"',
    "two, with odd names": """for name in "a b" "c\\d"; do
        mkdir "$old/$name"; mount --bind "$work/data" "$old/$name"
    done""",
}

DONE = """
work=$1; old=$2; what=$3; shift 3
mkdir -p "$old/media" "$work/data"; echo precious >"$work/data/photo"; echo precious >"$old/media/photo"
eval "$what"
status=0; "$@" </dev/null || status=$?
[ ! -e "$old/media" ] || cat "$old/media/photo"
[ "$(cat "$work/data/photo")" = precious ] || { echo "what was mounted is gone"; exit 99; }
exit $status
"""


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, handmade.Bundle]:
    folder = tmp_path_factory.mktemp("kept")
    made = {}
    for version in VERSIONS:
        wheel = handmade.wheel(
            folder / "wheels", "greet", version, entry_points="[console_scripts]\ngreet = greet:main\n"
        )
        made[version] = handmade.bundle(folder, [wheel])
    return made


@pytest.fixture
def root(tmp_path: Path, bundles: dict[str, handmade.Bundle]) -> Iterator[Path]:
    """Three releases; the third is active, so the first may go."""
    for version in VERSIONS[:3]:
        assert handmade.run(bundles[version], "-q", "--root", tmp_path / "root").returncode == 0
    yield tmp_path / "root"
    subprocess.run(["chattr", "-R", "-i", "-a", tmp_path], check=False, capture_output=True)


def commands(bundles: dict[str, handmade.Bundle], root: Path) -> dict[str, tuple[list[str | Path], int]]:
    """What would delete the first release, and the exit code that it has to have although it cannot."""

    def install(version: str, *words: str | Path) -> list[str | Path]:
        return ["sh", bundles[version].script, "-p", sys.executable, *words]

    return {
        "prune": ([root / "platter", "prune", "--keep", "1"], 0),
        "--keep": (install("1.3", "--root", root, "--keep", "1"), 0),
        "--force": (install("1.0", "--force", "--no-activate", "--root", root), 6),
        "--force DST": (install("1.3", "--force", root / "versions" / "1.0"), 6),
    }


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, check=False, capture_output=True, text=True)


def names(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "versions").iterdir())


@pytest.mark.parametrize("command", ["prune", "--keep", "--force", "--force DST"])
def test_mounts(trials: Trials, bundles: dict[str, handmade.Bundle], root: Path, tmp_path: Path, command: str) -> None:
    words, code = commands(bundles, root)[command]
    chosen = trials.random.sample(sorted(MOUNTS), len(MOUNTS))
    before = names(root)
    for trial in trials("what is mounted inside a release", full=len(MOUNTS), few=1):
        with trial:
            script = with_mounts(DONE, tmp_path, root / "versions" / "1.0", MOUNTS[chosen[trial.number]], *words)
            done = subprocess.run(script, check=False, capture_output=True, text=True)
            said = chosen[trial.number] + ": " + done.stdout + done.stderr
            assert done.returncode == code, said
            assert "precious\n" in done.stdout, said
            assert "holds what is mounted" in done.stderr, said
            assert set(names(root)) <= {*before, "1.3"}, said  # nothing beside them, no lock and no half of one
            assert "1.0" in names(root)
            assert run(root / "platter", "doctor").returncode == 0, said
            subprocess.run(["rm", "-r", root / "versions/1.0/media", root / "versions/1.0/inner"], check=False)


@pytest.mark.parametrize("command", ["prune", "--keep", "--force", "--force DST"])
def test_undeletable(
    trials: Trials, bundles: dict[str, handmade.Bundle], root: Path, tmp_path: Path, command: str
) -> None:
    """It is told, once; the rest goes, what is asked for is done, and the version can be installed again."""
    flag, name = trials.random.choice([("+i", "media/photo"), ("+a", "media")])
    old = root / "versions" / "1.0"
    (old / "media").mkdir()
    (old / "media" / "photo").touch()
    if run("chattr", flag, old / name).returncode:
        pytest.skip(f"{tmp_path} is on a filesystem without attributes of files")
    with trials.one("what cannot be deleted"):
        words, _ = commands(bundles, root)[command]
        done = run(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stderr.count("not everything of") == 1, done.stderr
        assert "immutable" in done.stderr
        left = root / "versions" / ".1.0.platter-left" / "media" / "photo"
        assert left.exists()
        assert old.exists() == command.startswith("--force")
        again = run(root / "platter", "prune", "--keep", "3")
        assert (again.returncode, again.stderr) == (0, "")
        assert handmade.run(bundles["1.0"], "-q", "--force", "--no-activate", "--root", root).returncode == 0
        assert run(old / "bin" / "python", "-c", "import greet").returncode == 0
        assert left.exists()


def test_an_immutable_release(trials: Trials, bundles: dict[str, handmade.Bundle], root: Path, tmp_path: Path) -> None:
    """The folder itself cannot be renamed: prune leaves it as it is, --force refuses it, and it still runs."""
    old = root / "versions" / "1.0"
    if run("chattr", "+i", old).returncode:
        pytest.skip(f"{tmp_path} is on a filesystem without attributes of files")
    with trials.one("what cannot be deleted"):
        for command in ("prune", "--keep", "--force", "--force DST"):
            words, code = commands(bundles, root)[command]
            done = run(*words)
            assert done.returncode == code, done.stdout + done.stderr
            assert "immutable" in done.stderr
            assert run(old / "bin" / "python", "-c", "import greet").returncode == 0
