"""Every error that is raised on the building side says what to do."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import platter_setuptools
from platter_setuptools import project
from platter_setuptools.ground import errors
from platter_setuptools.ground.errors import CommandError, PlatterError
from platter_setuptools.steps.wheelhouse.build import compiler_failed

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(platter_setuptools.__file__).parent
KINDS = {
    *(name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, PlatterError)),
    "BuildError",
    "RemoteError",
} - {CommandError.__name__}  # which becomes another error where it is known what the command was for


def without_hint() -> Iterator[str]:
    for path in sorted(PACKAGE.rglob("*.py")):
        if "payload" in path.relative_to(PACKAGE).parts:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KINDS:
                hint = next((one.value for one in node.keywords if one.arg == "hint"), None)
                if hint is None or (isinstance(hint, ast.Constant) and not hint.value):
                    yield f"{path.relative_to(PACKAGE)}:{node.lineno}"


def test_each_error_has_a_hint() -> None:
    assert list(without_hint()) == []


@pytest.mark.parametrize(
    "line",
    [
        "error: command 'gcc' failed: No such file or directory",
        "error: command '/usr/bin/cc' failed with exit code 1",
        "fatal error: Python.h: No such file or directory",
        "error: linker `cc` not found",
        "../meson.build:1:0: ERROR: Unknown compiler(s): [['cc'], ['gcc']]",
        "  No CMAKE_C_COMPILER could be found.",
        "sh: 1: gcc: not found",
        "crooked.c:1:2: error: #error this does not compile",
        "Command '['gcc', '-Wall', '-c', 'a.c']' returned non-zero exit status 1.",
    ],
)
def test_a_compiler_that_failed(line: str) -> None:
    assert compiler_failed(["running build_ext", line])


@pytest.mark.parametrize(
    "line",
    ["ModuleNotFoundError: No module named 'numpy'", "SyntaxError: invalid syntax", "error: package 'x' not found"],
)
def test_what_is_no_compilers_fault(line: str) -> None:
    assert not compiler_failed([line])


def test_without_git_the_history_is_not_blamed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "install git" in project._how_to_give_one()
    assert "history" not in project._how_to_give_one()
    git = tmp_path / "git"
    git.write_text("")
    git.chmod(0o755)
    assert "history" in project._how_to_give_one()
