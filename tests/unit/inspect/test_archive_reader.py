"""Bundles, read entry by entry."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.errors import ArchiveError
from platter_setuptools.inspect.archive_reader import open_bundle

if TYPE_CHECKING:
    from pathlib import Path


def test_a_full_disk_is_no_damage(tmp_path: Path) -> None:
    """It is that of the temporary files, to which the reader of the entries writes."""
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(OSError, match="No space left"), open_bundle(tmp_path):
        raise full


def test_a_disk_that_cannot_be_read(tmp_path: Path) -> None:
    broken = OSError(errno.EIO, os.strerror(errno.EIO))
    with pytest.raises(ArchiveError, match="cannot be read as a bundle"), open_bundle(tmp_path):
        raise broken
