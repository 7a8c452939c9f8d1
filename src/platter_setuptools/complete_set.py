"""The complete set: a project's wheel and everything that it needs on any patch release of the target's Python."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from platter_setuptools.errors import DependencyError, UsageError, WheelError
from platter_setuptools.resolve.workspace import declared_extras
from platter_setuptools.values import Origin
from platter_setuptools.wheels.check import Asked, WheelWithMetadata, check_extras, check_fits, needed_by_other_patches
from platter_setuptools.wheels.metadata import describe, open_wheel, tags_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from platter_setuptools.context import BuildContext
    from platter_setuptools.resolve.lock import Lock
    from platter_setuptools.values import Wheel

    # A front end's way to get the project's wheel: it builds it into the folder, and returns its path.
    ProjectWheel = Callable[[BuildContext, Path], Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteSet:
    """A lock, and the wheels that the target takes from it; the project's own is the last."""

    lock: Lock
    wheels: list[WheelWithMetadata]


def build_project(context: BuildContext, project_wheel: ProjectWheel) -> WheelWithMetadata:
    """Return the project's wheel. Raise UsageError if the options name an extra that it lacks, or exclude it."""
    output = context.work / "project"
    output.mkdir()
    wheel = open_wheel(project_wheel(context, output), Origin.PROJECT)
    project = WheelWithMetadata(wheel=wheel, description=describe(wheel))
    others = {one.name: declared_extras(one.folder) for one in context.dependencies.packages}
    known = {name: extras for name, extras in others.items() if extras is not None}
    if len(known) == len(others):
        check_extras(project, context.options.extras, known)
    asked_for(context, project)
    return project


def build_projects(contexts: Sequence[BuildContext], project_wheel: ProjectWheel) -> list[WheelWithMetadata]:
    """Return the project's wheel for each target: one of an earlier target if it fits, else one that is built for it.

    Raise WheelError if a front end has no wheel for a target, and as build_project does.
    """
    projects: list[WheelWithMetadata] = []
    for context in contexts:
        target = context.target
        known = next((one for one in projects if not tags_of(one.wheel).isdisjoint(target.tags)), None)
        project = known or build_project(context, project_wheel)
        if not known and project.wheel in (one.wheel for one in projects):
            raise WheelError(
                f"{project.wheel.filename} does not fit {target}",
                hint="`platter build` of the source tree builds a wheel for each target; or leave this one out",
            )
        check_fits(project, target)
        projects.append(project)
    if len(names := {f"{one.wheel.name} {one.wheel.version}" for one in projects}) > 1:
        raise WheelError(
            f"the project is {' and '.join(sorted(names))}, as each target builds it",
            hint="let its version not depend on the Python that builds it",
        )
    return projects


def choose_wheels(
    contexts: Sequence[BuildContext], projects: Sequence[WheelWithMetadata]
) -> list[list[WheelWithMetadata]]:
    """Return the wheels of the bundle for each target, by the lock that the options name or resolved for it.

    The project's own is the last.
    """
    chosen = [_choose(context, project) for context, project in zip(contexts, projects, strict=True)]
    names = {package.name for one in chosen for package in one.lock.pylock.packages}
    excluded = asked_for(contexts[0], projects[0]).excluded
    if useless := sorted(excluded - names - {"pip"}):
        contexts[0].progress.warn(f"exclude {', '.join(useless)}: it would not be in the bundle anyway")
    return _shared([one.wheels for one in chosen])


def distinct(sets: Sequence[Sequence[WheelWithMetadata]]) -> list[Wheel]:
    """Return the wheels of all targets, each once."""
    return list({one.wheel.filename: one.wheel for each in sets for one in each}.values())


def _shared(sets: Sequence[list[WheelWithMetadata]]) -> list[list[WheelWithMetadata]]:
    """Return the sets with one wheel of each file name: of those that were built twice the first one.

    Raise DependencyError if the metadata of two of them differ.
    """
    first: dict[str, WheelWithMetadata] = {}
    for one in (one for each in sets for one in each):
        known = first.setdefault(one.wheel.filename, one)
        if known.wheel.sha256 != one.wheel.sha256 and known.description.requires != one.description.requires:
            raise DependencyError(
                f"{one.wheel.filename} requires other distributions when it is built for another target",
                hint="build a bundle for each of the targets, or choose a version that has wheels",
            )
    return [[first[one.wheel.filename] for one in each] for each in sets]


