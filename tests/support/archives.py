"""Writes a bundle's members as an archive or a folder, in one go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from platter_setuptools.bundle.archive import stage_archive

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from platter_setuptools.bundle.members import Member


def write_archive(
    members: Sequence[Member], stem: str, kind: str, output: Path, mtime: int, suffix: str = ""
) -> tuple[Path, int, str | None]:
    """Write it into the folder `output`; give its path, its size in bytes, and its SHA-256 if it is a file."""
    archive = stage_archive(members, stem, kind, output, mtime, suffix=suffix)
    try:
        archive.commit()
    finally:
        archive.discard()
    return archive.path, archive.size, archive.sha256
