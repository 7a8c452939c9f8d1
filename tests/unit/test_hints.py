"""Every error that is raised on the building side says what to do."""

from __future__ import annotations

import ast
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

import platter_setuptools
from platter_setuptools import errors
from platter_setuptools.errors import CommandError, PlatterError, ProjectBuildError
from platter_setuptools.project import Project
from platter_setuptools.wheels.build import BuildError, compiler_failed
from platter_setuptools.wheels.build_settings import PLAIN
from support.fakes import Diary

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


def hint_without_a_version(tree: Path) -> str:
    """The hint for a project whose version setuptools-scm does not find."""

    class Builder:
        def build(self, *_arguments: object) -> Path:
            said = ["LookupError: setuptools-scm was unable to detect version for /x."]
            raise BuildError("its build backend failed", hint="see above", output=said)

    context: Any = SimpleNamespace(
        builder=Builder(), progress=Diary(), host="", dependencies=SimpleNamespace(build_settings=lambda _name: PLAIN)
    )
    with pytest.raises(ProjectBuildError) as caught:
        Project(tree).wheel(context, tree)
    return str(caught.value.hint)


def test_without_git_the_history_is_not_blamed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "install git" in hint_without_a_version(tmp_path)
    assert "history" not in hint_without_a_version(tmp_path)
    git = tmp_path / "git"
    git.write_text("")
    git.chmod(0o755)
    assert "history" in hint_without_a_version(tmp_path)
