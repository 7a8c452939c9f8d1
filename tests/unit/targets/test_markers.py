"""Markers of a target of which not everything is known."""

from __future__ import annotations

import pytest
from packaging.markers import Marker

from platter_setuptools.errors import DependencyError
from platter_setuptools.targets.description import from_name
from platter_setuptools.targets.markers import evaluate

TARGET = from_name("cp312-manylinux_2_28_aarch64")


@pytest.mark.parametrize(
    ("marker", "holds"),
    [
        ("platform_machine == 'aarch64'", True),
        ("sys_platform == 'darwin' and platform_release >= '20'", False),
        ("sys_platform == 'linux' or platform_release >= '20'", True),
        ("sys_platform == 'win32' and (platform_release >= '20' or 'x' in platform_version)", False),
        ("python_version < '3.13' or platform_version not in 'a b'", True),
        ("platform_machine == 'platform_release >= 3'", False),
    ],
)
def test_decided_by_what_is_known(marker: str, holds: bool) -> None:
    assert evaluate(Marker(marker), TARGET.environment, "it") is holds


@pytest.mark.parametrize(
    ("marker", "name"),
    [
        ("platform_release >= '20'", "platform_release"),
        ("platform_release < '20'", "platform_release"),
        ("'20' <= platform_release", "platform_release"),
        ("'Ubuntu' in platform_version", "platform_version"),
        ("'Ubuntu' not in platform_version", "platform_version"),
        ('platform_version == "a\'b"', "platform_version"),
        ("sys_platform == 'linux' and platform_release != '20'", "platform_release"),
        ("sys_platform == 'win32' or platform_release == '20'", "platform_release"),
        ("platform_release >= '5' and platform_version == 'x'", "platform_release"),
    ],
)
def test_depends_on_what_is_not_known(marker: str, name: str) -> None:
    with pytest.raises(
        DependencyError, match=f"whether dep is required cannot be said: {name} of the target"
    ) as caught:
        evaluate(Marker(marker), TARGET.environment, "dep")
    assert "--describe" in str(caught.value.hint)


def test_everything_is_known() -> None:
    known = {**TARGET.environment, "platform_release": "6.1", "platform_version": "#1 SMP"}
    assert evaluate(Marker("platform_release >= '6'"), known, "it")
