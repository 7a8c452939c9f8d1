"""The resolvers of one build: for the project, for build environments, and for the tools that every bundle brings."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
from typing import TYPE_CHECKING

from platter_setuptools.ground.errors import DependencyError, PlatterError
from platter_setuptools.ground.threads import Later
from platter_setuptools.steps.resolving import uv_project
from platter_setuptools.steps.resolving.indexes import IndexSettings, for_builds, for_tools
from platter_setuptools.steps.resolving.named_indexes import named_indexes
from platter_setuptools.steps.resolving.pins import find_pins
from platter_setuptools.steps.resolving.remembered import RememberingResolver
from platter_setuptools.steps.resolving.resolver import PipResolver, Request, Resolver, UvResolver
from platter_setuptools.steps.resolving.uv import without
from platter_setuptools.steps.resolving.uv_config import is_set
from platter_setuptools.steps.wheelhouse.checked import CheckedResolver

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from packaging.version import Version

    from platter_setuptools.dependencies import Dependencies
    from platter_setuptools.ground.run import Runner
    from platter_setuptools.steps.resolving.lock import Lock
    from platter_setuptools.steps.store import Store

_LAST_PATCH = 99  # later than the last that any Python will have


class Resolvers:
    """Made on first use, once.

    `shared_python` is that of the build scripts' virtual environment, where some builds use it; `pip` the wheel of a
    pip.
    """

    def __init__(
        self,
        dependencies: Dependencies,
        *,
        store: Store,
        run: Runner,
        work: Path,
        shared_python: Callable[[], Path],
        pip: Callable[[], Path],
    ) -> None:
        self.dependencies, self.target, self.progress = dependencies, dependencies.target, dependencies.progress
        self.options, self.store, self.run, self.work = dependencies.options, store, run, work
        self._shared_python, self._pip = shared_python, pip
        self._resolved: tuple[Lock, Later[dict[str, Version]] | None] | None = None

    @functools.cached_property
    def project(self) -> CheckedResolver:
        """What the options name to resolve with."""
        options, settings = self.options, self.dependencies.settings
        # Without isolation a resolver that needs metadata builds in the environment too.
        shared = self.dependencies.shares_environment
        python = self._shared_python() if shared else self.target.executable
        if options.resolver == "uv":
            return self._checked(self._uv(python, settings), lambda: self.dependencies.all_settings)
        pip = PipResolver(
            python=python,
            pip=self._pip,
            settings=settings,
            run=self.run,
            work=self.work,
            project=self.dependencies.source,
        )
        return self._checked(pip, lambda: self.dependencies.all_settings)

    def _checked(self, resolver: Resolver, settings: Callable[[], IndexSettings]) -> CheckedResolver:
        return CheckedResolver(
            resolver=resolver,
            target=self.target,
            settings=settings,
            store=self.store,
            progress=self.progress,
            work=self.work,
            run=self.run,
            indexes=lambda said: named_indexes(
                settings(), self.dependencies.uv_config if self.options.resolver == "uv" else None, said
            ),
        )

    def resolve(self, request: Request) -> Lock:
        """Resolve. Raises DependencyError, and WheelError if an index has none of the files that hashes allow."""
        resolve = self._remembering(self.project, None if self.options.resolver == "uv" else "pip")
        newest = self._begin_newest(request)
        try:
            # Servers may have any patch release of this Python.
            lock = resolve(dataclasses.replace(request, python_version=f"{self.target.version}.0"))
        except DependencyError:
            lock = resolve(request)
        self._resolved = lock, newest
        pins = self.dependencies.pins(universal=request.universal)
        return pins.hold(lock) if pins else lock

    def tell_of_newer(self) -> None:
        """Warn of what is newer than the last answer, and needs a later patch release of the target's Python."""
        lock, newest = self._resolved or (None, None)
        versions = newest.result() if newest else {}
        found = [
            f"{name} {versions[name]} ({version} is taken)"
            for name, version in (_versions(lock) if lock else {}).items()
            if name in versions and versions[name] > version
        ]
        if found:
            version = self.target.version
            self.progress.warn(
                f"passed over, since a later patch release than {version}.0 is needed: {', '.join(found)}. The "
                f"bundle is for all of Python {version}; require a newer one, and the bundle needs that patch release"
            )

    def _begin_newest(self, request: Request) -> Later[dict[str, Version]] | None:
        """Begin, in the background, to find out what a resolver would take for the last of all patch releases."""
        if self.options.resolver != "uv" or self.options.no_download or request.no_deps:
            return None
        later = dataclasses.replace(request, python_version=f"{self.target.version}.{_LAST_PATCH}", fresh=False)
        resolve = self.project.resolver

        def newest() -> dict[str, Version]:
            with contextlib.suppress(PlatterError):
                return _versions(resolve(later))
            return {}

        return Later(newest)

    def resolve_for_build(self, requirements: Sequence[str]) -> Lock:
        """Resolve what a build requires, by the constraints of builds."""
        said = self.dependencies.build_constraints
        resolve = self._remembering(self._for_builds, self.dependencies.uv_config.toml(builds=True))
        lock = resolve(Request(requirements=tuple(requirements), said=said, build=said))
        pins = find_pins(said)
        # They name what they limit, and not all there is to take.
        return dataclasses.replace(pins, required=False).hold(lock) if pins else lock

    def _remembering(self, resolver: Resolver, config: str | None) -> RememberingResolver:
        """A resolver that keeps answers; `config` is what is said to it beside the settings, None for uv's own files.

        Without a network it gives what it has kept, and nothing else.
        """
        return RememberingResolver(
            resolver=resolver,
            config=uv_project.configuration(self.dependencies.source, os.environ) if config is None else (config,),
            settings=self.dependencies.settings,
            target=self.target,
            store=self.store,
            work=self.work,
            offline=self.options.no_download,
        )

    @functools.cached_property
    def _for_tools(self) -> CheckedResolver:
        uv = self._uv(
            self.target.executable,
            for_tools(self.dependencies.settings),
            self.dependencies.uv_config.toml(builds=False),
        )
        return self._checked(uv, lambda: self.dependencies.settings)

    @property
    def for_tools(self) -> RememberingResolver:
        """Resolves what every bundle brings: not by what is said of the project's dependencies."""
        return self._remembering(self._for_tools, self.dependencies.uv_config.toml(builds=False))

    @functools.cached_property
    def _for_builds(self) -> CheckedResolver:
        """What resolves for build environments: not by what the project says of its own dependencies."""
        if self.options.resolver != "uv":
            return self.project
        config = self.dependencies.uv_config.toml(builds=True)
        uv = self._uv(self.target.executable, for_builds(self.dependencies.settings), config, builds=True)
        return self._checked(uv, lambda: self.dependencies.all_settings)

    def _uv(
        self, python: Path, settings: IndexSettings, config: str | None = None, *, builds: bool = False
    ) -> UvResolver:
        """Uv for the project or, with a `config` (a uv.toml), for tools or `builds`."""
        file = None
        if config is not None:
            file = self.work / ("uv-builds.toml" if builds else "uv-tools.toml")
            file.write_text(config, "utf-8")
        return UvResolver(
            python=python,
            settings=settings,
            run=self.run,
            work=self.work,
            project=self.dependencies.source,
            config=file,
            offline=is_set(os.environ, "UV_OFFLINE") or bool(self.dependencies.uv_config.option("offline")),
            environ={} if config is None else without(builds=builds),
        )


def _versions(lock: Lock) -> dict[str, Version]:
    """The highest version of each distribution of an index."""
    found: dict[str, Version] = {}
    for package in lock.pylock.packages:
        if package.version and (package.wheels or package.sdist):
            found[package.name] = max(package.version, found.get(package.name, package.version))
    return found
