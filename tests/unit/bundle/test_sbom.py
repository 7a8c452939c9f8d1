"""The bill of materials: what leads to what, under extras, markers and circles; licences as CycloneDX wants them."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.utils import canonicalize_name

from platter_setuptools.bundle.manifest import Manifest
from platter_setuptools.bundle.sbom import bill_of_materials
from platter_setuptools.wheels.check import Asked
from support.fakes import described, target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from platter_setuptools.wheels.check import WheelWithMetadata

NONE: Mapping[str, str] = {}
STEM = "app-1.0-linux-x86_64"


def bill(
    *wheels: WheelWithMetadata, extras: Mapping[str, str] = NONE, licence: str = "", version: str = ""
) -> dict[str, Any]:
    """The bill of a bundle whose project is the first wheel; each name in `extras` has one that is asked for."""
    named = [
        dataclasses.replace(one, description=dataclasses.replace(one.description, licence=licence)) for one in wheels
    ]
    here = target(version=version) if version else target()
    manifest = Manifest(project=named[0], wheels=named, bytecode={}, target=here)
    asked = {canonicalize_name(name): frozenset([extra]) for name, extra in extras.items()}
    member = bill_of_materials(STEM, [manifest], [Asked(extras=asked)])
    text = (member.content or b"").decode()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    found: dict[str, Any] = json.loads(text)
    return found


def graph(found: dict[str, Any]) -> dict[str, list[str]]:
    """By names, the bundle's own being empty."""
    names = {one["bom-ref"]: one["name"] for one in found["components"]}
    return {names.get(one["ref"], ""): [names[ref] for ref in one["dependsOn"]] for one in found["dependencies"]}


def test_extras_are_followed_where_they_are_asked_for() -> None:
    wheels = [
        described("app-1.0-py3-none-any.whl", "web[fast]", 'metrics; extra == "watched"', extras=["watched"]),
        described("web-1.0-py3-none-any.whl", 'speed; extra == "fast"', 'unused; extra == "other"'),
        described("speed-1.0-py3-none-any.whl"),
        described("metrics-1.0-py3-none-any.whl"),
    ]
    found = graph(bill(*wheels, extras={"app": "watched"}))
    assert found == {"": ["app"], "app": ["metrics", "web"], "metrics": [], "speed": [], "web": ["speed"]}
    # Not asked for, it is there for no reason that the project has.
    assert graph(bill(*wheels))[""] == ["app", "metrics"]


def test_what_only_some_patch_releases_need() -> None:
    wheels = [
        described("app-1.0-py3-none-any.whl", 'old; python_full_version < "3.11.3"', 'new; python_version > "3.99"'),
        described("old-1.0-py3-none-any.whl"),
    ]
    assert graph(bill(*wheels, version="3.11"))["app"] == ["old"]


def test_circles_and_roots() -> None:
    wheels = [
        described("app-1.0-py3-none-any.whl", "one"),
        described("one-1.0-py3-none-any.whl", "two", "one[more]"),
        described("two-1.0-py3-none-any.whl", "one"),
        described("beside-1.0-py3-none-any.whl", "below", "two"),
        described("below-1.0-py3-none-any.whl"),
        described("left-1.0-py3-none-any.whl", "right"),
        described("right-1.0-py3-none-any.whl", "left"),
    ]
    found = graph(bill(*wheels))
    assert found[""] == ["app", "beside", "left"]
    assert found["one"] == ["two"]


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("MIT", {"expression": "MIT"}),
        ("mit or apache-2.0", {"expression": "MIT OR Apache-2.0"}),
        ("BSD License", {"license": {"name": "BSD License"}}),
        ("", None),
    ],
)
def test_licences(licence: str, expected: dict[str, Any] | None) -> None:
    (component,) = bill(described("app-1.0-py3-none-any.whl"), licence=licence)["components"]
    assert component.get("licenses") == (expected and [expected])


def test_versions_that_a_url_cannot_hold() -> None:
    (component,) = bill(described("app-1!2.0+cu12-py3-none-any.whl"))["components"]
    assert component["purl"] == "pkg:pypi/app@1%212.0%2Bcu12"


def test_the_same_wheels_have_the_same_bill_in_any_order() -> None:
    app, other = described("app-1.0-py3-none-any.whl", "other"), described("other-1.0-py3-none-any.whl")
    here = target()
    one, two = (
        bill_of_materials(STEM, [Manifest(project=app, wheels=wheels, bytecode={}, target=here)], [Asked()])
        for wheels in ([app, other], [other, app])
    )
    assert one == two
    assert not {"serialNumber", "timestamp"} & {
        *json.loads(one.content or b""),
        *json.loads(one.content or b"")["metadata"],
    }
