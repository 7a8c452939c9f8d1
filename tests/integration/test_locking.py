"""`platter lock`, and who takes what it writes."""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
import uv

from support import handmade, interpreters, projects
from support.fakes import target
from support.front_ends import unpack, wheels

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.front_ends import Yard
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
    setup = "from setuptools import setup\nsetup(name='leaf', package_dir={'': 'src'}, packages=['leaf'])\n"
    config = "[metadata]\nversion = attr: leaf.VERSION\n"
    module = "NAME = 'a leaf of our own'\nVERSION = '.'.join('15')\n"  # setuptools has to run it
    files = {"setup.py": setup, "setup.cfg": config, "src/leaf/__init__.py": module}
    projects.commit(leaf := projects.write(project.parent / "leaf", files))
    with (project / "pyproject.toml").open("a") as file:
        file.write('[tool.uv.sources]\nleaf = { path = "../leaf" }\n')
    yard.platter("lock", cwd=project)
    assert locked(project / "pylock.toml")["leaf"]["directory"]["path"] == "../leaf"
    assert wheels(yard.build(project, "--lock=pylock.toml"))["leaf"] == "1.5"
    assert projects.git_status(leaf) == ""


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
        (("-o", "requirements.txt"), "requirements.txt is not a name for a lock"),
        (("-o", "uv.lock"), "`uv lock` writes uv.lock"),
        (("--extras=most",), "hello has no extra most"),
        (("--group=prud",), "it has: prod"),
        (("-p", sys.executable, "-p", "3.98"), "there is no interpreter python3.98"),
        (("-p", sys.executable, "-p", ""), "the command line --python is empty"),
    ],
)
def test_what_cannot_be_locked(yard: Yard, project: Path, words: tuple[str, ...], message: str) -> None:
    done = yard.platter("lock", *words, cwd=project, code=2)
    assert message in done.stderr
    assert done.stdout == ""
    assert not list(project.glob("*lock*"))


def versions(file: Path) -> dict[str, str]:
    return {package["name"]: package["version"] for package in tomllib.loads(file.read_text())["packages"]}


