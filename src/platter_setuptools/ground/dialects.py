"""One set of options in several dialects, merged into one value.

The command line, a frontend's config settings, the environment (`PLATTER_BUILD_*`), setup.cfg's `[bdist_platter]` and
pyproject.toml's `[tool.platter]` name the same options. Each is read into a Source; `merge` lets the first Source
that names an option decide. All functions raise UsageError, which says the place, the key, and what was expected.
"""

from __future__ import annotations

import difflib
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platter_setuptools.ground.errors import UsageError
from platter_setuptools.ground.files import absolute
from platter_setuptools.ground.options import BY_NAME, ENVIRONMENT_PREFIX, OPTIONS, Kind, Option, Options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_TYPO = 0.75  # how like a known name an unknown variable has to be to be a mistake and not somebody else's

_FILES = ("prebuild_script", "postbuild_script", "requirements", "constraints", "lock", "sign_with")
_NOT_THERE = (
    "in the project's files paths start at its folder; a build from an sdist finds there what the sdist holds"
    " (setuptools: MANIFEST.in)"
)
_NO_LOCK = "`platter lock` writes a pylock.toml, `uv lock` a uv.lock; or build without lock, which resolves"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Options as one dialect gave them: checked values by attribute name, and where they come from."""

    where: str
    values: Mapping[str, Any]
    keys: Mapping[str, str] = field(default_factory=dict)  # how it writes their names, where that is known
    base: Path = Path()  # where relative paths start


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A value that was decided for, and the place that decided."""

    value: Any
    place: str
    base: Path = Path()  # where relative paths in it start


def read_strings(where: str, base: Path, values: Mapping[str, str | Sequence[str]], *, prefix: str = "") -> Source:
    """The Source of a dialect that writes strings: command line, config settings, setup.cfg.

    `where` is how an error names the place, such as `the command line`, and `prefix` what stands before an option's
    name there. Relative paths start at `base`.
    """
    known, keys = {}, {}
    for name, value in values.items():
        option = find(name, where, prefix)
        known[option.attribute] = _from_string(option, value, f"{where} {prefix}{option.name}", base)
        keys[option.attribute] = f"{prefix}{name}"
    return Source(where=where, values=known, keys=keys, base=base)


def read_environment(environ: Mapping[str, str], base: Path) -> Source:
    """The Source of the `PLATTER_BUILD_*` variables, Platter's way to be configured by its surroundings."""
    where = "the environment"
    variables = {option.variable: option for option in OPTIONS}
    known = {}
    for name in sorted(environ):
        if not name.startswith(ENVIRONMENT_PREFIX) or not environ[name]:
            continue
        if option := variables.get(name):
            # A variable holds one line: values that hold spaces are quoted as in a shell.
            value = _split(environ[name], name) if option.kind.is_list else environ[name]
            known[option.attribute] = _from_string(option, value, f"{where} {name}", base)
        elif close := closest(name.removeprefix(ENVIRONMENT_PREFIX).replace("_", "-").lower(), cutoff=_TYPO):
            raise UsageError(f"{where}: there is no option {name}", hint=f"did you mean {close.variable}?")
    return Source(where=where, values=known, keys={option.attribute: option.variable for option in OPTIONS}, base=base)


def read_table(where: str, base: Path, table: Mapping[str, Any]) -> Source:
    """The Source of a TOML table, whose values have types."""
    known, keys = {}, {}
    for key, value in table.items():
        option = find(key, where)
        known[option.attribute] = _from_toml(option, value, f"{where} {key}", base)
        keys[option.attribute] = key
    return Source(where=where, values=known, keys=keys, base=base)


def decide(sources: Sequence[Source]) -> dict[str, Choice]:
    """What the sources, the strongest first, make of each option that one of them names, by attribute name."""
    choices: dict[str, Choice] = {}
    for source in reversed(sources):
        said = {
            name: Choice(value=value, place=f"{source.where} {source.keys.get(name, '')}".rstrip(), base=source.base)
            for name, value in source.values.items()
        }
        # Who says quiet takes back what a weaker dialect said of verbose, and the other way round.
        for word, opposite in (("quiet", "verbose"), ("verbose", "quiet")):
            if source.values.get(word):
                choices[opposite] = Choice(value=False, place=said[word].place)
        choices.update(said)
    return choices


def merge(sources: Sequence[Source], *, output: Path) -> Options:
    """One Options from the sources, the strongest first; `output` is used where none names it."""
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
    return options


def _check_files(choices: Mapping[str, Choice]) -> None:
    for name, choice in ((name, choices[name]) for name in _FILES if name in choices):
        for file in choice.value if isinstance(choice.value, tuple) else (choice.value,):
            if file.is_file():
                continue
            if file.exists():
                raise UsageError(
                    f"{choice.place}: {file} is no file",
                    hint="it is read more than once: a pipe or a folder will not do",
                )
            hint = _NO_LOCK if name == "lock" else _NOT_THERE
            raise UsageError(f"{choice.place}: {file} does not exist", hint=hint)


def find(name: str, where: str, prefix: str = "") -> Option:
    """The option of this name, however it is written: with dashes or with underscores."""
    option = BY_NAME.get(name.replace("_", "-"))
    if option is None:
        close = closest(name.replace("_", "-"))
        known = ", ".join(sorted(BY_NAME))
        hint = f"did you mean {prefix}{close.name}?" if close else f"known are: {known}"
        raise UsageError(f"{where}: there is no option {prefix + name!r}", hint=hint)
    return option


def closest(name: str, cutoff: float = 0.6) -> Option | None:
    """The option whose name is most like this one, if any is."""
    options = {**BY_NAME, "dist-dir": BY_NAME["output"]}  # which the setuptools command calls so
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
    return tuple(_one(option, part.strip(), where, base) for part in value if part.strip())


def _from_toml(option: Option, value: Any, where: str, base: Path) -> Any:
    if option.kind is Kind.FLAG:
        if not isinstance(value, bool):
            raise UsageError(
                f"{where}: expected true or false, found {value!r}", hint="write true or false, without quotes"
            )
        return value
    if option.kind.is_list:
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
        raise UsageError(f"{where} is empty", hint="give it a value, or leave the option out")
    if option.kind in {Kind.PATH, Kind.PATHS}:
        if "://" in value:  # before it becomes a Path, which would make one slash of the two
            raise UsageError(f"{where}: expected a path, found the URL {value}", hint="name a local file or folder")
        return absolute(value, base)
    if option.choices and value not in option.choices:
        raise UsageError(
            f"{where}: {value!r} is not a {option.name}", hint=f"choose one of: {', '.join(option.choices)}"
        )
    return value


def yes_or_no(text: str, where: str) -> bool:
    """A flag's value, in the words that distutils and configparser take, too."""
    word = text.strip().lower()
    if word in {"1", "true", "yes", "on", "y", "t"}:
        return True
    if word in {"0", "false", "no", "off", "n", "f"}:
        return False
    raise UsageError(f"{where}: expected yes or no, found {text!r}", hint="write yes or no")
