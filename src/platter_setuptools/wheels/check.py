"""The final check before archiving: every wheel fits the target, and together they meet every requirement."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from platter_setuptools.errors import UsageError, WheelError
from platter_setuptools.resolve.amendments import Amendment, amended
from platter_setuptools.targets.markers import evaluate
from platter_setuptools.wheels.metadata import Description, tags_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from platter_setuptools.targets.target import Target
    from platter_setuptools.values import Wheel


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelWithMetadata:
    """A wheel with its metadata."""

    wheel: Wheel
    description: Description


def told_of_repairs(one: WheelWithMetadata) -> str:
    """Return a warning of what a wheel's metadata was read as, where it is not as the standard has it; or nothing."""
    if not one.description.repaired:
        return ""
    found = "; ".join(f"{before!r} is read as {after!r}" for before, after in one.description.repaired)
    return f"{one.wheel.filename}: its METADATA has specifiers that are older than the standard: {found}"


def check_fits(described: WheelWithMetadata, target: Target) -> None:
    """Raise WheelError if a wheel's tags or its Requires-Python rule the target out."""
    wheel = described.wheel
    if tags_of(wheel).isdisjoint(target.tags):
        raise WheelError(
            f"{wheel.filename} does not fit {target}",
            hint=f"build it {target.builder}, or choose another one with -p or --target",
        )
    check_python(described, target)


def check_python(described: WheelWithMetadata, target: Target) -> None:
    """Raise WheelError if a wheel's Requires-Python rules the target out."""
    wheel, description = described.wheel, described.description
    requires = description.requires_python
    if requires is not None and not requires.contains(target.full_version, prereleases=True):
        raise WheelError(
            f"{description.name} {wheel.version} requires Python {requires}, and {target.described}",
            hint="choose another interpreter with -p or --target, or another version",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is requested: extras of a distribution, requirements of its dependency groups, and what to leave out.

    `amendments` replace requirements of wheels.
    """

    extras: Mapping[NormalizedName, frozenset[str]] = field(default_factory=dict)
    groups: Sequence[Requirement] = ()
    excluded: frozenset[NormalizedName] = frozenset()
    amendments: Sequence[Amendment] = ()

    def required_by(self, one: WheelWithMetadata) -> Iterator[Requirement]:
        """Return the effective requirements of a wheel."""
        return amended(one.description.requires, one.wheel.name, one.wheel.version, self.amendments)


def check_set(wheels: Sequence[WheelWithMetadata], asked: Asked, target: Target) -> None:
    """Raise WheelError with the whole list if a requirement of the set is not met by the set.

    That includes what was asked for, and the extras of distributions that requirements name.
    """
    seen: dict[NormalizedName, WheelWithMetadata] = {}
    for described in wheels:
        check_fits(described, target)
        other = seen.setdefault(described.wheel.name, described)
        if other is not described:
            raise WheelError(
                f"the bundle would hold {other.wheel.filename} and {described.wheel.filename}",
                hint="let one version be required: lock again, or set a constraint",
            )
    problems = sorted({text for _, text in _unmet(wheels, asked, target.environment)})
    if problems:
        raise WheelError(
            "the wheels do not fit each other:\n" + "\n".join(f"  {problem}" for problem in problems),
            hint="a lock that is older than the project's requirements? lock again; else report it to the project",
        )


def needed_by_other_patches(wheels: Sequence[WheelWithMetadata], asked: Asked, target: Target) -> tuple[str, ...]:
    """Return requirements of other patch releases of the target's Python, without their markers.

    A bundle for 3.11 that was built with 3.11.7 may be installed with 3.11.2, where `python_full_version < "3.11.3"` is
    true. Distributions that the set has in another version are not returned: no set would fit both.
    """
    names = {described.wheel.name for described in wheels}
    needed = set()
    for environment in (target.environment, *target.other_patches):
        for requirement, _ in _unmet(wheels, asked, environment):
            if canonicalize_name(requirement.name) not in names:
                bare = Requirement(str(requirement))
                bare.marker = None
                needed.add(str(bare))
    return tuple(sorted(needed))


def _unmet(
    wheels: Sequence[WheelWithMetadata], asked: Asked, environment: Mapping[str, str]
) -> Iterator[tuple[Requirement, str]]:
    """Yield each requirement that the set does not meet, and a text about it."""
    by_name = {described.wheel.name: described for described in wheels}
    of_groups = (
        ("a dependency group", requirement) for requirement in asked.groups if _holds(requirement, environment)
    )
    of_wheels = (
        (f"{one.wheel.name} {one.wheel.version}", requirement)
        for one, requirement in in_force(wheels, asked, environment)
    )
    for by, requirement in (*of_groups, *of_wheels):
        wanted = canonicalize_name(requirement.name)
        found = by_name.get(wanted)
        if wanted in asked.excluded or (found and _meets(found, requirement)):
            continue
        state = f"and the set has {found.wheel.version}" if found else "which is missing"
        yield requirement, f"{by} requires {requirement.name}{requirement.specifier}, {state}"


def in_force(
    wheels: Sequence[WheelWithMetadata], asked: Asked, environment: Mapping[str, str]
) -> Iterator[tuple[WheelWithMetadata, Requirement]]:
    """Yield every requirement that applies in the set, with the distribution that has it."""
    by_name = {described.wheel.name: described for described in wheels}
    seen: set[tuple[NormalizedName, str]] = set()
    queue = [(name, extra) for name in by_name for extra in ("", *sorted(asked.extras.get(name, ())))]
    for requirement in asked.groups:
        if _holds(requirement, environment):
            queue += [(canonicalize_name(requirement.name), more) for more in requirement.extras]
    while queue:
        name, extra = queue.pop()
        if (name, extra) in seen or name not in by_name:
            continue
        seen.add((name, extra))
        described = by_name[name]
        for requirement in asked.required_by(described):
            if _holds(requirement, environment, extra):
                queue += [(canonicalize_name(requirement.name), more) for more in requirement.extras]
                yield described, requirement


def _holds(requirement: Requirement, environment: Mapping[str, str], extra: str = "") -> bool:
    try:
        values = {**environment, "extra": extra}
        return requirement.marker is None or evaluate(requirement.marker, values, requirement.name)
    except ValueError as error:  # what packaging calls undefined
        raise WheelError(
            f"whether {requirement.name} is required cannot be said: {error}",
            hint="a marker in the metadata of a distribution compares what cannot be compared: choose another version",
        ) from error


def _meets(found: WheelWithMetadata, requirement: Requirement) -> bool:
    return bool(requirement.url) or requirement.specifier.contains(found.wheel.version, prereleases=True)


def check_extras(
    project: WheelWithMetadata,
    extras: Sequence[str],
    others: Mapping[NormalizedName, Collection[str]] = MappingProxyType({}),
) -> None:
    """Raise UsageError for an extra that neither the project nor another package has (PEP 685 normalizes the names).

    `others` are the extras of the packages beside it.
    """
    had = {*project.description.extras, *(extra for each in others.values() for extra in each)}
    if missing := sorted(set(map(canonicalize_name, extras)) - set(map(canonicalize_name, had))):
        names = [project.description.name, *others]
        raise UsageError(
            f"{' and '.join(names)} {'have' if others else 'has'} no extra {', '.join(missing)}",
            hint=f"{'they have' if others else 'it has'}: {', '.join(sorted(had)) or 'none'}",
        )
