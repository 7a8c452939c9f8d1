"""The other main flow: from a project to a pylock.toml (PEP 751) to commit, which builds take by `--lock`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from platter_setuptools.ground.errors import ArchiveError
from platter_setuptools.ground.temporary import replacing
from platter_setuptools.ground.values import Origin
from platter_setuptools.ground.workspace import temporary_workspace
from platter_setuptools.steps.wheels.check import Described, check_extras
from platter_setuptools.steps.wheels.wheelfile import describe, open_wheel
from platter_setuptools.workshop import Workshop, open_workshop

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from platter_setuptools.ground.options import Options
    from platter_setuptools.ground.progress import Progress
    from platter_setuptools.ground.run import Processes


def write_lock(
    options: Options,
    path: Path,
    *,
    universal: bool,
    source: Path,
    project_wheel: Callable[[Workshop, Path], Path],
    run: Processes,
    progress: Progress,
) -> None:
    """Resolve what a build with these options would resolve, and write it to `path`.

    A `universal` lock serves every platform, and the target's Python and every later one. What may keep a lock from
    being used elsewhere is warned about. Raises a PlatterError of the class that says what failed.
    """
    with (
        temporary_workspace(run) as work,
        open_workshop(options, source, run, progress, work) as workshop,
    ):
        (work / "project").mkdir()
        wheel = open_wheel(project_wheel(workshop, work / "project"), Origin.PROJECT)
        check_extras(Described(wheel=wheel, description=describe(wheel)), options.extras)

        with progress.step(f"Resolving {wheel.name} {wheel.version}"):
            lock = workshop.resolve(wheel.path, wheel.name, universal=universal).without({wheel.name})
        chosen = list(lock.select(workshop.target, options.extras, options.group))
        for limit in lock.limits(universal=universal):
            progress.warn(limit)

        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as new:
                new.write_text(lock.as_toml(path.parent), "utf-8")
        except OSError as error:
            raise ArchiveError(f"{path} cannot be written: {error.strerror}", hint="choose another file") from error
    some = f"{len(lock.pylock.packages)} distributions, {len(chosen)} of them for {workshop.target}"
    progress.done(f"{path}\n  {some}")
