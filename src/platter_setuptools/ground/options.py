"""The options of a build: one table, read in three dialects, merged into one frozen value.

The command line, the environment (`PLATTER_BUILD_*`), setup.cfg's `[bdist_platter]` and pyproject.toml's
`[tool.platter]` name the same options. Each dialect is read into a Source; `merge` lets the first Source that
names an option decide.
"""

from __future__ import annotations

import difflib
import enum
import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platter_setuptools.ground.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FORMATS = ("tar.gz", "tar.bz2", "tar.xz", "tar.zst", "tar", "zip", "dir")
RESOLVERS = ("uv", "pip")
ENVIRONMENT_PREFIX = "PLATTER_BUILD_"


class Kind(enum.Enum):
    """How an option's value is written and what it becomes."""

    TEXT = "text"
    PATH = "path"
    CHOICE = "choice"
    FLAG = "flag"
    NAMES = "names"  # a list, separated by commas or white space where it is one string
    LINES = "lines"  # a list of values that may hold spaces: one on a line where it is one string
    PATHS = "paths"

    @property
    def is_list(self) -> bool:
        return self in {Kind.NAMES, Kind.LINES, Kind.PATHS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One row of the table: what `--help` says about an option, in every dialect."""

    name: str
    kind: Kind
    help: str
    short: str | None = None
    metavar: str | None = None
    choices: tuple[str, ...] = ()

    @property
    def attribute(self) -> str:
        return self.name.replace("-", "_")

    @property
    def variable(self) -> str:
        """The name of its environment variable."""
        return ENVIRONMENT_PREFIX + self.attribute.upper()


OPTIONS: tuple[Option, ...] = (
    Option(
        name="output",
        kind=Kind.PATH,
        metavar="DIR",
        help="the folder that receives the bundle [default: dist]",
    ),
    Option(
        name="python",
        kind=Kind.TEXT,
        short="p",
        metavar="PYTHON",
        help="the interpreter to build for, as a path, a command or a version such as 3.12"
        " [default: the one that runs this command]",
    ),
    Option(
        name="format",
        kind=Kind.CHOICE,
        choices=FORMATS,
        metavar="FORMAT",
        help=f"what the bundle is written as: {', '.join(FORMATS)} [default: tar.gz]",
    ),
    Option(
        name="requirements",
        kind=Kind.PATHS,
        short="r",
        metavar="FILE",
        help="a requirements file whose packages are bundled too (repeatable)",
    ),
    Option(
        name="lock",
        kind=Kind.PATH,
        metavar="FILE",
        help="a pylock.toml (PEP 751) with the dependencies: nothing is resolved",
    ),
    Option(
        name="extras",
        kind=Kind.NAMES,
        metavar="EXTRA",
        help="an extra of the project to bundle too (repeatable)",
    ),
    Option(
        name="constraints",
        kind=Kind.PATHS,
        metavar="FILE",
        help="a constraints file that limits versions (repeatable)",
    ),
    Option(
        name="resolver",
        kind=Kind.CHOICE,
        choices=RESOLVERS,
        metavar="NAME",
        help="what resolves the dependencies: uv or pip [default: uv]",
    ),
    Option(
        name="pip-option",
        kind=Kind.LINES,
        metavar="OPT",
        help="an option as pip takes it, for resolving and building, such as --no-binary=NAME (repeatable)",
    ),
    Option(
        name="virtualenv-version",
        kind=Kind.TEXT,
        metavar="SPEC",
        help="the virtualenv release to bundle, such as 20.26.6 or >=20.26 [default: the newest for the target]",
    ),
    Option(
        name="wheel-version",
        kind=Kind.TEXT,
        metavar="SPEC",
        help="the release of wheel in the virtualenv that build scripts use [default: the newest]",
    ),
    Option(
        name="prebuild-script",
        kind=Kind.PATH,
        metavar="SCRIPT",
        help="a script to run before anything is built, for instance to install build dependencies",
    ),
    Option(
        name="postbuild-script",
        kind=Kind.PATH,
        metavar="SCRIPT",
        help="a script to run before the bundle is written, for instance to add files to it",
    ),
    Option(
        name="wheel-cache",
        kind=Kind.PATH,
        metavar="DIR",
        help="the folder that keeps wheels between builds [default: in the user's cache folder]",
    ),
    Option(name="no-wheel-cache", kind=Kind.FLAG, help="keep no wheels between builds"),
    Option(name="no-download", kind=Kind.FLAG, help="use no network: every wheel must be in the wheel cache"),
    Option(
        name="no-bytecode",
        kind=Kind.FLAG,
        help="ship no precompiled bytecode: a smaller bundle, a slower first start",
    ),
    Option(name="no-pip", kind=Kind.FLAG, help="leave pip out of the installed virtualenv"),
    Option(name="quiet", kind=Kind.FLAG, short="q", help="print warnings and errors only"),
    Option(name="verbose", kind=Kind.FLAG, short="v", help="print what the tools print, and tracebacks"),
)
BY_NAME: Mapping[str, Option] = {option.name: option for option in OPTIONS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Everything that a build was asked for. Paths are absolute. See OPTIONS for what each means."""

    output: Path
    python: str | None = None
    format: str = "tar.gz"
    requirements: tuple[Path, ...] = ()
    lock: Path | None = None
    extras: tuple[str, ...] = ()
    constraints: tuple[Path, ...] = ()
    resolver: str = "uv"
    pip_option: tuple[str, ...] = ()
    virtualenv_version: str | None = None
    wheel_version: str | None = None
    prebuild_script: Path | None = None
    postbuild_script: Path | None = None
    wheel_cache: Path | None = None
    no_wheel_cache: bool = False
    no_download: bool = False
    no_bytecode: bool = False
    no_pip: bool = False
    quiet: bool = False
    verbose: bool = False

    @property
    def has_scripts(self) -> bool:
        return bool(self.prebuild_script or self.postbuild_script)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Options as one dialect gave them: checked values by attribute name, and where they come from."""

    where: str
    values: Mapping[str, Any]


def read_strings(where: str, base: Path, values: Mapping[str, str | Sequence[str]]) -> Source:
    """The Source of a dialect that writes strings: command line, environment, setup.cfg.

    `where` is how an error names the place, such as `the environment`. Relative paths start at `base`. Raises
    UsageError for a value that an option cannot take.
    """
    known = {}
    for name, value in values.items():
        option = _find(name, where)
        known[option.attribute] = _from_string(option, value, where, base)
    return Source(where=where, values=known)


def read_environment(environ: Mapping[str, str], base: Path) -> Source:
    """The Source of the `PLATTER_BUILD_*` variables, Platter's way to be configured by its surroundings."""
    found = {}
    for option in OPTIONS:
        if environ.get(option.variable):
            text = environ[option.variable]
            # A variable holds one line: values that hold spaces are quoted as in a shell.
            found[option.name] = _split(text, option.variable) if option.kind.is_list else text
    return read_strings("the environment", base, found)


def read_table(where: str, base: Path, table: Mapping[str, Any]) -> Source:
    """The Source of a TOML table, whose values have types. Raises UsageError with the key's path."""
    known = {}
    for key, value in table.items():
        option = _find(key, where)
        known[option.attribute] = _from_toml(option, value, f"{where} {option.name}", base)
    return Source(where=where, values=known)


def merge(sources: Sequence[Source], *, output: Path) -> Options:
    """One Options from the sources, the strongest first; `output` is used where none names it."""
    values: dict[str, Any] = {"output": output}
    for source in reversed(sources):
        # Who says quiet takes back what a weaker dialect said of verbose, and the other way round.
        for word, opposite in (("quiet", "verbose"), ("verbose", "quiet")):
            if source.values.get(word):
                values[opposite] = False
        values.update(source.values)
    options = Options(**values)
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
    for script in (options.prebuild_script, options.postbuild_script):
        if script and not script.is_file():
            raise UsageError(f"the build script {script} does not exist")
    for file in (*options.requirements, *options.constraints, *([options.lock] if options.lock else [])):
        if not file.is_file():
            raise UsageError(f"{file} does not exist")
    return options


def _find(name: str, where: str) -> Option:
    option = BY_NAME.get(name.replace("_", "-"))
    if option is None:
        close = difflib.get_close_matches(name.replace("_", "-"), BY_NAME, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known are: {', '.join(sorted(BY_NAME))}"
        raise UsageError(f"{where}: there is no option {name!r}", hint=hint)
    return option


def _split(text: str, variable: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UsageError(f"{variable}: {error}", hint="quote its values as in a shell") from error


def _from_string(option: Option, value: str | Sequence[str], where: str, base: Path) -> Any:
    if not option.kind.is_list:
        if not isinstance(value, str):
            raise UsageError(f"{where}: {option.name} takes one value, not a list")
        if option.kind is Kind.FLAG:
            return _flag(option, value, where)
        return _one(option, value, where, base)
    if isinstance(value, str):
        value = re.split(r"[,\s]+", value) if option.kind is Kind.NAMES else value.splitlines()
    elif option.kind is Kind.NAMES:
        value = [name for part in value for name in re.split(r"[,\s]+", part)]
    return tuple(_one(option, part.strip(), where, base) for part in value if part.strip())


def _from_toml(option: Option, value: Any, where: str, base: Path) -> Any:
    if option.kind is Kind.FLAG:
        if not isinstance(value, bool):
            raise UsageError(f"{where}: expected true or false, found {value!r}")
        return value
    if option.kind.is_list:
        if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
            raise UsageError(f"{where}: expected a list of strings, found {value!r}")
        return tuple(_one(option, part, where, base) for part in value)
    if not isinstance(value, str):
        raise UsageError(f"{where}: expected a string, found {value!r}")
    return _one(option, value, where, base)


def _one(option: Option, value: str, where: str, base: Path) -> str | Path:
    if not value:
        raise UsageError(f"{where}: {option.name} is empty")
    if option.kind in {Kind.PATH, Kind.PATHS}:
        # Unlike Path.expanduser, which raises for a user who is not there, and Path.resolve, which follows links.
        return Path(os.path.abspath(base / os.path.expanduser(value)))  # noqa: PTH100, PTH111
    if option.choices and value not in option.choices:
        raise UsageError(
            f"{where}: {value!r} is not a {option.name}", hint=f"choose one of: {', '.join(option.choices)}"
        )
    return value


def _flag(option: Option, value: str, where: str) -> bool:
    # The words that distutils and configparser take, too.
    word = value.strip().lower()
    if word in {"1", "true", "yes", "on", "y", "t"}:
        return True
    if word in {"0", "false", "no", "off", "n", "f"}:
        return False
    raise UsageError(f"{where}: {option.name} takes yes or no, not {value!r}")
