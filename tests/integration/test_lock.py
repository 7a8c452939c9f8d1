"""A lock that is given: nothing is resolved, and everything is checked."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from support import projects
from support.front_ends import info, unpack, wheels

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.front_ends import Yard
    from support.index import Index


def entry(shelf: Path, index: Index, name: str, *, sha256: str = "") -> str:
    (wheel,) = shelf.glob(f"{name}-1.0-*.whl")
    digest = sha256 or hashlib.sha256(wheel.read_bytes()).hexdigest()
    url = f"{index.url.removesuffix('simple/')}files/{wheel.name}"
    return (
        f'[[packages]]\nname = "{name}"\nversion = "1.0"\n'
        f'wheels = [{{ url = "{url}", hashes = {{ sha256 = "{digest}" }} }}]\n'
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return projects.hello(tmp_path / "project")


def locked(folder: Path, *entries: str) -> Path:
    path = folder / "pylock.toml"
    path.write_text('lock-version = "1.0"\ncreated-by = "a test"\n' + ("".join(entries) or "packages = []\n"))
    return path


def test_the_lock_of_a_bundle_makes_it_again_and_only_tools_are_asked_for(
    yard: Yard, project: Path, tmp_path: Path, own_caches: dict[str, str], open_index: Callable[[], Index]
) -> None:
    index = open_index()
    environ = {"PIP_INDEX_URL": index.url, **own_caches}
    first = yard.command(project, **environ)
    lock = unpack(first, tmp_path / "unpacked") / "data" / "pylock.toml"
    before = first.read_bytes()
    index.requests.clear()
    again = yard.command(project, f"--lock={lock}", **environ)
    assert again.read_bytes() == before
    asked = {request.removeprefix("/simple/").strip("/") for request in index.requests}
    assert "virtualenv" in asked
    assert "leaf" not in asked  # nor any other that the lock has
    assert yard.say(again) == "hello from leaf 2.0"


def test_what_the_lock_lacks_is_listed(yard: Yard, project: Path) -> None:
    said = yard.refuse(5, project, f"--lock={locked(project)}")
    assert "hello 1.0 requires leaf, which is missing" in said
    assert "lock again" in said


def test_entries_for_other_targets_are_left_out(yard: Yard, project: Path, shelf: Path, index: Index) -> None:
    never = entry(shelf, index, "alpha").replace("version =", "marker = \"sys_platform == 'win32'\"\nversion =", 1)
    artifact = yard.build(project, f"--lock={locked(project, never, entry(shelf, index, 'leaf'))}", "--no-pip")
    assert {*wheels(artifact)} == {"hello", "leaf"}
    assert info(artifact)["wheels"][-1]["requested"]


def test_a_wrong_hash(yard: Yard, project: Path, shelf: Path, index: Index, tmp_path: Path) -> None:
    lock = locked(project, entry(shelf, index, "leaf", sha256="0" * 64))
    said = yard.refuse(5, project, f"--lock={lock}", f"--wheel-cache={tmp_path / 'wheels'}")
    assert "leaf-1.0-py3-none-any.whl" in said
    assert "0" * 64 in said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lock-version = ", "pylock.toml is not valid TOML"),
        ('lock-version = "1.0"\n', "pylock.toml is not a valid lock (PEP 751)"),
        ('lock-version = "1.0"\ncreated-by = "x"\n[[packages]]\nname = "A_b"\n', "packages[0].name"),
    ],
)
def test_what_is_no_lock(yard: Yard, project: Path, text: str, message: str) -> None:
    (project / "pylock.toml").write_text(text)
    assert message in yard.refuse(4, project, "--lock=pylock.toml")


def test_with_a_lock_nothing_else_says_what_goes_in(yard: Yard, project: Path) -> None:
    (project / "more.txt").write_text("alpha\n")
    said = yard.refuse(2, project, f"--lock={locked(project)}", "-r", "more.txt")
    assert "lock contradicts requirements and constraints" in said
