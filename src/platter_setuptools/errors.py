"""Errors: a class and an exit code for each kind of failure.

The exit codes are those of the `platter` command; the setuptools command raises setuptools' errors instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from platter_setuptools.payload.cleaning import clean

if TYPE_CHECKING:
    from collections.abc import Sequence


class PlatterError(Exception):
    """The base class of every error that this package raises on purpose.

    The message says what failed and where; `hint` says what to do; `output` holds the last lines of the tool that
    failed, if any. All are cleaned here (payload/cleaning.py) for every front end.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None, output: Sequence[str] = ()) -> None:
        self.message = clean(message)
        super().__init__(self.message)
        self.hint = hint and clean(hint)
        self.output = tuple(map(clean, output))


class UsageError(PlatterError):
    """A wrong option, a wrong configuration, or no project at the given path."""

    exit_code = 2


class ProjectBuildError(PlatterError):
    """The project's own wheel could not be built."""

    exit_code = 3


class DependencyError(PlatterError):
    """Resolving, fetching or building a dependency failed."""

    exit_code = 4


class WheelError(PlatterError):
    """A wheel does not fit the target, its hash, or the other wheels of the bundle."""

    exit_code = 5


class BundleError(WheelError):
    """A finished bundle does not match its own metadata."""


class ArchiveError(PlatterError):
    """The bundle cannot be written or read, would replace something else, or its signature is not trusted."""

    exit_code = 6


class ScriptError(PlatterError):
    """A pre-build or post-build script failed."""

    exit_code = 7


class CommandError(PlatterError):
    """A process ended with an exit code other than 0. The caller turns this into an error with a hint.

    `said` holds everything that it printed, by line.
    """

    def __init__(self, message: str, *, returncode: int, output: Sequence[str], said: Sequence[str] = ()) -> None:
        super().__init__(message, output=output)
        self.returncode = returncode
        self.said = said or self.output


class InterruptedBuildError(PlatterError):
    """Another thread of this build decided to stop."""
