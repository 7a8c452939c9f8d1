"""The options of a build: a frozen value, whose fields say what every front end needs to know of an option."""

# ruff: noqa: RUF009 - the fields of Options are made by functions that return dataclasses.field(...)

from __future__ import annotations

import dataclasses
import enum
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMATS = ("tar.gz", "tar.bz2", "tar.xz", "tar.zst", "tar", "zip", "run", "dir")
RESOLVERS = ("uv", "pip")
ENVIRONMENT_PREFIX = "PLATTER_BUILD_"


class Kind(enum.Enum):
    """The type of an option's value."""

    TEXT = "text"
    PATH = "path"
    CHOICE = "choice"
    FLAG = "flag"
    NAMES = "names"  # a list; in one string separated by commas or white space
    LINES = "lines"  # a list of values that may contain spaces; in one string one per line
    PATHS = "paths"
    NAMES_OR_PATHS = "names or paths"  # lines; a path has a slash, or ends in .json

    @property
    def is_list(self) -> bool:
        return self in {Kind.NAMES, Kind.LINES, Kind.PATHS, Kind.NAMES_OR_PATHS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """What a front end needs to know of an option."""

    name: str
    kind: Kind
    help: str
    short: str | None = None
    metavar: str | None = None
    choices: tuple[str, ...] = ()
    words: tuple[str, ...] = ()  # values of a path that are not taken for one
    aliases: tuple[str, ...] = ()  # further spellings on the command line of `platter`
    alone: bool = False  # a list that in TOML may also be one string

    @property
    def attribute(self) -> str:
        return self.name.replace("-", "_")

    @property
    def variable(self) -> str:
        """Return the name of its environment variable."""
        return ENVIRONMENT_PREFIX + self.attribute.upper()


def _option(kind: Kind, text: str, default: object = None, *, default_text: str = "", **form: Any) -> Any:
    """Return the field of an option; `default_text` describes a default that is not a string, `form` see Option."""
    shown = default_text or (default if isinstance(default, str) else "")
    help_text = f"{text} [default: {shown}]" if shown else text
    return dataclasses.field(default=default, metadata={"kind": kind, "help": help_text, **form})


def _flag(text: str, **form: Any) -> Any:
    return _option(Kind.FLAG, text, default=False, **form)


def _list(kind: Kind, text: str, **form: Any) -> Any:
    return _option(kind, f"{text} (repeatable)", (), **form)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of a build, in the order of the help texts. Paths are absolute."""

    output: Path = _option(
        Kind.PATH,
        "the folder that receives the bundle",
        dataclasses.MISSING,
        default_text="dist",
        short="o",
        metavar="DIR",
    )
    python: tuple[str, ...] = _list(
        Kind.NAMES_OR_PATHS,
        "the interpreter to build for, as a path, a command or a version such as 3.12; several make one bundle for all",
        default_text="the one that runs this command",
        short="p",
        metavar="PYTHON",
        alone=True,
    )
    with_python: Path | None = _option(
        Kind.PATH,
        "a relocatable CPython to put into the bundle, as a folder or tar archive (python-build-standalone's"
        " install_only), or uv for the one that uv has: the server needs no Python",
        metavar="PATH",
        words=("uv",),
    )
    target: tuple[str, ...] = _list(
        Kind.NAMES_OR_PATHS,
        "what to build for instead, if it is not an interpreter of this machine: a name such as"
        " cp312-manylinux_2_28_aarch64, or a file that `install.sh --describe` or `platter describe` wrote",
        metavar="TARGET",
    )
    format: str = _option(
        Kind.CHOICE, f"the bundle's format: {', '.join(FORMATS)}", "tar.gz", choices=FORMATS, metavar="FORMAT"
    )
    name_with_python: bool = _flag("put the Python into the bundle's name, as in yourapp-1.0-cp311-linux-x86_64.tar.gz")
    package: tuple[str, ...] = _list(
        Kind.NAMES,
        "the member of the uv workspace to bundle; several make one bundle, named by the first one",
        metavar="NAME",
    )
    requirements: tuple[Path, ...] = _list(
        Kind.PATHS, "a requirements file with further packages to bundle", short="r", metavar="FILE"
    )
    lock: Path | None = _option(
        Kind.PATH, "a pylock.toml (PEP 751) or a uv.lock with the dependencies: nothing is resolved", metavar="FILE"
    )
    extras: tuple[str, ...] = _list(
        Kind.NAMES, "an extra of the project to bundle, too", aliases=("--extra",), metavar="EXTRA"
    )
    group: tuple[str, ...] = _list(
        Kind.NAMES, "a dependency group of the project's pyproject.toml (PEP 735) to bundle, too", metavar="GROUP"
    )
    exclude: tuple[str, ...] = _list(
        Kind.NAMES, "a distribution to leave out of the bundle, such as one that the server provides", metavar="NAME"
    )
    system_site_packages: bool | None = _option(
        Kind.FLAG,
        "let the virtualenv find the packages of the server's Python, after its own",
        default_text="if anything but pip is excluded",
    )
    constraints: tuple[Path, ...] = _list(
        Kind.PATHS, "a constraints file that limits versions", short="c", metavar="FILE"
    )
    resolver: str = _option(
        Kind.CHOICE, "the program that resolves dependencies: uv or pip", "uv", choices=RESOLVERS, metavar="NAME"
    )
    pip_option: tuple[str, ...] = _list(
        Kind.LINES, "a pip option for resolving and building, such as --no-binary=NAME", metavar="OPT"
    )
    pip_option_base: Path = Path()  # where relative paths in pip_option start; not an option itself
    virtualenv_version: str | None = _option(
        Kind.TEXT,
        "the virtualenv release to bundle, such as 20.26.6 or >=20.26",
        default_text="the newest for the target",
        metavar="SPEC",
    )
    wheel_version: str | None = _option(
        Kind.TEXT, "the release of wheel in the virtualenv of build scripts", default_text="the newest", metavar="SPEC"
    )
    prebuild_script: Path | None = _option(
        Kind.PATH, "a script to run before anything is built, such as to install build dependencies", metavar="SCRIPT"
    )
    postbuild_script: Path | None = _option(
        Kind.PATH, "a script to run before the bundle is written, such as to add files to it", metavar="SCRIPT"
    )
    pre_activate_script: Path | None = _option(
        Kind.PATH,
        "a script for the server, to run in a new release before it becomes the active one, such as to migrate a"
        " database",
        metavar="SCRIPT",
    )
    post_activate_script: Path | None = _option(
        Kind.PATH, "a script for the server, to run after each switch, before the reload", metavar="SCRIPT"
    )
    shared: tuple[str, ...] = _list(
        Kind.LINES,
        "a path that the releases of a root share, as links to ROOT/shared: a folder with a / at its end, such as"
        " media/, or a file, such as app.env",
        metavar="PATH",
    )
    wheel_cache: Path | None = _option(
        Kind.PATH,
        "the folder that keeps wheels between builds",
        default_text="in the user's cache folder",
        metavar="DIR",
    )
    no_wheel_cache: bool = _flag("keep no wheels between builds")
    no_download: bool = _flag("use no network: every wheel must be in the wheel cache")
    no_bytecode: bool = _flag("leave out precompiled bytecode: a smaller bundle, a slower first start")
    no_pip: bool = _flag("leave pip out of the installed virtualenv")
    sign_with: Path | None = _option(
        Kind.PATH,
        "an OpenSSH key to sign the bundle with: a private key, or the public one of a key in an ssh-agent",
        metavar="KEY",
    )
    record_git_state: bool = _flag(
        "record the git commit of the project in the bundle, and whether tracked files differ from it"
    )
    quiet: bool = _flag("print warnings and errors only", short="q")
    verbose: bool = _flag("print what the tools print, and tracebacks", short="v")

    @property
    def finds_system_packages(self) -> bool:
        """Whether the virtualenv finds the server's packages: by default if something but pip is excluded."""
        if self.system_site_packages is None:
            return any(canonicalize_name(name) != "pip" for name in self.exclude)
        return self.system_site_packages

    @property
    def has_scripts(self) -> bool:
        return bool(self.prebuild_script or self.postbuild_script)


OPTIONS: tuple[Option, ...] = tuple(
    Option(name=field.name.replace("_", "-"), **field.metadata)
    for field in dataclasses.fields(Options)
    if field.metadata
)
BY_NAME: Mapping[str, Option] = {option.name: option for option in OPTIONS}
