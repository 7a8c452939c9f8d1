"""The last look before archiving: every wheel fits the target, and together they meet every requirement."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from platter_setuptools.ground.amendments import Amendment, amended
from platter_setuptools.ground.errors import UsageError, WheelError
from platter_setuptools.steps.wheels.wheelfile import Description, tags_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from platter_setuptools.ground.values import Wheel
    from platter_setuptools.steps.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A wheel with what it says of itself."""

    wheel: Wheel
    description: Description


def told_of_repairs(one: Described) -> str:
    """Return a warning of what a wheel's metadata was read as, where it is not as the standard has it; or nothing."""
    if not one.description.repaired:
        return ""
    found = "; ".join(f"{before!r} is read as {after!r}" for before, after in one.description.repaired)
    return f"{one.wheel.filename}: its METADATA has specifiers that are older than the standard: {found}"


def check_fits(described: Described, target: Target) -> None:
    """Raises WheelError if a wheel's tags or its Requires-Python rule the target out."""
    wheel = described.wheel
    if tags_of(wheel).isdisjoint(target.tags):
        raise WheelError(
            f"{wheel.filename} does not fit {target}",
            hint=f"build it with the interpreter that the bundle is for ({target.executable}),"
            " or choose another one with -p",
        )
    check_python(described, target)


def check_python(described: Described, target: Target) -> None:
    """Raises WheelError if a wheel's Requires-Python rules the target out."""
    wheel, description = described.wheel, described.description
    requires = description.requires_python
    if requires is not None and not requires.contains(target.full_version, prereleases=True):
        raise WheelError(
            f"{description.name} {wheel.version} requires Python {requires}, and {target.executable} is"
            f" {target.full_version}",
            hint="choose another interpreter with -p, or another version",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked for: extras of a distribution, requirements of its dependency groups, and what to leave out.

    `amendments` count in the place of what wheels say that they require.
    """

    extras: Mapping[NormalizedName, frozenset[str]] = field(default_factory=dict)
    groups: Sequence[Requirement] = ()
    excluded: frozenset[NormalizedName] = frozenset()
    amendments: Sequence[Amendment] = ()

    def required_by(self, one: Described) -> Iterator[Requirement]:
        """What a wheel requires, as far as that counts."""
        return amended(one.description.requires, one.wheel.name, one.wheel.version, self.amendments)


def check_set(wheels: Sequence[Described], asked: Asked, target: Target) -> None:
    """Raises WheelError with the whole list if a requirement of the set is not met by the set.

    What was asked for, and what markers lead to, is followed from there.
    """
    seen: dict[NormalizedName, Described] = {}
    for described in wheels:
        check_fits(described, target)
        other = seen.setdefault(described.wheel.name, described)
        if other is not described:
            raise WheelError(
                f"the bundle would hold {other.wheel.filename} and {described.wheel.filename}",
                hint="let one version be required: lock again, or set a constraint",
            )
    problems = sorted({_told(unmet) for unmet in _unmet(wheels, asked, target.environment)})
    if problems:
        raise WheelError(
            "the wheels do not fit each other:\n" + "\n".join(f"  {problem}" for problem in problems),
            hint="a lock that is older than the project's requirements? lock again; else report it to the project",
        )


def needed_by_other_patches(wheels: Sequence[Described], asked: Asked, target: Target) -> tuple[str, ...]:
    """Requirements that only servers with another patch release of the target's Python have, without their markers.

    A bundle for 3.11 that was built with 3.11.7 may be installed with 3.11.2, where `python_full_version < "3.11.3"`
    holds. Distributions that the set has in an unfitting version are not named: no set would fit both.
    """
    names = {described.wheel.name for described in wheels}
    needed = set()
    for environment in target.other_patches:
        for unmet in _unmet(wheels, asked, environment):
            if canonicalize_name(unmet.requirement.name) not in names:
                bare = Requirement(str(unmet.requirement))
                bare.marker = None
                needed.add(str(bare))
    return tuple(sorted(needed))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unmet:
    by: Described | None  # None for a dependency group
    requirement: Requirement
    found: Described | None


def _unmet(wheels: Sequence[Described], asked: Asked, environment: Mapping[str, str]) -> Iterator[_Unmet]:
    by_name = {described.wheel.name: described for described in wheels}
    of_groups = ((None, requirement) for requirement in asked.groups if _holds(requirement, environment))
    for by, requirement in (*of_groups, *in_force(wheels, asked, environment)):
        wanted = canonicalize_name(requirement.name)
        found = by_name.get(wanted)
        if wanted not in asked.excluded and (found is None or not _meets(found, requirement)):
            yield _Unmet(by=by, requirement=requirement, found=found)


def in_force(
    wheels: Sequence[Described], asked: Asked, environment: Mapping[str, str]
) -> Iterator[tuple[Described, Requirement]]:
    """Every requirement that holds in the set, with the distribution that has it."""
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
        return requirement.marker is None or requirement.marker.evaluate({**environment, "extra": extra})
    except ValueError as error:  # what packaging calls undefined
        raise WheelError(
            f"whether {requirement.name} is required cannot be said: {error}",
            hint="a marker in the metadata of a distribution compares what cannot be compared: choose another version",
        ) from error


def _meets(found: Described, requirement: Requirement) -> bool:
    return bool(requirement.url) or requirement.specifier.contains(found.wheel.version, prereleases=True)


def _told(unmet: _Unmet) -> str:
    requirement, found = unmet.requirement, unmet.found
    by = f"{unmet.by.wheel.name} {unmet.by.wheel.version}" if unmet.by else "a dependency group"
    state = "which is missing" if found is None else f"and the set has {found.wheel.version}"
    return f"{by} requires {requirement.name}{requirement.specifier}, {state}"


def check_extras(project: Described, extras: Sequence[str]) -> None:
    """Raises UsageError if the project does not have one of these extras (PEP 685 normalizes their names)."""
    had = project.description.extras
    if missing := sorted({canonicalize_name(extra) for extra in extras} - {canonicalize_name(one) for one in had}):
        raise UsageError(
            f"{project.description.name} has no extra {', '.join(missing)}",
            hint=f"it has: {', '.join(sorted(had)) or 'none'}",
        )
