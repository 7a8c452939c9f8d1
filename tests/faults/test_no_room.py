"""Filesystems that are too small: nothing half-done is left, and with more room the same command succeeds."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from faults.mounts import with_mounts
from support import handmade
from support.front_ends import PLATTER

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from faults.builds import Builder
    from faults.ledger import Trials
    from faults.server import Server

MEGABYTE = 1 << 20

# Install twice into a small filesystem, with more room the second time; between, say what stands there.
TWICE_INSTALLED = """
mount -t tmpfs -o "$1" none "$2"; folder=$2; shift 2
"$@" </dev/null >"$folder.first" 2>&1 && echo 0 || echo $?
ls -A "$folder"
mount -o remount,size=100m,nr_inodes=10000 "$folder"
"$@" </dev/null >"$folder.second" 2>&1 || { cat "$folder.second" >&2; exit 1; }
"$folder/1.0/bin/greet" >&2
ls -A "$folder" >&2
"""


@pytest.fixture(scope="module")
def understated(tmp_path_factory: pytest.TempPathFactory) -> handmade.Bundle:
    """A bundle that takes more room than it says: preflight lets it pass."""
    folder = tmp_path_factory.mktemp("understated")
    big = handmade.wheel(folder, "big", files={f"big/{n}.bin": bytes(MEGABYTE) for n in range(12)})
    greet = handmade.wheel(folder, "greet", entry_points="[console_scripts]\ngreet = greet:main\n", requires=["big"])
    made = handmade.bundle(
        folder, [greet, big], bytecode=True, post_install='head -c 1000000 /dev/zero >"$VIRTUAL_ENV/x"'
    )
    made.claim(size=0, files=0)
    made.seal()
    return made


def check_installs(server: Server, bundle: handmade.Bundle, limit: str) -> int:
    """Install with this limit and then without it; gives the first exit status."""
    folder = server.folder / "small"
    folder.mkdir()
    words = with_mounts(TWICE_INSTALLED, limit, folder, "sh", bundle.script, "-p", sys.executable, folder / "1.0")
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    status, *left = done.stdout.split()
    said = (server.folder / "small.first").read_text()
    assert "Traceback" not in said
    if status == "0":
        assert left == ["1.0"]
    else:
        assert status in {"1", "5", "7"}, said
        assert "No space left on device" in said or "expected" in said or "post-install.sh" in said, said
        assert left == []
    assert done.stderr == "hello\n1.0\n"
    return int(status)


def test_install_in_a_small_filesystem(
    trials: Trials, new_server: Callable[[], Server], understated: handmade.Bundle
) -> None:
    found = []
    sizes = iter([100, 2_000, 4_300, 5_000, 6_000, 8_000, 10_000, 12_000, 14_000, 15_000, 40_000])
    for trial in trials("install.sh: no space left", full=11, few=3):
        with trial:
            found.append(check_installs(new_server(), understated, f"size={next(sizes)}k"))
    assert 5 in found
    assert 1 in found


def test_install_with_few_inodes(
    trials: Trials, new_server: Callable[[], Server], understated: handmade.Bundle
) -> None:
    for trial in trials("install.sh: no inodes left", full=10, few=1):
        with trial:
            check_installs(new_server(), understated, f"size=60m,nr_inodes={trial.random.randrange(66, 120)}")


# Build twice in a small filesystem that holds dist, the store and all temporary files.
TWICE_BUILT = """
mount -t tmpfs -o "$1" none "$2"; folder=$2; shift 2
mkdir "$folder/scratch"
"$@" </dev/null >"$folder.first" 2>&1 && echo 0 || echo $?
ls -A "$folder/scratch" >&2
ls -A "$folder/dist" 2>/dev/null || :
mount -o remount,size=400m "$folder"
"$@" </dev/null >"$folder.second" 2>&1 || { cat "$folder.second" >&2; exit 1; }
ls -A "$folder/scratch" >&2
sha256sum "$folder"/dist/* >&2
"""


def test_build_in_a_small_filesystem(
    trials: Trials, new_builder: Callable[[], Builder], expected: Callable[[str], dict[str, str]]
) -> None:
    (name, digest), kind = *expected("tar.gz").items(), "tar.gz"
    for trial in trials("platter build: no space left", full=10, few=2):
        with trial:
            builder = new_builder()
            folder = builder.folder / "small"
            folder.mkdir()
            size = (trial.number + 1) * 40 // trials.count(full=10, few=2)
            command: list[str | Path] = [
                PLATTER,
                "build",
                f"--format={kind}",
                f"--output={folder}/dist",
                f"--wheel-cache={folder}/store",
            ]
            done = subprocess.run(
                with_mounts(TWICE_BUILT, f"size={size}m", folder, *command),
                env={**builder.environ, "TMPDIR": f"{folder}/scratch", "HOME": str(folder)},
                cwd=builder.project,
                capture_output=True,
                text=True,
                check=False,
                timeout=300,
            )
            assert done.returncode == 0, done.stderr
            status, *left = done.stdout.split()
            said = (builder.folder / "small.first").read_text()
            assert not re.search("^Traceback", said, re.MULTILINE), said
            assert status == "0" or ("No space left on device" in said and "hint: make room" in said), said
            assert left == ([name] if status == "0" else [])
            assert done.stderr == f"{digest}  {folder}/dist/{name}\n"
