"""What can go wrong, one class and one exit code for each kind of failure.

The exit codes are those of the `platter` command; the setuptools command turns the same errors into its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from platter_setuptools.payload.cleaning import clean

if TYPE_CHECKING:
    from collections.abc import Sequence


class PlatterError(Exception):
    """The root of every error that this package raises on purpose.

    The message says what failed and where; `hint` says what to do; `output` holds the last lines of the tool
    that failed, if one did. They are cleaned here (payload/cleaning.py), whichever front end prints them.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None, output: Sequence[str] = ()) -> None:
        self.message = clean(message)
        super().__init__(self.message)
        self.hint = hint and clean(hint)
        self.output = tuple(map(clean, output))


class UsageError(PlatterError):
    """A wrong option, a wrong configuration, or no project where one was said to be."""

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
    """A finished bundle is not what it says of itself."""


class ArchiveError(PlatterError):
    """The bundle cannot be written or read, what stands in its place is not ours, or nobody vouches for it."""

    exit_code = 6


class ScriptError(PlatterError):
    """A pre-build or post-build script failed."""

    exit_code = 7


class CommandError(PlatterError):
    """A process ended with something else than 0. Whoever started it says what that means.

    `said` is all that it has printed, a line each.
    """

    def __init__(self, message: str, *, returncode: int, output: Sequence[str], said: Sequence[str] = ()) -> None:
        super().__init__(message, output=output)
        self.returncode = returncode
        self.said = said or self.output


class InterruptedBuildError(PlatterError):
    """Another thread of this build decided to stop."""
