"""The Pythons of this machine that can be targets."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys

import pytest

MINORS = range(8, 15)


@functools.cache
def works(python: str) -> bool:
    """Whether it is more than a name on PATH: version managers put one there for versions that are switched off."""
    done = subprocess.run([python, "-c", "import zipfile, json"], check=False, capture_output=True)
    return done.returncode == 0


def find(minor: int) -> str | None:
    """CPython 3.minor, if it is here."""
    if minor == sys.version_info[1]:
        return sys.executable
    found = shutil.which(f"python3.{minor}")
    return found if found and works(found) else None


def each() -> pytest.MarkDecorator:
    """Parametrizes `python` with every interpreter from 3.8 on; those that are not here are skipped."""
    cases = []
    for minor in MINORS:
        found = find(minor)
        marks = () if found else pytest.mark.skip(reason=f"needs Python 3.{minor}")
        cases.append(pytest.param(found, id=f"3.{minor}", marks=marks))
    return pytest.mark.parametrize("python", cases)
