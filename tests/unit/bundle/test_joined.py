"""The metadata of a bundle for several targets, joined from theirs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from platter_setuptools.bundle.joined import info, pylock
from platter_setuptools.bundle.manifest import Manifest, stem
from platter_setuptools.bundle.sbom import bill_of_materials, read_bill
from platter_setuptools.errors import DependencyError
from platter_setuptools.payload import manifest as installer
from platter_setuptools.resolve.lock import parse_lock
from platter_setuptools.targets.description import from_name
from platter_setuptools.values import Bytecode
from platter_setuptools.wheels.check import Asked
from support.fakes import described

if TYPE_CHECKING:
    from platter_setuptools.targets.target import Target
    from platter_setuptools.wheels.check import WheelWithMetadata

INTEL, ARM = from_name("cp311-manylinux_2_28_x86_64"), from_name("cp313-manylinux_2_28_aarch64")
MUSL = from_name("cp311-musllinux_1_2_x86_64")
APP, BOTH = described("app-1.0-py3-none-any.whl", "both", "fast"), described("both-2.0-py3-none-any.whl")
FAST = described("fast-1.0-cp311-cp311-manylinux_2_28_x86_64.whl")
FAST_ARM = described("fast-1.0-cp313-cp313-manylinux_2_17_aarch64.whl")
OLD = described("old-1.0-py3-none-any.whl")


def manifest(target: Target, *wheels: WheelWithMetadata, compiled: bool = True) -> Manifest:
    tag = f"cpython-{target.version.replace('.', '')}"
    code = Bytecode(path=Path("x.zip"), sha256="c" * 64, size=100, record_sha256="d" * 64)
    return Manifest(
        project=APP,
        wheels=[*wheels, APP],
        bytecode={one.wheel: code for one in (*wheels, APP)} if compiled else {},
        target=dataclasses.replace(target, cache_tag=tag, magic="aa0d0d0a"),
    )


SEVERAL = [manifest(ARM, BOTH, FAST_ARM, compiled=False), manifest(INTEL, OLD, BOTH, FAST)]


def test_names() -> None:
    targets = [one.target for one in SEVERAL]
    assert stem(APP.wheel, targets, with_python=False) == "app-1.0-linux-aarch64.linux-x86_64"
    assert stem(APP.wheel, targets, with_python=True) == "app-1.0-cp311.cp313-linux-aarch64.linux-x86_64"


def test_info() -> None:
    told = info(SEVERAL)
    assert (told["platform"], told["python"]) == ("linux-aarch64.linux-x86_64", "3.13")
    assert told["pythons"] == "3.13@linux_aarch64 3.11@linux_x86_64"
    assert [one["id"] for one in told["targets"]] == [ARM.id, INTEL.id]
    assert [one["libc"] for one in told["targets"]] == ["glibc 2.28", "glibc 2.28"]
    names = [one.wheel.filename for one in (BOTH, FAST, FAST_ARM, OLD, APP)]
    assert [one["file"] for one in told["wheels"]] == names
    assert {one["bytecode"] for one in told["wheels"]} == {None}
    assert told["targets"][0]["bytecode"] == []
    plan = installer.load((json.dumps(told, indent=2) + "\n").encode())
    arm, intel = map(plan.for_target, plan.targets)
    assert [one.file for one in arm.wheels] == [one.wheel.filename for one in (BOTH, FAST_ARM, APP)]
    for part, alone in ((arm, SEVERAL[0]), (intel, SEVERAL[1])):
        expected = installer.parse(alone.info())
        assert part.wheels == expected.wheels
        assert (part.installed_size, part.installed_files) == (expected.installed_size, expected.installed_files)


def test_what_releases_share_is_the_same_for_all_targets() -> None:
    assert "shared" not in info(SEVERAL)
    told = info([dataclasses.replace(one, shared=("media/", "app.env")) for one in SEVERAL])
    assert told["shared"] == ["app.env", "media/"]
    plan = installer.load((json.dumps(told, indent=2) + "\n").encode())
    assert [plan.for_target(target).shared for target in plan.targets] == [("app.env", "media/")] * 2


def test_one_target_has_what_it_always_had() -> None:
    told = info(SEVERAL[1:])
    assert "pythons" not in told
    assert not {"wheels", "bytecode", "requires_python"} & told["targets"][0].keys()
    assert told["wheels"][0]["bytecode"]


def test_the_lock_selects_for_each() -> None:
    data = pylock(SEVERAL)
    assert [(one["name"], "marker" in one) for one in data["packages"]] == [
        ("app", False), ("both", False), ("fast", False), ("old", True)
    ]  # fmt: skip
    lock = parse_lock(data, base=Path("/"), where="it")
    for one in SEVERAL:
        taken = {getattr(artifact, "filename", "") for _, artifact in lock.select(one.target)}
        assert taken == {wheel.filename for wheel in one.in_order}


def test_a_wheel_that_fits_the_other_target_too_is_not_taken_by_it() -> None:
    newer = from_name("cp313-manylinux_2_28_x86_64")
    abi3, own = described("fast-1.0-cp311-abi3-manylinux_2_28_x86_64.whl"), described("fast-1.0-py3-none-any.whl")
    data = pylock([manifest(INTEL, abi3), manifest(newer, own)])
    assert [one["name"] for one in data["packages"]] == ["app", "fast", "fast"]


def test_targets_that_a_lock_cannot_tell_apart() -> None:
    assert pylock([manifest(INTEL, BOTH), manifest(MUSL, BOTH)])["packages"]
    with pytest.raises(DependencyError, match="cannot be in one bundle") as caught:
        pylock([manifest(INTEL, BOTH, OLD), manifest(MUSL, BOTH)])
    assert "build a bundle for each" in str(caught.value.hint)


def test_the_bill_tells_the_targets() -> None:
    member = bill_of_materials("app-1.0-linux-aarch64.linux-x86_64", SEVERAL, [Asked(), Asked()])
    bill: dict[str, Any] = json.loads(member.content or b"")
    told = {
        one["bom-ref"]: [each["value"] for each in one.get("properties", []) if each["name"] == "platter:target"]
        for one in bill["components"]
    }
    assert told == {
        "pkg:pypi/app@1.0": [],
        "pkg:pypi/both@2.0": [],
        f"pkg:pypi/fast@1.0#{FAST.wheel.filename}": [INTEL.id],
        f"pkg:pypi/fast@1.0#{FAST_ARM.wheel.filename}": [ARM.id],
        "pkg:pypi/old@1.0": [INTEL.id],
    }
    graph = read_bill(member.content or b"").graph
    assert len(graph["pkg:pypi/app@1.0"]) == 3
