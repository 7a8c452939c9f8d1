"""Dependencies: what the options, the project, and pip's and uv's configuration say about them, each read once."""

from __future__ import annotations

import dataclasses
import functools
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import NormalizedName, canonicalize_name

from platter_setuptools.ground.files import absolute, located
from platter_setuptools.ground.threads import Later
from platter_setuptools.steps.resolving import uv_project
from platter_setuptools.steps.resolving.groups import read_groups
from platter_setuptools.steps.resolving.indexes import IndexSettings, read_settings
from platter_setuptools.steps.resolving.lock import Lock, read_lock
from platter_setuptools.steps.resolving.pins import Pins, find_pins
from platter_setuptools.steps.resolving.pip_config import pip_config_files
from platter_setuptools.steps.resolving.requirements import Line, Requirements, installed_pip, read_requirements
from platter_setuptools.steps.resolving.resolver import Request, requirement_line
from platter_setuptools.steps.resolving.uv_amendments import amendments_of
from platter_setuptools.steps.resolving.uv_config import UvConfig, is_set, read_config
from platter_setuptools.steps.wheelhouse.build_settings import BuildSettings, any_not_isolated, settings_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from packaging.requirements import Requirement

    from platter_setuptools.ground.amendments import Amendment
    from platter_setuptools.ground.options import Options
    from platter_setuptools.ground.progress import Progress
    from platter_setuptools.ground.run import Runner
    from platter_setuptools.steps.store import Store
    from platter_setuptools.steps.target import Target


