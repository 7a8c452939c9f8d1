"""The store and the network: what a second build still asks for, and what works when there is nothing to ask."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from support import projects
from support.front_ends import info, wheels

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.front_ends import Yard
    from support.index import Index


def setup_py(*requires: str) -> str:
    return f"from setuptools import setup\n\nsetup(name='hello', version='1.0', install_requires={list(requires)!r})\n"


@pytest.mark.parametrize(("front_end", "resolver"), [("command", "uv"), ("platter", "pip")])
def test_a_second_build_fetches_nothing_and_a_third_needs_no_network(
    yard: Yard,
    tmp_path: Path,
    own_caches: dict[str, str],
    open_index: Callable[[], Index],
    front_end: str,
    resolver: str,
) -> None:
    index = open_index()
    project = projects.hello(tmp_path / "project", {"setup.py": setup_py("leaf", "branch", "speck")})
    environ = {**own_caches, "PIP_INDEX_URL": index.url, "PLATTER_BUILD_RESOLVER": resolver}

    def build(*arguments: str) -> tuple[bytes, str]:
        if front_end == "command":
            said = yard.setup_py(project, "bdist_platter", *arguments, code=0, **environ).stderr
        else:
            said = yard.platter("build", *arguments, cwd=project, code=0, **environ).stderr
        (artifact,) = project.glob("dist/*.tar.gz")
        return artifact.read_bytes(), said

    first, said = build()
    assert "0 from the wheel cache, 3 fetched, 1 built" in said
    assert {"leaf-1.0-py3-none-any.whl", "branch-1.0-py3-none-any.whl"} <= {*index.fetched}
    assert len(index.fetched) == len({*index.fetched})
    index.requests.clear()
    second, said = build()
    assert "3 from the wheel cache, 0 fetched, 1 built" in said
    assert index.fetched == []
    index.stop()
    third, said = build("--no-download")
    assert first == second == third


def test_sdists_repositories_and_folders_need_no_network_a_second_time(
    yard: Yard, tmp_path: Path, own_caches: dict[str, str], open_index: Callable[[], Index]
) -> None:
    index = open_index()
    files = {"setup.py": "from setuptools import setup\n\nsetup(name='{}', version='1', install_requires=['leaf'])\n"}
    repository, folder = (
        projects.write(tmp_path / name, {"setup.py": files["setup.py"].format(name)}) for name in ("repo", "tree")
    )
    urls = [f"repo @ git+{repository.as_uri()}@{projects.commit(repository)}", f"tree @ {folder.as_uri()}"]
    project = projects.hello(tmp_path / "project", {"setup.py": setup_py("sour", "speck", *urls)})
    environ = {**own_caches, "PIP_INDEX_URL": index.url, "PLATTER_BUILD_PIP_OPTION": "--no-binary=speck"}
    first = yard.build(project, **environ)
    index.stop()
    second = yard.build(project, "--no-download", "--output", tmp_path / "second", **environ)
    assert {"sour", "speck", "repo", "tree", "leaf"} <= {*wheels(second)}
    assert first.read_bytes() == second.read_bytes()


def test_without_a_network_what_is_missing_is_named(
    yard: Yard, tmp_path: Path, own_caches: dict[str, str], open_index: Callable[[], Index]
) -> None:
    index = open_index()
    project = projects.hello(tmp_path / "project", {"setup.py": setup_py("leaf")})
    environ = {**own_caches, "PIP_INDEX_URL": index.url}
    # A cache that has nothing, for a project in a folder: the first thing that is missing is what builds it.
    index.requests.clear()
    said = yard.refuse(4, project, "--no-download", **environ)
    assert "the wheel cache has no answer of a resolver to setuptools" in said
    yard.build(project, **environ)
    projects.write(project, {"setup.py": setup_py("leaf", "alpha")})
    index.requests.clear()
    said = yard.refuse(4, project, "--no-download", **environ)
    assert "the wheel cache has no answer of a resolver to hello, leaf, alpha\n" in said
    assert "without no-download" in said
    said = yard.setup_py(project, "bdist_platter", "--no-download", code=1, **environ).stderr
    assert "the wheel cache has no answer of a resolver to hello, leaf, alpha\n" in said
    assert index.requests == []


def test_no_wheel_cache_leaves_nothing(yard: Yard, tmp_path: Path) -> None:
    cold = {"UV_CACHE_DIR": str(tmp_path / "uv"), "PLATTER_BUILD_WHEEL_CACHE": str(tmp_path / "wheels")}
    project = projects.hello(tmp_path / "project", {"setup.py": setup_py("leaf", "sour")})
    said = yard.platter("build", "--no-wheel-cache", cwd=project, code=0, **cold).stderr
    assert "0 from the wheel cache, 1 fetched, 2 built" in said
    assert not (tmp_path / "wheels").exists()
    assert {path.name for path in (yard.folder / "home").iterdir()} <= {".cache"}
    assert not list((yard.folder / "home").rglob("*.whl"))


def test_a_damaged_entry_is_healed(yard: Yard, tmp_path: Path, own_caches: dict[str, str]) -> None:
    project = projects.hello(tmp_path / "project", {"setup.py": setup_py("leaf", "sour")})
    first = yard.command(project, **own_caches).read_bytes()
    (leaf,) = (tmp_path / "wheels").rglob("leaf-2.0-*.whl")
    (sour,) = (tmp_path / "wheels").rglob("sour-1.0-*.whl")
    good = leaf.read_bytes()
    leaf.write_bytes(good[:-1])
    sour.unlink()
    sour.write_bytes(b"not the wheel")
    for ref in (tmp_path / "wheels" / "refs").rglob("*.json"):
        ref.write_text("{")
    said = yard.setup_py(project, "bdist_platter", code=0, **own_caches).stderr
    assert "0 from the wheel cache, 1 fetched, 2 built" in said
    assert leaf.read_bytes() == good
    (artifact,) = project.glob("dist/*.tar.gz")
    assert artifact.read_bytes() == first


def test_the_resolvers_agree(yard: Yard, tmp_path: Path) -> None:
    requires = ["branch", "sour", "speck", "alpha; python_version < '3'", "beta; python_version > '3'"]
    project = projects.hello(tmp_path / "project", {"setup.py": setup_py(*requires)})
    found = [info(yard.command(project, f"--resolver={resolver}"))["wheels"] for resolver in ("uv", "pip")]
    assert found[0] == found[1]
    assert {wheel["name"] for wheel in found[0]} == {"hello", "branch", "leaf", "sour", "speck", "beta"}


def test_find_links_and_pip_conf_are_honoured(yard: Yard, tmp_path: Path, tool_wheels: Path, shelf: Path) -> None:
    project = projects.hello(tmp_path / "project", {"setup.py": setup_py("leaf<2")})
    conf = projects.write(
        tmp_path, {"pip.conf": f"[global]\nno-index = yes\nfind-links =\n    {shelf}\n    {tool_wheels}\n"}
    )
    environ = {"PIP_CONFIG_FILE": str(conf / "pip.conf"), "PIP_INDEX_URL": ""}
    for resolver in ("uv", "pip"):
        artifact = yard.build(project, "--resolver", resolver, **environ)
        assert wheels(artifact)["leaf"] == "1.0"


def test_a_refusal_that_passes_is_tried_again(
    yard: Yard, tmp_path: Path, own_caches: dict[str, str], open_index: Callable[[], Index]
) -> None:
    index = open_index()
    index.failures["leaf-2.0-py3-none-any.whl"] = 2
    project = projects.hello(tmp_path / "project", {"setup.py": setup_py("leaf")})
    yard.command(project, **own_caches, PIP_INDEX_URL=index.url)
    assert index.fetched.count("leaf-2.0-py3-none-any.whl") == 3


def test_a_refusal_that_stays(
    yard: Yard, tmp_path: Path, own_caches: dict[str, str], open_index: Callable[[], Index]
) -> None:
    index = open_index()
    index.failures["leaf-2.0-py3-none-any.whl"] = 99
    project = projects.hello(tmp_path / "project", {"setup.py": setup_py("leaf")})
    said = yard.refuse(4, project, **own_caches, PIP_INDEX_URL=index.url, PIP_RETRIES="1")
    assert re.search(r"leaf-2.0-py3-none-any.whl from .* cannot be fetched: HTTP status 503", said)
