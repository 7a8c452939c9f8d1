"""pip's configuration, read as pip reads it: its files, the `PIP_*` variables, its command line.

The rules are those of pip's user guide, "Configuration", and of pip 26. pip itself is not run: it takes longer to start
than everything here.
"""

from __future__ import annotations

import argparse
import configparser
import dataclasses
import os
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from packaging.utils import canonicalize_name

from platter_setuptools.config.option_sources import yes_or_no
from platter_setuptools.errors import UsageError
from platter_setuptools.resolve.indexes import IndexSettings, Kind
from platter_setuptools.runtime.files import located
from platter_setuptools.urls import redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

# The sections of a file, the weakest first: we do what `pip wheel` does, then what the other two do.
_SECTIONS = ("global", "download", "install", "wheel")


# Variables with URLs, which may have credentials.
_UV_URLS = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS")


@dataclass(frozen=True, slots=True)
class PipOption:
    """An option: the field of IndexSettings that it sets, "" for none, and its flags on pip's command line."""

    field: str
    kind: Kind
    flags: tuple[str, ...]

    @property
    def is_flag(self) -> bool:
        return self.kind in {Kind.FLAG, Kind.FLAG_TURNED}

    @property
    def has_path(self) -> bool:
        return self.kind in {Kind.PLACES, Kind.PATH}


_OPTIONS = (
    *(PipOption(one.name, **one.metadata) for one in dataclasses.fields(IndexSettings) if one.metadata),
    # What pip prints and keeps.
    *(PipOption("", Kind.FLAG, flags) for flags in (("-q", "--quiet"), ("-v", "--verbose"), ("--no-input",))),
    *(PipOption("", Kind.FLAG, (flag,)) for flag in ("--debug", "--no-color", "--no-clean", "--no-cache-dir")),
    PipOption("", Kind.FLAG, ("--disable-pip-version-check",)),
    PipOption("", Kind.FLAG, ("--no-python-version-warning",)),
    *(PipOption("", Kind.TEXT, (flag,)) for flag in ("--progress-bar", "--root-user-action")),
    *(PipOption("", Kind.PATH, flags) for flags in (("--log", "--log-file"), ("--cache-dir",), ("--src",))),
)
_BY_FLAG = {flag: option for option in _OPTIONS for flag in option.flags}


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
    """Return the places of pip's configuration files, the weakest first. `prefix` is the sys.prefix of its Python."""
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


def read_settings(
    pip_options: Sequence[str],
    *,
    environ: Mapping[str, str],
    config_files: Iterable[Path],
    index_urls: Iterable[str] = (),
    base: Path | None = None,
    options_base: Path | None = None,
) -> IndexSettings:
    """Return the settings of pip's files (the weakest first), then its variables, then the --pip-option values.

    A stronger place replaces the lists of a weaker one; the command line adds to them, as in pip. Of uv's `index_urls`
    only the credentials matter here: uv reads them itself. Relative paths start at `base`, by default the working
    folder; those in --pip-option values at `options_base`, by default the same. Raises UsageError for a wrong value.
    """
    base = base or Path.cwd()
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
        option = _BY_FLAG.get("--" + key)
        if option is None or not value:
            continue
        values = value.split() if option.kind in {Kind.LIST, Kind.PLACES} else [value.strip()]
        if option.has_path:
            values = [located(one, base) for one in values]
            words = map(_word, values) if option.kind is Kind.PLACES else values
            variables[f"PIP_{key.upper().replace('-', '_')}"] = " ".join(words)
        if option.field:
            _set(state, option, values, f"{where}: {key}")
    _read_command_line(state, pip_arguments(pip_options), options_base or base)
    # requests, and so pip, uses these where pip's configuration names no certificates.
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        if environ.get(variable):
            variables[variable] = located(environ[variable], base)
            state.setdefault("cert", variables[variable])
    state["pip_variables"] = list(variables.items())
    of_uv = [url for name in _UV_URLS for url in re.split(r"[\s,]+", environ.get(name, "")) if url]
    state["more_urls"] = [*of_uv, *index_urls]
    frozen: dict[str, Any] = {name: tuple(one) if isinstance(one, list) else one for name, one in state.items()}
    return IndexSettings(**frozen)


