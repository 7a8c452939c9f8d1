"""What a project's pyproject.toml says of its dependencies beyond its wheel: dependency groups, and uv's sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from packaging.dependency_groups import resolve_dependency_groups
from packaging.errors import ExceptionGroup
from packaging.requirements import Requirement

from platter_setuptools.ground.configuration import read_pyproject
from platter_setuptools.ground.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def read_groups(project: Path, names: Sequence[str]) -> tuple[Requirement, ...]:
    """What these dependency groups (PEP 735), and those that they include, require. Raises UsageError."""
    if not names:
        return ()
    path = project / "pyproject.toml"
    groups = read_pyproject(project).get("dependency-groups", {})
    if not isinstance(groups, dict):
        raise UsageError(f"{path}: dependency-groups has to be a table")
    try:
        return tuple(Requirement(line) for line in resolve_dependency_groups(groups, *names))
    except (ExceptionGroup, LookupError, TypeError, ValueError) as error:
        reasons = "; ".join(str(one.args[0] if one.args else one) for one in getattr(error, "exceptions", (error,)))
        raise UsageError(
            f"{path} [dependency-groups]: {reasons}",
            hint=f"it has: {', '.join(sorted(groups)) or 'none'}",
        ) from error


def uses_sources(project: Path) -> bool:
    """Whether `[tool.uv.sources]` of the project, or of the workspace that it is in, says where distributions are."""
    if _uv_table(project).get("sources"):
        return True
    tables = (_uv_table(folder) for folder in project.parents if (folder / "pyproject.toml").is_file())
    workspace = next((table for table in tables if "workspace" in table), {})
    return bool(workspace.get("sources")) and (project / "pyproject.toml").is_file()


def _uv_table(folder: Path) -> dict[str, Any]:
    tool = read_pyproject(folder).get("tool", {})
    table = tool.get("uv", {}) if isinstance(tool, dict) else {}
    return table if isinstance(table, dict) else {}
