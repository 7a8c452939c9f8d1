"""Verify the wheels of each target of a bundle: they fit it and each other, and the lock selects them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from platter_setuptools.errors import PlatterError, UsageError, WheelError
from platter_setuptools.inspect.bundle_reader import LOCK
from platter_setuptools.inspect.targets import target_of
from platter_setuptools.payload import manifest
from platter_setuptools.resolve.amendments import read_amendment
from platter_setuptools.resolve.lock import load_lock
from platter_setuptools.wheels.check import Asked, check_set
from platter_setuptools.wheels.entry_points import check_scripts
from platter_setuptools.wheels.metadata import tags_of
from platter_setuptools.wheels.record_check import check_case, check_places, check_shared

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from platter_setuptools.inspect.bundle_reader import Contents
    from platter_setuptools.runtime.progress import Progress
    from platter_setuptools.targets.target import Target
    from platter_setuptools.wheels.check import WheelWithMetadata


def check_sets(plan: manifest.Manifest, contents: Contents, progress: Progress) -> Iterator[str]:
    """Yield what is wrong with the set of a target; see _set."""
    sensitive = set[bool]()
    for part in map(plan.for_target, plan.targets):
        yield from _set(part, contents, progress, sensitive)
    if sensitive and any(sensitive) is not plan.case_sensitive:
        yield f"{manifest.FILE}: case_sensitive is {str(plan.case_sensitive).lower()}, which the wheels contradict"


def _set(plan: manifest.Manifest, contents: Contents, progress: Progress, sensitive: set[bool]) -> Iterator[str]:
    """Yield wheels that do not fit the first target, and requirements that they meet with no patch release of it.

    Nothing if a wheel is not there. Put into `sensitive` whether their names differ only in case.
    """
    inside = [contents.wheels[f"data/{one.file}"] for one in plan.wheels if f"data/{one.file}" in contents.wheels]
    if len(inside) < len(plan.wheels):
        return  # already reported, or left out
    described = [one.described for one in inside]
    try:
        amendments = [read_amendment(**one._asdict()) for one in plan.overrides]
    except ValueError as error:
        yield f"{manifest.FILE}: overrides: {error}"
        return
    asked = Asked(
        extras={canonicalize_name(one.name): frozenset(plan.extras) for one in plan.wheels if one.requested},
        excluded=frozenset(map(canonicalize_name, plan.excluded)),
        amendments=amendments,
    )
    platforms = sorted({tag.platform for one in described for tag in tags_of(one.wheel)} - {"any"})
    targets = [target_of(plan, plan.targets[0], patch, platforms) for patch in (0, 999)]
    problems = [_problem(described, asked, target) for target in targets]
    if all(problems):
        yield problems[0]
    if len(plan.targets) > 1:
        yield from _selected(plan, contents, targets[0])
    places = {one.described.wheel: one.places for one in inside}
    projects = [one for one, wheel in zip(described, plan.wheels, strict=True) if wheel.requested]
    try:
        check_places([one.wheel for one in described], places, progress)
        check_shared(plan.shared, places)
        check_scripts(described, projects, places, asked, progress)
        sensitive.add(check_case(places.values(), plan.platform, progress))
    except (UsageError, WheelError) as error:
        yield error.message


def _selected(plan: manifest.Manifest, contents: Contents, target: Target) -> Iterator[str]:
    """Yield a finding unless the lock selects for the target what that takes."""
    try:
        lock = load_lock(contents.texts.get(LOCK, b""), base=Path(), where=LOCK)
        selected = {getattr(artifact, "filename", "") for _, artifact in lock.select(target)}
    except PlatterError as error:
        yield error.message
        return
    if selected != {one.file for one in plan.wheels}:
        yield f"{LOCK}: does not select the wheels of {plan.targets[0].id}"


def _problem(described: Sequence[WheelWithMetadata], asked: Asked, target: Target) -> str:
    try:
        check_set(described, asked, target)
    except WheelError as error:
        return error.message
    return ""
