"""Libraries that newer Pythons have themselves. They are loaded when they are needed."""

from __future__ import annotations

import sys
from typing import Any


def toml() -> Any:
    """Return tomllib: of the standard library from Python 3.11 on."""
    if sys.version_info >= (3, 11):
        import tomllib  # noqa: PLC0415
    else:
        import tomli as tomllib  # noqa: PLC0415
    return tomllib


def zstd() -> Any:
    """Return compression.zstd: of the standard library from Python 3.14 on."""
    if sys.version_info >= (3, 14):
        from compression import zstd  # noqa: PLC0415
    else:
        from backports import zstd  # noqa: PLC0415
    return zstd
