"""Pip's configuration as pip reads it: its files, the `PIP_*` variables, its command line.

The rules are those of pip's user guide, "Configuration", and of how pip 26 applies them. Pip itself is not run: it
takes longer to start than everything here takes together.
"""

from __future__ import annotations

import argparse
import enum
import os
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from platter_setuptools.ground.errors import UsageError
from platter_setuptools.ground.urls import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

# A file's sections, the weakest first: what we do is what `pip wheel` does, then what the other two do.
_SECTIONS = ("global", "download", "install", "wheel")


class _Kind(enum.Enum):
    TEXT = "one value"
    LIST = "values, separated by white space in files and variables"
    PAIRS = "values, one in a file or variable"
    PLACES = "a LIST of URLs and paths"
    FORMATS = "names, :all: or :none:, separated by commas"
    FLAG = "yes or no"
    FLAG_TURNED = "yes or no; in a file or variable, no is what sets it"
    IGNORED_FLAG = "a flag about what pip prints or keeps"
    IGNORED = "the same, with a value"


@dataclass(frozen=True, slots=True)
class _PipOption:
    field: str
    kind: _Kind
    flags: tuple[str, ...]


_OPTIONS = (
    _PipOption("index_url", _Kind.TEXT, ("-i", "--index-url", "--pypi-url")),
    _PipOption("extra_index_urls", _Kind.LIST, ("--extra-index-url",)),
    _PipOption("find_links", _Kind.PLACES, ("-f", "--find-links")),
    _PipOption("no_index", _Kind.FLAG, ("--no-index",)),
    _PipOption("keyring_provider", _Kind.TEXT, ("--keyring-provider",)),
    _PipOption("trusted_hosts", _Kind.LIST, ("--trusted-host",)),
    _PipOption("cert", _Kind.TEXT, ("--cert",)),
    _PipOption("client_cert", _Kind.TEXT, ("--client-cert",)),
    _PipOption("proxy", _Kind.TEXT, ("--proxy",)),
    _PipOption("timeout", _Kind.TEXT, ("--timeout", "--default-timeout")),
    _PipOption("retries", _Kind.TEXT, ("--retries",)),
    _PipOption("constraints", _Kind.PLACES, ("-c", "--constraint")),
    _PipOption("build_constraints", _Kind.PLACES, ("--build-constraint",)),
    _PipOption("no_binary", _Kind.FORMATS, ("--no-binary",)),
    _PipOption("only_binary", _Kind.FORMATS, ("--only-binary",)),
    _PipOption("pre", _Kind.FLAG, ("--pre",)),
    _PipOption("require_hashes", _Kind.FLAG, ("--require-hashes",)),
    _PipOption("uploaded_prior_to", _Kind.TEXT, ("--uploaded-prior-to",)),
    _PipOption("config_settings", _Kind.PAIRS, ("-C", "--config-settings")),
    # In pip.conf and as PIP_NO_BUILD_ISOLATION pip takes this one's value for that of "isolate builds".
    _PipOption("no_build_isolation", _Kind.FLAG_TURNED, ("--no-build-isolation",)),
    *(
        _PipOption("ignored", _Kind.IGNORED_FLAG, flags)
        for flags in (
            ("-q", "--quiet"),
            ("-v", "--verbose"),
            ("--debug",),
            ("--no-color",),
            ("--no-input",),
            ("--no-clean",),
            ("--no-cache-dir",),
            ("--disable-pip-version-check",),
            ("--no-python-version-warning",),
        )
    ),
    *(
        _PipOption("ignored", _Kind.IGNORED, flags)
        for flags in (("--progress-bar",), ("--root-user-action",), ("--log", "--log-file"), ("--cache-dir",))
    ),
)
_BY_FLAG: Mapping[str, _PipOption] = {flag: option for option in _OPTIONS for flag in option.flags}


