"""The last look before archiving: every wheel fits the target, and together they meet every requirement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import NormalizedName, canonicalize_name

from platter_setuptools.ground.errors import WheelError
from platter_setuptools.steps.wheelfile import Description, tags_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from packaging.requirements import Requirement

    from platter_setuptools.ground.values import Wheel
    from platter_setuptools.steps.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A wheel with what it says of itself."""

    wheel: Wheel
    description: Description


def check_fits(described: Described, target: Target) -> None:
    """Raises WheelError if a wheel's tags or its Requires-Python rule the target out."""
    wheel, description = described.wheel, described.description
    if tags_of(wheel).isdisjoint(target.tags):
        raise WheelError(
            f"{wheel.filename} does not fit {target}",
            hint=f"build it with the interpreter that the bundle is for ({target.executable}),"
            " or choose another one with -p",
        )
    requires = description.requires_python
    if requires is not None and not requires.contains(target.full_version, prereleases=True):
        raise WheelError(
            f"{description.name} {wheel.version} requires Python {requires}, and {target.executable} is"
            f" {target.full_version}",
            hint="choose another interpreter with -p, or another version",
        )


def check_set(wheels: Sequence[Described], roots: Mapping[NormalizedName, frozenset[str]], target: Target) -> None:
    """Raises WheelError with the whole list if a requirement of the set is not met by the set.

    `roots` names the distributions that were asked for and the extras asked of them; markers and extras are
    followed from there.
    """
    by_name: dict[NormalizedName, Described] = {}
    for described in wheels:
        check_fits(described, target)
        other = by_name.setdefault(described.wheel.name, described)
        if other is not described:
            raise WheelError(f"the bundle would hold {other.wheel.filename} and {described.wheel.filename}")
    problems = sorted(set(_problems(by_name, roots, target)))
    if problems:
        raise WheelError(
            "the wheels do not fit each other:\n" + "\n".join(f"  {problem}" for problem in problems),
            hint="a lock that is older than the project's requirements? lock again; else report it to the project",
        )


def _problems(
    by_name: Mapping[NormalizedName, Described],
    roots: Mapping[NormalizedName, frozenset[str]],
    target: Target,
) -> Iterator[str]:
    seen: set[tuple[NormalizedName, str]] = set()
    queue = [(name, extra) for name, extras in roots.items() for extra in ("", *sorted(extras))]
    while queue:
        name, extra = queue.pop()
        if (name, extra) in seen or name not in by_name:
            continue
        seen.add((name, extra))
        described = by_name[name]
        for requirement in described.description.requires:
            if not applies(requirement, extra, target):
                continue
            wanted = canonicalize_name(requirement.name)
            queue += [(wanted, more) for more in ("", *requirement.extras)]
            yield from _unmet(described, requirement, by_name.get(wanted))


def _unmet(described: Described, requirement: Requirement, found: Described | None) -> Iterator[str]:
    wheel = described.wheel
    if found is None:
        yield f"{wheel.name} {wheel.version} requires {requirement.name}{requirement.specifier}, which is missing"
    elif not requirement.url and not requirement.specifier.contains(found.wheel.version, prereleases=True):
        yield (
            f"{wheel.name} {wheel.version} requires {requirement.name}{requirement.specifier},"
            f" and the set has {found.wheel.version}"
        )


def applies(requirement: Requirement, extra: str, target: Target) -> bool:
    """Whether the target needs this requirement, when `extra` (empty: none) is asked for."""
    return requirement.marker is None or requirement.marker.evaluate({**target.environment, "extra": extra})


def missing_extras(description: Description, extras: Sequence[str]) -> list[str]:
    """The extras that the distribution does not have, normalized (PEP 685)."""
    return sorted({canonicalize_name(extra) for extra in extras} - {canonicalize_name(e) for e in description.extras})
