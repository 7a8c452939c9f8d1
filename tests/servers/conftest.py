from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.ssh import Fleet, fleet

from .desk import Desk, archive
from .once import once
from .roots import RootsImpossible, Server, bare_root, new_server, outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    NewServer = Callable[[str], Server]
    Bundle = Callable[[Path, str], Path]


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NewServer]:
    """A function that takes a Debian suite's name and gives a new server of it."""
    folders = []

    def make(suite: str) -> Server:
        try:
            base = bare_root(suite)
        except RootsImpossible as reason:
            pytest.skip(str(reason))
        folders.append(tmp_path_factory.mktemp(suite))
        return new_server(base, folders[-1] / "layer")

    yield make
    for folder in folders:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def bundle(shared_folder: Path) -> Bundle:
    """A function that takes a project and a Python version ("3.11") and gives the project's bundle for it."""

    def make(project: Path, version: str) -> Path:
        python = find_python(version)
        if python is None:
            pytest.skip(f"there is no Python {version} on this machine")
        folder = shared_folder / "bundles" / f"{project.name}-{version}"
        (found,) = once(folder, lambda output: build(project, python, output)).glob("*.tar.gz")
        return found

    def build(project: Path, python: Path, output: Path) -> None:
        # A copy, because two builds at once in one source tree would share setuptools' build folder.
        copy = shutil.copytree(project, output / project.name, ignore=shutil.ignore_patterns("*.egg-info", "build"))
        options = {"--python": python, "--output": output, "--wheel-cache": shared_folder / "store"}
        words = [str(word) for option in options.items() for word in option]
        run = outcome([sys.executable, "-m", "platter_setuptools", "build", *words, str(copy)])
        assert run.returncode == 0, run.stderr

    return make


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Archives of two versions of an application, of which 1.10 is the newer."""
    folder = tmp_path_factory.mktemp("bundles") / "dist"
    return {version: archive(folder, version) for version in ("1.9", "1.10")}


@pytest.fixture
def hosts(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Fleet]:
    """Five hosts, or as many as the test has as its parameter `hosts`."""
    with fleet(tmp_path / "hosts", getattr(request, "param", 5)) as running:
        yield running


@pytest.fixture
def desk(tmp_path: Path, hosts: Fleet) -> Desk:
    return Desk(tmp_path / "desk", hosts)


def find_python(version: str) -> Path | None:
    """Look for an interpreter by its name on PATH, then among pyenv's."""
    candidates = [found] if (found := shutil.which(f"python{version}")) else []
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    candidates += sorted(map(str, pyenv.glob(f"versions/{version}.*/bin/python{version}")))
    for candidate in candidates:
        # pyenv puts a launcher on PATH for every version, which fails for those that are not switched on.
        run = outcome([candidate, "-c", "import sys; print(sys.executable)"])
        if run.returncode == 0:
            return Path(run.stdout.strip())
    return None
