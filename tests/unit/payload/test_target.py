from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest

from platter_setuptools.payload import host, manifest
from platter_setuptools.payload.errors import BundleError
from platter_setuptools.payload.target import Target, best, pythons
from support import handmade

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = host.Host("cpython", (3, 11, 4), "cp311", False, False, "linux_x86_64", glibc=(2, 36))
CP311 = Target("cpython", "3.11", "cp311", "linux_x86_64", "cpython-311", "00", False, False)
CP313 = CP311._replace(python="3.13", abi="cp313", cache_tag="cpython-313")
FREE = CP313._replace(abi="cp313t", free_threaded=True)
ARM = CP311._replace(platform="linux_aarch64")
MUSL = CP311._replace(platforms=("musllinux_1_2_x86_64",), libc="musl 1.2")
NEWER = CP311._replace(platforms=("manylinux_2_39_x86_64",), libc="glibc 2.39")
OLDER = CP311._replace(platforms=("manylinux_2_28_x86_64",), libc="glibc 2.28")
DEBUG = CP311._replace(abi="cp311d", debug=True)


@pytest.mark.parametrize(
    ("targets", "here", "expected"),
    [
        ([CP313, CP311], {}, CP311),
        ([CP311, CP313], {"python": (3, 13, 0), "abi": "cp313"}, CP313),
        ([CP313, FREE], {"python": (3, 13, 0), "abi": "cp313t", "free_threaded": True}, FREE),
        ([ARM, CP311], {}, CP311),
        ([CP311, ARM], {"platform": "linux_aarch64"}, ARM),
        ([CP313, ARM], {}, ARM),  # the Python counts most
        ([MUSL, OLDER], {}, OLDER),
        ([OLDER, MUSL], {"glibc": None, "musl": (1, 2)}, MUSL),
        ([NEWER, OLDER], {}, OLDER),
        ([OLDER, CP311], {}, OLDER),
        ([CP311, DEBUG], {"debug": True, "abi": "cp311d"}, DEBUG),
        ([DEBUG, CP311], {}, CP311),
        ([CP311._replace(requires_python=">=3.11.5"), OLDER], {}, OLDER),
    ],
)
def test_the_best(targets: list[Target], here: dict[str, Any], expected: Target) -> None:
    assert best(targets, HERE._replace(**here)) is expected


def test_what_install_sh_reads() -> None:
    assert pythons([CP313, CP311, CP313]) == "3.13 3.11"
    assert pythons([CP311, FREE]) == "3.11 3.13t"
    assert pythons([ARM, CP311]) == "3.11@linux_aarch64 3.11@linux_x86_64"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> handmade.Bundle:
    folder = tmp_path_factory.mktemp("several")
    wheels = [handmade.wheel(folder, one) for one in ("app", "both", "old", "new")]
    wheels.append(handmade.wheel(folder, "new", "2.0"))
    app, both, old, new, newer = (path.name for path in wheels)
    targets = [
        {"wheels": [old, both, new, app], "requires_python": ">=3.8"},
        {"python": "3.99", "abi": "cp399", "magic": "00", "wheels": [both, newer, app]},
    ]
    none = tmp_path_factory.mktemp("none")
    return handmade.bundle(folder, wheels, bootstrap=none, bytecode=True, targets=targets)


def test_a_target_takes_its_wheels(made: handmade.Bundle) -> None:
    whole = manifest.read(str(made.path))
    mine, other = map(whole.for_target, whole.targets)
    assert [(one.name, one.version) for one in mine.wheels] == [(n, "1.0") for n in ("old", "both", "new", "app")]
    assert [(one.name, one.version) for one in other.wheels] == [("both", "1.0"), ("new", "2.0"), ("app", "1.0")]
    assert mine.wheels[0].bytecode == f"bytecode/old-1.0-py3-none-any.{handmade.running_target()['cache_tag']}.zip"
    assert mine.wheels[0].bytecode_record_sha256
    assert {one.bytecode for one in other.wheels} == {None}
    assert mine.installed_size == sum(one.installed_size for one in mine.wheels)
    assert (mine.requires_python, other.requires_python) == (">=3.8", None)
    assert [one.python for one in other.targets] == ["3.99", mine.targets[0].python]
    assert len(whole.files) == 5 + 4


def remove(data: Any) -> None:
    data["targets"][1]["wheels"].pop(1)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda data: data["targets"][0]["wheels"].append("new-2.0-py3-none-any.whl"), "new is bundled twice"),
        (lambda data: data["targets"][0]["wheels"].append("x.whl"), r"targets\[0\]: x.whl is not among its wheels"),
        (lambda data: data["targets"][0].pop("wheels"), r"targets\[0\]: .* is not among its wheels"),
        (lambda data: data["targets"][1].pop("wheels"), r"targets\[1\]: it has no wheels"),
        (remove, "no target takes new-2.0-py3-none-any.whl"),
        (lambda data: data["targets"][0]["bytecode"][0].update(wheel="x.whl"), "x.whl is not among its wheels"),
        (lambda data: data["targets"][0]["bytecode"][0].update(file="x.zip"), "file: expected a zip file's path"),
        (lambda data: data["targets"][0].update(id="cp312-any"), "id: expected cp311-"),
        (lambda data: data["targets"][0].update(libc="bionic"), "libc: expected another form"),
        (lambda data: data["targets"][0].update(markers={"a": 1}), "markers: expected strings"),
        (lambda data: data["targets"][0].update(platforms=["a/b"]), "platforms: expected tags"),
        (lambda data: data["targets"][0].update(requires_python="3"), "requires_python: expected version spec"),
        (lambda data: data["targets"].append(data["targets"][0]), "a target is named twice"),
        (lambda data: data["wheels"].append(data["wheels"][0]), "a file is named twice"),
        (lambda data: data.update(pythons="3.99"), "pythons: expected '3.11 3.99'"),
        (lambda data: data.pop("pythons"), "pythons: expected '3.11 3.99'"),
    ],
)
def test_refused(made: handmade.Bundle, change: Callable[[Any], None], text: str) -> None:
    data = copy.deepcopy(made.info)
    change(data)
    python = handmade.running_target()["python"]
    with pytest.raises(
        BundleError, match=text.replace("3.11", python).replace("cp311", "cp" + python.replace(".", ""))
    ):
        manifest.parse(data)


def test_pythons_is_on_a_line_of_its_own(made: handmade.Bundle) -> None:
    text = json.dumps(made.info, indent=2)
    assert manifest.load(text.encode())
    with pytest.raises(BundleError, match="python and pythons: expected it on a line of its own"):
        manifest.load(text.replace('  "pythons"', '"pythons"').encode())
