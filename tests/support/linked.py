"""Bundles with hard links in the place of copies: most of their files lie in the bootstrap, and few tests change these.

Whoever changes one of these files removes it first, and writes it anew: see `link`.
"""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

_first: dict[str, tuple[int, int, int]] = {}


def link(original: str, link: str) -> None:
    """Make a hard link to a file, or a copy on another filesystem. Raise AssertionError if it is not as it was."""
    status = os.stat(original)  # noqa: PTH116 - hundreds of files, a thousand times
    state = status.st_size, status.st_mtime_ns, status.st_mode
    assert _first.setdefault(original, state) == state, f"a test has changed {original} in place, through a link to it"
    try:
        os.link(original, link)
    except OSError as error:
        if error.errno not in {errno.EXDEV, errno.EMLINK}:
            raise
        shutil.copy2(original, link)


def copy(bundle: Path, target: Path) -> Path:
    """Copy a bundle that is a folder. What its bootstrap has besides the payload is linked."""

    def take(source: str, there: str) -> None:
        place = Path(source).relative_to(bundle).parts
        if place[:2] == ("data", "bootstrap") and place[2] != "platter_payload":
            link(source, there)
        else:
            shutil.copy2(source, there, follow_symlinks=False)

    return Path(shutil.copytree(bundle, target, symlinks=True, copy_function=take))
