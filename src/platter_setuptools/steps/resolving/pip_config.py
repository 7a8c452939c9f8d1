"""Pip's configuration as pip reads it: its files, the `PIP_*` variables, its command line.

The rules are those of pip's user guide, "Configuration", and of how pip 26 applies them. Pip itself is not run: it
takes longer to start than everything here takes together.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from platter_setuptools.ground.errors import UsageError
from platter_setuptools.ground.files import located
from platter_setuptools.ground.urls import redact
from platter_setuptools.steps.resolving.pip_options import BY_FLAG, FLAGS, OPTIONS, Kind, PipOption

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

# A file's sections, the weakest first: what we do is what `pip wheel` does, then what the other two do.
_SECTIONS = ("global", "download", "install", "wheel")


def pip_arguments(pip_options: Sequence[str]) -> list[str]:
    """Return the --pip-option values as separate words.

    A value is quoted as in a shell: `--find-links='/srv/my wheels'`, `-f /srv/wheels`. One that does not begin
    with a dash belongs to the option before it and is taken as it is. Raises UsageError for an open quote.
    """
    arguments: list[str] = []
    for option in pip_options:
        if not option.startswith("-"):
            arguments.append(option)
            continue
        try:
            arguments += shlex.split(option)
        except ValueError as error:
            raise UsageError(f"pip-option {redact(option)}: {error}", hint="quote its value as in a shell") from error
    return arguments


def pip_config_files(environ: Mapping[str, str], prefix: Path) -> tuple[Path, ...]:
    """The configuration files of pip, the weakest first, whether they exist or not.

    `prefix` is the sys.prefix of the interpreter whose pip is meant.
    """
    named = environ.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return ()
    home = Path(environ.get("HOME") or os.path.expanduser("~"))  # noqa: PTH111 - Path.home raises where there is none
    config_home = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    if sys.platform == "darwin":
        system = [Path("/Library/Application Support/pip")]
        support = home / "Library" / "Application Support" / "pip"
        user = support if support.is_dir() else home / ".config" / "pip"
    else:
        folders = environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
        system = [Path(folder) / "pip" for folder in folders.split(os.pathsep) if folder] + [Path("/etc")]
        user = config_home / "pip"
    files = [folder / "pip.conf" for folder in system]
    # A file that PIP_CONFIG_FILE names takes the place of the user's own.
    if not (named and Path(named).exists()):
        files += [home / ".pip" / "pip.conf", user / "pip.conf"]
    files.append(prefix / "pip.conf")
    if named:
        files.append(Path(named))
    return tuple(files)


def read_pip(
    pip_options: Sequence[str],
    *,
    environ: Mapping[str, str],
    config_files: Iterable[Path],
    base: Path,
    options_base: Path,
) -> dict[str, Any]:
    """What pip was told, by the field names of IndexSettings; only what was said is there.

    Files come the weakest first, then the variables, then the --pip-option values. A stronger place replaces the
    lists of a weaker one; the command line adds to them, as it does in pip. Relative paths in files and variables start
    at `base`, the working folder, as in pip; those of the --pip-option values at `options_base`.
    Raises UsageError for a value that is none.
    """
    state: dict[str, Any] = {}
    variables: dict[str, str] = {}
    if named := environ.get("PIP_CONFIG_FILE"):
        variables["PIP_CONFIG_FILE"] = located(named, base)
    for where, key, value in (*_file_values(config_files), *_environment_values(environ)):
        if key in {"requirement", "editable"} and value:
            raise UsageError(
                f"{where}: {key} is not obeyed, since a bundle is made of what the project and its options name",
                hint="give the file to the option requirements, and take it out of pip's configuration",
            )
        option = BY_FLAG.get("--" + key)
        if option is None or not value:
            continue
        said = value
        if option.kind is Kind.PATH:
            said = located(value.strip(), base)
        elif option.kind is Kind.PLACES:
            said = " ".join(_word(located(one, base)) for one in value.split())
        if said is not value:
            variables[f"PIP_{key.upper().replace('-', '_')}"] = said
        _configure(state, option, said, f"{where}: {key}")
    _read_command_line(state, pip_arguments(pip_options), options_base)
    state.pop("ignored", None)
    state["pip_variables"] = list(variables.items())
    return state


def _file_values(files: Iterable[Path]) -> list[tuple[str, str, str]]:
    files = [file for file in files if file.is_file()]
    if not files:
        return []
    import configparser  # noqa: PLC0415 - most builds have no such file

    sections: dict[str, dict[str, tuple[str, str]]] = {name: {} for name in _SECTIONS}
    for file in files:
        parser = configparser.RawConfigParser()
        try:
            parser.read(file, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError) as error:
            reason = str(error).splitlines()[0]
            raise UsageError(
                f"pip's configuration file {file} cannot be read: {redact(reason)}",
                hint="correct that file, or set PIP_CONFIG_FILE to another one",
            ) from error
        for name, section in sections.items():
            if parser.has_section(name):
                section.update((_key(key), (str(file), value)) for key, value in parser.items(name))
    return [(where, key, value) for section in sections.values() for key, (where, value) in section.items()]


def _environment_values(environ: Mapping[str, str]) -> list[tuple[str, str, str]]:
    return [
        ("the environment", _key(name.removeprefix("PIP_")), value)
        for name, value in environ.items()
        if name.startswith("PIP_")
    ]


def _key(name: str) -> str:
    return name.lower().replace("_", "-").removeprefix("--")


def _configure(state: dict[str, Any], option: PipOption, value: str, where: str) -> None:
    match option.kind:
        case Kind.TEXT | Kind.PATH:
            state[option.field] = _checked(option.field, value, where)
        case Kind.LIST | Kind.PLACES:
            state[option.field] = value.split()
        case Kind.PAIRS:
            state[option.field] = [value]
        case Kind.FORMATS:
            _add_formats(state, option.field, value)
        case Kind.FLAG:
            state[option.field] = _yes(value, where)
        case Kind.FLAG_TURNED:
            state[option.field] = not _yes(value, where)
        case _:
            pass


def _checked(name: str, value: str, where: str) -> str | float | int:
    try:
        if name == "timeout":
            return float(value)
        return int(value) if name == "retries" else value.strip()
    except ValueError as error:
        raise UsageError(f"{where}: expected a number, found {value!r}", hint="write a whole number") from error


def _yes(value: str, where: str) -> bool:
    word = value.strip().lower()
    if word in {"y", "yes", "t", "true", "on", "1"}:
        return True
    if word in {"n", "no", "f", "false", "off", "0"}:
        return False
    raise UsageError(f"{where}: expected yes or no, found {value!r}", hint="write yes or no, as pip takes it")


def _add_formats(state: dict[str, Any], name: str, value: str) -> None:
    # What is named for one of the two is taken away from the other; :all: sweeps both, :none: empties this one.
    target: list[str] = state.setdefault(name, [])
    other: list[str] = state.setdefault("only_binary" if name == "no_binary" else "no_binary", [])
    words = [word.strip() for word in value.split(",") if word.strip()]
    if ":all:" in words:
        other.clear()
        target[:] = [":all:"]
        words = words[len(words) - words[::-1].index(":all:") :]
        if ":none:" not in words:
            return
    for word in words:
        if word == ":none:":
            target.clear()
            continue
        package = re.sub(r"[-_.]+", "-", word).lower()
        if package in other:
            other.remove(package)
        if package not in target:
            target.append(package)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(
            f"pip-option: {redact(message)}", hint="write one option as pip takes it, such as --no-binary=NAME"
        )


def _read_command_line(state: dict[str, Any], arguments: list[str], base: Path) -> None:
    parser = _Parser(prog="pip", add_help=False, allow_abbrev=False, argument_default=argparse.SUPPRESS)
    for option in OPTIONS:
        # One list for all of them keeps their order, which matters to --no-binary and --only-binary.
        if option.kind in FLAGS:
            parser.add_argument(*option.flags, dest="said", action="append_const", const=(option, ""))
        else:
            parser.add_argument(*option.flags, dest="said", action="append", type=_tagged(option, base))
    known, unknown = parser.parse_known_args(arguments)
    words = []
    for option, value in getattr(known, "said", ()):
        flag = next(flag for flag in option.flags if flag.startswith("--"))
        words.append(flag if option.kind in FLAGS else f"{flag}={value}")
        if option.kind in FLAGS:
            state[option.field] = True
        elif option.kind is Kind.FORMATS:
            _add_formats(state, option.field, value)
        elif option.kind in {Kind.TEXT, Kind.PATH, Kind.IGNORED}:
            state[option.field] = _checked(option.field, value, "pip-option")
        else:
            state[option.field] = [*state.get(option.field, ()), value]
    state["unknown"] = unknown
    state["pip_arguments"] = [*words, *unknown]


def _tagged(option: PipOption, base: Path) -> Callable[[str], tuple[PipOption, str]]:
    has_path = option.kind in {Kind.PLACES, Kind.PATH}
    return lambda value: (option, located(value, base) if has_path else value)


def _word(place: str) -> str:
    """A place as it can stand in a list that is separated by white space."""
    return Path(place).as_uri() if re.search(r"\s", place) else place
