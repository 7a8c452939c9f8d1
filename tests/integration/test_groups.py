"""Dependency groups, exclusions, and where uv is told that distributions are."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest
import uv

from support import handmade, projects
from support.front_ends import WITH_PIP, info, unpack, wheels

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.front_ends import Yard
    from support.index import Index

GROUPS = """

[dependency-groups]
prod = ["alpha", {include-group = "Common"}]
common = ["beta"]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = projects.write(tmp_path / "project", {"pyproject.toml": projects.PYPROJECT, "hello.py": projects.HELLO})
    with (folder / "pyproject.toml").open("a") as file:
        file.write(GROUPS)
    return folder


class TestGroups:
    def test_a_group_and_what_it_includes(self, yard: Yard, project: Path) -> None:
        artifact = yard.build(project, "--group=prod", "--no-pip")
        assert set(wheels(artifact)) == {"hello", "leaf", "alpha", "beta"}
        assert info(artifact)["groups"] == ["prod"]
        target = yard.install(artifact)
        assert yard.run(target / "bin" / "python", "-c", "import alpha, beta", cwd=target).stdout == ""

    def test_a_group_that_is_not_there(self, yard: Yard, project: Path) -> None:
        said = yard.refuse(2, project, "--group=prud")
        assert "[dependency-groups]" in said
        assert "prud" in said
        assert "it has: common, prod" in said

    def test_a_group_that_includes_itself(self, yard: Yard, project: Path) -> None:
        with (project / "pyproject.toml").open("a") as file:
            file.write('loop = [{include-group = "loop"}]\n')
        assert "loop" in yard.refuse(2, project, "--group=loop")

    def test_a_wheel_has_no_groups(self, yard: Yard, project: Path) -> None:
        wheel = handmade.wheel(yard.folder / "elsewhere", "hello", requires=["leaf"])
        said = yard.refuse(2, project, wheel, "--group=prod")
        assert "it has: none" in said

    def test_a_lock_without_the_group_is_refused(self, yard: Yard, project: Path) -> None:
        lock = unpack(yard.build(project), yard.folder / "unpacked") / "data" / "pylock.toml"
        said = yard.refuse(5, project, f"--lock={lock}", "--group=prod")
        assert "a dependency group requires alpha, which is missing" in said
        assert "a dependency group requires beta, which is missing" in said


class TestExclude:
    def test_what_is_excluded_is_left_to_the_server(self, yard: Yard, project: Path) -> None:
        artifact = yard.build(project, "--exclude=Leaf", "--no-pip")
        assert set(wheels(artifact)) == {"hello"}
        assert info(artifact)["excluded"] == ["leaf"]
        assert "is in order" in yard.platter("verify", artifact, cwd=project).stderr
        bundle = unpack(artifact, yard.folder / "unpacked")
        done = yard.run(bundle / "install.sh", yard.folder / "app", cwd=bundle)
        assert "leaf was left out of the bundle; the server has to provide it" in done.stderr
        site = yard.folder / "user" / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
        site.mkdir(parents=True)
        (site / "leaf.py").write_text("NAME = 'the server'\n")
        program = yard.folder / "app" / "bin" / "hello"
        done = yard.run(program, cwd=bundle, PYTHONUSERBASE=str(yard.folder / "user"))
        assert done.stdout == "hello from the server\n"

    def test_a_name_that_is_not_there(self, yard: Yard, project: Path) -> None:
        done = yard.platter("build", "--exclude=laef", cwd=project)
        assert "exclude laef: it would not be in the bundle anyway" in done.stderr

    def test_pip(self, yard: Yard, project: Path) -> None:
        assert "pip" not in wheels(yard.build(project, "--exclude=pip", **WITH_PIP))


