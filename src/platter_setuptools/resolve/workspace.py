"""uv's workspaces: their members, as uv lists them, and what those in a bundle declare."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.dependency_groups import resolve_dependency_groups
from packaging.errors import ExceptionGroup
from packaging.pylock import Package, PackageDirectory
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from platter_setuptools.config.files import named, read_pyproject
from platter_setuptools.errors import CommandError, UsageError
from platter_setuptools.resolve.requirements import requirement_line
from platter_setuptools.resolve.uv import run_uv

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from platter_setuptools.runtime.processes import Runner


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A project of a workspace, in its folder."""

    name: NormalizedName
    folder: Path

    def requirement(self, extras: Sequence[str]) -> str:
        """Return the requirement for the folder, with those of the extras that it may have."""
        return requirement_line(self.folder, self.name, self.extras(extras))

    @property
    def locked(self) -> Package:
        """Return the entry of a lock for the folder."""
        return Package(name=self.name, directory=PackageDirectory(path=os.fspath(self.folder)))

    def extras(self, asked: Sequence[str]) -> tuple[str, ...]:
        """Return those of the extras that the member declares; all of them if its backend may declare others."""
        declared = declared_extras(self.folder)
        return tuple(one for one in asked if declared is None or canonicalize_name(one) in declared)

    def groups(self, asked: Sequence[str]) -> tuple[str, ...]:
        """Return those of the dependency groups (PEP 735) that the member has."""
        table = read_pyproject(self.folder).get("dependency-groups", {})
        declared = set(map(canonicalize_name, table)) if isinstance(table, dict) else set[NormalizedName]()
        return tuple(one for one in asked if canonicalize_name(one) in declared)


def declared_extras(folder: Path) -> frozenset[NormalizedName] | None:
    """Return the extras that a project's pyproject.toml declares; None if its backend may declare others."""
    table = read_pyproject(folder).get("project", {})
    dynamic = table.get("dynamic", ()) if isinstance(table, dict) else ("optional-dependencies",)
    if "optional-dependencies" in dynamic or not isinstance(table.get("optional-dependencies", {}), dict):
        return None
    return frozenset(map(canonicalize_name, table.get("optional-dependencies", {})))


def members(folder: Path, run: Runner) -> dict[NormalizedName, Path]:
    """Return the folders of all members of the workspace that a folder is in, by their names.

    A project that is in none is its own only member. Raise UsageError, in uv's words, for what is no workspace.
    """
    try:
        said = run_uv(run, ["workspace", "list", "--paths"], cwd=folder)
    except CommandError as error:
        raise UsageError(
            f"the workspace of {folder} cannot be read",
            hint="see what uv says above; `uv workspace list` in that folder should fail in the same way",
            output=error.output,
        ) from error
    return {named(path): path for path in (folder / line for line in said.splitlines())}


def find_members(folder: Path, names: Sequence[str], run: Runner) -> tuple[Member, ...]:
    """Return these members of the workspace that a folder is in, each once. Raise UsageError for an unknown name."""
    known = members(folder, run)
    wanted = dict.fromkeys(map(canonicalize_name, names))
    if unknown := [name for name in wanted if name not in known]:
        raise UsageError(
            f"package: the workspace of {folder} has no member {' and no '.join(unknown)}",
            hint=f"it has: {', '.join(known)}",
        )
    return tuple(Member(name=name, folder=known[name]) for name in wanted)


def members_beside(project: Path, names: Sequence[str], run: Runner) -> tuple[Member, ...]:
    """Return the members of these names but for the first one, which has to be the project in this folder.

    Raise UsageError.
    """
    if not names:
        return ()
    first, *others = find_members(project, names, run)
    if not first.folder.samefile(project):
        raise UsageError(
            f"package: {first.name} is not the project that is built here, {named(project)}",
            hint=f"name {named(project)} first, or run `platter build --package {first.name}`",
        )
    return tuple(others)


def is_root(folder: Path) -> bool:
    """Whether a folder is the root of a workspace. Raise UsageError for what is not TOML."""
    tool = read_pyproject(folder).get("tool")
    uv = tool.get("uv") if isinstance(tool, dict) else None
    return isinstance(uv, dict) and "workspace" in uv


def is_virtual_root(folder: Path) -> bool:
    """Whether a folder is the root of a workspace and no project itself. Raise UsageError for what is not TOML."""
    tables = read_pyproject(folder)
    no_project = tables.keys().isdisjoint({"project", "build-system"}) and not (folder / "setup.py").is_file()
    return no_project and is_root(folder)


def read_groups_of(project: Path, others: Sequence[Member], names: Sequence[str]) -> tuple[Requirement, ...]:
    """Return what these dependency groups of the project and of further members require.

    Raise UsageError for a group that none of them has.
    """
    if not others:
        return _read_groups(project, names)
    each = [Member(name=named(project), folder=project), *others]
    having = {one: one.groups(names) for one in each}
    if missing := [name for name in names if not any(name in groups for groups in having.values())]:
        raise UsageError(
            f"{' and '.join(one.name for one in each)} have no dependency group {', '.join(missing)}",
            hint="name a group in the [dependency-groups] of one of them",
        )
    return tuple(one for member, groups in having.items() for one in _read_groups(member.folder, groups))


def _read_groups(project: Path, names: Sequence[str]) -> tuple[Requirement, ...]:
    """Return what these dependency groups of the project (PEP 735) require. Raises UsageError."""
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
