"""What front ends share: the output folders of build frontends, and how errors are reported to them."""

from __future__ import annotations

import contextlib
import os
import re
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from platter_setuptools.config.option_sources import Choice
from platter_setuptools.errors import UsageError
from platter_setuptools.runtime.signals import signals_as_errors, what_stopped
from platter_setuptools.runtime.streams import standard_error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from platter_setuptools.config.option_sources import Source
    from platter_setuptools.context import BuildContext
    from platter_setuptools.errors import PlatterError

# Temporary folders in which frontends unpack and build.
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
    """Raise UsageError on Windows. Every front end begins with this."""
    if os.name == "nt":
        raise UsageError("bundles are for POSIX servers, and cannot be built on Windows", hint="use WSL")


def asked_folder(dist_dir: Path) -> Path | None:
    """Return the folder that a frontend wants setuptools' wheel in; None if no frontend set `dist_dir`."""
    # setuptools' backend builds in a temporary folder inside that one.
    return dist_dir.parent if dist_dir.name.startswith(".tmp-") else None


def output_beside(wheel_folder: Path, project: Path) -> Source:
    """Return the output that a frontend implies: below command line and environment, above the project's files.

    A relative output in a file would be lost with the copy that many frontends build from.
    """
    folder = project / "dist" if is_thrown_away(wheel_folder) else wheel_folder
    return {"output": Choice(value=folder, place="the frontend")}


def check_kept(output: Path) -> None:
    """Raise UsageError if the frontend will delete this folder."""
    if is_thrown_away(output):
        raise UsageError(
            f"the build frontend deletes {output}, and the bundle in it",
            hint="name another by its full path: -C platter.output=/path with platter_setuptools.build_meta,"
            " else PLATTER_BUILD_OUTPUT=/path in the environment",
        )


@contextlib.contextmanager
def signals_as_exits() -> Iterator[None]:
    """End this process after a signal with a shell's exit code for it (130, 143) and one line instead of a traceback.

    The process does not end by the signal itself, since the front end may have to clean up.
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


@contextlib.contextmanager
def setuptools_builds(context: BuildContext, commit_time: int | None) -> Iterator[None]:
    """Let setuptools build the project's wheel in the current folder, reproducibly. It may write to the terminal."""
    from platter_setuptools.runtime.reproducible import reproducible_build  # noqa: PLC0415 - `platter` needs neither
    from platter_setuptools.runtime.setuptools_config import left_clean  # noqa: PLC0415

    title, here = f"Building the project's wheel for {context.target}", Path.cwd()
    with context.progress.hand_over(title), left_clean([here], keep=True), reproducible_build(here, commit_time):
        yield


def format_error(error: PlatterError, *, verbose: bool = False) -> str:
    """Print the last lines of the tool that failed. Return message and hint as one text.

    With `verbose`, first print the traceback of the error that is being handled.
    """
    if verbose:
        traceback.print_exc(file=standard_error())
    standard_error().writelines(f"    {line}\n" for line in error.output)
    hint = f"\n  hint: {error.hint}" if error.hint else ""
    return f"{error.message}{hint}"


def is_thrown_away(folder: Path) -> bool:
    """Whether this is a temporary folder of a frontend."""
    return bool(_THROWN_AWAY.search(folder.as_posix()))
