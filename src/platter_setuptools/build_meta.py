"""A build backend (PEP 517 and 660): setuptools' own, and a bundle beside the wheel for those who ask for one.

    [build-system]
    requires = ["setuptools", "platter-setuptools"]
    build-backend = "platter_setuptools.build_meta"

The config setting `platter=true` asks for it, or PLATTER_BUILD=1 in the environment; options are config settings too,
such as `platter.format=zip`. All hooks but the two below are setuptools' own.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from setuptools import build_meta as _setuptools

from platter_setuptools.ground.config_settings import read_wish
from platter_setuptools.ground.errors import PlatterError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from platter_setuptools.ground.config_settings import Wish
    from platter_setuptools.ground.options import Options
    from platter_setuptools.workshop import Workshop

    Settings = Mapping[str, str | list[str] | None] | None


__all__ = _setuptools.__all__  # for in-tree backends that begin with `from platter_setuptools.build_meta import *`


def __getattr__(name: str) -> Any:
    """Every other hook, the optional ones and those to come as well: whatever this setuptools has."""
    return getattr(_setuptools, name)


def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:
    """What setuptools requires; a bundle needs no more. Wrong settings are told here, before anything is built."""
    with _errors_in_short(verbose=False):
        read_wish(config_settings, os.environ, Path.cwd())
    return _setuptools.get_requires_for_build_wheel(config_settings)


def build_wheel(
    wheel_directory: str | os.PathLike[str],
    config_settings: Settings = None,
    metadata_directory: str | os.PathLike[str] | None = None,
) -> str:
    """Build the wheel, and the bundle if that is asked for; gives the wheel's name."""

    def wheel() -> str:
        return _setuptools.build_wheel(wheel_directory, config_settings, metadata_directory)

    with _errors_in_short(verbose=False):
        wish = read_wish(config_settings, os.environ, Path.cwd())
        options = _read_options(wish, Path(wheel_directory).absolute()) if wish.bundle else None
    if options is None:
        return wheel()
    return _with_bundle(options, wheel, Path(wheel_directory).absolute())


def _read_options(wish: Wish, wheel_folder: Path) -> Options | None:
    """None if the environment alone asks, and pip builds what it will install: nobody asks for those bundles."""
    from platter_setuptools.frontends import check_kept, is_thrown_away, output_beside, refuse_windows  # noqa: PLC0415
    from platter_setuptools.ground.configuration import from_pyproject, from_setup_cfg  # noqa: PLC0415
    from platter_setuptools.ground.dialects import merge, read_environment  # noqa: PLC0415
    from platter_setuptools.ground.streams import standard_error  # noqa: PLC0415

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
    from platter_setuptools.assemble import assemble  # noqa: PLC0415 - nobody who just builds a wheel waits for it
    from platter_setuptools.frontends import signals_told  # noqa: PLC0415
    from platter_setuptools.ground.progress import open_progress  # noqa: PLC0415
    from platter_setuptools.ground.run import Processes  # noqa: PLC0415
    from platter_setuptools.ground.times import reproducible_build, source_date_epoch  # noqa: PLC0415
    from platter_setuptools.ground.ziptimes import set_times  # noqa: PLC0415
    from platter_setuptools.steps.checkout import Checkout  # noqa: PLC0415

    names = []

    def project_wheel(workshop: Workshop, _output: Path) -> Path:
        title = f"Building the project's wheel for {workshop.target}"
        commit_time = Checkout(Path.cwd(), workshop.run).commit_time
        with workshop.progress.hand_over(title), reproducible_build(Path.cwd(), commit_time):
            names.append(build())
        set_times(folder / names[0], source_date_epoch(os.environ))
        return folder / names[0]

    with (
        _errors_in_short(verbose=options.verbose),
        signals_told(),
        open_progress(quiet=options.quiet, verbose=options.verbose) as progress,
    ):
        run = Processes(progress.detail)
        assemble(options, source=Path.cwd(), project_wheel=project_wheel, run=run, progress=progress)
    return names[0]


@contextlib.contextmanager
def _errors_in_short(*, verbose: bool) -> Iterator[None]:
    """Let a hook fail as setuptools' hooks do, with `error: …` on stderr and no traceback."""
    try:
        yield
    except PlatterError as error:
        from platter_setuptools.frontends import told  # noqa: PLC0415

        raise SystemExit(f"error: {told(error, verbose=verbose)}") from error
