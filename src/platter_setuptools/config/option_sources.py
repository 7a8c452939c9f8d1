"""Read options from several places, and merge them.

The command line, a frontend's config settings, the environment (`PLATTER_BUILD_*`), setup.cfg's `[bdist_platter]` and
pyproject.toml's `[tool.platter]` have the same options. Each is read into a Source; in `merge` the first Source that
sets an option wins. All functions raise UsageError, which names the place, the key, and what was expected.
"""

from __future__ import annotations

import difflib
import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from platter_setuptools.config.options import BY_NAME, ENVIRONMENT_PREFIX, OPTIONS, Kind, Option, Options
from platter_setuptools.errors import UsageError
from platter_setuptools.payload import shared_paths
from platter_setuptools.runtime.files import absolute

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_TYPO = 0.75  # similarity to a known name from which an unknown variable is a mistake and not another program's
_FILES = (
    *("prebuild_script", "postbuild_script", "pre_activate_script", "post_activate_script"),
    *("requirements", "constraints", "lock", "sign_with"),
)
_NOT_THERE = (
    "paths in the project's files start at its folder; a build from an sdist has only the files in the sdist"
    " (setuptools: MANIFEST.in)"
)
_NO_LOCK = "`platter lock` writes a pylock.toml, `uv lock` a uv.lock; or build without lock, which resolves"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A checked value, and the place that set it."""

    value: Any
    place: str
    base: Path = Path()  # where relative paths in it start


Source: TypeAlias = "dict[str, Choice]"  # the options that one place sets, by attribute name


def read_strings(where: str, base: Path, values: Mapping[str, str | Sequence[str]], *, prefix: str = "") -> Source:
    """Return the Source of a place with strings: command line, config settings, setup.cfg.

    Errors name the place `where`, such as `the command line`; `prefix` precedes an option's name there. Relative paths
    start at `base`.
    """
    source = {}
    for name, text in values.items():
        option = find(name, where, prefix)
        value = _from_string(option, text, f"{where} {prefix}{option.name}", base)
        source[option.attribute] = Choice(value=value, place=f"{where} {prefix}{name}", base=base)
    return source


def read_environment(environ: Mapping[str, str], base: Path) -> Source:
    """Return the Source of the `PLATTER_BUILD_*` variables."""
    where = "the environment"
    variables = {option.variable: option for option in OPTIONS}
    source = {}
    for name in sorted(environ):
        if not name.startswith(ENVIRONMENT_PREFIX) or not environ[name]:
            continue
        if option := variables.get(name):
            place = f"{where} {name}"
            # A variable is one line: values with spaces are quoted as in a shell.
            text = _split(environ[name], name) if option.kind.is_list else environ[name]
            value = _from_string(option, text, place, base)
            source[option.attribute] = Choice(value=value, place=place, base=base)
        elif close := closest(name.removeprefix(ENVIRONMENT_PREFIX).replace("_", "-").lower(), cutoff=_TYPO):
            raise UsageError(f"{where}: there is no option {name}", hint=f"did you mean {close.variable}?")
    return source


def read_table(where: str, base: Path, table: Mapping[str, Any]) -> Source:
    """Return the Source of a TOML table, whose values have types."""
    source = {}
    for key, value in table.items():
        option, place = find(key, where), f"{where} {key}"
        source[option.attribute] = Choice(value=_from_toml(option, value, place, base), place=place, base=base)
    return source


def decide(sources: Sequence[Source]) -> Source:
    """Return the effective value of each option that a source sets; the strongest source comes first."""
    choices: Source = {}
    for source in reversed(sources):
        # quiet overrides a verbose that is set at a lower precedence, and vice versa.
        for word, opposite in (("quiet", "verbose"), ("verbose", "quiet")):
            if word in source and source[word].value:
                choices[opposite] = Choice(value=False, place=source[word].place)
        choices.update(source)
    return choices


def merge(sources: Sequence[Source], *, output: Path) -> Options:
    """Return Options from the sources, the strongest first; `output` is the default of that option."""
    choices = decide(sources)
    values = {name: choice.value for name, choice in choices.items()}
    if told := choices.get("pip_option"):
        values["pip_option_base"] = told.base
    options = Options(**{"output": output, **values})
    if options.no_download and options.no_wheel_cache:
        raise UsageError(
            "no-download and no-wheel-cache contradict each other",
            hint="without a network every wheel comes from the wheel cache: leave one of them out",
        )
    if options.lock and (options.requirements or options.constraints):
        raise UsageError(
            "lock contradicts requirements and constraints: with a lock nothing is resolved",
            hint="leave one of them out, or lock again with the requirements",
        )
    if options.quiet and options.verbose:
        raise UsageError("quiet and verbose contradict each other", hint="leave one of them out")
    _check_files(choices)
    if fault := shared_paths.fault(options.shared):
        raise UsageError(
            f"{choices['shared'].place}: {fault}",
            hint="write paths as in media/, for a folder, and app.env, for a file",
        )
    return options


def _check_files(choices: Source) -> None:
    for name, choice in ((name, choices[name]) for name in _FILES if name in choices):
        for file in choice.value if isinstance(choice.value, tuple) else (choice.value,):
            if file.is_file():
                continue
            if file.exists():
                raise UsageError(
                    f"{choice.place}: {file} is not a file",
                    hint="name a regular file; it is read more than once",
                )
            hint = _NO_LOCK if name == "lock" else _NOT_THERE
            raise UsageError(f"{choice.place}: {file} does not exist", hint=hint)


def find(name: str, where: str, prefix: str = "") -> Option:
    """Return the option of this name, with dashes or underscores."""
    option = BY_NAME.get(name.replace("_", "-"))
    if option is None:
        close = closest(name.replace("_", "-"))
        known = ", ".join(sorted(BY_NAME))
        hint = f"did you mean {prefix}{close.name}?" if close else f"known are: {known}"
        raise UsageError(f"{where}: there is no option {prefix + name!r}", hint=hint)
    return option


def closest(name: str, cutoff: float = 0.6) -> Option | None:
    """Return the option with the most similar name, if any."""
    options = {**BY_NAME, "dist-dir": BY_NAME["output"]}  # its name in the setuptools command
    close = difflib.get_close_matches(name, options, n=1, cutoff=cutoff)
    return options[close[0]] if close else None


def _split(text: str, variable: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UsageError(f"{variable}: {error}", hint="quote its values as in a shell") from error


def _from_string(option: Option, value: str | Sequence[str], where: str, base: Path) -> Any:
    if not option.kind.is_list:
        if not isinstance(value, str):
            raise UsageError(f"{where}: expected one value, found {len(value)}", hint="give the option once")
        if option.kind is Kind.FLAG:
            return yes_or_no(value, where)
        return _one(option, value, where, base)
    if isinstance(value, str):
        value = re.split(r"[,\s]+", value) if option.kind is Kind.NAMES else value.splitlines()
    elif option.kind is Kind.NAMES:
        value = [name for part in value for name in re.split(r"[,\s]+", part)]
    found = tuple(_one(option, part.strip(), where, base) for part in value if part.strip())
    if option.alone and not found:
        raise _is_empty(where)
    return found


def _from_toml(option: Option, value: Any, where: str, base: Path) -> Any:
    if option.kind is Kind.FLAG:
        if not isinstance(value, bool):
            raise UsageError(
                f"{where}: expected true or false, found {value!r}", hint="write true or false, without quotes"
            )
        return value
    if option.kind.is_list:
        if option.alone and isinstance(value, str):
            value = [value]
        if not isinstance(value, list):
            raise UsageError(
                f"{where}: expected a list of strings, found {value!r}",
                hint='write a list of strings in quotes, such as ["one", "two"]',
            )
        return tuple(_string(option, part, f"{where}[{number}]", base) for number, part in enumerate(value))
    return _string(option, value, where, base)


def _string(option: Option, value: Any, where: str, base: Path) -> str | Path:
    if not isinstance(value, str):
        raise UsageError(f"{where}: expected a string, found {value!r}", hint="put the value in quotes")
    return _one(option, value, where, base)


def _one(option: Option, value: str, where: str, base: Path) -> str | Path:
    if not value:
        raise _is_empty(where)
    if option.kind in {Kind.PATH, Kind.PATHS}:
        if value in option.words:
            return Path(value)
        if "://" in value:  # before it becomes a Path, which would make one slash of the two
            raise UsageError(f"{where}: expected a path, found the URL {value}", hint="name a local file or folder")
        return absolute(value, base)
    if option.kind is Kind.NAMES_OR_PATHS and ("/" in value or value.endswith(".json")):
        return os.fspath(absolute(value, base))
    if option.choices and value not in option.choices:
        raise UsageError(
            f"{where}: {value!r} is not a {option.name}", hint=f"choose one of: {', '.join(option.choices)}"
        )
    return value


def _is_empty(where: str) -> UsageError:
    return UsageError(f"{where} is empty", hint="give it a value, or leave the option out")


def yes_or_no(text: str, where: str) -> bool:
    """Return a flag's value, from the words that distutils, configparser and pip accept."""
    word = text.strip().lower()
    if word in {"1", "true", "yes", "on", "y", "t"}:
        return True
    if word in {"0", "false", "no", "off", "n", "f"}:
        return False
    raise UsageError(f"{where}: expected yes or no, found {text!r}", hint="write yes or no")
