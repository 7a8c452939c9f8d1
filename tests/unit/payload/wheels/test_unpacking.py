from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.payload.errors import BundleError
from platter_setuptools.payload.wheels import unpacking
from platter_setuptools.payload.wheels.wheel import Source
from support import handmade

if TYPE_CHECKING:
    from pathlib import Path


def source(folder: Path, name: str, weight: int) -> Source:
    path = handmade.wheel(folder, name, files={f"{name}.py": "x = 1\n"})
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Source(str(path), digest, False, weight=weight)


def test_what_is_opened_ahead(tmp_path: Path) -> None:
    """The largest first, for as long as there is time; each can be had once, and is opened anew after that."""
    small, large, middle = (source(tmp_path, name, weight) for name, weight in [("s", 1), ("l", 9), ("m", 5)])
    time = iter([True, True, False])
    with unpacking.Archives(str(tmp_path)) as ahead:
        ahead.read([small, large, middle], lambda: next(time))
        assert list(ahead._ahead) == [large.path, middle.path]
        opened = ahead._ahead[large.path]
        with ahead.open(large.path, large.sha256) as first, ahead.open(large.path, large.sha256) as second:
            assert first is opened is not second
        with ahead.open(small.path, small.sha256) as archive:
            assert archive.path == small.path


def test_damage_is_found_ahead(tmp_path: Path) -> None:
    one = source(tmp_path, "one", 1)
    with pytest.raises(BundleError, match="altered"), unpacking.Archives(str(tmp_path)) as ahead:
        ahead.read([one._replace(sha256="0" * 64)], lambda: True)


def test_few_files_are_open_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "_AHEAD", 2)
    with unpacking.Archives(str(tmp_path)) as ahead:
        ahead.read([source(tmp_path, name, 1) for name in "abc"], lambda: True)
        assert len(ahead._ahead) == 2
