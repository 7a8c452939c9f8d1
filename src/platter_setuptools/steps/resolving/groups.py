"""Dependency groups (PEP 735): requirements that stand in a project's pyproject.toml and in no wheel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.dependency_groups import resolve_dependency_groups
from packaging.errors import ExceptionGroup
from packaging.requirements import Requirement

from platter_setuptools.ground.configuration import read_pyproject
from platter_setuptools.ground.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def read_groups(project: Path, names: Sequence[str]) -> tuple[Requirement, ...]:
    """What these groups of the project, and those that they include, require. Raises UsageError."""
    if not names:
        return ()
    path = project / "pyproject.toml"
    groups = read_pyproject(project).get("dependency-groups", {})
    if not isinstance(groups, dict):
        raise UsageError(
            f"{path}: dependency-groups has to be a table",
            hint="write the groups below a line [dependency-groups] (PEP 735)",
        )
    try:
        return tuple(Requirement(line) for line in resolve_dependency_groups(groups, *names))
    except (ExceptionGroup, LookupError, TypeError, ValueError) as error:
        reasons = "; ".join(str(one.args[0] if one.args else one) for one in getattr(error, "exceptions", (error,)))
        raise UsageError(
            f"{path} [dependency-groups]: {reasons}",
            hint=f"it has: {', '.join(sorted(groups)) or 'none'}",
        ) from error
