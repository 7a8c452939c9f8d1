"""Bundles of several targets: install.sh picks the one that the server has, and installs nothing of the others."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from support import handmade, interpreters

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FUTURE = {"python": "3.99", "abi": "cp399", "magic": "00"}
MINE = f"{sys.version_info[0]}.{sys.version_info[1]}"
HELLO = "def main():\n    import helper; print(helper.version)\n"


def bundle(folder: Path, others: Sequence[dict[str, Any]], *, mine_last: bool = False) -> handmade.Bundle:
    """A bundle for the running interpreter, and for others: `helper` is another one for each, `app` for all."""
    app = handmade.wheel(
        folder, "app", files={"app.py": HELLO}, entry_points="[console_scripts]\napp = app:main\n", requires=["helper"]
    )
    targets, wheels = [{}, *map(dict, others)], [app]
    for number, target in enumerate(targets):
        files = {"helper.py": f"version = {number}\n"}
        wheels.append(handmade.wheel(folder, "helper", f"{number}.0", files=files))
        target["wheels"] = [wheels[-1].name, app.name]
    return handmade.bundle(folder, wheels, bytecode=True, targets=targets[::-1] if mine_last else targets)


@pytest.fixture
def pythons(tmp_path: Path) -> Path:
    """A folder for PATH with the programs that install.sh needs, but no Python."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sh", "dirname", "readlink", "cat"):
        if found := shutil.which(name):
            (folder / name).symlink_to(found)
    return folder


def put(folder: Path, name: str, python: str) -> None:
    (folder / name).write_text(f'#!/bin/sh\nexec "{python}" "$@"\n')
    (folder / name).chmod(0o755)


def says(dst: Path) -> str:
    return subprocess.run([dst / "bin" / "app"], check=True, capture_output=True, text=True).stdout.strip()


def files(dst: Path) -> set[str]:
    return {path.name for path in dst.rglob("helper*.dist-info")}


def test_it_picks_by_the_python(tmp_path: Path, pythons: Path) -> None:
    # Not an older one: the tools in this bundle are those of the Python that runs the tests.
    found = (interpreters.find(minor) for minor in interpreters.MINORS if minor > sys.version_info[1])
    other = next(filter(None, found), "") or pytest.skip(f"needs a Python newer than {MINE}")
    made = bundle(tmp_path, [handmade.target_of(other)], mine_last=True)
    environ = {"PATH": str(pythons)}
    put(pythons, "python3", sys.executable)
    dst = tmp_path / "mine"
    done = handmade.run(made, dst, python=False, env=environ)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 packages" in done.stdout
    assert (says(dst), files(dst)) == ("0", {"helper-0.0.dist-info"})
    assert list(dst.rglob(f"helper.{sys.implementation.cache_tag}.pyc"))
    assert json.loads((dst / ".platter-release.json").read_text())["target"] == made.info["targets"][1]["id"]

    put(pythons, f"python{made.info['targets'][0]['python']}", other)  # the first target counts most
    dst = tmp_path / "other"
    assert handmade.run(made, dst, python=False, env=environ).returncode == 0
    assert not list(dst.rglob("helper.*.pyc"))
    assert (says(dst), files(dst)) == ("1", {"helper-1.0.dist-info"})

    done = handmade.run(made, tmp_path / "named", "-p", "python3", python=False, env=environ)
    assert (done.returncode, says(tmp_path / "named")) == (0, "0")


def test_none_fits(tmp_path: Path, pythons: Path) -> None:
    made = bundle(tmp_path, [FUTURE])
    for number, version in enumerate(("3.97", "3.98")):
        target = made.info["targets"][number]
        target.update(python=version, abi=f"cp{version.replace('.', '')}", magic="00")
        target["id"] = f"{target['abi']}-{target['platforms'][0]}"
    made.info.update(python="3.97", pythons="3.97 3.98")
    made.seal()
    done = handmade.run(made, tmp_path / "dst", python=False, env={"PATH": str(pythons)})
    assert done.returncode == 3
    assert "needs Python 3.97 or 3.98, but none of python3.97, python3.98, python3 and python in PATH" in done.stderr
    done = handmade.run(made, tmp_path / "dst")
    assert done.returncode == 3
    assert f"this bundle is for cp397-{made.info['targets'][0]['platforms'][0]} and cp398-" in done.stderr
    assert not (tmp_path / "dst").exists()


def test_the_platform_counts(tmp_path: Path, pythons: Path) -> None:
    """The Python of a target for another machine is not taken while that of this machine is there."""
    alien = {"python": MINE, "platform": "linux_vax", "platforms": ["linux_vax"], "magic": "00"}
    made = bundle(tmp_path, [alien], mine_last=True)
    mine = made.info["targets"][1]["platform"]
    made.info["pythons"] = f"{MINE}@linux_vax {MINE}@{mine}"
    made.seal()
    put(pythons, "python", sys.executable)
    (here := tmp_path / "here").mkdir()
    (here / "sysconfig.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w')\n")
    done = handmade.run(made, tmp_path / "dst", python=False, env={"PATH": str(pythons)}, cwd=here)
    assert (done.returncode, done.stderr) == (0, "")
    assert says(tmp_path / "dst") == "0"
    assert not (tmp_path / "imported").exists()  # anybody may have put it into the current folder


def test_sizes_are_those_of_the_target(tmp_path: Path) -> None:
    made = bundle(tmp_path, [FUTURE])
    huge = next(wheel for wheel in made.info["wheels"] if wheel["version"] == "1.0" and wheel["name"] == "helper")
    made.info["installed_size"] += 2**49 - huge["installed_size"]
    huge["installed_size"] = 2**49
    made.seal()
    assert handmade.run(made, "--check", tmp_path / "dst").returncode == 0


def test_all_files_are_checked(tmp_path: Path) -> None:
    made = bundle(tmp_path, [FUTURE])
    (made.data / "helper-1.0-py3-none-any.whl").write_bytes(b"x")
    done = handmade.run(made, tmp_path / "dst")
    assert (done.returncode, "helper-1.0" in done.stderr) == (4, True)