def _file_values(files: Iterable[Path]) -> Iterator[tuple[str, str, str]]:
    """Yield the file, key and value of each setting in files, by section."""
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
        for name in filter(parser.has_section, _SECTIONS):
            sections[name].update((_key(key), (str(file), value)) for key, value in parser.items(name))
    for section in sections.values():
        for key, (where, value) in section.items():
            yield where, key, value


def _environment_values(environ: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    for name, value in environ.items():
        if name.startswith("PIP_"):
            yield "the environment", _key(name.removeprefix("PIP_")), value


def _key(name: str) -> str:
    return name.lower().replace("_", "-").removeprefix("--")


def _set(state: dict[str, Any], option: PipOption, values: list[str], where: str) -> None:
    """Replace an option's value; `values` are several for a LIST or PLACES. Raises UsageError for a wrong one."""
    match option.kind:
        case Kind.LIST | Kind.PLACES | Kind.PAIRS:
            state[option.field] = values
        case Kind.FORMATS:
            _add_formats(state, option.field, values[0])
        case Kind.FLAG:
            state[option.field] = yes_or_no(values[0], where)
        case Kind.FLAG_TURNED:
            state[option.field] = not yes_or_no(values[0], where)
        case Kind.NUMBER:
            try:
                state[option.field] = float(values[0]) if option.field == "timeout" else int(values[0])
            except ValueError as error:
                raise UsageError(
                    f"{where}: expected a number, found {values[0]!r}", hint="write a whole number"
                ) from error
        case Kind.TEXT | Kind.PATH:
            state[option.field] = values[0]


def _add_formats(state: dict[str, Any], field: str, value: str) -> None:
    """Add names to one of --no-binary and --only-binary, and take them from the other, as pip does it."""
    target: list[str] = state.setdefault(field, [])
    other: list[str] = state.setdefault("only_binary" if field == "no_binary" else "no_binary", [])
    words = [word.strip() for word in value.split(",") if word.strip()]
    while ":all:" in words:
        other.clear()
        target[:] = [":all:"]
        words = words[words.index(":all:") + 1 :]
        if ":none:" not in words:
            return
    for word in words:
        if word == ":none:":
            target.clear()
            continue
        package = canonicalize_name(word)
        if package in other:
            other.remove(package)
        if package not in target:
            target.append(package)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(
            f"pip-option: {redact(message)}", hint="write one option as pip takes it, such as --no-binary=NAME"
        )


class _Collect(argparse.Action):
    """Collect options with their values in one list: their order matters to --no-binary and --only-binary."""

    def __call__(self, _parser: object, namespace: argparse.Namespace, values: Any, flag: str | None = None) -> None:
        namespace.said.append((_BY_FLAG[str(flag)], values))


def _read_command_line(state: dict[str, Any], arguments: list[str], base: Path) -> None:
    parser = _Parser(prog="pip", add_help=False, allow_abbrev=False)
    for option in _OPTIONS:
        parser.add_argument(*option.flags, action=_Collect, nargs=0 if option.is_flag else None)
    known, unknown = parser.parse_known_args(arguments, argparse.Namespace(said=[]))
    words = []
    for option, text in known.said:
        flag = next(flag for flag in option.flags if flag.startswith("--"))
        value = located(text, base) if option.has_path else text
        words.append(flag if option.is_flag else f"{flag}={value}")
        if not option.field:
            continue
        if option.is_flag:
            state[option.field] = True
        elif option.kind in {Kind.LIST, Kind.PLACES, Kind.PAIRS}:
            state[option.field] = [*state.get(option.field, ()), value]
        else:
            _set(state, option, [value], "pip-option")
    state["unknown"] = unknown
    state["pip_arguments"] = [*words, *unknown]


def _word(place: str) -> str:
    """Return a place as it can stand in a list that is separated by white space."""
    return Path(place).as_uri() if re.search(r"\s", place) else place
