from __future__ import annotations

import ast
import errno
import importlib
import inspect
import os
import pkgutil
from pathlib import Path

import pytest

import platter_setuptools.payload as package
from platter_setuptools.payload import errors
from platter_setuptools.payload.install.tree import make_folder


def test_every_exception_of_the_payload_has_one_root_and_a_code() -> None:
    codes = set()
    for found in pkgutil.iter_modules(package.__path__):
        if found.name == "__main__":
            continue
        module = importlib.import_module(f"{package.__name__}.{found.name}")
        for _, kind in inspect.getmembers(module, inspect.isclass):
            if issubclass(kind, BaseException) and kind.__module__ == module.__name__:
                if kind is errors.Interrupted:  # which nothing that expects failures may catch
                    assert not issubclass(kind, Exception)
                    continue
                assert issubclass(kind, errors.InstallError)
                codes.add(kind.exit_code)
    assert codes == {1, 2, 3, 4, 5, 6, 7, 8}


def test_hint_stands_on_its_own_line() -> None:
    assert str(errors.InstallError("it broke", hint="mend it")) == "it broke\nhint: mend it"


def test_every_error_says_what_to_do() -> None:
    """mypy asks for a hint of every error; here no hint is empty, and no finding that refuses goes without."""
    kinds = {name for name, kind in vars(errors).items() if inspect.isclass(kind)}
    found = set()
    for path in sorted(Path(next(iter(package.__path__))).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            where, hint = f"{path.name}:{node.lineno}", {key.arg: key.value for key in node.keywords}.get("hint")
            if node.func.id == "Finding":
                warning = isinstance(node.args[0], ast.Constant)
                assert warning or len(node.args) == 3, where
            elif node.func.id in kinds - {"Interrupted"}:  # which has the same hint each time
                assert hint is not None, where
                assert not isinstance(hint, ast.Constant) or hint.value, where
                found.add(node.func.id)
    assert found == kinds - {"Interrupted"}


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (FileNotFoundError(errno.ENOENT, "gone", "/x"), "/x: gone\nhint: try again"),
        (OSError(errno.ENOSPC, "full"), "full\nhint: make room there"),
        (OSError(errno.EOPNOTSUPP, "no", "/x"), "/x: no\nhint: its filesystem lacks"),
        (OSError(errno.EFBIG, "too large"), "too large\nhint: allow larger files"),
        (OSError(errno.EXDEV, "no", "/from", None, "/to"), "/to: no\nhint: try again"),
        (ValueError("what"), "ValueError: what\nhint: try again"),
    ],
)
def test_what_nobody_foresaw(error: Exception, text: str) -> None:
    assert str(errors.foreseen(error)).startswith(text)


def test_importing_the_payload_needs_nothing_but_the_standard_library() -> None:
    import subprocess  # noqa: PLC0415
    import sys  # noqa: PLC0415

    code = "import sys; sys.path.insert(0, sys.argv[1]); import payload.install"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-W", "error", "-c", code, str(next(iter(package.__path__))) + "/.."],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_folder_that_gets_no_mode_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "chmod", refuse)
    umask = os.umask(0o077)
    try:
        with pytest.raises(PermissionError) as error:
            make_folder(str(tmp_path / "dst"))
    finally:
        os.umask(umask)
    assert not (tmp_path / "dst").exists()
    assert "lacks modes" in errors.foreseen(error.value).hint
