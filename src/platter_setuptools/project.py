"""The project that the command line names: a source tree, an sdist, or a finished wheel."""

from __future__ import annotations

import dataclasses
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from platter_setuptools.config.files import PROJECT_FILES, named
from platter_setuptools.errors import ArchiveError, DependencyError, ProjectBuildError, UsageError
from platter_setuptools.inspect.find import by_name, is_one
from platter_setuptools.resolve.workspace import is_root, is_virtual_root, members
from platter_setuptools.wheels.build import BuildError
from platter_setuptools.wheels.sources import unpack

if TYPE_CHECKING:
    from pathlib import Path

    from platter_setuptools.context import BuildContext
    from platter_setuptools.runtime.processes import Runner

_INSTALL_COMPILER = (
    "install the compiler and the headers that the project's extension modules need (on Debian: build-essential and"
    " -dev packages)"
)
# What setuptools-scm, also behind hatch-vcs, prints without git's history, such as in an unpacked `git archive`.
_NO_VERSION = "setuptools-scm was unable to detect version"
_NO_HISTORY = (
    "there is no git history to derive the version from: set SETUPTOOLS_SCM_PRETEND_VERSION, or commit a"
    " .git_archival.txt, which `git archive` fills in (docs/automation.md)"
)
_NO_GIT = "there is no git program to ask for the version: install git, or set SETUPTOOLS_SCM_PRETEND_VERSION"
_NAME_ANOTHER = "name the folder of a project, an sdist or a wheel"
_ADD_SETUP_PY = "a setup.cfg needs a setup.py beside it: from setuptools import setup; setup()"


@dataclass(frozen=True, slots=True)
class Project:
    """A folder with a project of any build backend; or a wheel that was built before, and the folder that it is in."""

    source: Path
    finished: Path | None = None

    @property
    def tree(self) -> Path | None:
        """Return the folder that the wheel is built from; None if it was built before."""
        return None if self.finished else self.source

    def wheel(self, context: BuildContext, output: Path) -> Path:
        """Return the project's wheel, built into `output` if it is not finished. Raises ProjectBuildError."""
        if self.finished:
            return self.finished
        settings = context.dependencies.build_settings(named(self.source))
        variables = {"PYTHONDONTWRITEBYTECODE": "1", **settings.variables}  # the source tree stays as it is
        settings = dataclasses.replace(settings, variables=variables)
        try:
            with context.progress.step(f"Building the project's wheel for {context.host}"):
                return context.builder.build(self.source, output, settings)
        except BuildError as error:
            hint = f"{error.hint}; `python -m build --wheel` in that folder should fail in the same way"
            if any(_NO_VERSION in line for line in error.output):
                hint = _NO_HISTORY if shutil.which("git") else _NO_GIT
            elif error.compiler:
                hint = _INSTALL_COMPILER
            elif is_root(self.source):
                hint += (
                    f"; or choose members of its workspace: --package {', '.join(members(self.source, context.run))}"
                )
            raise ProjectBuildError(
                f"the wheel of {self.source} cannot be built: {error.message}", hint=hint, output=error.output
            ) from error


def open_project(path: Path, scratch: Path, run: Runner) -> Project:
    """Return the project at `path`; unpack an sdist into `scratch`. Raises UsageError if there is none."""
    if path.exists() and _is_bundle(path):
        raise UsageError(
            f"{path} is a bundle already, not a project",
            hint="platter inspect shows what is in it; on the server unpack it and run its install.sh",
        )
    if path.is_dir():
        if not any((path / name).is_file() for name in PROJECT_FILES):
            raise UsageError(
                f"{path} is not a project: it has neither {' nor '.join(PROJECT_FILES)}",
                hint=_ADD_SETUP_PY if (path / "setup.cfg").is_file() else _NAME_ANOTHER,
            )
        if is_virtual_root(path):
            raise UsageError(
                f"{path} is the root of a workspace, and not a project itself",
                hint=f"choose members with --package NAME: {', '.join(members(path, run)) or 'it has none'}",
            )
        return Project(path)
    if not path.exists():
        raise UsageError(f"{path} does not exist", hint=_NAME_ANOTHER)
    if path.suffix == ".whl":
        return Project(path.parent, finished=path)
    if path.name.endswith((".tar.gz", ".zip", ".tar.bz2", ".tar.xz", ".tgz")):
        try:
            return Project(unpack(path, scratch))
        except DependencyError as error:
            raise UsageError(error.message, hint=error.hint) from error
    raise UsageError(f"{path} is neither a folder nor an sdist nor a wheel", hint=_NAME_ANOTHER)


def _is_bundle(path: Path) -> bool:
    named = by_name(path)
    try:
        return named is not None and is_one(named)
    except ArchiveError:  # unpacking it reports the reason
        return False
