"""We ship ourselves, and the bundle's `platter` builds a bundle; others build by our backend, in isolation."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import projects

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.network

CHECKOUT = Path(__file__).parents[2]
SOURCES = ("LICENSE", "README.md", "pyproject.toml", "setup.cfg", "setup.py", "src")


def run(command: Sequence[str | Path], *, cwd: Path, **environ: str) -> str:
    env = {**os.environ, **environ}
    done = subprocess.run(command, check=False, cwd=cwd, env=env, text=True, capture_output=True, timeout=600)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    for name in SOURCES:
        path = CHECKOUT / name
        if path.is_dir():
            shutil.copytree(path, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(path, folder)
    return folder


@pytest.mark.parametrize(
    "build", [("setup.py", "bdist_platter"), ("-m", "platter_setuptools", "build", ".")], ids=["command", "cli"]
)
def test_the_shipped_platter_builds_bundles(build: Sequence[str], source: Path, tmp_path: Path) -> None:
    run([sys.executable, *build], cwd=source)
    (bundle,) = source.glob("dist/platter_setuptools-*-*.tar.gz")
    with tarfile.open(bundle) as archive:
        archive.extractall(tmp_path, filter="data")
    release = tmp_path / "release"
    run([tmp_path / bundle.name.removesuffix(".tar.gz") / "install.sh", "--quiet", release], cwd=tmp_path)
    (wheel,) = source.glob("dist/*.whl") if "setup.py" in build else (None,)
    again = run([release / "bin" / "platter", "build", "--quiet", wheel or source, "--output", "again"], cwd=tmp_path)
    assert Path(again.strip()).name == bundle.name
    # Made by itself from the same source it is the same, to the byte.
    assert Path(again.strip()).read_bytes() == bundle.read_bytes()


def test_an_isolated_build_installs_our_backend_with_all_that_it_needs(source: Path, tmp_path: Path) -> None:
    run([sys.executable, "-m", "build", "--no-isolation", "--wheel", "."], cwd=source)
    find_links = {"PIP_FIND_LINKS": f"{os.environ.get('PIP_FIND_LINKS', '')} {source / 'dist'}"}
    requires = '["setuptools", "platter-setuptools"]'
    text = projects.PYPROJECT.replace('["setuptools"]', requires).replace("setuptools.b", "platter_setuptools.b")
    files = {"pyproject.toml": text.replace('"leaf"', '"six"'), "hello.py": "import six\n\n\ndef main():\n    pass\n"}
    project = projects.write(tmp_path / "project", files)
    run([sys.executable, "-m", "build", "-C", "platter=true"], cwd=project, **find_links)
    (bundle,) = project.glob("dist/hello-*-linux-*")
    # Now our builder is the frontend of our backend.
    command = [sys.executable, "-m", "platter_setuptools", "build", "--output", "again"]
    run(command, cwd=project, PLATTER_BUILD="1", **find_links)
    assert (project / "again" / bundle.name).read_bytes() == bundle.read_bytes()