class TestUpgrades:
    """Versions that are in the lock stay as long as they fit."""

    @pytest.fixture
    def goods(self, tmp_path: Path) -> Path:
        folder = tmp_path / "goods"
        for name in ("ripe", "green"):
            handmade.wheel(folder, name, "1.0")
        return folder

    @pytest.fixture
    def yard(self, yard: Yard, goods: Path, open_index: Callable[..., Index]) -> Yard:
        return dataclasses.replace(yard, environ={**yard.environ, "PIP_INDEX_URL": open_index(goods).url})

    def require(self, folder: Path, *requirements: str) -> Path:
        text = projects.PYPROJECT.replace('["leaf"]', json.dumps(requirements))
        return projects.write(folder / "mini", {"pyproject.toml": text, "hello.py": "def main():\n    pass\n"})

    @pytest.mark.parametrize("resolver", ["uv", "pip"])
    def test_only_what_is_asked_for_changes(self, yard: Yard, tmp_path: Path, goods: Path, resolver: str) -> None:
        words, project = ("lock", f"--resolver={resolver}"), self.require(tmp_path, "ripe", "green")
        file = project / "pylock.toml"
        yard.platter(*words, cwd=project)
        before = file.read_bytes()
        for name, version in (("ripe", "2.0"), ("ripe", "3.0"), ("green", "2.0")):
            handmade.wheel(goods, name, version)
        assert yard.platter(*words, "--check", cwd=project).stdout == ""
        yard.platter(*words, cwd=project)
        assert file.read_bytes() == before
        assert versions(file) == {"ripe": "1.0", "green": "1.0"}

        done = yard.platter(*words, "--upgrade-package=Ripe<3", "-P", "nothing", cwd=project)
        assert "upgrade-package nothing: pylock.toml does not have it" in done.stderr
        assert versions(file) == {"ripe": "2.0", "green": "1.0"}
        yard.platter(*words, "-P", "ripe", cwd=project)
        assert versions(file) == {"ripe": "3.0", "green": "1.0"}
        yard.platter(*words, "--upgrade", cwd=project)
        assert versions(file) == {"ripe": "3.0", "green": "2.0"}

    def test_the_check_tells_what_is_stale(self, yard: Yard, tmp_path: Path, goods: Path) -> None:
        project = self.require(tmp_path, "ripe")
        done = yard.platter("lock", "--check", cwd=project, code=1)
        assert f"{project / 'pylock.toml'} is not there\n  hint: `platter lock` writes it\n" in done.stderr
        yard.platter("lock", cwd=project)
        done = yard.platter("lock", "--check", cwd=project)
        assert (done.stdout, done.stderr.splitlines()[-1]) == ("", f"{project / 'pylock.toml'} is up to date")
        handmade.wheel(goods, "ripe", "2.0")
        self.require(tmp_path, "ripe>=2", "green")
        before = (project / "pylock.toml").read_bytes()
        done = yard.platter("lock", "--check", cwd=project, code=1)
        assert done.stdout == ""
        assert (
            f"{project / 'pylock.toml'} is not up to date:\n  green: not there -> 1.0\n  ripe: 1.0 -> 2.0\n"
            in done.stderr
        )
        assert (project / "pylock.toml").read_bytes() == before
        yard.platter("lock", cwd=project)
        yard.platter("lock", "--check", cwd=project)
        assert "contradicts" in yard.platter("lock", "--check", "--upgrade", cwd=project, code=2).stderr
        (project / "pylock.toml").write_text("<<<<<<< ours")
        assert "is not valid TOML" in yard.platter("lock", "--check", cwd=project, code=4).stderr
        done = yard.platter("lock", cwd=project)
        assert "pylock.toml is not valid TOML" in done.stderr
        assert "no version is kept" in done.stderr

    def test_pip_keeps_all_or_says_so(self, yard: Yard, tmp_path: Path, goods: Path) -> None:
        project = self.require(tmp_path, "ripe")
        yard.platter("lock", "--resolver=pip", cwd=project)
        handmade.wheel(goods, "ripe", "2.0")
        self.require(tmp_path, "ripe>=2")
        done = yard.platter("lock", "--resolver=pip", cwd=project, code=4)
        assert "name those to change with --upgrade-package NAME" in done.stderr
        yard.platter("lock", "--resolver=pip", "--upgrade-package=ripe", cwd=project)
        assert versions(project / "pylock.toml") == {"ripe": "2.0"}

    def test_each_of_several_targets_keeps_its_own(self, yard: Yard, tmp_path: Path, goods: Path) -> None:
        about = "Metadata-Version: 2.1\nName: ripe\nVersion: 2.0\nRequires-Python: >=3.12\n"
        handmade.wheel(goods, "ripe", "2.0", metadata=about)
        project = self.require(tmp_path, "ripe", "green")
        words = ("lock", "--target=cp311-manylinux_2_28_x86_64", "--target=cp312-manylinux_2_28_x86_64")
        yard.platter(*words, cwd=project)
        before = (project / "pylock.toml").read_bytes()
        assert before.count(b'name = "ripe"') == 2
        handmade.wheel(goods, "ripe", "3.0")
        handmade.wheel(goods, "green", "3.0")
        yard.platter(*words, "--check", cwd=project)
        yard.platter(*words, cwd=project)
        assert (project / "pylock.toml").read_bytes() == before
        assert "[environments]" in yard.platter(*words[:2], "--check", cwd=project, code=1).stderr
        yard.platter(*words, "-P", "green", cwd=project)
        assert versions(project / "pylock.toml")["green"] == "3.0"
        assert (project / "pylock.toml").read_bytes().count(b'name = "ripe"') == 2

    def test_a_universal_lock(self, yard: Yard, tmp_path: Path, goods: Path) -> None:
        project = self.require(tmp_path, "ripe", "green; sys_platform == 'win32'")
        yard.platter("lock", "--universal", cwd=project)
        handmade.wheel(goods, "ripe", "2.0")
        handmade.wheel(goods, "green", "2.0")
        yard.platter("lock", "--universal", "--check", cwd=project)
        yard.platter("lock", "--universal", "-P", "green", cwd=project)
        assert versions(project / "pylock.toml") == {"ripe": "1.0", "green": "2.0"}