def pip_arguments(pip_options: Sequence[str]) -> list[str]:
    """The --pip-option values as arguments for pip, which reads the rest of its configuration itself.

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
    pip_options: Sequence[str], *, environ: Mapping[str, str], config_files: Iterable[Path], base: Path
) -> dict[str, Any]:
    """What pip was told, by the field names of IndexSettings; only what was said is there.

    Files come the weakest first, then the variables, then the --pip-option values. A stronger place replaces the
    lists of a weaker one; the command line adds to them, as it does in pip. Relative paths start at `base`.
    Raises UsageError for a value that is none.
    """
    state: dict[str, Any] = {}
    for where, key, value in (*_file_values(config_files), *_environment_values(environ)):
        option = _BY_FLAG.get("--" + key)
        if option is not None and value:
            _configure(state, option, value, f"{where}: {key}")
    _read_command_line(state, pip_arguments(pip_options))
    state.pop("ignored", None)
    for option in _OPTIONS:
        if option.kind is _Kind.PLACES and option.field in state:
            state[option.field] = [_located(value, base) for value in state[option.field]]
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
            raise UsageError(f"pip's configuration file {file} cannot be read: {redact(reason)}") from error
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


def _configure(state: dict[str, Any], option: _PipOption, value: str, where: str) -> None:
    match option.kind:
        case _Kind.TEXT:
            state[option.field] = _checked(option.field, value, where)
        case _Kind.LIST | _Kind.PLACES:
            state[option.field] = value.split()
        case _Kind.PAIRS:
            state[option.field] = [value]
        case _Kind.FORMATS:
            _add_formats(state, option.field, value)
        case _Kind.FLAG:
            state[option.field] = _yes(value, where)
        case _Kind.FLAG_TURNED:
            state[option.field] = not _yes(value, where)
        case _:
            pass


def _checked(name: str, value: str, where: str) -> str | float | int:
    try:
        if name == "timeout":
            return float(value)
        return int(value) if name == "retries" else value.strip()
    except ValueError as error:
        raise UsageError(f"{where}: expected a number, found {value!r}") from error


def _yes(value: str, where: str) -> bool:
    word = value.strip().lower()
    if word in {"y", "yes", "t", "true", "on", "1"}:
        return True
    if word in {"n", "no", "f", "false", "off", "0"}:
        return False
    raise UsageError(f"{where}: expected yes or no, found {value!r}")


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
        raise UsageError(f"pip-option: {redact(message)}")


def _read_command_line(state: dict[str, Any], arguments: list[str]) -> None:
    parser = _Parser(prog="pip", add_help=False, allow_abbrev=False, argument_default=argparse.SUPPRESS)
    for option in _OPTIONS:
        if option.kind in {_Kind.FLAG, _Kind.FLAG_TURNED, _Kind.IGNORED_FLAG}:
            parser.add_argument(*option.flags, dest=option.field, action="store_true")
        elif option.kind in {_Kind.TEXT, _Kind.IGNORED}:
            parser.add_argument(*option.flags, dest=option.field)
        else:
            # One list for all of them keeps the order of --no-binary and --only-binary, which matters.
            parser.add_argument(*option.flags, dest="lists", action="append", type=_tagged(option))
    known, unknown = parser.parse_known_args(arguments)
    values = vars(known)
    for option, value in values.pop("lists", ()):
        if option.kind is _Kind.FORMATS:
            _add_formats(state, option.field, value)
        else:
            state[option.field] = [*state.get(option.field, ()), value]
    for name, value in values.items():
        state[name] = _checked(name, value, "pip-option") if isinstance(value, str) else value
    state["unknown"] = unknown


def _tagged(option: _PipOption) -> Callable[[str], tuple[_PipOption, str]]:
    return lambda value: (option, value)


def _located(value: str, base: Path) -> str:
    if "://" in value or value.startswith("file:"):
        return value
    # Unlike Path.expanduser, which raises for a user who is not there, and Path.resolve, which follows links.
    return os.path.abspath(base / os.path.expanduser(value))  # noqa: PTH100, PTH111
