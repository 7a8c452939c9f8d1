"""Projects of uv: the source trees, repositories and indexes that they name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from platter_setuptools.errors import UsageError
from platter_setuptools.resolve.credentials import logins, places
from platter_setuptools.resolve.pip_config import read_settings
from platter_setuptools.resolve.uv_config import read_config
from platter_setuptools.resolve.uv_project import index_urls, local_trees, lost_sources, repositories_with_login

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def test_folders_of_the_workspace_that_a_project_is_in(tmp_path: Path) -> None:
    write(tmp_path / "pyproject.toml", '[tool.uv.workspace]\nmembers = ["a", "b"]\n')
    write(tmp_path / "a/pyproject.toml", "[tool.uv.sources]\nb = {workspace = true}\n")
    write(tmp_path / "b/pyproject.toml", "")
    assert local_trees([], tmp_path / "a") == {tmp_path / "a", tmp_path / "b"}


def test_folders_that_requirements_and_files_name(tmp_path: Path) -> None:
    for name in ("project", "one", "two", "three", "four", "members/a", "looping"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "project/pyproject.toml").write_text(
        "[tool.uv.sources]\n"
        'two = {path = "../two"}\n'
        "wrong = 7\n"
        'looping = [{path = "../circle"}, {path = 7}]\n'
        '[tool.uv.workspace]\nmembers = ["../members/*", "/absolute/*", 7]\n'
    )
    (tmp_path / "one/setup.py").write_text(f"setup(install_requires=['x @ {(tmp_path / 'three').as_uri()}'])")
    (tmp_path / "three/pyproject.toml").write_text(f'dependencies = ["y @ {(tmp_path / "one").as_uri()}"] oops')
    (tmp_path / "circle").symlink_to("circle")
    found = local_trees(
        [f"one @ {(tmp_path / 'one').as_uri()} ; os_name == 'posix'", "file:///does/not/exist", "six"],
        tmp_path / "project",
    )
    assert {path.relative_to(tmp_path).as_posix() for path in found} == {
        *("project", "one", "two", "three", "members/a"),
    }


class TestLostSources:
    def test_of_an_sdist(self, tmp_path: Path) -> None:
        text = """
[tool.uv.workspace]
members = ["packages/*"]
[tool.uv.sources]
inside = {workspace = true}
outside = {workspace = true}
here = {path = "lib"}
elsewhere = [{path = "../lib", marker = "os_name == 'posix'"}, {index = "own"}]
remote = {git = "https://host/x"}
"""
        write(tmp_path / "pyproject.toml", text)
        write(tmp_path / "packages/one/pyproject.toml", '[project]\nname = "Inside"\n')
        write(tmp_path / "lib/pyproject.toml", "")
        assert lost_sources(tmp_path) == ()
        write(tmp_path / "PKG-INFO", "")
        assert lost_sources(tmp_path) == ("outside", "elsewhere")

    @pytest.mark.parametrize("text", ["", "[tool]\nuv = 1\n", "[tool.uv]\nsources = 1\nworkspace = 2\n"])
    def test_of_none(self, text: str, tmp_path: Path) -> None:
        write(tmp_path / "PKG-INFO", "")
        write(tmp_path / "pyproject.toml", text)
        assert lost_sources(tmp_path) == ()


class TestRepositoriesWithLogin:
    def test_as_requirements(self, tmp_path: Path) -> None:
        tree = tmp_path / "tree"
        sources = """
            [tool.uv.sources]
            A_b = {git = "https://tok3n@host/a.git", tag = "v1", subdirectory = "x"}
            c = [{git = "https://me:pw@host/c", branch = "x/y", marker = "os_name == 'posix'"}, {index = 'i'}]
            d = {git = "https://host/d"}
            e = {git = "ssh://git@host/e"}
            f = {path = "f"}
        """
        (tmp_path / "pyproject.toml").write_text(f"[tool.uv.workspace]\nmembers = ['tree']\n{sources}")
        write(tree / "pyproject.toml", sources.replace("a.git", "other.git").partition("c =")[0])
        with pytest.raises(UsageError, match="gives c a repository with a password in its URL, beside index"):
            repositories_with_login(tree)
        write(tmp_path / "pyproject.toml", (tmp_path / "pyproject.toml").read_text().replace(", {index = 'i'}", ""))
        assert repositories_with_login(tree) == {
            "a-b": ["A_b @ git+https://tok3n@host/other.git@refs/tags/v1#subdirectory=x"],
            "c": ["c @ git+https://me:pw@host/c@refs/heads/x/y ; os_name == 'posix'"],
        }


def test_credentials_of_a_uv_project_s_indexes_are_known(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[[tool.uv.index]]\nname = "ours-1"\nurl = "https://index.example/simple"\n'
        '[[tool.uv.index]]\nurl = "https://a:b@other.example/simple"\n'
        '[[tool.uv.index]]\nurl = "https://open.example/simple"\n'
    )
    environ = {"UV_INDEX_OURS_1_USERNAME": "me", "UV_INDEX_OURS_1_PASSWORD": "p@ss"}
    settings = read_settings(
        [], environ=environ, config_files=[], index_urls=index_urls(tmp_path, read_config(tmp_path, environ), environ)
    )
    assert logins(places(settings), "https://index.example/x") == [("me", "p@ss")]
    assert logins(places(settings), "https://other.example/x") == [("a", "b")]


def test_credentials_in_uv_s_own_files_are_known(tmp_path: Path) -> None:
    (tmp_path / "uv.toml").write_text(
        'extra-index-url = ["https://a:b@extra.example/simple"]\n[pip]\nfind-links = ["https://c:d@links.example/"]\n'
    )
    (tmp_path / "config" / "uv").mkdir(parents=True)
    (tmp_path / "config" / "uv" / "uv.toml").write_text(
        '[[index]]\nname = "corp"\nurl = "https://corp.example/simple"\n'
    )
    environ = {
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "UV_INDEX": "team=https://team.example/",
        **{f"UV_INDEX_{name}_{word}": word for name in ("CORP", "TEAM") for word in ("USERNAME", "PASSWORD")},
    }
    urls = index_urls(tmp_path, read_config(tmp_path, environ), environ)
    known = places(read_settings([], environ=environ, config_files=[], index_urls=urls))
    expected = {"extra": ("a", "b"), "links": ("c", "d"), **dict.fromkeys(("corp", "team"), ("USERNAME", "PASSWORD"))}
    assert {name: logins(known, f"https://{name}.example/files/x")[0] for name in expected} == expected
