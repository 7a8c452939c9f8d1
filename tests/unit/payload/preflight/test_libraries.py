from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.payload import host
from platter_setuptools.payload.preflight import libraries

if TYPE_CHECKING:
    from pathlib import Path

HERE = host.examine()


def test_of_this_system() -> None:
    assert libraries.missing(["libc.so.6", "libgone.so.1"], HERE.multiarch) == {"libgone.so.1"}


def test_where_the_cache_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "libown.so.1").symlink_to(sys.executable)  # an ELF file for this machine
    cache = tmp_path / "cache"
    cache.write_bytes(b"glibc-ld.so.cache1.1\0\1/\0libown.so.1\0" + bytes(tmp_path / "own" / "libown.so.1") + b"\0")
    monkeypatch.setattr(libraries, "_CACHE", str(cache))
    assert libraries.missing(["libown.so.1", "libgone.so.1"], "") == {"libgone.so.1"}
    cache.unlink()
    assert libraries.missing(["libown.so.1"], "") == {"libown.so.1"}


def test_where_musl_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "libown.so.1").symlink_to(sys.executable)
    (tmp_path / "ld-musl-x86_64.path").write_text(f"/lib:/nonexistent\n{tmp_path}\n")
    monkeypatch.setattr(libraries, "_MUSL_PATHS", str(tmp_path / "ld-musl-*.path"))
    assert libraries.missing(["libown.so.1", "libgone.so.1"], "") == {"libgone.so.1"}


@pytest.mark.parametrize("content", [b"INPUT(libx.so)", b"\x7fELF" + b"\0" * 60, b""])
def test_files_for_other_machines_do_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    (tmp_path / "libown.so.1").write_bytes(content)
    monkeypatch.setattr(libraries, "_USUAL", (str(tmp_path),))
    assert libraries.missing(["libown.so.1"], "") == {"libown.so.1"}
