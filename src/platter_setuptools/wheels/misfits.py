"""What is built here for another target: it fits if it is pure Python. All that does not fit is told at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from platter_setuptools.errors import DependencyError
from platter_setuptools.values import Wheel
from platter_setuptools.wheels.metadata import tags_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from platter_setuptools.targets.target import Target

Built = Wheel | DependencyError  # why it cannot be built here


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
