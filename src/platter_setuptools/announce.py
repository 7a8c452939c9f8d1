"""What every setup() call loads where this package is installed: so little that nobody waits for it."""

from __future__ import annotations

from typing import Any


def announce(_distribution: Any) -> None:
    """Make `platter` one of the formats of setuptools' `bdist`."""
    from distutils.command.bdist import bdist  # noqa: PLC0415 - setuptools', which has loaded it long before

    formats: Any = bdist.format_commands
    # Before Python 3.12 one can switch to another distutils, whose list is closed.
    if isinstance(formats, dict) and "platter" not in formats:
        formats["platter"] = ("bdist_platter", "self-installing bundle with all dependencies")
        bdist.no_format_option = (*bdist.no_format_option, "bdist_platter")  # its own `format` is another one
