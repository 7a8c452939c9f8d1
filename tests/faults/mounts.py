"""Mounts that nobody else sees, and that are gone with the process that made them."""

from __future__ import annotations

import functools
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

# Root has what it takes; others may become root in a namespace of their own, where the system lets them.
_UNSHARE = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--user", "--map-root-user"]


@functools.cache
def allowed() -> bool:
    try:
        words = [*_UNSHARE, "mount", "-t", "tmpfs", "none", "/mnt"]
        return subprocess.run(words, check=False, capture_output=True).returncode == 0
    except OSError:
        return False


def with_mounts(script: str, *words: str | Path) -> list[str | Path]:
    """A command: the shell script, which finds the words in "$@" and may mount what it likes."""
    if not allowed():
        pytest.skip("mounting is not allowed here")
    return [*_UNSHARE, "sh", "-euc", script, "-", *words]
