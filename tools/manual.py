"""The parts of the manual that are made from the sources, each between two comments of its name.

`python tools/manual.py` writes them anew, for `git diff` to show.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from platter_setuptools import errors, payload
from platter_setuptools.cli import command_line
from platter_setuptools.cli.outline import Argument, Command, outline
from platter_setuptools.config.options import OPTIONS, Kind, Option
from platter_setuptools.payload.releases import releases_cli

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "platter_setuptools"
_PART = "<!-- made from the sources: {name} -->\n{text}<!-- end of {name} -->"
_VALUES = {
    Kind.TEXT: "a string",
    Kind.PATH: "a path",
    Kind.FLAG: "yes or no",
    Kind.NAMES: "a list of names",
    Kind.LINES: "a list of strings",
    Kind.PATHS: "a list of paths",
    Kind.NAMES_OR_PATHS: "a list of names and paths",
}


def written() -> dict[Path, str]:
    """Each file that has such parts, as it should be."""
    texts = {}
    for file, parts in PARTS.items():
        path = ROOT / file
        text = path.read_text("utf-8")
        for name, make in parts.items():
            pattern = re.escape(_PART).replace(r"\{name\}", re.escape(name)).replace(r"\{text\}", "(.*?)")
            found = re.search(pattern, text, re.DOTALL)
            if found is None:
                raise ValueError(f"{file} has no part {name}")
            part = _PART.format(name=name, text=f"\n{make().strip()}\n\n")
            text = text[: found.start()] + part + text[found.end() :]
        texts[path] = text
    return texts


def configuration() -> str:
    """Return a table of all options, by the names that they have in every place."""
    rows = (
        f"| {_names(option)} | {_value(option)} | {_escaped(_sentence(option.help.replace(' (repeatable)', '')))} |"
        for option in OPTIONS
    )
    return "\n".join(["| option | value | what it does |", "|---|---|---|", *rows])


def _names(option: Option) -> str:
    return ", ".join([f"`{option.name}`", *[f"`-{option.short}`"] * bool(option.short)])


def _value(option: Option) -> str:
    if option.choices:
        return ", ".join(f"`{choice}`" for choice in option.choices)
    return " or ".join([_VALUES[option.kind], *(f"`{word}`" for word in option.words)])


def _sentence(text: str) -> str:
    text = text[0].upper() + text[1:]
    body, bracket, default = text.partition(" [default: ")
    return f"{body}." + (f" Default: {default.removesuffix(']')}." if bracket else "")


def commands() -> str:
    """A section for each command."""
    return "\n".join(_commands(outline(command_line._parser())))


def _commands(program: Command) -> Iterator[str]:
    build = next(command for command in program.commands if command.words == ("build",))
    known = {_row(one) for one in (*build.positional, *build.options)}
    for command in program.walk():
        if command.commands or not command.words:
            continue
        words = " ".join(("platter", *command.words))
        operands = "".join(f" [{one.metavar}]" if one.optional else f" {one.metavar}" for one in command.positional)
        options = [one for one in command.options if one.names[-1] != "--help"]
        yield f"## {words}\n"
        yield f"```text\n{words}{' [OPTIONS]' * bool(options)}{operands}\n```\n"
        yield f"{_escaped(command.description)}\n"
        rows = [_row(one) for one in (*command.positional, *options)]
        if command.positional == build.positional and command is not build:
            shared = [one for one in options if _row(one) in known]
            spellings = {name for one in shared for name in one.names}
            names = [f"`--{option.name}`" for option in OPTIONS if f"--{option.name}" in spellings]
            which = "all options" if len(names) == len(OPTIONS) else ", ".join(names)
            yield f"`PATH` and {which} as in [platter build](#platter-build).\n"
            rows = [row for row in rows if row not in known]
        if rows:
            yield "| | |\n|---|---|"
            yield from rows
            yield ""
        if command.epilog:
            yield f"{_escaped(command.epilog)}\n"


def _row(one: Argument) -> str:
    names = ", ".join(f"`{name} {one.metavar}`".replace(" `", "`") for name in one.names) or f"`{one.metavar}`"
    return f"| {names} | {_escaped(one.help)} |"


def _escaped(text: str) -> str:
    """What would be markup: commands in quotation marks stay as they are, since they are in backticks already."""
    parts = text.split("`")
    plain = [re.sub(r"([\\<>|*_\[\]$])", r"\\\1", part) for part in parts[::2]]
    return "`".join(one for pair in zip(plain, [*parts[1::2], ""], strict=True) for one in pair).removesuffix("`")


def exit_codes() -> str:
    """The exit codes of `platter`, from the errors."""
    kinds = errors.PlatterError.__subclasses__()
    other = errors.PlatterError.exit_code
    told = {one.exit_code: (one.__doc__ or "").splitlines()[0] for one in kinds if one.exit_code != other}
    rows = {0: "Done.", other: "Anything that is not listed here.", **told}
    return "\n".join(["| code | what it says |", "|---|---|", *(f"| {code} | {text} |" for code, text in rows.items())])


def install_help() -> str:
    """What `install.sh --help` prints: it stands in the script."""
    script = (Path(payload.__file__).parent / "install.sh").read_text("utf-8")
    told = script.partition("<<'END'\n")[2].partition("\nEND\n")[0]
    return f"```text\n{told}\n```"


def platter_help() -> str:
    """What `ROOT/platter --help` prints."""
    return f"```text\n{releases_cli.HELP.rstrip()}\n```"


def modules() -> str:
    """The map: every module in the order of the import contract, with the first sentence of its docstring."""
    return "\n".join(
        line for name in (*_layers(), "_in_process", "announce", "payload") for line in _of_module(PACKAGE / name)
    )


def _layers() -> Iterator[str]:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    (rows,) = (one["layers"] for one in contracts if one["type"] == "layers" and "containers" not in one)
    for row in rows:
        yield from (part.strip().rpartition(".")[2] for part in row.split("|"))


def _of_module(path: Path, indent: str = "") -> Iterator[str]:
    """The line of a module; of a package, its line and those of what is in it."""
    link = f"src/{path.relative_to(PACKAGE.parent).as_posix()}"
    if not path.is_dir():
        path = path.with_suffix(".py")
        yield f"{indent}- [{path.name}]({link}.py): {_first_sentence(path)}"
        return
    yield f"{indent}- **[{path.name}/]({link}/__init__.py)**: {_first_sentence(path / '__init__.py')}"
    for inside in sorted(path.iterdir(), key=lambda one: (one.is_dir(), one.name)):
        if (inside.suffix == ".py" and inside.name != "__init__.py") or (inside / "__init__.py").is_file():
            yield from _of_module(inside.with_suffix(""), f"{indent}  ")


def _first_sentence(path: Path) -> str:
    told = ast.get_docstring(ast.parse(path.read_text("utf-8")))
    if not told:
        raise ValueError(f"{path} does not say what it is")
    paragraph = " ".join(told.partition("\n\n")[0].split())
    return _escaped(re.split(r"(?<=[.!?])\s", paragraph)[0])


PARTS: dict[str, dict[str, Callable[[], str]]] = {
    "docs/configuration.md": {"options": configuration},
    "docs/commands.md": {"commands": commands, "exit codes": exit_codes},
    "docs/install.md": {"install.sh --help": install_help, "platter --help": platter_help},
    "CONTRIBUTING.md": {"modules": modules},
}

if __name__ == "__main__":
    for path, text in written().items():
        path.write_text(text, "utf-8")
        sys.stdout.write(f"{path.relative_to(ROOT)}\n")
