"""The project as the command line finds it: a source tree, an sdist, or a wheel that is finished."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from platter_setuptools.ground.configuration import PROJECT_FILES, named
from platter_setuptools.ground.errors import ArchiveError, DependencyError, ProjectBuildError, UsageError
from platter_setuptools.steps.bundle.bundles import by_name, is_one
from platter_setuptools.steps.wheelhouse.build import BuildError
from platter_setuptools.steps.wheelhouse.sources import unpack

if TYPE_CHECKING:
    from pathlib import Path

    from platter_setuptools.workshop import Workshop

_ALIKE = "`python -m build --wheel` in that folder should fail alike"
_INSTALL_COMPILER = (
    "install the compiler and the headers that the project's extension modules need (on Debian: build-essential and"
    " -dev packages)"
)
# setuptools-scm, also behind hatch-vcs, where git's history is not: in what `git archive` wrote, for one.
_NO_VERSION = "setuptools-scm was unable to detect version"
_HOW_TO_GIVE_ONE = (
    "there is no git history to take the version from: set SETUPTOOLS_SCM_PRETEND_VERSION, or commit a"
    " .git_archival.txt, which `git archive` fills in (docs/automation.md)"
)
_NO_GIT = "there is no git program to ask for the version: install git, or set SETUPTOOLS_SCM_PRETEND_VERSION"
_NAME_ANOTHER = "name the folder of a project, an sdist or a wheel"
_ADD_SETUP_PY = "a setup.cfg needs a setup.py beside it: from setuptools import setup; setup()"


@dataclass(frozen=True, slots=True)
class SourceTree:
    """A folder with a project of any build backend."""

    source: Path

    @property
    def tree(self) -> Path:
        """The folder that the wheel is built from."""
        return self.source

    def wheel(self, workshop: Workshop, output: Path) -> Path:
        """Build the project's wheel into `output`. Raises ProjectBuildError."""
        try:
            with workshop.progress.step(f"Building the project's wheel for {workshop.target}"):
                return workshop.builder.build(
                    self.source, output, workshop.dependencies.build_settings(named(self.source))
                )
        except BuildError as error:
            hint = _INSTALL_COMPILER if error.compiler else f"{error.hint}; {_ALIKE}"
            no_version = any(_NO_VERSION in line for line in error.output)
            raise ProjectBuildError(
                f"the wheel of {self.source} cannot be built: {error.message}",
                hint=_how_to_give_one() if no_version else hint,
                output=error.output,
            ) from error


def _how_to_give_one() -> str:
    return _HOW_TO_GIVE_ONE if shutil.which("git") else _NO_GIT


@dataclass(frozen=True, slots=True)
class FinishedWheel:
    """A wheel that somebody built before."""

    path: Path

    @property
    def tree(self) -> None:
        """The folder that the wheel was built from is not known."""

    @property
    def source(self) -> Path:
        return self.path.parent

    def wheel(self, _workshop: Workshop, _output: Path) -> Path:
        return self.path


def open_project(path: Path, scratch: Path) -> SourceTree | FinishedWheel:
    """What is at `path`; an sdist is unpacked into `scratch`. Raises UsageError if it is nothing to build from."""
    if path.exists() and _is_bundle(path):
        raise UsageError(
            f"{path} is a bundle already, not a project",
            hint="platter inspect shows what is in it; on the server unpack it and run its install.sh",
        )
    if path.is_dir():
        if not any((path / name).is_file() for name in PROJECT_FILES):
            raise UsageError(
                f"{path} is no project: it has neither {' nor '.join(PROJECT_FILES)}",
                hint=_ADD_SETUP_PY if (path / "setup.cfg").is_file() else _NAME_ANOTHER,
            )
        return SourceTree(path)
    if not path.exists():
        raise UsageError(f"{path} does not exist", hint=_NAME_ANOTHER)
    if path.suffix == ".whl":
        return FinishedWheel(path)
    if path.name.endswith((".tar.gz", ".zip", ".tar.bz2", ".tar.xz", ".tgz")):
        try:
            return SourceTree(unpack(path, scratch))
        except DependencyError as error:
            raise UsageError(error.message, hint=error.hint) from error
    raise UsageError(f"{path} is neither a folder nor an sdist nor a wheel", hint=_NAME_ANOTHER)


def _is_bundle(path: Path) -> bool:
    named = by_name(path)
    try:
        return named is not None and is_one(named)
    except ArchiveError:  # whoever unpacks it says why
        return False
