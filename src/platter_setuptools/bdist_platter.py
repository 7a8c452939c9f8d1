"""The setuptools command `bdist_platter`: build a bundle beside the sdist and the wheel, in one `setup()` call."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import shutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from setuptools import Command
from setuptools.errors import BaseError

from platter_setuptools.config.files import SECTION, from_pyproject
from platter_setuptools.config.option_sources import find, merge, read_environment, read_strings
from platter_setuptools.config.options import OPTIONS, Kind, Option
from platter_setuptools.errors import PlatterError, ProjectBuildError, UsageError
from platter_setuptools.frontends import (
    asked_folder,
    check_kept,
    format_error,
    output_beside,
    refuse_windows,
    setuptools_builds,
    signals_as_exits,
)
from platter_setuptools.runtime.reproducible import set_times, source_date_epoch
from platter_setuptools.runtime.temporary import temporary_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from platter_setuptools.config.options import Options
    from platter_setuptools.context import BuildContext


_VERBOSITY = ("quiet", "verbose")


def _long_name(option: Option) -> str:
    return "dist-dir" if option.name == "output" else option.name


def _attributes(option: Option) -> list[str]:
    """Return its names on the command line and in setup.cfg, where setuptools keeps dashes."""
    names = {_long_name(option), option.name, *(alias.removeprefix("--") for alias in option.aliases)}
    return sorted(names | {name.replace("-", "_") for name in names})


def _row(option: Option) -> tuple[str, str | None, str]:
    name = _long_name(option) + ("" if option.kind is Kind.FLAG else "=")
    # -q and -v belong to setup.py itself and mean the same there.
    short = {"output": "d", "quiet": None, "verbose": None}.get(option.name, option.short)
    hint = " (several: with commas)" if option.kind is Kind.NAMES else ""
    return name, short, option.help.replace(" (repeatable)", hint)


class bdist_platter(Command):  # noqa: N801 - the name of the command
    """Make a self-installing bundle: this project's wheel, those of its dependencies, and an install.sh."""

    description = "create a self-installing bundle with all dependencies, for servers without a network"
    user_options: ClassVar[list[tuple[str, str | None, str]]] = [
        *map(_row, OPTIONS),
        ("output=", "o", "the same as --dist-dir, as in platter build"),
        *((f"{alias.removeprefix('--')}=", None, f"as --{one.name}") for one in OPTIONS for alias in one.aliases),
    ]

    def initialize_options(self) -> None:
        for name in (name for option in OPTIONS for name in _attributes(option)):
            setattr(self, name, None)
        with _as_setuptools_error(verbose=False):
            self._check_names()
            self._refuse_abbreviations()

    def finalize_options(self) -> None:
        with _as_setuptools_error(verbose=False):
            self.options = self._read_options()

    def run(self) -> None:
        from platter_setuptools.assemble import assemble  # noqa: PLC0415 - --help-commands loads this module
        from platter_setuptools.runtime.processes import Runner  # noqa: PLC0415
        from platter_setuptools.runtime.progress import open_progress  # noqa: PLC0415
        from platter_setuptools.runtime.streams import keep_standard_descriptors  # noqa: PLC0415

        keep_standard_descriptors()
        options = self.options
        with (
            _as_setuptools_error(verbose=options.verbose),
            signals_as_exits(),
            open_progress(quiet=options.quiet, verbose=options.verbose) as progress,
        ):
            if options.prebuild_script and self._wheel_is_ready:
                progress.warn(f"bdist_wheel built the wheel before {options.prebuild_script.name} runs")
            artifact = assemble(
                options,
                source=Path.cwd(),
                tree=Path.cwd(),
                version=self.distribution.get_version(),
                project_wheel=self._project_wheel,
                run=Runner(progress.detail),
                progress=progress,
            )
        self.distribution.dist_files.append(("bdist_platter", "any", os.fspath(artifact.path)))

    def _check_names(self) -> None:
        """Raise UsageError for an unknown key in a file, with a suggestion: distutils' own error has none."""
        for key, (where, _value) in self.distribution.get_option_dict(SECTION).items():
            if not hasattr(self, key):
                find(key, f"{where} [{SECTION}]")

    def _refuse_abbreviations(self) -> None:
        """Raise UsageError for an abbreviated option, which distutils would accept."""
        others = set(getattr(self.distribution, "commands", ())) - {SECTION}
        words = itertools.dropwhile(lambda word: word != SECTION, self.distribution.script_args or ())
        known = sorted(name.rstrip("=") for name, _short, _help in self.user_options)
        for word in itertools.takewhile(lambda word: word not in others, words):
            given = word.partition("=")[0].removeprefix("--")
            meant = [name for name in known if name.startswith(given)]
            if word.startswith("--") and given and meant and given not in known:
                raise UsageError(f"there is no option --{given}", hint=f"did you mean --{meant[0]}?")

    def _read_options(self) -> Options:
        refuse_windows()
        here = Path.cwd()
        given: dict[str, str] = {}
        configured: dict[str, dict[str, str]] = {}  # by file: setup.cfg, or another that distutils reads
        spoken = self.distribution.get_option_dict(SECTION)
        for option, name in ((one, name) for one in OPTIONS for name in _attributes(one)):
            # distutils sets `verbose` on every command: use it only if the user set it.
            value = getattr(self, name) if name in spoken or option.name not in _VERBOSITY else None
            if value is not None:
                # A configuration file ranks below the environment, which distutils does not read.
                where = str(spoken[name][0]) if name in spoken else ""
                weaker = where.endswith(".cfg")
                said_there = configured.setdefault(where, {}) if weaker else given
                before = [said_there[option.name]] if option.kind is Kind.NAMES and option.name in said_there else []
                said_there[option.name] = ",".join([*before, str(value)])
        if given.get("verbose", "").isdecimal():  # distutils counts: `--quiet` is 0, `-vv` is 2
            given["quiet" if given.pop("verbose") == "0" else "verbose"] = "yes"
        level = self.distribution.verbose  # 0 after `setup.py -q`, 2 and more after `setup.py -v`
        if level != 1 and given.keys().isdisjoint(_VERBOSITY):
            given["verbose" if level else "quiet"] = "yes"
        said = [read_strings("bdist_platter", here, given, prefix="--"), read_environment(os.environ, here)]
        files = [read_strings(f"{file} [{SECTION}]", here, values) for file, values in configured.items()]
        wheel_folder = self._wheel_folder()
        if folder := asked_folder(wheel_folder):
            said.append(output_beside(folder, here))
        options = merge([*said, *files, from_pyproject(here)], output=wheel_folder)
        if folder:
            check_kept(options.output)
        return options

    def _wheel_folder(self) -> Path:
        commands = [self._command(name) for name in ("bdist_wheel", "bdist")]
        return Path(next((str(command.dist_dir) for command in commands if command.dist_dir), "dist")).absolute()

    @property
    def _wheel_is_ready(self) -> bool:
        return bool(self.distribution.have_run.get("bdist_wheel"))

    def _project_wheel(self, context: BuildContext, _output: Path) -> Path:
        """Return the wheel that this setup() call has built, or build it."""
        if not self._wheel_is_ready:
            with (
                setuptools_builds(context, context.checkout.commit_time),
                self._tree_left_clean(context.work),
                _few_words(verbose=self.options.verbose),
            ):
                self._build_wheel()
        wheels = [file for kind, _python, file in self.distribution.dist_files if kind == "bdist_wheel"]
        if not wheels:
            raise ProjectBuildError("bdist_wheel built no wheel", hint="run it alone: python setup.py bdist_wheel")
        wheel = Path(wheels[-1]).absolute()
        set_times(wheel, source_date_epoch(os.environ))  # the same source gives the same wheel
        return wheel

    def _build_wheel(self) -> None:
        """Run bdist_wheel in a temporary folder, and move the finished wheel into its `dist_dir`."""
        command = self._command("bdist_wheel")
        command.ensure_finalized()
        given, files = command.dist_dir, self.distribution.dist_files
        folder = Path(given).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        with temporary_folder(folder) as draft:
            command.dist_dir = os.fspath(draft)
            try:
                self.run_command("bdist_wheel")
            finally:
                command.dist_dir = given
            for path in draft.iterdir():  # the project's own bdist_wheel may write more than one file
                path.replace(folder / path.name)
            for index, (kind, python, file) in enumerate(files):
                if Path(file).parent == draft:
                    files[index] = (kind, python, os.fspath(Path(given, Path(file).name)))

    def _command(self, name: str) -> Any:
        """Return another command of this setup() call; its options are attributes."""
        return self.distribution.get_command_obj(name)

    @contextlib.contextmanager
    def _tree_left_clean(self, work: Path) -> Iterator[None]:
        """Put the build's by-products into a temporary folder, unless the project configures another."""
        distribution = self.distribution
        earlier = {name for name, command in distribution.command_obj.items() if command.finalized}
        wheel, bdist, build, egg_info = map(self._command, ("bdist_wheel", "bdist", "build", "egg_info"))
        if not wheel.dist_dir and not bdist.dist_dir:
            wheel.dist_dir = os.fspath(self.options.output)
        if not build.finalized and build.build_base == "build":
            build.build_base = os.fspath(work / "build")
        if not egg_info.finalized and egg_info.egg_base is None:
            base = work / "egg-info"
            base.mkdir()
            # SOURCES.txt of an unpacked sdist lists data files that only version control knew.
            for folder in Path((distribution.package_dir or {}).get("", ".")).glob("*.egg-info"):
                if folder.is_dir():
                    shutil.copytree(folder, base / folder.name)
            egg_info.egg_base = os.fspath(base)
        yield
        # Later commands of this call must not look for results in that folder.
        for name in distribution.command_obj.keys() - earlier - {"bdist_wheel"}:
            del distribution.command_obj[name]
            distribution.have_run.pop(name, None)


@contextlib.contextmanager
def _few_words(*, verbose: bool) -> Iterator[None]:
    """Suppress the line per file that building a wheel prints; keep warnings."""
    level = logging.root.level  # distutils logs there
    with warnings.catch_warnings():
        if not verbose:
            logging.root.setLevel(logging.WARNING)
            # bdist_wheel itself runs `install`.
            warnings.filterwarnings("ignore", message="(?s).*setup.py install is deprecated")
        try:
            yield
        finally:
            logging.root.setLevel(level)


@contextlib.contextmanager
def _as_setuptools_error(*, verbose: bool) -> Iterator[None]:
    """Let setup() print our errors like its own: `error: …`, without a traceback."""
    try:
        yield
    except PlatterError as error:
        raise BaseError(format_error(error, verbose=verbose)) from error
