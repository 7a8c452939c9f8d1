"""The same input gives the same bytes: whoever builds, wherever, whenever."""

from __future__ import annotations

import os
import shutil
import tarfile
import zipfile
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from support import projects
from support.doors import listing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.doors import Yard


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
