"""The manual page, platter(1), from the outline of the command line, the options and the errors."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import platter_setuptools
from platter_setuptools.config.options import OPTIONS
from platter_setuptools.errors import PlatterError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from platter_setuptools.cli.outline import Argument, Command


def manual(program: Command) -> str:
    """Return the page in the language of man(7)."""
    return "\n".join(_lines(program))


def _lines(program: Command) -> Iterator[str]:
    yield f'.TH PLATTER 1 "" "platter-setuptools {platter_setuptools.__version__}"'
    yield ".SH NAME"
    yield r"platter \- ship a Python project to a server"
    yield ".SH SYNOPSIS"
    yield ".B platter"
    yield r"\fICOMMAND\fR [\fIOPTIONS\fR] [\fIARGUMENTS\fR]"
    yield ".SH DESCRIPTION"
    yield _text(program.description)
    yield from _arguments(program)
    yield ".SH COMMANDS"
    for command in program.walk():
        if command.words and not command.commands:
            yield f".SS platter {_text(' '.join(command.words))}{''.join(map(_usage, command.positional))}"
            yield _text(command.description)
            yield from _arguments(command)
            if command.epilog:
                yield f".PP\n{_text(command.epilog)}"
    yield ".SH ENVIRONMENT"
    yield "Each option of platter build can be set in the environment. The command line overrides it."
    for option in OPTIONS:
        yield f".TP\n.B {_text(option.variable)}\nas {_text(f'--{option.name}')}"
    yield ".SH FILES"
    yield ".TP\n.I pyproject.toml\nThe table [tool.platter] has the same options."
    yield ".TP\n.I setup.cfg\nThe section [bdist_platter] has the same options and overrides pyproject.toml."
    yield ".SH EXIT STATUS"
    yield ".TP\n0\nDone."
    yield (
        f".TP\n{PlatterError.exit_code}\nAnything that is not listed here."
        " Of platter diff: there is a difference. Of platter audit: something was found."
    )
    for error in PlatterError.__subclasses__():
        if error.exit_code != PlatterError.exit_code:
            yield f".TP\n{error.exit_code}\n{_text((error.__doc__ or '').splitlines()[0])}"


def _usage(argument: Argument) -> str:
    name = rf"\fI{_text(argument.metavar)}\fR"
    return f" [{name}]" if argument.optional else f" {name}"


def _arguments(command: Command) -> Iterator[str]:
    for argument in (*command.positional, *command.options):
        names = ", ".join(rf"\fB{_text(name)}\fR" for name in argument.names)
        value = rf"\fI{_text(argument.metavar)}\fR" if argument.metavar else ""
        yield f".TP\n{' '.join(filter(None, (names, value)))}\n{_text(argument.help)}"


def _text(text: str) -> str:
    """Escape text for roff, with dashes that can be copied."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-")
    return re.sub(r"^(?=[.'])", r"\\&", escaped, flags=re.MULTILINE)
