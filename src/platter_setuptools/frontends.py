"""What doors share: the folders of build frontends (build, pip, uv, cibuildwheel), and how errors are told to them."""

from __future__ import annotations

import contextlib
import os
import re
import traceback
from typing import TYPE_CHECKING

from platter_setuptools.ground.dialects import Source
from platter_setuptools.ground.errors import UsageError
from platter_setuptools.ground.interrupts import signals_as_errors, what_stopped
from platter_setuptools.ground.streams import standard_error

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from platter_setuptools.ground.errors import PlatterError

# Where frontends unpack what they build from, and where pip has wheels built that it takes away at once.
_THROWN_AWAY = re.compile(
    r"""/(
        build-via-sdist-\w{8}                                             # build
        | pip-(req-build|install|wheel|unpack|ephem-wheel-cache)-\w{8}    # pip
        | wheels/\w\w/\w\w/\w\w/\w+/tmp\w{8}                            # pip, in its cache
        | \.tmp\w{6}                                                     # uv
    )(/|$)""",
    re.VERBOSE,
)


def refuse_windows() -> None:
    """What every door begins with. Raises UsageError."""
    if os.name == "nt":
        raise UsageError("bundles are for POSIX servers, and cannot be built on Windows", hint="use WSL")


def asked_folder(dist_dir: Path) -> Path | None:
    """The folder that a frontend wants setuptools' wheel in; None if `dist_dir` is no frontend's doing."""
    # setuptools' backend builds in a folder of its own below that one.
    return dist_dir.parent if dist_dir.name.startswith(".tmp-") else None


def output_beside(wheel_folder: Path, project: Path) -> Source:
    """The output that a frontend implies: weaker than what a person says now, stronger than the project's files.

    A file's relative output would be lost in the copy that many frontends build from.
    """
    folder = project / "dist" if is_thrown_away(wheel_folder) else wheel_folder
    return Source(where="the frontend", values={"output": folder})


def check_kept(output: Path) -> None:
    """Raises UsageError if the frontend will throw away what is put there."""
    if is_thrown_away(output):
        raise UsageError(
            f"the build frontend throws {output} away, and the bundle in it",
            hint="name another by its full path: -C platter.output=/path with platter_setuptools.build_meta,"
            " else PLATTER_BUILD_OUTPUT=/path in the environment",
        )


@contextlib.contextmanager
def signals_told() -> Iterator[None]:
    """Let a signal end this process with a shell's exit code for it (130, 143) and one line instead of a traceback.

    Not by the signal itself: the process is the front end's, which has cleaning up of its own to do.
    """
    try:
        with signals_as_errors():
            yield
    except (KeyboardInterrupt, SystemExit) as error:
        cause = error if isinstance(error, KeyboardInterrupt) else error.__context__  # setup() makes it a SystemExit
        if not isinstance(cause, KeyboardInterrupt):
            raise
        message, number = what_stopped(cause)
        standard_error().write(f"error: {message}\n")
        raise SystemExit(128 + number) from None


def told(error: PlatterError, *, verbose: bool = False) -> str:
    """Print the last lines of the tool that failed, and give the rest as one text for an error of another kind.

    With `verbose` the traceback of the error that is being handled is printed first.
    """
    if verbose:
        traceback.print_exc(file=standard_error())
    standard_error().writelines(f"    {line}\n" for line in error.output)
    hint = f"\n  hint: {error.hint}" if error.hint else ""
    return f"{error.message}{hint}"


def is_thrown_away(folder: Path) -> bool:
    """Whether a frontend made this folder for its own use."""
    return bool(_THROWN_AWAY.search(folder.as_posix()))
