"""`platter describe`: describe an interpreter of this machine as a target, for builds on another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from platter_setuptools.cli.parser import add_command
from platter_setuptools.runtime.streams import print_text

if TYPE_CHECKING:
    import argparse

    from platter_setuptools.cli.parser import Commands


def add_to(commands: Commands) -> None:
    """Add the command to the command line."""
    parser = add_command(
        commands,
        "describe",
        describe,
        "describe an interpreter for builds on other machines",
        epilog="On a server without this command a bundle's `./install.sh --describe` prints the same.",
    )
    parser.add_argument(
        "-p",
        "--python",
        metavar="PYTHON",
        help="the interpreter, as a path, a command or a version such as 3.12 [default: the one that runs this"
        " command]",
    )


def describe(parsed: argparse.Namespace) -> None:
    """Print what a build on another machine has to know of an interpreter, as JSON (schema: docs/target.schema.json).

    Write it to a file whose name ends in .json, and build with `platter build --target FILE`.
    """
    from platter_setuptools.payload.describe import as_text  # noqa: PLC0415 - not needed for `--help`
    from platter_setuptools.runtime.processes import Runner  # noqa: PLC0415
    from platter_setuptools.targets import find  # noqa: PLC0415

    print_text(as_text(find.describe(parsed.python, Runner(lambda _line: None))))