class TestSources:
    """[tool.uv.sources] of a project says where its dependencies are."""

    def sources(self, project: Path, text: str) -> None:
        with (project / "pyproject.toml").open("a") as file:
            file.write(text)

    def test_a_folder(self, yard: Yard, project: Path) -> None:
        setup = "from setuptools import setup\nsetup(name='leaf', version='7.0', py_modules=['leaf'])\n"
        projects.write(project.parent / "leaf", {"setup.py": setup, "leaf.py": "NAME = 'a leaf of our own'\n"})
        self.sources(project, '[tool.uv.sources]\nleaf = { path = "../leaf" }\n')
        artifact = yard.build(project)
        assert wheels(artifact)["leaf"] == "7.0"
        assert yard.say(artifact) == "hello from a leaf of our own"

    def test_a_repository_for_a_group(self, yard: Yard, project: Path) -> None:
        setup = "from setuptools import setup\nsetup(name='alpha', version='7.0', py_modules=['alpha'])\n"
        source = projects.write(yard.folder / "alpha", {"setup.py": setup, "alpha.py": "\n"})
        projects.commit(source)
        self.sources(project, f'[tool.uv.sources]\nalpha = {{ git = "{source.as_uri()}" }}\n')
        assert wheels(yard.build(project, "--group=prod"))["alpha"] == "7.0"
        assert "alpha" not in wheels(yard.build(project))

    def test_an_index(self, yard: Yard, project: Path, shelf: Path) -> None:
        page = yard.folder / "simple" / "leaf"
        page.mkdir(parents=True)
        (wheel,) = shelf.glob("leaf-1.0-*.whl")
        (page / "index.html").write_text(f'<a href="{wheel.as_uri()}">{wheel.name}</a>')
        self.sources(
            project,
            f'[[tool.uv.index]]\nname = "ours"\nurl = "{page.parent.as_uri()}"\nexplicit = true\n'
            '[tool.uv.sources]\nleaf = { index = "ours" }\n',
        )
        assert wheels(yard.build(project))["leaf"] == "1.0"

    def test_an_index_with_a_password(self, yard: Yard, project: Path, open_index: Callable[..., Index]) -> None:
        index = open_index(user="me", password="s3cr3t")
        url = index.url.replace("me:s3cr3t@", "")
        self.sources(
            project,
            f'[[tool.uv.index]]\nname = "ours"\nurl = "{url}"\nexplicit = true\n'
            '[tool.uv.sources]\nbeta = { index = "ours" }\n',
        )
        environ = {"UV_INDEX_OURS_USERNAME": "me", "UV_INDEX_OURS_PASSWORD": "s3cr3t"}
        cache = f"--wheel-cache={yard.folder / 'wheels'}"
        artifact = yard.build(project, "--group=common", cache, **environ)
        assert "beta" in wheels(artifact)
        assert "beta-1.0-py3-none-any.whl" in index.fetched


class TestUvLock:
    @pytest.fixture
    def lock(self, yard: Yard, project: Path, index: Index) -> Path:
        # The lowest versions are none that resolving would come to.
        words = ("lock", "--quiet", "--no-config", "--resolution=lowest", "--default-index", index.url)
        yard.run(uv.find_uv_bin(), *words, cwd=project)
        return project / "uv.lock"

    def test_nothing_is_resolved(self, yard: Yard, project: Path, lock: Path) -> None:
        artifact = yard.build(project, f"--lock={lock}", "--group=common", "--no-pip")
        assert wheels(artifact) == {"hello": "1.0", "leaf": "1.0", "beta": "1.0"}

    def test_a_lock_that_is_older_than_the_requirements(self, yard: Yard, project: Path, lock: Path) -> None:
        text = (project / "pyproject.toml").read_text()
        (project / "pyproject.toml").write_text(text.replace('"leaf"', '"leaf>1", "alpha"'))
        said = yard.refuse(5, project, f"--lock={lock}")
        assert "hello 1.0 requires leaf>1, and the set has 1.0" in said
        assert "hello 1.0 requires alpha, which is missing" in said

    def test_a_lock_of_something_else(self, yard: Yard, lock: Path) -> None:
        other = projects.hello(
            yard.folder / "other", {"setup.py": projects.SETUP_PY.replace('"hello",', '"other",', 1)}
        )
        assert "holds no lock of other" in yard.refuse(4, other, f"--lock={lock}")


def test_a_bundle_says_what_was_asked(yard: Yard, project: Path) -> None:
    bundle = unpack(yard.build(project, "--group=common"), yard.folder / "unpacked")
    told = json.loads((bundle / "info.json").read_text())
    assert (told["extras"], told["groups"], told["excluded"]) == ([], ["common"], [])
