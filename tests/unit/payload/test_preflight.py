from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.payload import host, manifest, preflight
from platter_setuptools.payload.destination import Destination
from platter_setuptools.payload.errors import DestinationError, HostError, PythonError

if TYPE_CHECKING:
    from pathlib import Path

HERE = host.Host("cpython", (3, 11, 4), "cp311", False, False, "linux_x86_64", glibc=(2, 36))
TARGET = manifest.Target("cpython", "3.11", "cp311", "linux_x86_64", "cpython-311", "00000000", False, False)
PLAN = manifest.Manifest("app", "1.0", "linux-x86_64", ">=3.9", (TARGET,), (), 1000, 10)


def examine(
    tmp_path: Path, plan: manifest.Manifest = PLAN, here: host.Host = HERE, name: str = "dst", *, force: bool = False
) -> list[preflight.Finding]:
    return preflight.examine(plan, here, Destination(str(tmp_path / name), ""), "/bundle", force=force)


def wheel(file: str) -> manifest.BundledWheel:
    return manifest.BundledWheel(file, "x", "1", "", 1, False, None)


def test_nothing_found(tmp_path: Path) -> None:
    assert examine(tmp_path) == []
    assert not list(tmp_path.iterdir())


def test_findings_of_every_kind(tmp_path: Path) -> None:
    plan = PLAN._replace(
        installed_size=2**60,
        installed_files=2**50,
        wheels=tuple(wheel(f"a{n}-1-cp310-cp310-any.whl") for n in range(9)),
    )
    (tmp_path / "dst").touch()
    findings = examine(tmp_path, plan)
    kinds = [finding.kind for finding in findings]
    assert kinds.count(HostError) >= 10
    assert kinds[-1] is DestinationError
    error = preflight.report(findings, "app")
    assert isinstance(error, HostError)
    assert "wheel: 1 more do not fit" in error.message
    assert error.message.count("\n") == len(findings)


def test_python_decides_first(tmp_path: Path) -> None:
    (tmp_path / "dst").touch()
    findings = examine(tmp_path, here=HERE._replace(python=(3, 8, 1)))
    assert isinstance(preflight.report(findings, "app"), PythonError)


def test_a_debug_build_serves_the_ordinary_target(tmp_path: Path) -> None:
    assert examine(tmp_path, here=HERE._replace(debug=True, abi="cp311d")) == []


def test_one_of_several_targets(tmp_path: Path) -> None:
    plan = PLAN._replace(targets=(TARGET._replace(python="3.9"), TARGET))
    assert examine(tmp_path, plan) == []
    assert preflight.target_for(plan, HERE) == TARGET


@pytest.mark.parametrize("flag", ["ST_RDONLY", "ST_NOEXEC"])
def test_mount_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flag: str) -> None:
    real = os.statvfs(tmp_path)
    flags = getattr(os, flag)

    class Mounted:
        f_flag = flags

        def __getattr__(self, name: str) -> int:
            return int(getattr(real, name))

    monkeypatch.setattr(os, "statvfs", lambda _: Mounted())
    (finding,) = examine(tmp_path)
    assert finding.kind is HostError
    assert "mounted" in finding.text


@pytest.mark.parametrize("name", ["a:b", "a\nb", "a\x7fb", "bad\udcffbyte", "x" * 3990])
def test_paths(tmp_path: Path, name: str) -> None:
    findings = examine(tmp_path, name=name)
    assert {finding.kind for finding in findings} == {DestinationError}
    str(preflight.report(findings, "app")).encode("utf-8", "surrogateescape")


def test_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (finding,) = examine(tmp_path, name="file/dst")
    assert finding.kind is DestinationError


def test_forced_over_what_holds_the_bundle(tmp_path: Path) -> None:
    (tmp_path / "dst" / "bundle").mkdir(parents=True)
    destination = Destination(str(tmp_path / "dst"), "")
    found = preflight.examine(PLAN, HERE, destination, str(tmp_path / "dst" / "bundle"), force=True)
    assert [finding.kind for finding in found] == [DestinationError]
    found = preflight.examine(PLAN, HERE, Destination("/", ""), "/bundle", force=True)
    assert DestinationError in [finding.kind for finding in found]


def test_host() -> None:
    found = host.examine()
    assert found.abi.startswith(found.interpreter)
    assert found.libc != "unknown libc"