class TestSeveral:
    """A lock for several interpreters."""

    HERE = target()
    THERE = str(HERE).replace(HERE.version, "3.99")

    @pytest.fixture
    def other(self, tmp_path: Path) -> Path:
        return interpreters.target(tmp_path / "other-python", 99)

    @pytest.fixture
    def index(self, tmp_path: Path, open_index: Callable[..., Index]) -> Index:
        """Distributions that drop old Pythons, or have wheels for few."""
        folder = tmp_path / "goods"
        handmade.wheel(folder, "crop", "1.0")
        about = "Metadata-Version: 2.1\nName: crop\nVersion: 2.0\nRequires-Python: >=3.99\n"
        handmade.wheel(folder, "crop", "2.0", metadata=about)
        handmade.wheel(folder, "sown", tag=str(self.HERE.tags[0]))
        return open_index(folder)

    @pytest.fixture
    def yard(self, yard: Yard, index: Index) -> Yard:
        return dataclasses.replace(yard, environ={**yard.environ, "PIP_INDEX_URL": index.url})

    def requiring(self, folder: Path, *requirements: str) -> Path:
        text = projects.PYPROJECT.replace('["leaf"]', json.dumps(requirements))
        return projects.write(folder / "mini", {"pyproject.toml": text, "hello.py": "def main():\n    pass\n"})

    def test_each_gets_its_own(self, yard: Yard, tmp_path: Path, other: Path, index: Index) -> None:
        markers = ("only-old; python_version < '3.99'", "only-new; python_version >= '3.99'")
        # No index has what neither of them needs.
        away = ("no-such-thing; sys_platform == 'win32'", "nor-this; python_version == '3.98'")
        project = self.requiring(tmp_path, "crop", "leaf<2", *markers, *away)
        said = yard.platter("lock", "-p", other, "-p", sys.executable, cwd=project).stderr
        lock = tomllib.loads((project / "pylock.toml").read_text())
        assert [(one["name"], one["version"]) for one in lock["packages"]] == [
            ("crop", "1.0"),
            ("crop", "2.0"),
            ("leaf", "1.0"),
            ("only-new", "1.0"),
            ("only-old", "1.0"),
        ]
        assert len(lock["environments"]) == 2
        assert said.endswith(f"  5 distributions\n  3 of them for {self.HERE}\n  3 of them for {self.THERE}\n")
        index.requests.clear()
        artifact = yard.build(project, "--lock=pylock.toml", "--no-pip")
        assert wheels(artifact) == {"hello": "1.0", "crop": "1.0", "leaf": "1.0", "only-old": "1.0"}
        assert not {f"/simple/{name}/" for name in ("crop", "leaf", "only-old")} & {*index.requests}

    def test_a_universal_one_holds_more(self, yard: Yard, tmp_path: Path, other: Path) -> None:
        project = self.requiring(tmp_path, "only-windows; sys_platform == 'win32'", "alpha; python_version == '3.98'")
        said = yard.platter("lock", "--universal", "-p", other, "-p", sys.executable, cwd=project).stderr
        lock = tomllib.loads((project / "pylock.toml").read_text())
        assert [one["name"] for one in lock["packages"]] == ["alpha", "only-windows"]
        assert "environments" not in lock
        assert said.endswith(f"  2 distributions\n  0 of them for {self.HERE}\n  0 of them for {self.THERE}\n")

    def test_a_universal_one_is_checked_for_each(self, yard: Yard, tmp_path: Path, other: Path) -> None:
        project = self.requiring(tmp_path, "sown")
        (project / "pylock.toml").write_text("as it was")
        done = yard.platter("lock", "--universal", "-p", sys.executable, "-p", other, cwd=project, code=5)
        assert f"the lock does not fit {self.THERE}:\n" in done.stderr
        assert "for package 'sown' 1.0" in done.stderr
        assert "leave that target out" in done.stderr
        assert f"does not fit {self.HERE}" not in done.stderr
        assert (project / "pylock.toml").read_text() == "as it was"

    def test_what_one_of_them_does_not_get(self, yard: Yard, tmp_path: Path, other: Path) -> None:
        project = self.requiring(tmp_path, "sown")
        (project / "pylock.toml").write_text("as it was")
        done = yard.platter("lock", "-p", sys.executable, "-p", other, cwd=project, code=5)
        assert f"the lock does not fit {self.THERE}:\n" in done.stderr
        assert "for package 'sown' 1.0" in done.stderr
        assert f"does not fit {self.HERE}" not in done.stderr
        assert done.stdout == ""
        assert (project / "pylock.toml").read_text() == "as it was"

    def test_no_solution_for_one_of_them(self, yard: Yard, tmp_path: Path, other: Path) -> None:
        project = self.requiring(tmp_path, "crop>=2")
        done = yard.platter("lock", "-p", other, "-p", sys.executable, cwd=project, code=4)
        assert f"platter: error: {self.HERE}: the dependencies cannot be resolved" in done.stderr
        assert not (project / "pylock.toml").exists()

    @pytest.mark.parametrize("words", [(), ("--universal",)])
    def test_the_project_itself_does_not_serve_one(
        self, yard: Yard, tmp_path: Path, other: Path, words: tuple[str, ...]
    ) -> None:
        project = self.requiring(tmp_path, "leaf")
        text = (project / "pyproject.toml").read_text().replace("[project]", '[project]\nrequires-python = "<3.99"')
        (project / "pyproject.toml").write_text(text)
        done = yard.platter("lock", "-p", sys.executable, "-p", other, *words, cwd=project, code=5)
        assert f"hello 1.0 requires Python <3.99, and {other} is 3.99.0" in done.stderr
        assert not (project / "pylock.toml").exists()

    def test_one_interpreter_twice_is_one(self, yard: Yard, tmp_path: Path) -> None:
        project = self.requiring(tmp_path, "leaf")
        words = ("-p", sys.executable, "--python", sys.executable)
        # What is configured for builds does not count.
        done = yard.platter("lock", *words, cwd=project, PLATTER_BUILD_PYTHON="no-such-python")
        assert done.stderr.count(" of them for ") == 1
        assert "environments" not in (project / "pylock.toml").read_text()

    @pytest.fixture
    def newer(self) -> str:
        # Not an older one: the tools in this index are those of the Python that runs the tests.
        for minor in interpreters.MINORS:
            if minor > sys.version_info[1] and (found := interpreters.find(minor)):
                return found
        pytest.skip(f"needs a Python newer than {self.HERE.version}")

    @pytest.mark.parametrize("resolver", ["uv", "pip"])
    def test_builds_for_each_take_it(self, yard: Yard, tmp_path: Path, newer: str, resolver: str) -> None:
        project = self.requiring(tmp_path, f"sown; python_version <= '{self.HERE.version}'", "sour", "leaf<2")
        yard.platter("lock", "-p", newer, "-p", sys.executable, f"--resolver={resolver}", cwd=project)
        built = [
            wheels(yard.build(project, "--lock=pylock.toml", "-p", one, "--no-pip", "--name-with-python"))
            for one in (newer, sys.executable)
        ]
        common = {"hello": "1.0", "sour": "1.0", "leaf": "1.0"}
        assert built == [common, {**common, "sown": "1.0"}]


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
        lines = [line for line in pinned.read_text().splitlines() if "# " not in line]
        assert (artifact / "data" / "requirements.txt").read_text().splitlines() == lines

    def test_nothing_is_added(self, yard: Yard, project: Path, pinned: Path) -> None:
        said = yard.refuse(5, project, "-r", pinned, "--extras=more", "--group=prod")
        assert "hello 1.0 requires alpha, which is missing" in said
        assert "a dependency group requires beta, which is missing" in said

    def test_another_file_at_the_index(self, yard: Yard, project: Path, pinned: Path) -> None:
        first = pinned.read_text().partition("--hash=sha256:")[2][:64]
        pinned.write_text(pinned.read_text().replace(first, "0" * 64))
        assert "has a hash that the requirements and constraints files allow" in yard.refuse(
            5, project, "-r", "requirements.txt"
        )

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
