from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.payload.errors import BundleError
from platter_setuptools.payload.wheels import unpacking
from support import handmade

if TYPE_CHECKING:
    from pathlib import Path


def test_an_archive_of_the_bundle(tmp_path: Path) -> None:
    path = handmade.wheel(tmp_path, "one", files={"one.py": "x = 1\n"})
    archives = unpacking.Archives(str(tmp_path))
    with archives.open(str(path), hashlib.sha256(path.read_bytes()).hexdigest()) as archive:
        assert "one.py" in archive.members
    with pytest.raises(BundleError, match="altered"):
        archives.open(str(path), "0" * 64)
