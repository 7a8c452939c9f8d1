"""A build backend (PEP 517 and 660): setuptools' own, which also builds a bundle beside the wheel when asked.

    [build-system]
    requires = ["setuptools", "platter-setuptools"]
    build-backend = "platter_setuptools.build_meta"

The config setting `platter=true` asks for it, or PLATTER_BUILD=1 in the environment; options are config settings, too,
such as `platter.format=zip`. All hooks except the two below are setuptools' own.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from setuptools import build_meta as _setuptools

from platter_setuptools.config.config_settings import read_wish
from platter_setuptools.errors import PlatterError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from platter_setuptools.config.config_settings import Wish
    from platter_setuptools.config.options import Options
    from platter_setuptools.context import BuildContext

    Settings = Mapping[str, str | list[str] | None] | None


__all__ = _setuptools.__all__  # for in-tree backends that begin with `from platter_setuptools.build_meta import *`


def __getattr__(name: str) -> Any:
    """Return any other hook that this setuptools has."""
    return getattr(_setuptools, name)


def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:
    """Return what setuptools requires; a bundle needs no more. Report wrong settings before anything is built."""
    with _errors_in_short(verbose=False):
        read_wish(config_settings, os.environ, Path.cwd())
    return _setuptools.get_requires_for_build_wheel(config_settings)


def build_wheel(
    wheel_directory: str | os.PathLike[str],
    config_settings: Settings = None,
    metadata_directory: str | os.PathLike[str] | None = None,
) -> str:
    """Build the wheel, and the bundle if asked to. Return the wheel's name."""

    def wheel() -> str:
        return _setuptools.build_wheel(wheel_directory, config_settings, metadata_directory)

    with _errors_in_short(verbose=False):
        wish = read_wish(config_settings, os.environ, Path.cwd())
        options = _read_options(wish, Path(wheel_directory).absolute()) if wish.bundle else None
    if options is None:
        return wheel()
    return _with_bundle(options, wheel, Path(wheel_directory).absolute())


def _read_options(wish: Wish, wheel_folder: Path) -> Options | None:
    """Return the options; None if only the environment asks for bundles and pip builds a wheel to install."""
    from platter_setuptools.config.files import from_pyproject, from_setup_cfg  # noqa: PLC0415
    from platter_setuptools.config.option_sources import merge, read_environment  # noqa: PLC0415
    from platter_setuptools.frontends import check_kept, is_thrown_away, output_beside, refuse_windows  # noqa: PLC0415
    from platter_setuptools.runtime.streams import standard_error  # noqa: PLC0415

    refuse_windows()
    here = Path.cwd()
    said = [wish.options, read_environment(os.environ, here), output_beside(wheel_folder, here)]
    options = merge([*said, from_setup_cfg(here), from_pyproject(here)], output=wheel_folder)
    try:
        check_kept(options.output)
    except UsageError as error:
        if wish.by_setting or not is_thrown_away(wheel_folder):
            raise
        standard_error().write(f"no bundle is built: {error.message}\n")
        return None
    return options


def _with_bundle(options: Options, build: Callable[[], str], folder: Path) -> str:
    from platter_setuptools.assemble import assemble  # noqa: PLC0415 - not needed to build just a wheel
    from platter_setuptools.frontends import setuptools_builds, signals_as_exits  # noqa: PLC0415
    from platter_setuptools.runtime.processes import Runner  # noqa: PLC0415
    from platter_setuptools.runtime.progress import open_progress  # noqa: PLC0415
    from platter_setuptools.runtime.reproducible import set_times, source_date_epoch  # noqa: PLC0415
    from platter_setuptools.wheels.sources import Checkout  # noqa: PLC0415

    names = []

    def project_wheel(context: BuildContext, _output: Path) -> Path:
        with setuptools_builds(context, Checkout(Path.cwd(), context.run).commit_time):
            names.append(build())
        set_times(folder / names[0], source_date_epoch(os.environ))
        return folder / names[0]

    with (
        _errors_in_short(verbose=options.verbose),
        signals_as_exits(),
        open_progress(quiet=options.quiet, verbose=options.verbose) as progress,
    ):
        run = Runner(progress.detail)
        assemble(options, source=Path.cwd(), project_wheel=project_wheel, run=run, progress=progress)
    return names[0]


@contextlib.contextmanager
def _errors_in_short(*, verbose: bool) -> Iterator[None]:
    """Let a hook fail like setuptools' hooks, with `error: …` on stderr and no traceback."""
    try:
        yield
    except PlatterError as error:
        from platter_setuptools.frontends import format_error  # noqa: PLC0415

        raise SystemExit(f"error: {format_error(error, verbose=verbose)}") from error