def _choose(context: BuildContext, project: WheelWithMetadata) -> CompleteSet:
    options = context.options
    if given := context.dependencies.given_lock(project.wheel.name):
        context.prefetch.wait()
        chosen = collect_set(context, project, given)
    else:
        request = context.dependencies.request(project.wheel.path)
        named = f" for {context.target}" if context.several else ""
        with context.progress.step(f"Resolving {project.description.name} {project.wheel.version}{named}"):
            lock = context.prefetch.lock_for(request) or context.resolvers.resolve(request)
        chosen = complete_set(context, project, lock)
    _warn_of_other_folders(context, chosen.lock)
    excluded = asked_for(context, project).excluded
    if options.no_pip or "pip" in excluded or any(one.wheel.name == "pip" for one in chosen.wheels):
        return chosen
    pip = context.analyser.describe(context.tools.pip)
    return dataclasses.replace(chosen, wheels=[*chosen.wheels[:-1], pip, project])


def _warn_of_other_folders(context: BuildContext, lock: Lock) -> None:
    """Warn of source trees that the recorded commit says nothing of."""
    if not context.checkout.revision:
        return
    for package in lock.pylock.packages:
        folder = package.directory and lock.folder_of(package.directory)
        if folder and not context.checkout.contains(folder):
            context.progress.warn(
                f"record-git-state: {package.name} is built from {folder}, which the recorded commit does not cover"
            )


def asked_for(context: BuildContext, project: WheelWithMetadata) -> Asked:
    """Return what the options ask for beside the project. Raise UsageError if they exclude the project itself."""
    excluded = frozenset(map(canonicalize_name, context.options.exclude))
    names = [project.wheel.name, *(one.name for one in context.dependencies.packages)]
    if name := next((name for name in names if name in excluded), None):
        raise UsageError(f"exclude: {name} is the project itself", hint="name distributions that it depends on")
    return Asked(
        extras=dict.fromkeys(names, frozenset(context.options.extras)),
        groups=context.dependencies.groups,
        excluded=excluded,
        amendments=context.dependencies.amendments,
    )


def packages_among(context: BuildContext, wheels: Sequence[WheelWithMetadata]) -> list[WheelWithMetadata]:
    """Return those of the wheels that are packages beside the project, in the order of the options."""
    by_name = {one.wheel.name: one for one in wheels}
    return [by_name[one.name] for one in context.dependencies.packages if one.name in by_name]


def complete_set(context: BuildContext, project: WheelWithMetadata, lock: Lock) -> CompleteSet:
    """Collect the wheels of the lock, and add what only other patch releases of the target's Python need.

    Servers may have any patch release: what wheels require there is resolved in further rounds. Raise DependencyError,
    and WheelError if wheels do not fit the target.
    """
    target, more = context.target, tuple[str, ...]()
    title = f"Resolving {project.description.name} {project.wheel.version} for all patch releases of Python"
    while True:
        found = collect_set(context, project, lock)
        new = needed_by_other_patches(found.wheels, asked_for(context, project), target)
        if set(new) <= set(more):
            return found
        more += new
        try:
            with context.progress.step(f"{title} {target.version}"):
                lock = context.resolvers.resolve(context.dependencies.request(project.wheel.path, more))
        except DependencyError as error:
            context.progress.warn(f"on some patch releases of Python {target.version}: {error.message}")
            return found


def collect_set(context: BuildContext, project: WheelWithMetadata, lock: Lock) -> CompleteSet:
    """Collect the wheels of the lock. Raise DependencyError, and WheelError for a file with a wrong hash."""
    options, resolver, asked = context.options, context.resolvers.project, asked_for(context, project)
    lock = resolver.check_required(lock, [*project.description.requires, *asked.groups])
    collected = context.collector.collect(
        context.dependencies.with_packages(lock),
        extras=options.extras,
        groups=options.group,
        leave_out=[project.wheel.name, *asked.excluded],
        look=context.analyser.analyse_all,
    )
    found = [context.analyser.describe(wheel) for wheel in collected]
    resolver.check_required(lock, [each for one in found for each in one.description.requires])
    return CompleteSet(lock=lock, wheels=[*found, project])