class Dependencies:
    """What is said about the dependencies of the project in the folder `source`. `pip` is the wheel of a pip."""

    def __init__(
        self,
        options: Options,
        source: Path,
        target: Target,
        *,
        run: Runner,
        progress: Progress,
        store: Store,
        work: Path,
        pip: Callable[[], Path],
    ) -> None:
        self.options, self.source, self.target, self.store = options, source, target, store
        self.run, self.progress, self.work, self._pip = run, progress, work, pip

    @property
    def shares_environment(self) -> bool:
        """Whether some builds use the build scripts' virtual environment."""
        return any_not_isolated(self.settings, self.uv_builds)

    @functools.cached_property
    def settings(self) -> IndexSettings:
        settings = read_settings(
            self.options.pip_option,
            environ=os.environ,
            config_files=pip_config_files(os.environ, Path(sys.prefix)),
            index_urls=uv_project.index_urls(self.source, self.uv_config, os.environ),
            options_base=self.options.pip_option_base,
        )
        of_uv = os.environ.get("UV_KEYRING_PROVIDER") or self.uv_config.option("keyring-provider")
        return dataclasses.replace(settings, keyring_provider=settings.keyring_provider or of_uv)

    @property
    def all_settings(self) -> IndexSettings:
        """The settings with the URLs that requirements files name, which are known for their credentials."""
        more = (*self.requirements.urls(), *(one.url for one in self.groups if one.url))
        return dataclasses.replace(self.settings, more_urls=(*self.settings.more_urls, *more))

    def build_settings(self, name: NormalizedName, lock: Lock | None = None) -> BuildSettings:
        """What the user says about the build of one distribution; see settings_of."""
        found = settings_of(name, self.settings, self.uv_builds, lock, self.requirements)
        return dataclasses.replace(found, limits=self._build_limits)

    @functools.cached_property
    def _build_limits(self) -> tuple[str, ...]:
        """All that limits the requirements of builds, by pip's configuration or uv's."""
        said = [line.text for line in self.build_constraints.lines]
        if self.options.resolver == "uv":
            files = [located(one, Path.cwd()) for one in os.environ.get("UV_BUILD_CONSTRAINT", "").split()]
            said += [line.text for line in self._read((), files).lines]
            said += map(str, self.uv_config.option("build-constraint-dependencies") or ())
        return tuple(said)

    @functools.cached_property
    def uv_config(self) -> UvConfig:
        """What uv is configured to do where the project is."""
        return read_config(self.source, os.environ)

    @property
    def uv_builds(self) -> UvConfig:
        """The same, as far as it counts for builds."""
        return self.uv_config if self.options.resolver == "uv" else UvConfig()

    @functools.cached_property
    def amendments(self) -> tuple[Amendment, ...]:
        """What uv was told to put in the place of distributions' own requirements, now or when it wrote the lock."""
        lock = self.options.lock
        if lock is not None and lock.name == uv_project.LOCK:
            return uv_project.amendments_of_lock(lock)
        if lock is None and self.options.resolver != "uv":
            return ()
        told = {"override-dependencies": self._told("UV_OVERRIDE"), "exclude-dependencies": self._told("UV_EXCLUDE")}
        return (*amendments_of(told), *self.uv_config.amendments)

    def _told(self, variable: str) -> list[str]:
        """The requirements in the files that one of uv's variables names."""
        files = [absolute(one, Path.cwd()) for one in os.environ.get(variable, "").split()]
        return [line.text for line in self._read(files, ()).lines if line.requirement]

    @functools.cached_property
    def groups(self) -> tuple[Requirement, ...]:
        """What the options' dependency groups require."""
        return read_groups(self.source, self.options.group)

    def read_requirements(self) -> None:
        """Begin, in the background, to read requirements and constraints files. A build script may write them."""
        _ = self._requirements, self._build_constraints

    @property
    def requirements(self) -> Requirements:
        """What the files of options and of pip's configuration require and limit; waits until they are read."""
        return self._requirements.result()

    @functools.cached_property
    def _requirements(self) -> Later[Requirements]:
        options = self.options
        said = os.environ.get("UV_CONSTRAINT", "").split() if options.resolver == "uv" else ()
        of_uv = [located(one, Path.cwd()) for one in said]
        constraints = (*self.settings.constraints, *of_uv, *map(str, options.constraints))
        return Later(functools.partial(self._read, options.requirements, constraints))

    @property
    def build_constraints(self) -> Requirements:
        """What limits the requirements of builds; waits until it is read."""
        return self._build_constraints.result()

    @functools.cached_property
    def _build_constraints(self) -> Later[Requirements]:
        return Later(functools.partial(self._read, (), self.settings.build_constraints))

    def _read(self, files: Sequence[Path], constraints: Sequence[str]) -> Requirements:
        return read_requirements(
            files,
            constraints,
            pip=self._pip_to_read_with,
            target=self.target,
            settings=self.settings,
            project=self.source,
            run=self.run,
            store=self.store,
            work=self.work,
            offline=self.options.no_download,
        )

    def _pip_to_read_with(self) -> Path:
        own = installed_pip() if self.options.python is None else None
        return own or self._pip()

    def given_lock(self, name: str) -> Lock | None:
        """The lock that the options name, for the project of this name. Raises DependencyError."""
        options = self.options
        if options.lock is None:
            return None
        if options.lock.name != uv_project.LOCK:
            return read_lock(options.lock)
        return uv_project.export(
            options.lock, name, extras=options.extras, groups=options.group, run=self.run, work=self.work
        )

    def request(self, project: Path, more: Sequence[str] = (), *, universal: bool = False) -> Request:
        """What is to be resolved: what the project's wheel requires, the options' requirements files, and `more`.

        All constraints hold. Where requirements or constraints have hashes, they name all there is to take.
        """
        options = self.options
        said, build = self.requirements, self.build_constraints
        if self.pins(universal=universal):
            return Request(requirements=(), no_deps=True, universal=universal, said=said, build=build)
        name = canonicalize_name(project.name.partition("-")[0])
        lines = (requirement_line(project, name, options.extras), *map(str, self.groups), *more)
        # The project itself, as `-e .` for one, is in the bundle as this wheel.
        said = said.with_wheel(self.source, lambda extras: requirement_line(project, name, extras))
        request = Request(requirements=lines, universal=universal, said=said, build=build, project=project)
        if options.resolver == "uv" and uv_project.uses_sources(self.source, name):
            secret = self._secret_sources()
            limits = [
                Line(where="[tool.uv.sources]", constraint=True, text=text, shown=text)
                for texts in secret.values()
                for text in texts
            ]
            request = dataclasses.replace(
                request,
                said=dataclasses.replace(said, lines=(*said.lines, *limits)),
                tree=self.source / "pyproject.toml",
                extras=options.extras,
                groups=options.group,
                sources=tuple(uv_project.source_urls(self.source)),
                no_sources=(*self._lost_sources, *secret),
            )
        return request

    def _secret_sources(self) -> dict[str, list[str]]:
        """The repositories that uv is not to know by its own way, since their URLs have passwords."""
        no_sources = os.environ.get("UV_NO_SOURCES_PACKAGE", "").split()
        without = {*map(canonicalize_name, no_sources), *self.uv_config.names("no-sources-package")}
        if is_set(os.environ, "UV_NO_SOURCES") or self.uv_config.option("no-sources"):
            return {}
        found = uv_project.repositories_with_login(self.source)
        return {name: texts for name, texts in found.items() if name not in without}

    @functools.cached_property
    def _lost_sources(self) -> tuple[str, ...]:
        lost = uv_project.lost_sources(self.source)
        if lost:
            self.progress.warn(
                f"[tool.uv.sources] says where {', '.join(lost)} is, which the sdist lacks: an index is asked instead"
            )
        return lost

    def pins(self, *, universal: bool) -> Pins | None:
        """The hashes that requirements files demand, if they do."""
        return find_pins(self.requirements, required=self.settings.require_hashes, universal=universal)
