from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from platter_setuptools.payload import manifest
from platter_setuptools.payload.errors import BundleError
from support import handmade

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> handmade.Bundle:
    folder = tmp_path_factory.mktemp("manifest")
    wheels = [handmade.wheel(folder, "one"), handmade.wheel(folder, "two")]
    return handmade.bundle(folder, wheels, bootstrap=tmp_path_factory.mktemp("none"))


def test_reads_what_a_bundle_holds(made: handmade.Bundle) -> None:
    plan = manifest.read(str(made.path))
    assert plan.title == "one 1.0"
    assert [wheel.name for wheel in plan.wheels] == ["one", "two"]
    assert [wheel.requested for wheel in plan.wheels] == [True, False]
    assert plan.targets[0].implementation == "cpython"


def remove(*path: str | int) -> Callable[[Any], None]:
    def change(data: Any) -> None:
        for key in path[:-1]:
            data = data[key]
        del data[path[-1]]

    return change


def put(value: object, *path: str | int) -> Callable[[Any], None]:
    def change(data: Any) -> None:
        for key in path[:-1]:
            data = data[key]
        data[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (remove("name"), "name"),
        (remove("wheels", 1, "sha256"), r"wheels\[1\]: sha256"),
        (put(2, "format"), "format 2"),
        (put([], "targets"), "targets"),
        (put("x", "wheels"), "wheels"),
        (put(["x"], "wheels"), r"wheels\[0\]: not a JSON object"),
        (put(True, "installed_size"), "installed_size"),
        (put(1, "wheels", 0, "requested"), "requested"),
        (put("HEAD", "revision"), "revision: expected a git commit"),
        (put(7, "revision"), "revision"),
        (put("../x.whl", "wheels", 0, "file"), "file"),
        (put("x.zip", "wheels", 0, "file"), "file"),
        (put("/etc/x.zip", "wheels", 0, "bytecode"), "could leave"),
        (put("One", "wheels", 1, "name"), "one is bundled twice"),
        (put(5, "requires_python"), "requires_python"),
        (put(2.34, "wheels", 0, "libc"), r"wheels\[0\]: libc"),
        (put("libpq.so.5", "wheels", 0, "libraries"), r"wheels\[0\]: libraries"),
        (put(["libpq.so.5", 5], "wheels", 1, "libraries"), r"wheels\[1\]: libraries: expected strings"),
    ],
)
def test_refuses_what_is_not_one(made: handmade.Bundle, change: Callable[[Any], None], where: str) -> None:
    data = copy.deepcopy(made.info)
    change(data)
    with pytest.raises(BundleError, match=where):
        manifest.parse(data)


def test_unreadable(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="cannot be read"):
        manifest.read(str(tmp_path))
    (tmp_path / "info.json").write_text("{")
    with pytest.raises(BundleError, match="cannot be read"):
        manifest.read(str(tmp_path))
