"""The parts of the manual that are made from the sources, each between two comments of its name.

`python tests/support/manual.py` writes them anew, for `git diff` to show.
"""

from __future__ import annotations

import ast
import dataclasses
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from platter_setuptools import cli, payload
from platter_setuptools.bdist_platter import bdist_platter
from platter_setuptools.commands.outline import Argument, Command, outline
from platter_setuptools.ground import errors
from platter_setuptools.ground.options import OPTIONS, Kind, Option, Options
from platter_setuptools.payload import operate

sys.path.insert(0, str(Path(__file__).parents[1]))  # python tests/support/manual.py knows its own folder alone
from support.picture import picture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "platter_setuptools"
_PART = "<!-- made from the sources: {name} -->\n{text}<!-- end of {name} -->"
_VALUES = {
    Kind.TEXT: "a string",
    Kind.PATH: "a path",
    Kind.CHOICE: "one of a few words",
    Kind.FLAG: "yes or no",
    Kind.NAMES: "a list of names",
    Kind.LINES: "a list of strings",
    Kind.PATHS: "a list of paths",
}
_DEFAULTS = {field.name: field.default for field in dataclasses.fields(Options)}


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
    return {**texts, ROOT / "docs" / "imports.svg": picture()}


def configuration() -> str:
    """A section for each option, with its name in every dialect."""
    return "\n".join(line for option in OPTIONS for line in _of_option(option))


def _of_option(option: Option) -> Iterator[str]:
    metavar = option.metavar or ""
    names = [f"-{option.short}"] * bool(option.short) + [f"--{option.name}"]
    flag = option.kind is Kind.FLAG
    row = next(row for row in bdist_platter.user_options if row[0].rstrip("=") in {option.name, _distutils(option)})
    yield f"### {option.name}\n"
    yield f"{_sentence(option.help)}\n"
    yield "| where | how |\n|---|---|"
    yield f"| `platter build` | {', '.join(f'`{name}`' if flag else f'`{name} {metavar}`' for name in names)} |"
    short = f"`-{row[1]}`, " if row[1] else ""
    yield f"| `setup.py bdist_platter` | {short}`--{row[0]}{metavar}` |"
    yield f"| `python -m build -C…` | `platter.{option.name}={metavar or 'yes'}` |"
    yield f"| environment | `{option.variable}` |"
    yield f"| setup.cfg `[bdist_platter]` | `{option.name} = {metavar or 'yes'}` |"
    yield f"| pyproject.toml `[tool.platter]` | `{_toml(option)}` |"
    yield f"| value | {_VALUES[option.kind]}{_choices(option)} |\n"


def _distutils(option: Option) -> str:
    return "dist-dir" if option.name == "output" else option.name


def _toml(option: Option) -> str:
    if option.kind is Kind.FLAG:
        return f"{option.name} = true"
    if option.kind.is_list:
        return f'{option.name} = ["{option.metavar}"]'
    default = _DEFAULTS[option.attribute]
    return f'{option.name} = "{default if isinstance(default, str) and option.choices else option.metavar}"'


def _choices(option: Option) -> str:
    return f": {', '.join(f'`{choice}`' for choice in option.choices)}" if option.choices else ""


def _sentence(text: str) -> str:
    text = text[0].upper() + text[1:]
    body, bracket, default = text.partition(" [default: ")
    return f"{body}." + (f" Default: {default.removesuffix(']')}." if bracket else "")


def commands() -> str:
    """A section for each command."""
    return "\n".join(_commands(outline(cli._parser())))


def _commands(program: Command) -> Iterator[str]:
    for command in program.walk():
        if command.commands or not command.words:
            continue
        words = " ".join(("platter", *command.words))
        operands = "".join(f" [{one.metavar}]" if one.optional else f" {one.metavar}" for one in command.positional)
        options = [one for one in command.options if one.names[-1] != "--help"]
        yield f"## {words}\n"
        yield f"```text\n{words}{' [OPTIONS]' * bool(options)}{operands}\n```\n"
        yield f"{_escaped(command.description)}\n"
        if options or command.positional:
            yield "| | |\n|---|---|"
            yield from (_row(one) for one in (*command.positional, *options))
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
    told = script.partition("cat <<'END'\n")[2].partition("\nEND\n")[0]
    return f"```text\n{told}\n```"


def platter_help() -> str:
    """What `ROOT/platter --help` prints."""
    return f"```text\n{operate.HELP.rstrip()}\n```"


def modules() -> str:
    """The map: every module, and the first sentence of what it says of itself."""
    lines = []
    for folder in [PACKAGE, *sorted(path for path in PACKAGE.rglob("*") if path.is_dir())]:
        found = sorted(path for path in folder.glob("*.py") if path.name != "__init__.py")
        if not found:
            continue
        place = folder.relative_to(PACKAGE.parent).as_posix()
        lines.append(f"\n### {place}\n")
        lines += [f"- [{path.name}](src/{place}/{path.name}): {_first_sentence(path)}" for path in found]
    return "\n".join(lines)


def _first_sentence(path: Path) -> str:
    told = ast.get_docstring(ast.parse(path.read_text("utf-8")))
    if not told:
        raise ValueError(f"{path} does not say what it is")
    paragraph = " ".join(told.partition("\n\n")[0].split())
    return _escaped(re.split(r"(?<=[.!?])\s", paragraph)[0].replace("``", "`"))


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
