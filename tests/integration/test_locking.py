"""`platter lock`, and who takes what it writes."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
import uv

from support import projects
from support.doors import unpack, wheels

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.doors import Yard
    from support.index import Index

MORE = """
[project.optional-dependencies]
more = ["alpha"]

[dependency-groups]
prod = ["beta"]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    requires = """["leaf<2", "only-windows; sys_platform == 'win32'"]"""
    text = projects.PYPROJECT.replace('["leaf"]', requires)
    folder = projects.write(tmp_path / "project", {"pyproject.toml": text, "hello.py": projects.HELLO})
    with (folder / "pyproject.toml").open("a") as file:
        file.write(MORE)
    return folder


def locked(file: Path) -> dict[str, dict[str, Any]]:
    return {package["name"]: package for package in tomllib.loads(file.read_text())["packages"]}


def test_a_lock_is_taken_and_nothing_is_resolved(yard: Yard, project: Path, open_index: Callable[..., Index]) -> None:
    index = open_index()
    words = ("--extras=more", "--group=prod")
    said = yard.platter("lock", *words, cwd=project, PIP_INDEX_URL=index.url)
    assert said.stdout == f"{project / 'pylock.toml'}\n"
    assert set(locked(project / "pylock.toml")) == {"leaf", "alpha", "beta"}
    index.requests.clear()
    artifact = yard.build(project, "--lock=pylock.toml", *words, "--no-pip", PIP_INDEX_URL=index.url)
    assert wheels(artifact) == {"hello": "1.0", "leaf": "1.0", "alpha": "1.0", "beta": "1.0"}
    assert not [path for path in index.requests if "/simple/" in path and "leaf" in path]


def test_a_universal_lock(yard: Yard, project: Path) -> None:
    yard.platter("lock", "--universal", "-o", "pylock.all.toml", cwd=project)
    packages = locked(project / "pylock.all.toml")
    assert set(packages) == {"leaf", "only-windows"}
    assert "win32" in packages["only-windows"]["marker"]
    assert set(wheels(yard.build(project, "--lock=pylock.all.toml", "--no-pip"))) == {"hello", "leaf"}


def test_the_lock_that_builds_take_is_written_anew(yard: Yard, project: Path) -> None:
    with (project / "pyproject.toml").open("a") as file:
        file.write('[tool.platter]\nlock = "pylock.deploy.toml"\n')
    (project / "pylock.deploy.toml").write_text("outdated")
    yard.platter("lock", cwd=project)
    assert set(locked(project / "pylock.deploy.toml")) == {"leaf"}
    assert "leaf" in wheels(yard.build(project))


def test_a_folder_beside_the_project(yard: Yard, project: Path) -> None:
    setup = "from setuptools import setup\nsetup(name='leaf', version='1.5', py_modules=['leaf'])\n"
    projects.write(project.parent / "leaf", {"setup.py": setup, "leaf.py": "NAME = 'a leaf of our own'\n"})
    with (project / "pyproject.toml").open("a") as file:
        file.write('[tool.uv.sources]\nleaf = { path = "../leaf" }\n')
    yard.platter("lock", cwd=project)
    assert locked(project / "pylock.toml")["leaf"]["directory"]["path"] == "../leaf"
    assert wheels(yard.build(project, "--lock=pylock.toml"))["leaf"] == "1.5"


def test_files_of_this_machine_are_warned_about(yard: Yard, project: Path, shelf: Path) -> None:
    words = (f"--pip-option=--find-links={shelf}", "--pip-option=--no-index", "--no-wheel-cache")
    done = yard.platter("lock", *words, f"{next(iter(_finished(yard, project)))}", cwd=project)
    assert "leaf is a file of this machine: file:///" in done.stderr


def _finished(yard: Yard, project: Path) -> list[Path]:
    """The project's wheel, so that nothing has to be built."""
    bundle = unpack(yard.build(project), yard.folder / "finished")
    return list((bundle / "data").glob("hello-*.whl"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--universal", "--resolver=pip"), "pip resolves for the interpreter that runs it"),
        (("-o", "requirements.txt"), "requirements.txt is no name for a lock"),
        (("-o", "uv.lock"), "`uv lock` writes uv.lock"),
        (("--extras=most",), "hello has no extra most"),
        (("--group=prud",), "it has: prod"),
    ],
)
def test_what_cannot_be_locked(yard: Yard, project: Path, words: tuple[str, ...], message: str) -> None:
    done = yard.platter("lock", *words, cwd=project, code=2)
    assert message in done.stderr
    assert done.stdout == ""
    assert not list(project.glob("*lock*"))


