from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.payload import host

if TYPE_CHECKING:
    from pathlib import Path


def test_this_one() -> None:
    found = host.examine()
    assert found.abi.startswith(found.interpreter)
    assert found.libc != "unknown libc"


def test_another_interpreter_tells_the_same() -> None:
    done = subprocess.run([sys.executable, "-I", "-S", host.__file__], check=True, capture_output=True, text=True)
    assert host.decoded(done.stdout) == host.examine()


@pytest.mark.parametrize("text", ["", "3.7", "[]", "{}", json.dumps({"python": [3, 11, 4]})])
def test_something_else_is_told(text: str) -> None:
    with pytest.raises(ValueError):
        host.decoded(text)


@pytest.mark.parametrize(
    ("libc", "wanted", "expected"),
    [
        ("glibc 2.36", "glibc 2.36", True),
        ("glibc 2.36", "glibc 2.9", True),
        ("glibc 2.9", "glibc 2.36", False),
        ("musl 1.2", "musl", True),
        ("musl 1.1", "musl 1.2", True),
        ("musl 1.2", "glibc 2.2", False),
        ("glibc 2.36", "musl", False),
        ("unknown libc", "glibc 2.2", False),
        ("macOS 15.1", "macOS 14.2", True),
    ],
)
def test_serves(libc: str, wanted: str, expected: bool) -> None:
    assert host.serves(libc, wanted) is expected


def no_glibc(_name: str) -> str:
    raise ValueError("unrecognized configuration name")


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux's loaders")
def test_musl_is_asked_for_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "confstr", no_glibc)
    monkeypatch.setattr(host, "_MUSL_LOADERS", str(tmp_path / "ld-musl-*.so.1"))
    assert host.examine().libc == "unknown libc"
    (tmp_path / "ld-musl-a.so.1").write_text("not to be started")
    loader = tmp_path / "ld-musl-b.so.1"
    loader.write_text(
        "#!/bin/sh\nprintf 'musl libc (x86_64)\\nVersion 1.2.4\\nDynamic Program Loader\\n' >&2\nexit 1\n"
    )
    loader.chmod(0o755)
    found = host.examine()
    assert (found.glibc, found.musl, found.libc) == (None, (1, 2), "musl 1.2")


def test_a_32_bit_interpreter_under_a_64_bit_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysconfig, "get_platform", lambda: "linux-x86_64")
    assert host.examine().platform == "linux_x86_64"
    monkeypatch.setattr(sys, "maxsize", 2**31 - 1)
    assert host.examine().platform == "linux_i686"


@pytest.mark.parametrize(
    ("debug", "free_threaded", "suffix"),
    [(False, False, ""), (True, False, "d"), (False, True, "t"), (True, True, "td")],
)
def test_builds_of_cpython(debug: bool, free_threaded: bool, suffix: str) -> None:
    version = "cp{}{}".format(*sys.version_info)
    assert host._abi("cpython", debug=debug, free_threaded=free_threaded) == version + suffix
