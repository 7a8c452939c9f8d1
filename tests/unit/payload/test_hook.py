from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.payload import hook, inspection
from platter_setuptools.payload.errors import HookError, InstallError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("echo\n", ["sh", "-e"]),
        ("", ["sh", "-e"]),
        ("#!\n", ["sh", "-e"]),
        ("#!/bin/sh\n", ["/bin/sh"]),
        ("#! /bin/bash -eu -x \n", ["/bin/bash", "-eu -x"]),
        ("#!/usr/bin/env python3", ["/usr/bin/env", "python3"]),
    ],
)
def test_command(tmp_path: Path, line: str, expected: list[str]) -> None:
    script = tmp_path / "post-install.sh"
    script.write_text(line)
    assert hook.command(str(script)) == [*expected, str(script)]


def test_environment() -> None:
    assert hook.environment({"PYTHONHOME": "x", "A": "1", "PATH": "/bin"}, "/b", "/v") == {
        "A": "1",
        "HERE": "/b",
        "DATA_DIR": "/b/data",
        "VIRTUAL_ENV": "/v",
        "PATH": "/v/bin:/bin",
    }
    assert hook.environment({}, "/b", "/v")["PATH"].startswith("/v/bin:")


def test_failures(tmp_path: Path) -> None:
    script = tmp_path / "post-install.sh"
    for text, message in (
        ("exit 3\n", "exited with 3"),
        ("kill -15 $$\n", "SIGTERM"),
        ("#!/no/such\n", "cannot start"),
    ):
        script.write_text(text)
        with pytest.raises(HookError, match=message):
            hook.run(str(tmp_path), str(tmp_path), {"PATH": "/bin:/usr/bin"})


def program(tmp_path: Path, text: str) -> str:
    path = tmp_path / "python"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_inspection_compares(tmp_path: Path) -> None:
    python = program(tmp_path, r"printf 'A.b\t1\nc\t2\n'")
    inspection.inspect(python, [("a-B", "1"), ("c", "2")])
    with pytest.raises(InstallError, match=r"missing c 3; unexpected c 2"):
        inspection.inspect(python, [("a-b", "1"), ("c", "3")])
    with pytest.raises(InstallError, match="unexpected c 2"):
        inspection.inspect(python, [("a-b", "1")])


@pytest.mark.parametrize(
    ("text", "message"),
    [("echo nonsense", "something else"), ("echo broken >&2; exit 3", r"status 3\): broken"), ("exit 1", "status 1")],
)
def test_inspection_of_a_broken_interpreter(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InstallError, match=message):
        inspection.inspect(program(tmp_path, text), [])


def test_inspection_without_interpreter() -> None:
    with pytest.raises(InstallError, match="does not start"):
        inspection.inspect("/no/such/python", [])


def test_inspection_of_this_interpreter() -> None:
    with pytest.raises(InstallError, match=r"unexpected .*pytest"):
        inspection.inspect(sys.executable, [])
