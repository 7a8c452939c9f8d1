"""The same input gives the same bytes: whoever builds, wherever, whenever."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess
import tarfile
import zipfile
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import clock, projects
from support.front_ends import listing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from support.front_ends import Yard


def project_in(folder: Path, umask: int) -> Path:
    before = os.umask(umask)
    try:
        files = {**projects.c_extension("fast"), "bin/run": "#!/usr/bin/env python\nprint('run')\n"}
        return projects.hello(
            folder, {**files, "setup.py": projects.MIXED_SETUP, "post": "mkdir $DATA_DIR/x; date >$DATA_DIR/x/y\n"}
        )
    finally:
        os.umask(before)


def test_nothing_of_this_machine_is_in_a_bundle(yard: Yard, tmp_path: Path) -> None:
    names = []
    cold = str(tmp_path / "wheels")
    project = project_in(tmp_path / "project", 0o077)
    artifact = yard.command(project, projects.FROM_SOURCE, PLATTER_BUILD_WHEEL_CACHE=cold)
    with tarfile.open(artifact) as archive:
        for member in archive:
            assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "", "")
            assert member.mode in ({0o755} if member.isdir() else {0o644, 0o755})
            assert member.mtime == 315532800
            if file := archive.extractfile(member):
                for name, content in contents(member.name, file.read()):
                    assert str(tmp_path).encode() not in content, name
                    names.append(Path(name.rpartition(" ")[2]).name)
    compiled = {name.partition(".")[0] for name in names if name.endswith(".so")}
    assert compiled == {"fast", "speck"}  # the project's own, and that of a dependency that came as a source


def contents(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    """A file of a bundle, and the files in it if it is an archive: what compilers write down is compressed there."""
    yield name, content
    if name.endswith((".whl", ".zip")):
        with zipfile.ZipFile(BytesIO(content)) as archive:
            for member in archive.namelist():
                yield f"{name}: {member}", archive.read(member)


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


# A version as setuptools-scm makes it: of a tag, or with the date behind it where files were changed.
SCM_SETUP = """
    import datetime, os, subprocess, time
    from setuptools import setup

    now = datetime.datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", time.time())), datetime.timezone.utc)
    said = subprocess.run(["git", "describe", "--tags", "--dirty"], capture_output=True, text=True, check=True).stdout
    version = said.strip().replace("-dirty", f"+d{now:%Y%m%d}")
    setup(name="hello", version=version, py_modules=["hello"], install_requires=["leaf"])
"""
DATE_SETUP = """
    import datetime, os, time
    from setuptools import setup

    now = datetime.datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", time.time())), datetime.timezone.utc)
    setup(name="hello", version=f"{now:%Y.%m.%d}", py_modules=["hello"], install_requires=["leaf"])
"""


def on_the_day(yard: Yard, project: Path, day: Mapping[str, str], front_end: str = "platter") -> Path:
    shutil.rmtree(project / "dist", ignore_errors=True)
    return yard.build(project, **day) if front_end == "platter" else yard.command(project, **day)


@pytest.mark.parametrize("front_end", ["platter", "command"])
def test_versions_with_a_date_have_that_of_today(yard: Yard, tmp_path: Path, front_end: str) -> None:
    today = f"{dt.datetime.now(dt.timezone.utc):%Y.%m.%d}"  # nobody builds at midnight
    project = projects.hello(tmp_path / "date", {"setup.py": DATE_SETUP})
    assert on_the_day(yard, project, {}, front_end).name.startswith(f"hello-{today.replace('.0', '.')}-")
    project = projects.hello(tmp_path / "scm", {"setup.py": SCM_SETUP})
    projects.commit(project)
    subprocess.run(["git", "tag", "3.4"], cwd=project, check=True)
    (project / "hello.py").write_text("changed = True\n")
    assert on_the_day(yard, project, {}, front_end).name.startswith(f"hello-3.4+d{today.replace('.', '')}-")


def test_two_days(yard: Yard, tmp_path: Path) -> None:
    later = clock.moved(tmp_path, days=401)
    if not later:
        pytest.skip("needs a C compiler")
    project = projects.hello(tmp_path / "project")
    assert on_the_day(yard, project, {}).read_bytes() == on_the_day(yard, project, later).read_bytes()
    # A compiler writes the day down, unless it is told the time of the commit.
    dated = projects.c_extension(
        "hello",
        source=projects.C_MODULE.replace('"compiled"', "__DATE__"),
    )
    project = projects.write(tmp_path / "compiled", dated)
    projects.commit(project)
    assert on_the_day(yard, project, {}).read_bytes() == on_the_day(yard, project, later).read_bytes()
