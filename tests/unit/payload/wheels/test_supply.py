"""Which release can give a wheel: one that was installed from the same one, by hashes of the new bundle."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.payload import manifest
from platter_setuptools.payload.wheels import kept
from platter_setuptools.payload.wheels.supply import providers
from support import handmade, shelf

if TYPE_CHECKING:
    from pathlib import Path

    from platter_setuptools.payload.wheels.released import Provider
    from support.shelf import Release

WHEEL = "dep-1.0-py3-none-any.whl"


@pytest.fixture
def made(tmp_path: Path) -> handmade.Bundle:
    (tmp_path / "none").mkdir()
    tool = handmade.Member(name="dep/tool", mode=handmade.EXECUTABLE)
    wheel = handmade.wheel(tmp_path, "dep", files={"dep/mod.py": "x = 1\n"}, extra=[tool])
    return shelf.bundle(tmp_path, "1.0", [wheel], bootstrap=tmp_path / "none")


@pytest.fixture
def releases(made: handmade.Bundle, tmp_path: Path) -> list[Release]:
    return [shelf.install(made, tmp_path / name) for name in ("new", "old")]


def found(made: handmade.Bundle, *releases: Release, bytecode: bool = True) -> dict[str, Provider]:
    plan = manifest.read(str(made.path))
    return providers([str(one.path) for one in releases], plan.wheels, bytecode=bytecode)


def test_the_first_release_gives_it(made: handmade.Bundle, releases: list[Release]) -> None:
    code = made.info["wheels"][1]["bytecode"]
    gives = found(made, *releases)
    assert {name for name in gives if "dep" in name} == {WHEEL, code}
    assert {one.release for one in gives.values()} == {str(releases[0].path)}
    assert gives[WHEEL].executables == ("dep/tool",)
    assert {name for name, one in gives.items() if not one.shared} == {name for name in gives if "app-" in name}
    assert code not in found(made, *releases, bytecode=False)


@pytest.mark.parametrize("damage", ["index", "RECORD", "executables", "gone"])
def test_the_second_if_the_first_cannot(damage: str, made: handmade.Bundle, releases: list[Release]) -> None:
    folder = releases[0].path / kept.FOLDER
    entry = made.info["wheels"][1]
    if damage == "index":
        (folder / kept.INDEX).write_text("{}")
    elif damage == "RECORD":
        (folder / f"{entry['record_sha256']}.RECORD").write_text("dep/evil.py,,\n")
    elif damage == "executables":
        index = json.loads((folder / kept.INDEX).read_text())
        for one in index["wheels"]:
            one["executables"] = []
        (folder / kept.INDEX).write_text(json.dumps(index))
    else:
        (folder / f"{entry['record_sha256']}.RECORD").unlink()
    assert found(made, *releases)[WHEEL].release == str(releases[1].path)
    assert WHEEL not in found(made, releases[0])


def test_another_wheel_is_not_given(releases: list[Release], tmp_path: Path) -> None:
    other = handmade.wheel(tmp_path / "other", "dep", files={"dep/mod.py": "x = 2\n"})
    bundle = shelf.bundle(tmp_path / "other", "1.0", [other], bootstrap=tmp_path / "none")
    assert not [name for name in found(bundle, *releases) if "dep" in name]


def test_a_bundle_without_these_hashes_is_given_nothing(made: handmade.Bundle, releases: list[Release]) -> None:
    for entry in made.info["wheels"]:
        for key in ("record_sha256", "executables_sha256", "bytecode_record_sha256"):
            entry.pop(key)
    made.seal()
    assert found(made, *releases) == {}
