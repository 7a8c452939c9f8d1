"""The power goes, right after an installation has said that it is done, and at any other moment."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from faults import power_cut
from faults.mounts import with_mounts
from support import handmade

if TYPE_CHECKING:
    from faults.ledger import Trials

PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a filesystem of its own")


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[handmade.Bundle]:
    """Two versions, with enough in them to take the disk some time."""
    folder = tmp_path_factory.mktemp("power")
    made = []
    for version in ("1.0", "1.1"):
        files: dict[str, str | bytes] = {f"greet/part{number}.bin": os.urandom(20_000) for number in range(150)}
        files["greet/__init__.py"] = f"def main():\n    print('{version}')\n"
        points = "[console_scripts]\ngreet = greet:main\n"
        wheel = handmade.wheel(folder / "wheels", "greet", version, files=files, entry_points=points)
        made.append(handmade.bundle(folder, [wheel], bytecode=True))
    return made


@pytest.fixture(params=["ext4", "xfs"])
def image(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """An empty filesystem in a file; a copy of it is made for each try."""
    program = shutil.which(f"mkfs.{request.param}", path=PATH)
    if program is None or not Path("/dev/loop-control").exists():
        pytest.skip(f"there is no mkfs.{request.param} or no loop device")
    path = tmp_path / str(request.param)
    with path.open("wb") as stream:
        stream.truncate(320 << 20)  # what XFS needs
    subprocess.run([program, "-q", path], check=True)
    (tmp_path / "disk").mkdir()
    (tmp_path / "empty").mkdir()
    words: list[str | Path] = [path, tmp_path / "empty"]
    done = subprocess.run(with_mounts('mount -o loop "$1" "$2"', *words), check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"{request.param} cannot be mounted: {done.stderr}")
    return path


def after_a_cut(image: Path, moment: str, bundles: list[handmade.Bundle]) -> dict[str, Any]:
    copy = image.with_suffix(".copy")
    subprocess.run(["cp", "--sparse=always", image, copy], check=True)
    words: list[str | Path] = [
        sys.executable,
        power_cut.__file__,
        copy,
        image.parent / "disk",
        moment,
        *(one.script for one in bundles),
    ]
    done = subprocess.run(with_mounts('exec "$@"', *words), check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert "Traceback" not in found["said"]
    assert found["again"][0] == 0, found
    assert found["again"][2] == {"current": "1.1", "1.0": "complete", "1.1": "complete"}, found
    assert found["doctor"][0] == 0, found
    return found


def test_after_the_end(trials: Trials, image: Path, bundles: list[handmade.Bundle]) -> None:
    """What was said to be installed and active is so, and not one file of it is empty."""
    for trial in trials(f"power loss after install.sh: {image.name}", full=15, few=1):
        with trial:
            found = after_a_cut(image, "end", bundles)
            assert found["status"] == 0, found
            assert found["after"] == {"current": "1.1", "1.0": "complete", "1.1": "complete"}


def test_at_any_moment(trials: Trials, image: Path, bundles: list[handmade.Bundle], tmp_path: Path) -> None:
    """What is active is whole, and so is what is called complete; the next run makes good what is not."""
    began = time.monotonic()
    assert handmade.run(bundles[0], tmp_path / "measured").returncode == 0
    duration = time.monotonic() - began
    for trial in trials(f"power loss at any moment: {image.name}", full=40, few=2):
        with trial:
            found = after_a_cut(image, f"{trial.random.uniform(0, 1.3 * duration):.3f}", bundles)
            after = found["after"]
            assert after["1.0"] == "complete", found
            assert after.get("1.1", "unfinished").partition(" ")[0] == "unfinished" or after["1.1"] == "complete", found
            assert after[after["current"]] == "complete", found
            assert found["status"] != 0 or after["current"] == "1.1", found