class TestHashes:
    """A requirements file with hashes says all there is to take."""

    @pytest.fixture
    def pinned(self, yard: Yard, project: Path, index: Index) -> Path:
        (project / "more.in").write_text("leaf<2\nbranch\n")
        words = ("pip", "compile", "--quiet", "--generate-hashes", "--default-index", index.url, "more.in")
        yard.run(uv.find_uv_bin(), *words, "-o", "more.txt", cwd=project)
        (project / "requirements.txt").write_text("-r more.txt  # nested\n")
        return project / "more.txt"

    @pytest.mark.parametrize("resolver", ["uv", "pip"])
    def test_just_that_is_taken(self, yard: Yard, project: Path, pinned: Path, resolver: str) -> None:
        words = ("-r", "requirements.txt", f"--resolver={resolver}", "--no-pip", "--format=dir")
        artifact = yard.build(project, *words)
        assert wheels(artifact) == {"hello": "1.0", "leaf": "1.0", "branch": "1.0"}
        assert (artifact / "data" / "requirements.txt").read_text() == pinned.read_text()

    def test_nothing_is_added(self, yard: Yard, project: Path, pinned: Path) -> None:
        said = yard.refuse(5, project, "-r", pinned, "--extras=more", "--group=prod")
        assert "hello 1.0 requires alpha, which is missing" in said
        assert "a dependency group requires beta, which is missing" in said

    def test_another_file_at_the_index(self, yard: Yard, project: Path, pinned: Path) -> None:
        first = pinned.read_text().partition("--hash=sha256:")[2][:64]
        pinned.write_text(pinned.read_text().replace(first, "0" * 64))
        assert "has a hash that requirements.txt allows" in yard.refuse(5, project, "-r", "requirements.txt")

    def test_a_hash_for_all_or_for_none(self, yard: Yard, project: Path, pinned: Path) -> None:
        with pinned.open("a") as file:
            file.write("alpha==1.0\n")
        assert "alpha==1.0 has no hash" in yard.refuse(4, project, "-r", "requirements.txt")

    def test_hashes_can_be_required(self, yard: Yard, project: Path) -> None:
        (project / "more.txt").write_text("leaf==1.0\n")
        said = yard.refuse(4, project, "-r", "more.txt", "--pip-option=--require-hashes")
        assert "leaf==1.0 has no hash" in said


class TestOthers:
    """Whoever has a bundle can install its wheels by its lock, with the tools at hand."""

    @pytest.fixture
    def lock(self, yard: Yard, project: Path) -> Path:
        return unpack(yard.build(project, "--no-pip"), yard.folder / "unpacked") / "data" / "pylock.toml"

    @pytest.fixture
    def python(self, yard: Yard) -> Path:
        yard.run(uv.find_uv_bin(), "venv", "--quiet", "--python", sys.executable, "virtualenv", cwd=yard.folder)
        return yard.folder / "virtualenv" / "bin" / "python"

    def installed(self, yard: Yard, python: Path) -> dict[str, str]:
        words = ("pip", "list", "--format=json", "--python", python)
        found = json.loads(yard.run(uv.find_uv_bin(), *words, cwd=yard.folder).stdout)
        return {one["name"]: one["version"] for one in found}

    def test_uv(self, yard: Yard, lock: Path, python: Path) -> None:
        yard.run(uv.find_uv_bin(), "pip", "sync", "--offline", "--python", python, lock, cwd=yard.folder)
        assert self.installed(yard, python) == {"hello": "1.0", "leaf": "1.0"}

    def test_pip(self, yard: Yard, lock: Path, python: Path) -> None:
        pip = (sys.executable, "-m", "pip", "--python", python, "install", "--no-index", "-r", lock)
        yard.run(*pip, cwd=yard.folder)
        assert self.installed(yard, python) == {"hello": "1.0", "leaf": "1.0"}
