"""The outline of the command line, read from argparse, and the commands that print it: `completion` and `man`."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING

from platter_setuptools.cli.parser import add_command
from platter_setuptools.config.options import BY_NAME
from platter_setuptools.runtime.streams import print_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from platter_setuptools.cli.parser import Commands

_FILES = {"BUNDLE", "FILE", "KEY", "NEW", "OLD", "PATH", "SCRIPT"}  # metavars of what the shell can complete


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """An option, or without `names` a positional argument. `metavar` is empty for an option without a value."""

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
    """`words` follow the program's name: none for the program itself, `("cache", "prune")` for a subcommand."""

    words: tuple[str, ...]
    help: str
    description: str
    epilog: str
    options: tuple[Argument, ...]
    positional: tuple[Argument, ...]
    commands: tuple[Command, ...]

    def walk(self) -> Iterator[Command]:
        """Yield the command and all its subcommands."""
        yield self
        for command in self.commands:
            yield from command.walk()


def outline(parser: argparse.ArgumentParser, words: tuple[str, ...] = (), short: str = "") -> Command:
    """Return the outline of a parser."""
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


def add_to(commands: Commands, program: argparse.ArgumentParser) -> None:
    """Add the commands to the command line of `program`."""

    def completion(parsed: argparse.Namespace) -> None:
        """Print a script that lets a shell complete this command.

        For bash: eval "$(platter completion bash)" in ~/.bashrc; for zsh: source <(platter completion zsh) in
        ~/.zshrc, after compinit; for fish: platter completion fish > ~/.config/fish/completions/platter.fish.
        """
        from platter_setuptools.cli.completion import SHELLS  # noqa: PLC0415

        print_text(SHELLS[parsed.shell](outline(program)))

    def man(_parsed: argparse.Namespace) -> None:
        """Print the manual page.

        For man(1): platter man >~/.local/share/man/man1/platter.1
        """
        from platter_setuptools.cli.manual import manual  # noqa: PLC0415

        print_text(manual(outline(program)))

    parser = add_command(commands, "completion", completion, "print a script that lets a shell complete this command")
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), metavar="SHELL", help="bash, zsh or fish")
    add_command(commands, "man", man, "print the manual page")
