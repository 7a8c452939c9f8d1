"""What is done to a virtualenv after virtualenv has made it."""

from __future__ import annotations

import errno
import logging
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.payload.errors import HostError, InstallError, PythonError
from platter_setuptools.payload.install import environment

if TYPE_CHECKING:
    from pathlib import Path

PACKAGES = "python3.11/site-packages"


@pytest.fixture
def split(tmp_path: Path) -> Path:
    """A virtualenv of a Python whose `sys.platlibdir` is lib64, with a file in each of its two folders."""
    for name in ("lib", "lib64"):
        (tmp_path / name / PACKAGES).mkdir(parents=True)
        (tmp_path / name / PACKAGES / f"of_{name}").touch()
    return tmp_path


def join(root: Path, platlib: str, purelib: str) -> None:
    environment._join(str(root), f"{root}/{platlib}/{PACKAGES}", f"{root}/{purelib}/{PACKAGES}")


def test_lib64_becomes_a_link(split: Path) -> None:
    join(split, "lib64", "lib")
    assert str((split / "lib64").readlink()) == "lib"
    assert sorted(path.name for path in (split / "lib" / PACKAGES).iterdir()) == ["of_lib", "of_lib64"]


def test_one_folder_stays_as_it_is(tmp_path: Path) -> None:
    join(tmp_path, "lib", "lib")
    assert list(tmp_path.iterdir()) == []


def test_folders_that_nobody_knows(split: Path) -> None:
    with pytest.raises(InstallError, match="two places for packages"):
        environment._join(str(split), f"{split}/lib64/here", f"{split}/lib/there")
    assert not (split / "lib64").is_symlink()


def test_a_python_without_all_of_its_library() -> None:
    error = environment.lacking(ModuleNotFoundError("No module named '_struct'"))
    assert isinstance(error, PythonError)
    assert "_struct" in error.message
    assert "-p" in error.hint


def test_a_filesystem_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The link is named, and not the interpreter that it was to lead to."""

    def cli_run(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented", "/usr/bin/python3", None, f"{tmp_path}/bin/python")

    monkeypatch.setitem(sys.modules, "virtualenv", SimpleNamespace(cli_run=cli_run))
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("executable", "_base_executable", "unraisablehook"):
        monkeypatch.setattr(sys, name, getattr(sys, name))
    monkeypatch.setattr(logging, "disable", lambda _: None)
    with pytest.raises(HostError, match="bin/python: its filesystem has no symbolic links") as caught:
        environment.create(str(tmp_path), str(tmp_path))
    assert "/usr/bin/python3" not in caught.value.message
    assert "another filesystem" in caught.value.hint
