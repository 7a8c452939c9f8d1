"""Workspaces of uv: their members, as uv lists them, and what they declare."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from packaging.utils import canonicalize_name

from platter_setuptools.errors import UsageError
from platter_setuptools.resolve.workspace import (
    Member,
    declared_extras,
    find_members,
    is_virtual_root,
    members,
    members_beside,
    read_groups_of,
)
from platter_setuptools.runtime.processes import Runner

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path.parent


def member(folder: Path, name: str, more: str = "") -> Member:
    text = f'[project]\nname = "{name}"\nversion = "1"\nrequires-python = ">=3.10"\n{more}'
    return Member(name=canonicalize_name(name), folder=write(folder / "pyproject.toml", text))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The root of a workspace: `left-out` is excluded, and `outside` no member."""
    write(tmp_path / "pyproject.toml", '[tool.uv.workspace]\nmembers = ["a/*", "b"]\nexclude = ["a/out"]\n')
    for place, name in (("a/x", "X.One"), ("a/y", "y"), ("a/out", "left-out"), ("b", "b"), ("c", "outside")):
        member(tmp_path / place, name)
    return tmp_path


class TestMembers:
    @pytest.mark.parametrize("place", ["", "a/x", "b"])
    def test_from_the_root_and_from_each(self, root: Path, place: str) -> None:
        assert members(root / place, Runner()) == {"x-one": root / "a/x", "y": root / "a/y", "b": root / "b"}

    def test_a_project_alone(self, tmp_path: Path) -> None:
        assert members(member(tmp_path, "alone").folder, Runner()) == {"alone": tmp_path}

    def test_by_name_each_once_in_their_order(self, root: Path) -> None:
        found = find_members(root, ["y", "x_one", "Y", "X-One"], Runner())
        assert found == (Member(name=canonicalize_name("y"), folder=root / "a/y"), found[1])
        assert found[1].folder == root / "a/x"

    def test_an_unknown_name(self, root: Path) -> None:
        with pytest.raises(UsageError, match=rf"{root} has no member outside and no z$") as caught:
            find_members(root, ["y", "outside", "z"], Runner())
        assert caught.value.hint == "it has: b, x-one, y"

    def test_two_of_one_name(self, root: Path) -> None:
        member(root / "a/z", "Y")
        with pytest.raises(UsageError, match=f"the workspace of {root} cannot be read") as caught:
            members(root, Runner())
        assert any("both named `y`" in line for line in caught.value.output)

    def test_links_in_a_circle(self, root: Path) -> None:
        (root / "a/self").symlink_to("self")
        (root / "a/x/up").symlink_to("../..")
        with pytest.raises(UsageError, match="cannot be read"):  # uv refuses a link that leads nowhere
            members(root, Runner())
        (root / "a/self").unlink()
        assert set(members(root, Runner())) == {"x-one", "y", "b"}


class TestBeside:
    def test_the_first_one_is_the_project(self, root: Path) -> None:
        assert members_beside(root / "b", [], Runner()) == ()
        assert members_beside(root / "b", ["b"], Runner()) == ()
        assert [one.name for one in members_beside(root / "b", ["B", "y", "x-one"], Runner())] == ["y", "x-one"]

    def test_another_one_first(self, root: Path) -> None:
        with pytest.raises(UsageError, match="package: y is not the project that is built here, b") as caught:
            members_beside(root / "b", ["y", "b"], Runner())
        assert "--package y" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("files", "is_one"),
    [
        ({"pyproject.toml": "[tool.uv.workspace]\n"}, True),
        ({"pyproject.toml": '[tool.uv.workspace]\nmembers = ["a"]\n[tool.platter]\npackage = ["a"]\n'}, True),
        ({"pyproject.toml": "[tool.uv]\nmanaged = true\n"}, False),
        ({"pyproject.toml": "[tool]\nuv = 1\n"}, False),
        ({"pyproject.toml": '[project]\nname = "a"\n[tool.uv.workspace]\n'}, False),
        ({"pyproject.toml": "[build-system]\nrequires = []\n[tool.uv.workspace]\n"}, False),
        ({"pyproject.toml": "[tool.uv.workspace]\n", "setup.py": ""}, False),
        ({"setup.py": ""}, False),
    ],
)
def test_virtual_roots(files: dict[str, str], is_one: bool, tmp_path: Path) -> None:
    for name, text in files.items():
        write(tmp_path / name, text)
    assert is_virtual_root(tmp_path) is is_one


class TestWhatAMemberDeclares:
    def test_extras(self, tmp_path: Path) -> None:
        one = member(tmp_path, "one", "[project.optional-dependencies]\nFast_One = []\nb = []\n")
        assert one.extras(["fast-one", "c", "B"]) == ("fast-one", "B")
        assert one.requirement(["b", "c"]) == f"one[b] @ {tmp_path.as_uri()}"
        assert one.requirement(["c"]) == f"one @ {tmp_path.as_uri()}"

    @pytest.mark.parametrize("more", ['dynamic = ["optional-dependencies"]\n', "optional-dependencies = 7\n"])
    def test_extras_that_only_the_backend_knows(self, more: str, tmp_path: Path) -> None:
        one = member(tmp_path, "one", more)
        assert declared_extras(tmp_path) is None
        assert one.extras(["a", "b"]) == ("a", "b")

    def test_groups(self, tmp_path: Path) -> None:
        one = member(tmp_path / "1", "one", '[dependency-groups]\nProd = ["leaf"]\nboth = ["branch"]\n')
        two = member(tmp_path / "2", "two", '[dependency-groups]\nboth = ["sour"]\n')
        assert one.groups(["prod", "both", "c"]) == ("prod", "both")
        found = read_groups_of(one.folder, [two], ["prod", "both"])
        assert list(map(str, found)) == ["leaf", "branch", "sour"]
        with pytest.raises(UsageError, match=re.escape("one and two have no dependency group c, d")):
            read_groups_of(one.folder, [two], ["both", "c", "d"])

    def test_groups_of_a_project_alone(self, tmp_path: Path) -> None:
        one = member(tmp_path, "one", '[dependency-groups]\nprod = ["leaf"]\n')
        with pytest.raises(UsageError, match="'c' not found"):
            read_groups_of(one.folder, [], ["c"])
