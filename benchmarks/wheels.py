"""Reading the metadata of wheels."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def metadata(wheel: Path) -> bytes:
    """A wheel's METADATA; what it vendors may have some, too, further down."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA") and name.count("/") == 1)
        return archive.read(name)
