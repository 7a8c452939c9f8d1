"""What is built here for another target: it fits if it is pure Python. All that does not fit is told at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec

from platter_setuptools.errors import DependencyError
from platter_setuptools.values import Wheel
from platter_setuptools.wheels.metadata import tags_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from platter_setuptools.targets.target import Target

_P = ParamSpec("_P")

Built = Wheel | DependencyError


def attempted(build: Callable[_P, Built]) -> Callable[_P, Built]:
    """Return a function that builds, and gives its error as its result."""

    def attempt(*arguments: _P.args, **named: _P.kwargs) -> Built:
        try:
            return build(*arguments, **named)
        except DependencyError as error:
            return error

    return attempt


def refuse_misfits(built: Mapping[str, Built], target: Target) -> None:
    """Raise DependencyError with all that could not be built, or does not fit. The keys are names and versions."""
    told, output = [], tuple[str, ...]()
    for title, result in built.items():
        if isinstance(result, DependencyError):
            told.append(f"  {title} cannot be built here")
            output = output or tuple(result.output)
        elif tags_of(result).isdisjoint(target.tags):
            told.append(f"  {title} has compiled modules: built here it is {result.filename}")
    if told:
        raise DependencyError(
            f"these have no wheel for {target}:\n" + "\n".join(told),
            hint="choose versions that have one (constraints), name an index that has it, exclude what the server has,"
            " or build the bundle on such a machine",
            output=output,
        )
