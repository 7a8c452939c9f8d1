"""The outline of a command line: what argparse knows of it, for completions and the manual page to be made from."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING

from platter_setuptools.ground.options import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

_FILES = {"BUNDLE", "FILE", "KEY", "NEW", "OLD", "PATH", "SCRIPT"}  # metavars of what the shell can complete


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """An option, or with no `names` a positional argument. `metavar` is empty for an option that takes no value."""

    names: tuple[str, ...]
    metavar: str
    help: str
    choices: tuple[str, ...]
    optional: bool

    @property
    def takes_file(self) -> bool:
        return self.metavar in _FILES

    @property
    def takes_folder(self) -> bool:
        return self.metavar == "DIR"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """`words` are those after the program's name: none for itself, `("cache", "prune")` for a command of a command."""

    words: tuple[str, ...]
    help: str
    description: str
    epilog: str
    options: tuple[Argument, ...]
    positional: tuple[Argument, ...]
    commands: tuple[Command, ...]

    def walk(self) -> Iterator[Command]:
        """The command, and all below it."""
        yield self
        for command in self.commands:
            yield from command.walk()


def outline(parser: argparse.ArgumentParser, words: tuple[str, ...] = (), short: str = "") -> Command:
    """The outline of a parser."""
    options, positional, commands = list[Argument](), list[Argument](), list[Command]()
    for action in parser._actions:  # noqa: SLF001 - argparse offers no other way
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            helps = {one.dest: one.help or "" for one in action._choices_actions}  # noqa: SLF001
            commands += [outline(below, (*words, word), helps.get(word, "")) for word, below in action.choices.items()]
        elif action.option_strings:
            options.append(_argument(action))
        else:
            positional.append(_argument(action))
    return Command(
        words=words,
        help=short,
        description=parser.description or "",
        epilog=parser.epilog or "",
        options=tuple(options),
        positional=tuple(positional),
        commands=tuple(commands),
    )


def _argument(action: argparse.Action) -> Argument:
    names = tuple(action.option_strings)
    option = next((BY_NAME[name[2:]] for name in names if name[2:] in BY_NAME), None)
    choices = tuple(action.choices or (option.choices if option else ()))
    metavar = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    return Argument(
        names=names,
        metavar="" if action.nargs == 0 else metavar,
        help=(action.help or "").replace("%%", "%"),
        choices=choices,
        optional=bool(names) or action.nargs == "?",
    )
