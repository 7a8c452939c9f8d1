"""The time that everything in a bundle bears, and the time that builds are told of (SOURCE_DATE_EPOCH)."""

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


def build_epoch(environ: Mapping[str, str], commit_time: int | None) -> dict[str, str]:
    """SOURCE_DATE_EPOCH as a build gets it: the user's, else the time of the commit that is built, else none.

    No other time: build backends write it into versions, where pip and uv have today's date. Raises UsageError.
    """
    if not environ.get("SOURCE_DATE_EPOCH"):
        if commit_time is None:
            return {}
        environ = {"SOURCE_DATE_EPOCH": str(commit_time)}
    return {"SOURCE_DATE_EPOCH": str(source_date_epoch(environ))}


@contextlib.contextmanager
def reproducible_build(source: Path, commit_time: int | None) -> Iterator[None]:
    """Within the block what this process builds depends neither on the umask, nor on where it lies.

    `commit_time` is that of `source`, if it is a commit without changes, in seconds since 1970.
    """
    ours = build_epoch(os.environ, commit_time) | without_folders(os.environ, {source: "."})
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
