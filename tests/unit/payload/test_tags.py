"""The yes or no of the payload against packaging's lists of tags."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging import tags as reference

from platter_setuptools.payload import host, tags
from platter_setuptools.payload.host import Host

if TYPE_CHECKING:
    from collections.abc import Iterable

HERE = host.examine()
SUPPORTED = {str(tag) for tag in reference.sys_tags()}
MINORS = st.integers(0, 20)
INTERPRETERS = st.one_of(
    MINORS.map(lambda minor: f"cp3{minor}"),
    MINORS.map(lambda minor: f"py3{minor}"),
    st.sampled_from(["py3", "py2", "cp3", "pp311", "pp3", "py", "cp27", "py300", "py309", "cp3011", "ip311", ""]),
)
ABIS = st.one_of(
    MINORS.flatmap(lambda minor: st.sampled_from(["", "d", "t", "td", "m"]).map(lambda end: f"cp3{minor}{end}")),
    st.sampled_from(["none", "abi3", "abi3t", "pypy311_pp73", "abi4", ""]),
)
MACHINES = st.sampled_from(["x86_64", "i686", "aarch64", "armv7l", "ppc64le", "amd64", ""])
PLATFORMS = st.one_of(
    st.just("any"),
    MACHINES.map(lambda machine: f"linux_{machine}"),
    st.tuples(st.sampled_from(["manylinux1", "manylinux2010", "manylinux2014", "manylinux2015"]), MACHINES).map(
        "_".join
    ),
    st.tuples(
        st.sampled_from(["manylinux", "musllinux"]), st.integers(0, 3), st.one_of(st.integers(0, 60)), MACHINES
    ).map(lambda parts: "_".join(map(str, parts))),
    st.sampled_from(["win_amd64", "macosx_11_0_arm64", "manylinux_2_017_x86_64", "manylinux_2_17"]),
)


@given(INTERPRETERS, ABIS, PLATFORMS)
def test_same_verdict_as_packaging(interpreter: str, abi: str, platform: str) -> None:
    assert tags.fits(HERE, interpreter, abi, platform) == (f"{interpreter}-{abi}-{platform}" in SUPPORTED)


def test_every_tag_of_packaging_fits() -> None:
    assert [tag for tag in SUPPORTED if not tags.fits(HERE, *tag.split("-"))] == []


def linux(abi: str, minor: int, **facts: object) -> Host:
    base = Host("cpython", (3, minor, 0), abi, "d" in abi, "t" in abi, "linux_x86_64", glibc=(2, 36))
    return base._replace(**facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("minor", "abis"),
    [(8, ["cp38"]), (11, ["cp311d", "cp311"]), (13, ["cp313t"]), (14, ["cp314td", "cp314t"]), (12, ["cp312"])],
)
def test_other_builds_of_cpython(minor: int, abis: list[str]) -> None:
    platforms = ["linux_x86_64", "manylinux_2_17_x86_64"]
    expected = {
        str(tag)
        for tag in [
            *reference.cpython_tags((3, minor), abis, platforms),
            *reference.compatible_tags((3, minor), f"cp3{minor}", platforms),
        ]
    }
    some = linux(abis[0], minor)
    interpreters = ["py3", *(f"{kind}3{number}" for kind in ("cp", "py") for number in range(17))]
    tails = [f"cp3{number}{end}" for number in range(7, 16) for end in ("", "d", "t", "td")]
    for parts in itertools.product(interpreters, [*tails, "none", "abi3", "abi3t"], [*platforms, "any"]):
        assert tags.fits(some, *parts) == ("-".join(parts) in expected), parts


MAC_VERSIONS = [(10, 9), (10, 15), (10, 16), (11, 0), (12, 3), (14, 0), (26, 1)]


def mac_platforms() -> Iterable[str]:
    formats = ["x86_64", "arm64", "universal2", "intel", "fat64", "fat3", "universal", "ppc"]
    for major in (9, 10, 11, 12, 13, 14, 15, 26, 27):
        for minor in range(18):
            yield from (f"macosx_{major}_{minor}_{one}" for one in formats)


@pytest.mark.parametrize("version", MAC_VERSIONS)
@pytest.mark.parametrize("machine", ["x86_64", "arm64"])
def test_macs(version: tuple[int, int], machine: str) -> None:
    if machine == "arm64" and version < (11, 0):
        pytest.skip("there was no such machine")
    some = linux("cp311", 11, platform=f"macosx_11_0_{machine}", glibc=None, macos=version)
    expected = set(reference.mac_platforms(version, machine))
    for platform in mac_platforms():
        assert tags.platform_fits(some, platform) == (platform in expected), platform


def test_universal_python_on_a_mac(monkeypatch: pytest.MonkeyPatch) -> None:
    some = linux("cp311", 11, platform="macosx_10_9_universal2", glibc=None, macos=(14, 0))
    for machine, other in (("arm64", "x86_64"), ("x86_64", "arm64")):
        monkeypatch.setattr(tags, "_kernel_machine", lambda found=machine: found)
        assert tags.platform_fits(some, f"macosx_11_0_{machine}")
        assert not tags.platform_fits(some, f"macosx_11_0_{other}")


@pytest.mark.parametrize(
    ("facts", "platform", "expected"),
    [
        ({"glibc": (2, 31)}, "manylinux_2_31_x86_64", True),
        ({"glibc": (2, 31)}, "manylinux_2_32_x86_64", False),
        ({"glibc": (2, 31)}, "manylinux2014_x86_64", True),
        ({"glibc": (2, 10)}, "manylinux2010_x86_64", False),
        ({"glibc": (2, 36), "platform": "linux_aarch64"}, "manylinux2010_aarch64", False),
        ({"glibc": (2, 36), "platform": "linux_aarch64"}, "manylinux_2_17_aarch64", True),
        ({"glibc": (2, 36), "platform": "linux_mips"}, "manylinux_2_17_mips", False),
        ({"glibc": (2, 36), "platform": "linux_mips"}, "linux_mips", True),
        ({"glibc": None, "musl": (1, 2)}, "musllinux_1_1_x86_64", True),
        ({"glibc": None, "musl": (1, 2)}, "musllinux_1_2_x86_64", True),
        ({"glibc": None, "musl": (1, 2)}, "musllinux_1_3_x86_64", False),
        ({"glibc": None, "musl": (1, 2)}, "musllinux_2_0_x86_64", False),
        ({"glibc": None, "musl": (1, 2)}, "manylinux_2_17_x86_64", False),
        ({"glibc": None}, "linux_x86_64", True),
        ({"platform": "linux_armv7l", "multiarch": "arm-linux-gnueabihf"}, "manylinux_2_17_armv7l", True),
        ({"platform": "linux_armv7l", "multiarch": "arm-linux-gnueabi"}, "manylinux_2_17_armv7l", False),
        ({"platform": "linux_armv8l", "multiarch": "arm-linux-gnueabihf"}, "linux_armv7l", True),
        ({"platform": "freebsd_14_0_release_amd64", "glibc": None}, "freebsd_14_0_release_amd64", True),
        ({"platform": "freebsd_14_0_release_amd64", "glibc": None}, "linux_x86_64", False),
    ],
)
def test_other_machines(facts: dict[str, object], platform: str, expected: bool) -> None:
    assert tags.platform_fits(linux("cp311", 11, **facts), platform) is expected


def test_pypy() -> None:
    some = linux("pypy311_pp73", 11, implementation="pypy")
    assert tags.fits(some, "pp311", "pypy311_pp73", "linux_x86_64")
    assert tags.fits(some, "pp3", "none", "any")
    assert tags.fits(some, "py3", "none", "any")
    assert not tags.fits(some, "cp311", "abi3", "linux_x86_64")


def test_tags_of_a_wheel() -> None:
    assert tags.of_wheel("a-1.0-2-cp311.cp312-abi3-manylinux1_x86_64.linux_x86_64.whl") == [
        (interpreter, "abi3", platform)
        for interpreter in ("cp311", "cp312")
        for platform in ("manylinux1_x86_64", "linux_x86_64")
    ]
    assert tags.of_wheel("a-1.0.whl") == []
    assert tags.wheel_fits(HERE, "a-1.0-py2.py3-none-any.whl")
    assert not tags.wheel_fits(HERE, "a-1.0-py2-none-any.whl")
