"""One time for everything that is made, so that the same input gives the same bytes on any day."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from platter_setuptools.ground.debugging import without_folders
from platter_setuptools.ground.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

EARLIEST, LATEST = 315532800, 4354819198  # 1980 and the end of 2107: what a zip file can hold


def source_date_epoch(environ: Mapping[str, str]) -> int:
    """Seconds since 1970: SOURCE_DATE_EPOCH (reproducible-builds.org), or one fixed time. Raises UsageError."""
    text = environ.get("SOURCE_DATE_EPOCH", "")
    if not text:
        return EARLIEST
    if not text.isdecimal():
        raise UsageError(f"SOURCE_DATE_EPOCH is {text!r}", hint="it is a number of seconds since 1970")
    return min(max(int(text), EARLIEST), LATEST)


@contextlib.contextmanager
def reproducible_build(source: Path) -> Iterator[None]:
    """Within the block what this process builds depends neither on the day, nor on the umask, nor on where it lies."""
    ours = {"SOURCE_DATE_EPOCH": str(source_date_epoch(os.environ)), **without_folders(os.environ, {source: "."})}
    before = {name: os.environ.get(name) for name in ours}
    umask = os.umask(0o022)
    os.environ.update(ours)
    try:
        yield
    finally:
        os.umask(umask)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
