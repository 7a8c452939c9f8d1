"""The complete set: a project's wheel, and all that it needs on every patch release of the target's Python."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from platter_setuptools.ground.errors import DependencyError, UsageError
from platter_setuptools.ground.values import Origin
from platter_setuptools.steps.wheels.check import Asked, Described, check_extras, needed_by_other_patches
from platter_setuptools.steps.wheels.wheelfile import describe, describe_once, open_wheel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from platter_setuptools.steps.resolving.lock import Lock
    from platter_setuptools.workshop import Workshop

    # How a front end gets the project's own wheel: it builds it into a folder, with the workshop's tools or its own.
    ProjectWheel = Callable[[Workshop, Path], Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteSet:
    """What was resolved, and the wheels that the target takes of it; the project's own is the last."""

    lock: Lock
    wheels: list[Described]


def build_project(workshop: Workshop, project_wheel: ProjectWheel) -> Described:
    """Return the project's wheel. Raises UsageError for an extra that it does not have."""
    output = workshop.work / "project"
    output.mkdir()
    wheel = open_wheel(project_wheel(workshop, output), Origin.PROJECT)
    project = Described(wheel=wheel, description=describe(wheel))
    check_extras(project, workshop.options.extras)
    return project


def asked_for(workshop: Workshop, project: Described) -> Asked:
    """Return what the options ask for beside the project. Raises UsageError if they exclude the project itself."""
    excluded = frozenset(map(canonicalize_name, workshop.options.exclude))
    if project.wheel.name in excluded:
        raise UsageError(
            f"exclude: {project.wheel.name} is the project itself", hint="name distributions that it depends on"
        )
    return Asked(
        extras={project.wheel.name: frozenset(workshop.options.extras)},
        groups=workshop.dependencies.groups,
        excluded=excluded,
        amendments=workshop.dependencies.amendments,
    )


def complete_set(workshop: Workshop, project: Described, lock: Lock) -> CompleteSet:
    """Collect what was resolved for the project, and add what only other patch releases of the target's Python need.

    Servers may have any of them: what wheels require there is resolved in further rounds. Raises DependencyError, and
    WheelError if wheels do not fit the target.
    """
    target, more = workshop.target, tuple[str, ...]()
    title = f"Resolving {project.description.name} {project.wheel.version} for all patch releases of Python"
    while True:
        found = collect_set(workshop, project, lock)
        new = needed_by_other_patches(found.wheels, asked_for(workshop, project), target)
        if set(new) <= set(more):
            return found
        more += new
        try:
            with workshop.progress.step(f"{title} {target.version}"):
                lock = workshop.resolvers.resolve(workshop.dependencies.request(project.wheel.path, more))
        except DependencyError as error:
            workshop.progress.warn(f"on some patch releases of Python {target.version}: {error.message}")
            return found


def collect_set(workshop: Workshop, project: Described, lock: Lock) -> CompleteSet:
    """Return the set that a lock makes. Raises DependencyError, and WheelError for a file with a wrong hash."""
    options, resolver, asked = workshop.options, workshop.resolvers.project, asked_for(workshop, project)
    lock = resolver.check_required(lock, [*project.description.requires, *asked.groups])
    collected = workshop.collect(
        lock,
        extras=options.extras,
        groups=options.group,
        leave_out=[project.wheel.name, *asked.excluded],
        look=workshop.look_into,
    )
    found = [Described(wheel=wheel, description=describe_once(wheel, workshop.store)) for wheel in collected]
    resolver.check_required(lock, [each for one in found for each in one.description.requires])
    return CompleteSet(lock=lock, wheels=[*found, project])
