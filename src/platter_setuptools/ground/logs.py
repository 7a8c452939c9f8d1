"""Logs of builds that failed: all that they said, in a file that the error names. The next success removes it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from platter_setuptools.ground.temporary import replacing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def keep_log(name: str, lines: Sequence[str]) -> Path | None:
    """Write the lines of what was to be built, `name`, for this user alone; None if there is nowhere to write them."""
    try:
        path = _path(name)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with replacing(path) as draft:
            draft.touch(mode=0o600)
            draft.write_text("".join(f"{line}\n" for line in lines), "utf-8", errors="replace")
    except (OSError, RuntimeError):  # RuntimeError: this user has no home
        return None
    return path


def drop_log(name: str) -> None:
    """Remove what an earlier failure has left."""
    try:
        _path(name).unlink(missing_ok=True)
    except (OSError, RuntimeError):
        return


def _path(name: str) -> Path:
    import platformdirs  # noqa: PLC0415 - not needed where nothing is built

    folder = platformdirs.user_log_path("platter").expanduser()
    return folder / f"{re.sub(r'[^A-Za-z0-9._+-]+', '-', name)}.log"
