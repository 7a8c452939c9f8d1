"""The module that every setup() call loads if this package is installed; small, to cost no time."""

from __future__ import annotations

from typing import Any


def announce(_distribution: Any) -> None:
    """Make `platter` one of the formats of setuptools' `bdist`."""
    from distutils.command.bdist import bdist  # noqa: PLC0415 - setuptools', which has loaded it long before

    formats: Any = bdist.format_commands
    # Before Python 3.12 users can switch to the standard library's distutils, whose list cannot be extended.
    if isinstance(formats, dict) and "platter" not in formats:
        formats["platter"] = ("bdist_platter", "self-installing bundle with all dependencies")
        bdist.no_format_option = (*bdist.no_format_option, "bdist_platter")  # its own `format` is another one
