"""The command line: from arguments to a command, and from its errors to exit codes; `platter build` and `config`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import platter_setuptools
from platter_setuptools.cli import audit, bundles, cache, describe, lock, outline, thin, unit
from platter_setuptools.cli.parser import Parser, add_command, add_json, add_project, default_output, read_project
from platter_setuptools.config.option_sources import decide, merge
from platter_setuptools.config.options import BY_NAME
from platter_setuptools.config.show import as_json, as_toml
from platter_setuptools.errors import InterruptedBuildError, PlatterError, UsageError
from platter_setuptools.frontends import format_error, refuse_windows
from platter_setuptools.runtime.signals import HINT, end_by_signal, ignore_signals, signals_as_errors, what_stopped
from platter_setuptools.runtime.streams import (
    keep_standard_descriptors,
    print_json,
    print_result,
    print_text,
    share_a_terminal,
    standard_error,
)
from platter_setuptools.values import Origin

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


_SIGNALS = 128  # what a shell adds to the number of the signal that ended a process


def program() -> int:
    """Run `platter` as a process of its own.

    A signal that interrupts it ends it after cleaning up; one that comes after the work is done has no effect.
    """
    code = main()
    if code > _SIGNALS:
        end_by_signal(code - _SIGNALS)
    ignore_signals()
    return code


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. Return the exit code: 128 plus its number for a signal that interrupted it."""
    keep_standard_descriptors()
    parser = _parser()
    try:
        parsed = parser.parse_args(arguments)
    except PlatterError as error:  # standard output does not take the help page
        return _report(error)
    if "run" not in parsed:
        (parsed.parser if "parser" in parsed else parser).print_help(standard_error())
        return UsageError.exit_code
    verbose = getattr(parsed, "verbose", None) is not None
    try:
        with signals_as_errors():
            refuse_windows()
            return parsed.run(parsed) or 0
    except PlatterError as error:
        return _report(error, verbose=verbose)
    except KeyboardInterrupt as error:
        message, number = what_stopped(error)
        _report(InterruptedBuildError(message, hint=HINT))
        return _SIGNALS + number
    except OSError as error:
        if isinstance(error, FileNotFoundError) and error.filename is None:  # of os.getcwd
            cause: PlatterError = UsageError(
                "the working folder is not there any more", hint="change to another with cd"
            )
        else:
            hint = "see whether that path can be used: its length, its rights, its disk"
            cause = PlatterError(f"{error}", hint=hint)
        return _report(cause, verbose=verbose)


def _report(error: PlatterError, *, verbose: bool = False) -> int:
    """Print an error. Return its exit code."""
    standard_error().write(f"platter: error: {format_error(error, verbose=verbose)}\n")
    return error.exit_code


def build(parsed: argparse.Namespace) -> None:
    """Make a self-installing bundle of a project. On the server: unpack it and run ./install.sh DST."""
    from platter_setuptools.assemble import assemble  # noqa: PLC0415 - not needed for `--version` and `--help`
    from platter_setuptools.project import open_project  # noqa: PLC0415
    from platter_setuptools.runtime.processes import Runner  # noqa: PLC0415
    from platter_setuptools.runtime.progress import open_progress  # noqa: PLC0415
    from platter_setuptools.runtime.temporary import temporary_folder  # noqa: PLC0415

    path, sources = read_project(parsed)
    options = merge(sources, output=default_output())
    with (
        open_progress(quiet=options.quiet, verbose=options.verbose) as progress,
        temporary_folder() as scratch,
    ):
        run = Runner(progress.detail)
        project = open_project(path, scratch, run)
        artifact = assemble(
            options,
            source=project.source,
            project_wheel=project.wheel,
            run=run,
            progress=progress,
            tree=project.tree,
        )
    if parsed.json:
        print_json(
            {
                "path": f"{artifact.path}",
                "size": artifact.size,
                "sha256": artifact.sha256,
                "wheels": {origin.value: artifact.wheels.get(origin, 0) for origin in Origin},
                "seconds": round(artifact.seconds, 3),
            }
        )
    elif options.quiet or not share_a_terminal():  # else standard error has shown the path on the same terminal
        print_result(f"{artifact.path}")


def config(parsed: argparse.Namespace) -> None:
    """Print the options of `platter build` as TOML, and where each value comes from."""
    _path, sources = read_project(parsed)
    if not parsed.json:
        print_text(as_toml(decide(sources), output=default_output()))
    merge(sources, output=default_output())  # report contradictions
    if parsed.json:
        print_json(as_json(decide(sources), output=default_output()))


def _parser() -> argparse.ArgumentParser:
    program: argparse.ArgumentParser = Parser(
        prog="platter",
        description="Ship a Python project to a server: one self-installing bundle with its wheel, the wheels of its"
        " dependencies and an install.sh.",
    )
    program.add_argument(
        "-V", "--version", action="version", version=f"platter-setuptools {platter_setuptools.__version__}"
    )
    commands = program.add_subparsers(dest="command", metavar="COMMAND")
    parser = add_command(
        commands,
        "build",
        build,
        "make a bundle of a project",
        epilog="Each option can also be set in pyproject.toml ([tool.platter]), in setup.cfg ([bdist_platter]) and in"
        " the environment (PLATTER_BUILD_OUTPUT and so on).",
    )
    add_project(parser, *BY_NAME)
    add_json(parser, "build")
    parser = add_command(commands, "config", config, "print the effective options and where each comes from")
    add_project(parser, *BY_NAME)
    add_json(parser, "config")
    lock.add_to(commands)
    describe.add_to(commands)
    bundles.add_to(commands)
    thin.add_to(commands)
    audit.add_to(commands)
    unit.add_to(commands)
    cache.add_to(commands)
    outline.add_to(commands, program)
    return program
