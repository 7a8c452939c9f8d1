"""`platter lock`: write a lock for the project to commit."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platter_setuptools.cli.parser import COMMAND_LINE, add_command, add_project, read_project
from platter_setuptools.config.option_sources import decide, merge, read_strings
from platter_setuptools.errors import UsageError
from platter_setuptools.runtime.streams import print_result

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from platter_setuptools.cli.parser import Commands
    from platter_setuptools.config.option_sources import Source

# The build options that affect resolving.
_OPTIONS = (
    *("package", "requirements", "extras", "group", "constraints", "resolver", "pip-option", "with-python"),
    *("wheel-cache", "no-wheel-cache", "no-download", "quiet", "verbose"),
)


def add_to(commands: Commands) -> None:
    """Add the command to the command line."""
    parser = add_command(commands, "lock", lock, "write a pylock.toml to commit")
    add_project(parser, *_OPTIONS)
    parser.add_argument(
        "-p",
        "--python",
        dest="pythons",
        action="append",
        metavar="PYTHON",
        help="the interpreter to lock for, as a path, a command or a version such as 3.12; several make one lock"
        " for all of them (repeatable) [default: the one that runs this command]",
    )
    parser.add_argument(
        "--target",
        dest="targets",
        action="append",
        metavar="TARGET",
        help="a target to lock for that is no interpreter of this machine: a name such as cp312-manylinux_2_28_aarch64,"
        " or a file that `install.sh --describe` or `platter describe` wrote (repeatable)",
    )
    parser.add_argument(
        "-o",
        "--output-file",
        metavar="FILE",
        help="pylock.toml or pylock.NAME.toml, in any folder [default: the project's `lock` option, or else pylock.toml"
        " in its folder]",
    )
    parser.add_argument(
        "--universal",
        action="store_true",
        help="lock for every platform, for the target's Python (the lowest of several) and every later one",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="write nothing; end with exit code 1 if the lock is not what would be written, and print how it differs",
    )
    parser.add_argument("-U", "--upgrade", action="store_true", help="keep no version of the lock that is there")
    parser.add_argument(
        "-P",
        "--upgrade-package",
        dest="upgraded",
        action="append",
        metavar="NAME",
        help="do not keep the version of this distribution; with a version, such as 'rich<14', only that one is taken"
        " (repeatable)",
    )


def lock(parsed: argparse.Namespace) -> None:
    """Resolve a project's dependencies and write them, with hashes, to a pylock.toml (PEP 751).

    `platter build --lock`, uv and pip read it. Versions in the lock that is there are kept as long as they fit.
    """
    from platter_setuptools.lock_project import write_lock  # noqa: PLC0415
    from platter_setuptools.project import open_project  # noqa: PLC0415
    from platter_setuptools.runtime.processes import Runner  # noqa: PLC0415
    from platter_setuptools.runtime.progress import open_progress  # noqa: PLC0415
    from platter_setuptools.runtime.temporary import temporary_folder  # noqa: PLC0415

    if parsed.check and (parsed.upgrade or parsed.upgraded):
        raise UsageError("--check contradicts --upgrade: it writes nothing", hint="leave one of them out")
    path, sources = read_project(parsed)
    file = _file(parsed.output_file, path, sources)
    for source in sources:
        source.pop("lock", None)  # that of builds, with which nothing is resolved
    options = merge(sources, output=file.parent)
    if parsed.pythons or parsed.targets:  # they replace both options of builds
        python, target = _named("python", parsed.pythons), _named("target", parsed.targets)
        options = dataclasses.replace(options, python=python, target=target)
    with open_progress(quiet=options.quiet, verbose=options.verbose) as progress, temporary_folder() as scratch:
        run = Runner(progress.detail)
        project = open_project(path, scratch, run)
        write_lock(
            options,
            file,
            universal=parsed.universal,
            check=parsed.check,
            upgrade=parsed.upgrade,
            upgraded=parsed.upgraded or (),
            source=project.source,
            project_wheel=project.wheel,
            run=run,
            progress=progress,
        )
    if not parsed.check:
        print_result(f"{file}")


def _file(asked: str | None, project: Path, sources: Sequence[Source]) -> Path:
    """Return the path of the lock. Raises UsageError for a name that PEP 751 does not allow."""
    configured = decide(sources).get("lock")
    folder = project if project.is_dir() else Path.cwd()
    file = Path.cwd() / asked if asked else configured.value if configured else folder / "pylock.toml"
    if not re.fullmatch(r"pylock(\.[^.]+)?\.toml", file.name):
        hint = (
            "`uv lock` writes uv.lock, and `uv lock --check` checks it"
            if file.name == "uv.lock"
            else "PEP 751 requires one of these names"
        )
        raise UsageError(f"{file.name} is not a name for a lock: use pylock.toml or pylock.NAME.toml", hint=hint)
    return file


def _named(option: str, asked: Sequence[str] | None) -> tuple[Any, ...]:
    """Return the values of an option that the command line repeats."""
    named = (read_strings(COMMAND_LINE, Path.cwd(), {option: one}, prefix="--") for one in asked or ())
    return tuple(one for source in named for one in source[option].value)
