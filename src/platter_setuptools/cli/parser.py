"""The parser of the command line: without abbreviations, with a hint in each error; and what commands share."""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from platter_setuptools.config.option_sources import Source, decide, read_environment, read_strings
from platter_setuptools.config.options import BY_NAME, OPTIONS, Kind
from platter_setuptools.errors import UsageError
from platter_setuptools.payload.cleaning import clean
from platter_setuptools.runtime.streams import print_text, standard_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001

COMMAND_LINE = "the command line"
_ELSEWHERE = {
    **dict.fromkeys(("list", "activate", "rollback", "prune", "doctor"), "a command of ROOT/platter, on the server"),
    **dict.fromkeys(("deploy", "releases"), "a task for Fabric (docs/automation.md)"),
    "install": "done by the install.sh of a bundle, on the server",
}


class Parser(argparse.ArgumentParser):
    """An ArgumentParser without abbreviated options. Its errors end with exit code 2."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **settings})

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse the arguments. An unknown one is an error of the command that it was given to."""
        namespace, unknown = super().parse_known_args(args, namespace)
        late = [one for one in self._get_positional_actions() if one.nargs == "?" and not getattr(namespace, one.dest)]
        if late and unknown and not unknown[0].startswith("-"):  # older Pythons find none behind an option
            setattr(namespace, late[0].dest, unknown.pop(0))
        if unknown:
            self.fail(f"unrecognized arguments: {' '.join(unknown)}", self._meant(unknown[0]))
        return namespace, unknown

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print a help page or a version. Raise PlatterError if standard output does not take it."""
        if sys.stdout is None or file is not sys.stdout:
            super()._print_message(message, file)
            return
        print_text(message.removesuffix("\n"))

    def error(self, message: str) -> NoReturn:
        self.fail(message)

    def fail(self, message: str, hint: str = "") -> NoReturn:
        """End with a usage error. The default hint names the help page."""
        self.print_usage(standard_error())
        hint = hint or f"{self.prog} --help lists the options"
        self.exit(2, clean(f"{self.prog}: error: {message}\n  hint: {hint}\n"))

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Raise ArgumentError for a value that is not a choice; for a command, suggest one."""
        if isinstance(action, argparse._SubParsersAction) and value not in action.choices:  # noqa: SLF001
            elsewhere = _ELSEWHERE.get(str(value))
            hint = f"{value} is {elsewhere}" if elsewhere else _did_you_mean(str(value), action.choices)
            self.fail(f"there is no command {str(value)!r}", hint or f"{self.prog} --help lists the commands")
        super()._check_value(action, value)

    def _meant(self, word: str) -> str:
        known = [name for name in self._option_string_actions if name.startswith("--")]
        return _did_you_mean(word.partition("=")[0], known) if word.startswith("--") else ""


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean {close[0]}?" if close else ""


def add_command(
    commands: Commands,
    name: str,
    run: Callable[[argparse.Namespace], int | None],
    summary: str,
    epilog: str = "",
) -> argparse.ArgumentParser:
    """Add a command that `run` carries out. Its docstring is the description. It returns an exit code or None."""
    description = " ".join((run.__doc__ or "").split())
    parser = commands.add_parser(name, help=summary, description=description, epilog=epilog)
    parser.set_defaults(run=run)
    return parser


def add_json(parser: argparse._ActionsContainer, command: str) -> None:
    """Add `--json` to a command that has a schema."""
    parser.add_argument(
        "--json", action="store_true", help=f"print the result as JSON (schema: docs/{command}.schema.json)"
    )


def add_project(parser: argparse.ArgumentParser, *names: str) -> None:
    """Add the path of a project, and the options of these names."""
    parser.add_argument(
        "path", nargs="?", metavar="PATH", help="a project's folder, an sdist or a wheel [default: the closest project]"
    )
    add_options(parser, *names)


def add_options(parser: argparse.ArgumentParser, *names: str) -> None:
    """Add the options of these names."""
    for option in map(BY_NAME.__getitem__, names):
        spellings = [*[f"-{option.short}"] * bool(option.short), f"--{option.name}", *option.aliases]
        form: dict[str, str | None] = {"action": "store", "metavar": option.metavar}
        if option.kind is Kind.FLAG:
            form = {"action": "store_const", "const": "yes"}
        elif option.kind.is_list:
            form["action"] = "append"
        parser.add_argument(*spellings, dest=option.attribute, help=option.help.replace("%", "%%"), **form)  # type: ignore[arg-type]


def read_project(parsed: argparse.Namespace) -> tuple[Path, list[Source]]:
    """Return the project's path and the sources of its options, the strongest first.

    If the options name packages, the project is the first of them; its files count more than those of the path.
    """
    from platter_setuptools.config.files import closest_project, from_pyproject, from_setup_cfg  # noqa: PLC0415

    here = Path.cwd()
    sources = read_options(parsed)
    path = (here / parsed.path).resolve() if parsed.path else closest_project(here)
    files = [from_setup_cfg(path), from_pyproject(path)] if path.is_dir() else []
    package = decide([*sources, *files]).get("package")
    if not package or not package.value:
        return path, [*sources, *files]
    if not path.is_dir():
        raise UsageError(f"{package.place}: {path} is not a folder of a workspace", hint="name the workspace's folder")
    from platter_setuptools.resolve.workspace import find_members  # noqa: PLC0415
    from platter_setuptools.runtime.processes import Runner  # noqa: PLC0415

    first = find_members(path, package.value, Runner())[0].folder
    own = [] if first == path else [from_setup_cfg(first), from_pyproject(first)]
    for source in own:  # which members it is, is decided
        source.pop("package", None)
    return first, [*sources, *own, *files]


def read_options(parsed: argparse.Namespace) -> list[Source]:
    """Return the options on the command line and in the environment."""
    here = Path.cwd()
    values = {option.name: getattr(parsed, option.attribute, None) for option in OPTIONS}
    given = {name: value for name, value in values.items() if value is not None}
    return [read_strings(COMMAND_LINE, here, given, prefix="--"), read_environment(os.environ, here)]


def default_output() -> Path:
    """Return the folder for bundles if no option names one."""
    return Path.cwd() / "dist"
