"""The other main flow: from a project to a pylock.toml (PEP 751) to commit, for builds with `--lock`."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from packaging.version import Version

from platter_setuptools.complete_set import build_project, complete_set
from platter_setuptools.context import BuildContext, temporary_workspace
from platter_setuptools.errors import ArchiveError, DependencyError, WheelError
from platter_setuptools.resolve.lock import Lock, join
from platter_setuptools.runtime.progress import Progress, counted
from platter_setuptools.runtime.temporary import replacing
from platter_setuptools.targets.find import machines_of
from platter_setuptools.wheels.check import check_python

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from platter_setuptools.complete_set import ProjectWheel
    from platter_setuptools.config.options import Options
    from platter_setuptools.runtime.processes import Runner
    from platter_setuptools.targets.target import Target


def write_lock(
    options: Options,
    path: Path,
    *,
    universal: bool,
    source: Path,
    project_wheel: ProjectWheel,
    run: Runner,
    progress: Progress,
) -> None:
    """Resolve what builds with these options would resolve, and write it to `path`.

    For several targets the lock is for all of these and no others: each has what a build for it would resolve. A
    `universal` one is for every platform, the lowest target's Python and every later one. Warn of what prevents using
    it elsewhere. Raises a PlatterError of the class that says what failed.
    """
    with temporary_workspace(run) as (work, background):
        if options.with_python:
            from platter_setuptools.bundle.interpreter import find_program  # noqa: PLC0415 - loads elftools

            program = find_program(options, run, work)
            options = dataclasses.replace(options, with_python=None, python=(program,) if program else options.python)
        found = sorted(machines_of(options, run), key=lambda one: Version(one.target.version))
        targets, locks = [one.target for one in found], []
        for number, machines in enumerate(found[:1] if universal else found):
            folder = work / f"target-{number}"
            folder.mkdir()
            context = BuildContext(options, source, run, progress, folder, background, machines)
            with context.cache.in_use():
                serving = targets if universal else [machines.target]
                locks.append(_resolve(context, project_wheel, serving, universal=universal))
        lock = join(list(zip(targets, locks, strict=True)), path.parent) if len(locks) > 1 else locks[0]
        told = [f"{path}", counted(len(lock.pylock.packages), "distribution"), *_told_of_each(lock, targets, options)]
        for limit in lock.limits(universal=universal):
            progress.warn(limit)

        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as new:
                new.write_text(lock.as_toml(path.parent), "utf-8")
        except OSError as error:
            raise ArchiveError(f"{path} cannot be written: {error.strerror}", hint="choose another file") from error
    progress.done("\n  ".join(told))


def _resolve(context: BuildContext, project_wheel: ProjectWheel, targets: Sequence[Target], *, universal: bool) -> Lock:
    """Return the dependencies of the project and other packages, without these, in a lock for these `targets`."""
    project = build_project(context, project_wheel)
    for target in targets:
        check_python(project, target)
    dependencies, resolvers, options, wheel = context.dependencies, context.resolvers, context.options, project.wheel
    ours = {wheel.name, *(one.name for one in dependencies.packages)}
    try:
        with context.progress.step(f"Resolving {wheel.name} {wheel.version} for {context.target}"):
            lock = resolvers.resolve(dependencies.request(wheel.path, universal=universal))
            lock = resolvers.project.check_required(lock, [*project.description.requires, *dependencies.groups])
        # A universal lock is for all patch releases already; write_lock reports what does not fit the target.
        if not universal and not _told(lock.without(ours), context.target, options)[1]:
            lock = complete_set(context, project, lock).lock
    except DependencyError as error:
        raise DependencyError(f"{context.target}: {error.message}", hint=error.hint, output=error.output) from error
    resolvers.tell_of_newer()
    return lock.without(ours)


def _told_of_each(lock: Lock, targets: Sequence[Target], options: Options) -> list[str]:
    """Return how many distributions are for each target. Raises WheelError with all that do not fit one of them."""
    found = [_told(lock, target, options) for target in targets]
    if misfits := [misfit for _, misfit in found if misfit]:
        raise WheelError(
            "\n".join(misfits),
            hint="limit these to versions with a wheel or a source for it (constraints), or leave that target out",
        )
    return [told for told, _ in found]


def _told(lock: Lock, target: Target, options: Options) -> tuple[str, str]:
    """Return how many distributions are for a target, and what does not fit it."""
    try:
        return f"{len(list(lock.select(target, options.extras, options.group)))} of them for {target}", ""
    except WheelError as error:
        return "", error.message
