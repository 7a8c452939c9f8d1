"""`platter lock`: write down what a build takes, for the project to commit."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import TYPE_CHECKING

from platter_setuptools.ground.dialects import decide, merge, read_strings
from platter_setuptools.ground.errors import UsageError
from platter_setuptools.ground.streams import print_result

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from platter_setuptools.ground.dialects import Source

    ReadOptions = Callable[[argparse.Namespace], tuple[Path, list[Source]]]

# Of a build's options, those that bear on what is resolved.
OPTIONS = (
    *("requirements", "extras", "group", "constraints", "resolver", "pip-option"),
    *("wheel-cache", "no-wheel-cache", "no-download", "quiet", "verbose"),
)


def add_to(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    project: argparse.ArgumentParser,
    read_options: ReadOptions,
) -> None:
    """Add the command to the command line; `project` brings PATH and the OPTIONS, `read_options` obeys them."""
    parser = commands.add_parser(
        "lock",
        parents=[project],
        help="write a pylock.toml to commit",
        description="Resolve what a project requires and write it down, with hashes, as a pylock.toml (PEP 751):"
        " `platter build --lock pylock.toml` takes just that, and so do uv and pip.",
    )
    parser.add_argument(
        "-p",
        "--python",
        dest="pythons",
        action="append",
        metavar="PYTHON",
        help="the interpreter to lock for, as a path, a command or a version such as 3.12; with several it is"
        " one lock for all of them (repeatable) [default: the one that runs this command]",
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
        help="lock for every platform, and for the target's Python (of several the lowest) and every later one",
    )
    parser.set_defaults(run=lambda parsed: _lock(parsed, read_options))


def _lock(parsed: argparse.Namespace, read_options: ReadOptions) -> None:
    from platter_setuptools.ground.progress import open_progress  # noqa: PLC0415
    from platter_setuptools.ground.run import Processes  # noqa: PLC0415
    from platter_setuptools.ground.temporary import temporary_folder  # noqa: PLC0415
    from platter_setuptools.locking import write_lock  # noqa: PLC0415
    from platter_setuptools.project import open_project  # noqa: PLC0415

    path, sources = read_options(parsed)
    file = _file(parsed.output_file, path, sources)
    options = merge([_without_lock(source) for source in sources], output=file.parent)
    with open_progress(quiet=options.quiet, verbose=options.verbose) as progress, temporary_folder() as scratch:
        project = open_project(path, scratch)
        write_lock(
            options,
            file,
            pythons=_pythons(parsed.pythons),
            universal=parsed.universal,
            source=project.source,
            project_wheel=project.wheel,
            run=Processes(progress.detail),
            progress=progress,
        )
    print_result(f"{file}")


def _file(asked: str | None, project: Path, sources: Sequence[Source]) -> Path:
    """Where the lock goes. Raises UsageError for a name that no lock may have."""
    configured = decide(sources).get("lock")
    folder = project if project.is_dir() else Path.cwd()
    file = Path.cwd() / asked if asked else configured.value if configured else folder / "pylock.toml"
    if not re.fullmatch(r"pylock(\.[^.]+)?\.toml", file.name):
        hint = "`uv lock` writes uv.lock" if file.name == "uv.lock" else "PEP 751 knows it by its name"
        raise UsageError(f"{file.name} is no name for a lock: pylock.toml or pylock.NAME.toml", hint=hint)
    return file


def _pythons(asked: Sequence[str] | None) -> tuple[str, ...]:
    """The interpreters that the command line names. They count instead of the one that is configured for builds."""
    named = (read_strings("the command line", Path.cwd(), {"python": one}, prefix="--") for one in asked or ())
    return tuple(source.values["python"] for source in named)


def _without_lock(source: Source) -> Source:
    """The lock that builds take does not keep us from resolving."""
    values = {name: value for name, value in source.values.items() if name != "lock"}
    return dataclasses.replace(source, values=values)
