"""The same input gives the same bytes: whoever builds, wherever, whenever."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING

import pytest

from support import projects
from support.doors import PLATTER, listing

if TYPE_CHECKING:
    from pathlib import Path

    from support.doors import Yard

SETUP = """
    from setuptools import Extension, setup

    setup(
        name="hello",
        version="1.0",
        py_modules=["hello"],
        ext_modules=[Extension("fast", ["fast.c"], extra_compile_args=["-g0"])],  # -g tells the folder
        install_requires=["leaf", "sour"],
        scripts=["bin/run"],
        entry_points={"console_scripts": ["hello = hello:main"]},
    )
"""


def project_in(folder: Path, umask: int) -> Path:
    before = os.umask(umask)
    try:
        files = {**projects.c_extension("fast"), "bin/run": "#!/usr/bin/env python\nprint('run')\n"}
        return projects.hello(folder, {**files, "setup.py": SETUP, "post": "mkdir $DATA_DIR/x; date >$DATA_DIR/x/y\n"})
    finally:
        os.umask(before)


@pytest.mark.parametrize("door", ["command", "platter"])
def test_two_builds_give_the_same_bytes(yard: Yard, tmp_path: Path, door: str) -> None:
    made = []
    surroundings = [
        ("here", 0o022, {"TZ": "UTC", "LC_ALL": "C", "PYTHONHASHSEED": "1"}),
        (
            "or/there, maybe",
            0o077,
            {"TZ": "Asia/Kathmandu", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "2", "USER": "other"},
        ),
    ]
    for number, (name, umask, environ) in enumerate(surroundings):
        # Another folder, another mask, other file times, a cold cache: only the source is the same.
        project = project_in(tmp_path / name / "project", umask)
        for path in project.rglob("*"):
            os.utime(path, (10**9 + number * 10**8,) * 2)
        cache = {"PLATTER_BUILD_WHEEL_CACHE": str(tmp_path / f"wheels {number}")}
        subprocess.run(
            [PLATTER, "build"] if door == "platter" else [sys.executable, "setup.py", "bdist_platter"],
            cwd=project,
            env={**yard.environ, **environ, **cache},
            check=True,
            capture_output=True,
            umask=umask,
            timeout=120,
        )
        (artifact,) = project.glob("dist/*.tar.gz")
        made.append(artifact)
    first, second = ({member.name: member for member in tarfile.open(path)} for path in made)  # noqa: SIM115
    assert {*first} == {*second}
    assert made[0].read_bytes() == made[1].read_bytes()


def test_nothing_of_this_machine_is_in_a_bundle(yard: Yard, tmp_path: Path) -> None:
    artifact = yard.command(project_in(tmp_path / "project", 0o077))
    with tarfile.open(artifact) as archive:
        for member in archive:
            assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "", "")
            assert member.mode in ({0o755} if member.isdir() else {0o644, 0o755})
            assert member.mtime == 315532800
            if member.isfile() and not member.name.endswith(".whl"):
                file = archive.extractfile(member)
                assert file
                assert str(tmp_path).encode() not in file.read(), member.name


def test_source_date_epoch(yard: Yard, tmp_path: Path) -> None:
    project = projects.hello(tmp_path / "project")
    for kind in ("tar", "dir"):
        yard.command(project, f"--format={kind}", SOURCE_DATE_EPOCH="1700000000")
        if kind == "tar":
            with tarfile.open(next(project.glob("dist/*.tar"))) as archive:
                assert {member.mtime for member in archive} == {1700000000}
            shutil.rmtree(project / "dist")
        else:
            (bundle,) = project.glob("dist/hello-1.0-*64")
            assert {time // 10**9 for _, time, content in listing(bundle).values() if content} == {1700000000}
    said = yard.refuse(2, project, SOURCE_DATE_EPOCH="yesterday")
    assert "SOURCE_DATE_EPOCH is 'yesterday'" in said
