"""The options of a build: one table with what every dialect says of them, and the frozen value they become."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    aliases: tuple[str, ...] = ()  # further spellings on the command line of `platter`

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
        short="o",
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
        name="name-with-python",
        kind=Kind.FLAG,
        help="name the bundle after its Python as well, as in yourapp-1.0-cp311-linux-x86_64.tar.gz",
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
        help="a pylock.toml (PEP 751) or a uv.lock with the dependencies: nothing is resolved",
    ),
    Option(
        name="extras",
        kind=Kind.NAMES,
        aliases=("--extra",),
        metavar="EXTRA",
        help="an extra of the project to bundle too (repeatable)",
    ),
    Option(
        name="group",
        kind=Kind.NAMES,
        metavar="GROUP",
        help="a dependency group of the project's pyproject.toml (PEP 735) to bundle too (repeatable)",
    ),
    Option(
        name="exclude",
        kind=Kind.NAMES,
        metavar="NAME",
        help="a distribution to leave out of the bundle, such as one that the server provides (repeatable)",
    ),
    Option(
        name="system-site-packages",
        kind=Kind.FLAG,
        help="let the virtualenv find the packages of the server's Python, after its own"
        " [default: where something but pip is excluded]",
    ),
    Option(
        name="constraints",
        kind=Kind.PATHS,
        short="c",
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
    Option(
        name="sign-with",
        kind=Kind.PATH,
        metavar="KEY",
        help="an OpenSSH key to sign the bundle with: a private key, or the public one of a key in an ssh-agent",
    ),
    Option(
        name="record-git-state",
        kind=Kind.FLAG,
        help="record the git commit of the project in the bundle, and whether tracked files differ from it",
    ),
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
    name_with_python: bool = False
    requirements: tuple[Path, ...] = ()
    lock: Path | None = None
    extras: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    system_site_packages: bool | None = None
    constraints: tuple[Path, ...] = ()
    resolver: str = "uv"
    pip_option: tuple[str, ...] = ()
    pip_option_base: Path = Path()  # where relative paths in pip_option start
    virtualenv_version: str | None = None
    wheel_version: str | None = None
    prebuild_script: Path | None = None
    postbuild_script: Path | None = None
    wheel_cache: Path | None = None
    no_wheel_cache: bool = False
    no_download: bool = False
    no_bytecode: bool = False
    no_pip: bool = False
    sign_with: Path | None = None
    record_git_state: bool = False
    quiet: bool = False
    verbose: bool = False

    @property
    def finds_system_packages(self) -> bool:
        """Whether the server's packages are found: by default where they have to replace what was excluded."""
        if self.system_site_packages is None:
            return any(canonicalize_name(name) != "pip" for name in self.exclude)
        return self.system_site_packages

    @property
    def has_scripts(self) -> bool:
        return bool(self.prebuild_script or self.postbuild_script)
