"""The other main flow: from a project to a pylock.toml (PEP 751) to commit, which builds take by `--lock`."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from platter_setuptools.complete_set import build_project, complete_set
from platter_setuptools.ground.errors import ArchiveError, DependencyError, WheelError
from platter_setuptools.ground.temporary import replacing
from platter_setuptools.ground.workspace import temporary_workspace
from platter_setuptools.steps.resolving.lock import Lock, join
from platter_setuptools.steps.target import find_targets
from platter_setuptools.steps.wheels.check import check_python
from platter_setuptools.workshop import open_workshop

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from platter_setuptools.complete_set import ProjectWheel
    from platter_setuptools.ground.options import Options
    from platter_setuptools.ground.progress import Progress
    from platter_setuptools.ground.run import Processes
    from platter_setuptools.steps.target import Target
    from platter_setuptools.workshop import Workshop


def write_lock(
    options: Options,
    path: Path,
    *,
    pythons: Sequence[str] = (),
    universal: bool,
    source: Path,
    project_wheel: ProjectWheel,
    run: Processes,
    progress: Progress,
) -> None:
    """Resolve what builds with these options would resolve, and write it to `path`.

    With several `pythons`, which count instead of the option, the lock is for all of these and no others: each has
    what a build for it would resolve. A `universal` one serves every platform, and the lowest target's Python and
    every later one. What may keep a lock from being used elsewhere is warned about. Raises a PlatterError of the class
    that says what failed.
    """
    found = find_targets(pythons or [options.python], run)
    targets = [target for _, target in found]
    with temporary_workspace(run) as work:
        locks = []
        for python, target in found[:1] if universal else found:
            own, folder = dataclasses.replace(options, python=python), work / target.key
            folder.mkdir()
            with open_workshop(own, source, run, progress, folder) as workshop:
                locks.append(_resolve(workshop, project_wheel, targets if universal else [target], universal=universal))
        lock = join(list(zip(targets, locks, strict=True)), path.parent) if len(locks) > 1 else locks[0]
        count = len(lock.pylock.packages)
        told = [f"{count} distribution{'s' * (count != 1)}", *_told_of_each(lock, targets, options)]
        for limit in lock.limits(universal=universal):
            progress.warn(limit)

        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as new:
                new.write_text(lock.as_toml(path.parent), "utf-8")
        except OSError as error:
            raise ArchiveError(f"{path} cannot be written: {error.strerror}", hint="choose another file") from error
    progress.done("\n  ".join([f"{path}", *told]))


def _resolve(workshop: Workshop, project_wheel: ProjectWheel, targets: Sequence[Target], *, universal: bool) -> Lock:
    """What the project requires for the workshop's target, without the project itself, which has to serve `targets`."""
    project = build_project(workshop, project_wheel)
    for target in targets:
        check_python(project, target)
    dependencies, resolvers, options, wheel = workshop.dependencies, workshop.resolvers, workshop.options, project.wheel
    try:
        with workshop.progress.step(f"Resolving {wheel.name} {wheel.version} for {workshop.target}"):
            lock = resolvers.resolve(dependencies.request(wheel.path, universal=universal))
            lock = resolvers.project.check_required(lock, [*project.description.requires, *dependencies.groups])
        # A universal one is for all patch releases already; and what does not fit the target is told later.
        if not universal and not _told(lock.without({wheel.name}), workshop.target, options)[1]:
            lock = complete_set(workshop, project, lock).lock
    except DependencyError as error:
        raise DependencyError(f"{workshop.target}: {error.message}", hint=error.hint, output=error.output) from error
    resolvers.tell_of_newer()
    return lock.without({wheel.name})


def _told_of_each(lock: Lock, targets: Sequence[Target], options: Options) -> list[str]:
    """How many distributions are for each target. Raises WheelError with all that one of them does not get."""
    found = [_told(lock, target, options) for target in targets]
    if misfits := [misfit for _, misfit in found if misfit]:
        raise WheelError(
            "\n".join(misfits),
            hint="limit these to versions with a wheel or a source for it (constraints), or leave that interpreter out",
        )
    return [told for told, _ in found]


def _told(lock: Lock, target: Target, options: Options) -> tuple[str, str]:
    """How many distributions are for a target, or what it does not get."""
    try:
        return f"{len(list(lock.select(target, options.extras, options.group)))} of them for {target}", ""
    except WheelError as error:
        return "", error.message
