"""The command line: `platter build` and `platter clean-cache`, as Platter had them; `config`, `latest` and more."""

from __future__ import annotations

import argparse
import os
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import platter_setuptools
from platter_setuptools.commands import cache, insight, lock, results, shell
from platter_setuptools.commands.parser import Parser
from platter_setuptools.frontends import refuse_windows
from platter_setuptools.ground.dialects import Source, decide, merge, read_environment, read_strings
from platter_setuptools.ground.errors import InterruptedBuildError, PlatterError, UsageError
from platter_setuptools.ground.interrupts import HINT, end_by_signal, signals_as_errors, turn_deaf, what_stopped
from platter_setuptools.ground.options import BY_NAME, OPTIONS, Kind, Option
from platter_setuptools.ground.streams import (
    keep_standard_descriptors,
    print_result,
    print_text,
    share_a_terminal,
    standard_error,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from platter_setuptools.steps.store import Store


_SIGNALS = 128  # what a shell adds to the number of the signal that ended a process


def program() -> int:
    """Run `platter` as a process of its own.

    A signal that interrupts it ends it when all is cleaned up; one that comes after its work is done does nothing.
    """
    code = main()
    if code > _SIGNALS:
        end_by_signal(code - _SIGNALS)
    turn_deaf()
    return code


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code: 128 and more for the signal that interrupted it."""
    keep_standard_descriptors()
    parser = _parser()
    parsed = parser.parse_args(arguments)
    if "run" not in parsed:
        (parsed.parser if "parser" in parsed else parser).print_help(standard_error())
        return UsageError.exit_code
    verbose = getattr(parsed, "verbose", None) is not None
    try:
        with signals_as_errors():
            refuse_windows()
            return parsed.run(parsed) or 0
    except PlatterError as error:
        if verbose:
            traceback.print_exc(file=standard_error())
        report(error)
        return error.exit_code
    except KeyboardInterrupt as error:
        message, number = what_stopped(error)
        report(InterruptedBuildError(message, hint=HINT))
        return _SIGNALS + number


def build(parsed: argparse.Namespace) -> None:
    """`platter build`: make a bundle and print its path."""
    from platter_setuptools.assemble import assemble  # noqa: PLC0415 - `--version` and `--help` need none of it
    from platter_setuptools.ground.progress import open_progress  # noqa: PLC0415
    from platter_setuptools.ground.run import Processes  # noqa: PLC0415
    from platter_setuptools.ground.temporary import temporary_folder  # noqa: PLC0415
    from platter_setuptools.project import open_project  # noqa: PLC0415

    path, sources = _read(parsed)
    options = merge(sources, output=_default_output())
    with (
        open_progress(quiet=options.quiet, verbose=options.verbose) as progress,
        temporary_folder() as scratch,
    ):
        project = open_project(path, scratch)
        run = Processes(progress.detail)
        artifact = assemble(
            options,
            source=project.source,
            project_wheel=project.wheel,
            run=run,
            progress=progress,
            tree=project.tree,
        )
    if parsed.json:
        results.print_json(results.of_build(artifact))
    elif options.quiet or not share_a_terminal():  # else the last words on standard error have named it there
        print_result(f"{artifact.path}")


def config(parsed: argparse.Namespace) -> None:
    """`platter config`: print what `platter build` would go by, as TOML, and who says so."""
    from platter_setuptools.ground.effective import as_json, as_toml  # noqa: PLC0415

    _path, sources = _read(parsed)
    if not parsed.json:
        print_text(as_toml(decide(sources), output=_default_output()))
    merge(sources, output=_default_output())  # now the contradictions, if there are any
    if parsed.json:
        results.print_json(as_json(decide(sources), output=_default_output()))


def verify(parsed: argparse.Namespace) -> None:
    """`platter verify`: look for whatever could be wrong with a bundle."""
    from platter_setuptools.ground.progress import Quiet  # noqa: PLC0415
    from platter_setuptools.ground.run import Processes  # noqa: PLC0415
    from platter_setuptools.ground.temporary import temporary_folder  # noqa: PLC0415
    from platter_setuptools.steps.bundle.verify import verify as look  # noqa: PLC0415

    bundle, signers = Path(parsed.bundle), parsed.allowed_signers and Path(parsed.allowed_signers)
    for file in (bundle, signers):
        if file and not file.exists():
            raise UsageError(f"{file} does not exist", hint="correct the path")
    with temporary_folder() as work:
        progress = Quiet(standard_error())
        verdict = look(bundle, allowed_signers=signers, run=Processes(), progress=progress, work=work)
    trust = f"signed by {verdict.signer}" if verdict.signer else "signed, by whom was not asked" * verdict.signed
    what = f"{verdict.title}, {verdict.files} files, {verdict.wheels} wheels, {trust or 'not signed'}"
    if parsed.json:
        results.print_json(results.of_verify(bundle, verdict))
    standard_error().write(f"{bundle} is in order: {what}\n")


def clean_cache(parsed: argparse.Namespace) -> None:
    """`platter clean-cache`: empty the wheel cache."""
    store = _open_store(parsed)
    count = store.clean()
    standard_error().write(f"removed {count} files from {store.root}\n")


def _open_store(parsed: argparse.Namespace) -> Store:
    from platter_setuptools.steps.store import Store, default_location  # noqa: PLC0415

    here = Path.cwd()
    sources: list[Source] = [
        read_strings("the command line", here, _given(parsed), prefix="--"),
        read_environment(os.environ, here),
    ]
    options = merge(sources, output=_default_output())
    return Store(options.wheel_cache or default_location())


def latest(parsed: argparse.Namespace) -> None:
    """`platter latest`: print the path of the newest bundle."""
    from platter_setuptools.steps.bundle.bundles import newest  # noqa: PLC0415

    folder = Path(parsed.folder).resolve() if parsed.folder else Path.cwd() / "dist"
    found = newest(folder, name=parsed.name, platform=parsed.platform, python=parsed.python, pre=parsed.pre)
    if parsed.json:
        results.print_json(results.of_latest(found))
    else:
        print_result(f"{found.path}")


def report(error: PlatterError) -> None:
    """Tell about an error: the last lines of the tool that failed, what failed, and what to do."""
    stream = standard_error()
    stream.writelines(f"    {line}\n" for line in error.output)
    stream.write(f"platter: error: {error.message}\n")
    if error.hint:
        stream.write(f"  hint: {error.hint}\n")


def _read(parsed: argparse.Namespace) -> tuple[Path, list[Source]]:
    """Where the project is, and all that is said about how to build it, the strongest first."""
    from platter_setuptools.ground.configuration import from_pyproject, from_setup_cfg  # noqa: PLC0415

    here = Path.cwd()
    given = read_strings("the command line", here, _given(parsed), prefix="--")
    path = (here / parsed.path).resolve() if parsed.path else _closest_project(here)
    files = [from_setup_cfg(path), from_pyproject(path)] if path.is_dir() else []
    return path, [given, read_environment(os.environ, here), *files]


def _default_output() -> Path:
    return Path.cwd() / "dist"


def _parser() -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = Parser(
        prog="platter",
        description="Ship a Python project to a server: one self-installing bundle with its wheel, the wheels of its"
        " dependencies and an install.sh.",
    )
    parser.add_argument(
        "-V", "--version", action="version", version=f"platter-setuptools {platter_setuptools.__version__}"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    project = _of_project(*BY_NAME)
    build_parser = commands.add_parser(
        "build",
        parents=[project],
        help="make a bundle of a project",
        description="Make a self-installing bundle of a project. On the server: unpack it and run ./install.sh DST.",
        epilog="Each option can also be set in pyproject.toml ([tool.platter]), in setup.cfg ([bdist_platter]) and in"
        " the environment (PLATTER_BUILD_OUTPUT and so on).",
    )
    build_parser.set_defaults(run=build)
    results.add_json(build_parser, "build")
    config_parser = commands.add_parser(
        "config",
        parents=[project],
        help="print the options that a build would go by, and where each comes from",
        description="Print the options that `platter build` would go by, as TOML, and where each comes from.",
    )
    config_parser.set_defaults(run=config)
    results.add_json(config_parser, "config")
    lock.add_to(commands, _of_project(*lock.OPTIONS), _read)
    latest_parser = commands.add_parser(
        "latest",
        help="print the path of the newest bundle",
        description="Print the path of the newest bundle by version, never that of a wheel or an sdist.",
    )
    latest_parser.set_defaults(run=latest)
    results.add_json(latest_parser, "latest")
    latest_parser.add_argument("folder", nargs="?", metavar="DIR", help="the folder to look in [default: dist]")
    latest_parser.add_argument("--name", metavar="NAME", help="the project, where bundles of several are there")
    latest_parser.add_argument("--platform", metavar="PLATFORM", help="the platform, such as linux-x86_64")
    latest_parser.add_argument("-p", "--python", metavar="PYTHON", help="the Python, such as 3.11 or cp311")
    latest_parser.add_argument("--pre", action="store_true", help="a pre-release, too, where there are others")
    verify_parser = commands.add_parser(
        "verify",
        help="check a bundle without installing it",
        description="Check a bundle of any format without installing it: that every file is as SHA256SUMS has it, every"
        " wheel as its RECORD, and all as info.json says; that the wheels need nothing that is not there; that nothing"
        " leads out of the bundle; that it tells no password.",
        epilog="Exit codes: 0 in order, 2 wrong usage, 5 something is wrong with it, 6 no bundle that can be read, or"
        " not signed by an allowed signer.",
    )
    verify_parser.set_defaults(run=verify)
    results.add_json(verify_parser, "verify")
    verify_parser.add_argument("bundle", metavar="BUNDLE", help="an archive or a folder")
    verify_parser.add_argument(
        "--allowed-signers",
        metavar="FILE",
        help="who may have signed it, in the format of ssh-keygen(1); nobody else may, and somebody has to",
    )
    insight.add_to(commands)
    wheel_cache = argparse.ArgumentParser(add_help=False)
    _add(wheel_cache, BY_NAME["wheel-cache"])
    clean_parser = commands.add_parser(
        "clean-cache", parents=[wheel_cache], help="empty the wheel cache", description="Empty the wheel cache."
    )
    clean_parser.set_defaults(run=clean_cache)
    cache.add_to(commands, wheel_cache, _open_store)
    shell.add_to(commands, parser)
    return parser


def _of_project(*names: str) -> argparse.ArgumentParser:
    """What commands that take a project have in common: its path, and the options of these names."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "path", nargs="?", metavar="PATH", help="a project's folder, an sdist or a wheel [default: the closest project]"
    )
    for name in names:
        _add(parser, BY_NAME[name])
    return parser


def _add(parser: argparse.ArgumentParser, option: Option) -> None:
    names = [*[f"-{option.short}"] * bool(option.short), f"--{option.name}", *option.aliases]
    help_text = option.help.replace("%", "%%")
    if option.kind is Kind.FLAG:
        parser.add_argument(*names, dest=option.attribute, action="store_const", const="yes", help=help_text)
    elif option.kind.is_list:
        parser.add_argument(*names, dest=option.attribute, action="append", metavar=option.metavar, help=help_text)
    else:
        parser.add_argument(*names, dest=option.attribute, metavar=option.metavar, help=help_text)


def _given(parsed: argparse.Namespace) -> dict[str, str | list[str]]:
    values = {option.name: getattr(parsed, option.attribute, None) for option in OPTIONS}
    return {name: value for name, value in values.items() if value is not None}


def _closest_project(start: Path) -> Path:
    from platter_setuptools.ground.configuration import PROJECT_FILES  # noqa: PLC0415

    for folder in (start, *start.parents):
        if any((folder / name).is_file() for name in PROJECT_FILES):
            return folder
    raise UsageError(
        f"no project found: neither {start} nor a folder above it has a {' or '.join(PROJECT_FILES)}",
        hint="name the project: platter build PATH",
    )
