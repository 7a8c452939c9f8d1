"""Projects of other build backends, as they come: each in tests/samples is built, installed and run."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.front_ends import info

if TYPE_CHECKING:
    from support.front_ends import Yard

pytestmark = pytest.mark.network

SAMPLES = Path(__file__).parents[1] / "samples"
# Folder, what it says when it runs, whether its wheel is for one platform, and the compiler that it takes.
BACKENDS = [
    ("flit", "flit-core", False, None),
    ("hatchling", "hatchling", False, None),
    ("maturin", "maturin", True, "cargo"),
    ("meson", "meson-python", True, "cc"),
    ("pdm", "pdm-backend", False, None),
    ("poetry", "poetry-core", False, None),
    ("scikit", "scikit-build-core", True, "cc"),
]


@pytest.mark.parametrize(("folder", "backend", "native", "compiler"), BACKENDS)
def test_the_sample_runs_on_the_server(
    network_yard: Yard, tmp_path: Path, folder: str, backend: str, native: bool, compiler: str | None
) -> None:
    if compiler and not shutil.which(compiler):
        pytest.skip(f"{backend} needs {compiler}")
    project = Path(shutil.copytree(SAMPLES / folder, tmp_path / "project"))
    # rustup looks for its toolchains in the home folder, which is another one here.
    rust = {f"{name.upper()}_HOME": str(Path.home() / f".{name}") for name in ("rustup", "cargo")}
    artifact = network_yard.build(project, **{name: os.environ.get(name, path) for name, path in rust.items()})
    assert network_yard.say(artifact) == f"hello from {backend}"
    wheels = {wheel["name"]: wheel["file"] for wheel in info(artifact)["wheels"]}
    assert wheels.keys() >= {"hello", "six"}
    assert wheels["hello"].endswith("-any.whl") != native
    left = {path.name for path in project.iterdir()} - {path.name for path in (SAMPLES / folder).iterdir()}
    assert left - {"target"} == {"dist"}  # where cargo keeps what it makes


def test_every_sample_is_tried() -> None:
    assert [row[0] for row in BACKENDS] == sorted(path.name for path in SAMPLES.iterdir())
