"""`uvx --from` and `pipx run --spec`: our wheel run without being installed, as in a pipeline."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import projects
from support.front_ends import info, unpack

if TYPE_CHECKING:
    from collections.abc import Callable

    Tool = Callable[[str, str], tuple[str, ...]]

pytestmark = pytest.mark.network
CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("our wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("LICENSE", "README.md", "pyproject.toml", "setup.cfg", "setup.py"):
        shutil.copy(CHECKOUT / name, source)
    shutil.copytree(CHECKOUT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    command: list[str | Path] = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, source]
    subprocess.run(command, check=True, capture_output=True)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture
def project(tmp_path: Path) -> Path:
    files = {"pyproject.toml": projects.PYPROJECT.replace('["leaf"]', '["six"]'), "hello.py": "def main():\n    pass\n"}
    return projects.write(tmp_path / "project", files)


def build(project: Path, *command: str, **environ: str) -> Path:
    done = subprocess.run(
        [*command, "build", "--quiet", "."],
        check=False,
        cwd=project,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    bundle = Path(done.stdout.removesuffix("\n"))  # and nothing else is on standard output
    assert bundle.parent == project / "dist"
    version = ".".join(map(str, sys.version_info[:2]))
    assert info(unpack(bundle, project / "unpacked"))["targets"][0]["python"].startswith(version)
    return bundle


@pytest.mark.parametrize("program", ["platter", "platter-setuptools"])
def test_uvx(program: str, wheel: Path, project: Path, tool: Tool) -> None:
    build(project, *tool(str(wheel), program))


def test_pipx(wheel: Path, project: Path, tool: Tool, tmp_path: Path) -> None:
    words = tool("pipx", "pipx")
    build(project, *words, "run", "--quiet", "--spec", str(wheel), "platter", PIPX_HOME=str(tmp_path / "pipx"))
