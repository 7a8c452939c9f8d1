"""The resolvers of one build: for the project, for build environments, and for the tools in every bundle."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import time
from typing import TYPE_CHECKING

from platter_setuptools.errors import DependencyError, PlatterError
from platter_setuptools.resolve import uv_project
from platter_setuptools.resolve.answer_cache import RememberingResolver
from platter_setuptools.resolve.hashed_requirements import find_pins
from platter_setuptools.resolve.indexes import IndexSettings, for_builds, for_tools, private_indexes
from platter_setuptools.resolve.preferences import NO_PREFERENCES
from platter_setuptools.resolve.resolver import PipResolver, Request, Resolver, UvResolver
from platter_setuptools.resolve.uv import uv_platform, without
from platter_setuptools.resolve.uv_config import is_set
from platter_setuptools.targets.target import LAST_PATCH
from platter_setuptools.wheels.lock_check import CheckedResolver

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from packaging.version import Version

    from platter_setuptools.dependencies import Dependencies
    from platter_setuptools.resolve.lock import Lock
    from platter_setuptools.session import Session
    from platter_setuptools.targets.find import Machines
    from platter_setuptools.targets.target import Target

_KIND = "newer"
_DAY = 24 * 60 * 60


class Resolvers:
    """Made on first use, once.

    `shared_python` is that of the build scripts' virtual environment, where some builds use it.
    """

    def __init__(
        self, session: Session, machines: Machines, dependencies: Dependencies, *, shared_python: Callable[[], Path]
    ) -> None:
        self.session, self.dependencies, self.options = session, dependencies, session.options
        self.target, self.host, self._shared_python = machines.target, machines.host, shared_python
        self._newer: Future[dict[str, list[str]]] | None = None
        self.preferences = NO_PREFERENCES  # of `resolve`

    @functools.cached_property
    def project(self) -> CheckedResolver:
        """What the options name to resolve with."""
        options, settings = self.options, self.dependencies.settings
        # Without isolation a resolver that needs metadata builds in the environment too.
        shared = self.dependencies.shares_environment
        python = self._shared_python() if shared else self.host.executable
        if options.resolver == "uv":
            resolver: Resolver = self._uv(python, self.target, settings)
        else:
            resolver = self._pip_resolver(python, self.target, settings)
        return self._checked(resolver, self.target, lambda: self.dependencies.all_settings)

    def _pip_resolver(self, python: Path, target: Target, settings: IndexSettings) -> PipResolver:
        return PipResolver(
            python=python,
            target=self._other(target),
            pip=self.dependencies.pip,
            settings=settings,
            run=self.session.run,
            work=self.session.work,
            project=self.session.source,
        )

    def _other(self, target: Target) -> Target | None:
        """Return the target if it is not the interpreter that resolves."""
        return None if target is self.host else target

    def _checked(self, resolver: Resolver, target: Target, settings: Callable[[], IndexSettings]) -> CheckedResolver:
        return CheckedResolver(
            resolver=resolver,
            target=target,
            settings=settings,
            cache=self.session.cache,
            progress=self.session.progress,
            work=self.session.work,
            run=self.session.run,
            private_indexes=lambda said: private_indexes(
                settings(), self.dependencies.uv_config if self.options.resolver == "uv" else None, said
            ),
        )

    def resolve(self, request: Request) -> Lock:
        """Resolve. Raises DependencyError, and WheelError if an index has none of the files that hashes allow."""
        request = dataclasses.replace(request, preferences=self.preferences)
        resolve = self._remembering(self.project, None if self.options.resolver == "uv" else "pip", self.target)
        try:
            # Servers may have any patch release of this Python.
            lock = resolve(dataclasses.replace(request, python_version=f"{self.target.version}.0"))
        except DependencyError:
            lock = resolve(request)
        self._newer = self._begin_newer(request, lock)
        pins = self.dependencies.pins(universal=request.universal)
        return pins.hold(lock) if pins else lock

    def tell_of_newer(self) -> None:
        """Warn of what is newer than the last answer, and needs a later patch release of the target's Python."""
        newer = self._newer.result() if self._newer else {}
        found = [f"{name} {version} ({taken} is taken)" for name, (version, taken) in newer.items()]
        if found:
            version = self.target.version
            self.session.progress.warn(
                f"passed over, since a later patch release than {version}.0 is needed: {', '.join(found)}. The "
                f"bundle is for all of Python {version}; require a newer one, and the bundle needs that patch release"
            )

    def _begin_newer(self, request: Request, lock: Lock) -> Future[dict[str, list[str]]] | None:
        """Begin, in the background, to find what a resolver would take for the last of all patch releases.

        The result has the newer version and the one that `lock` takes, by name. It is only told, so once a day will do
        for one answer to one question.
        """
        if self.options.resolver != "uv" or self.options.no_download or request.no_deps:
            return None
        later = dataclasses.replace(request, python_version=f"{self.target.version}.{LAST_PATCH}", fresh=False)
        key = self._remembering(self.project, None, self.target).question(later)
        taken, resolve = _versions(lock), self.project.resolver
        context = [int(time.time() // _DAY), {name: str(version) for name, version in taken.items()}]

        def newer() -> dict[str, list[str]]:
            with contextlib.suppress(PlatterError, LookupError, TypeError, ValueError):  # a note may hold anything
                noted = self.session.cache.recall(_KIND, key)
                if noted and noted[0] == context:
                    return {name: [version, instead] for name, (version, instead) in noted[1].items()}
                newest = _versions(resolve(later))
                found = {
                    name: [str(newest[name]), str(version)]
                    for name, version in taken.items()
                    if name in newest and newest[name] > version
                }
                self.session.cache.note(_KIND, key, [context, found])
                return found
            return {}

        return self.session.background.start(newer)

    def resolve_for_build(self, requirements: Sequence[str]) -> Lock:
        """Resolve what a build requires, by the constraints of builds."""
        said = self.dependencies.build_constraints
        resolve = self._remembering(self._for_builds, self.dependencies.uv_config.toml(builds=True), self.host)
        lock = resolve(Request(requirements=tuple(requirements), said=said, build=said))
        pins = find_pins(said)
        # They name what they limit, and not all there is to take.
        return dataclasses.replace(pins, required=False).hold(lock) if pins else lock

    def _remembering(self, resolver: Resolver, config: str | None, target: Target) -> RememberingResolver:
        """A resolver that keeps answers; `config` is what is said to it beside the settings, None for uv's own files.

        Without a network it gives what it has kept, and nothing else.
        """
        dependencies = self.dependencies
        return RememberingResolver(
            resolver=resolver,
            config=uv_project.configuration(self.session.source, dependencies.uv_config) if config is None else config,
            settings=dependencies.settings,
            target=target,
            cache=self.session.cache,
            work=self.session.work,
            offline=self.options.no_download,
        )

    def for_tools(self, target: Target) -> RememberingResolver:
        """Return what resolves the tools for a target: not by what is said of the project's dependencies."""
        config, settings = self.dependencies.uv_config.toml(builds=False), for_tools(self.dependencies.settings)
        resolver: Resolver = self._uv(self.host.executable, target, settings, config)
        if target is not self.host and uv_platform(target) is None:
            resolver = self._pip_resolver(self.host.executable, target, settings)
        checked = self._checked(resolver, target, lambda: self.dependencies.settings)
        return self._remembering(checked, config, target)

    @functools.cached_property
    def _for_builds(self) -> CheckedResolver:
        """What resolves for build environments: not by what the project says of its own dependencies."""
        if self.options.resolver != "uv":
            if self.host is self.target:
                return self.project
            pip = self._pip_resolver(self.host.executable, self.host, self.dependencies.settings)
            return self._checked(pip, self.host, lambda: self.dependencies.all_settings)
        config = self.dependencies.uv_config.toml(builds=True)
        uv = self._uv(self.host.executable, self.host, for_builds(self.dependencies.settings), config, builds=True)
        return self._checked(uv, self.host, lambda: self.dependencies.all_settings)

    def _uv(
        self, python: Path, target: Target, settings: IndexSettings, config: str | None = None, *, builds: bool = False
    ) -> UvResolver:
        """Uv for the project or, with a `config` (a uv.toml), for tools or `builds`."""
        file = None
        if config is not None:
            file = self.session.work / ("uv-builds.toml" if builds else "uv-tools.toml")
            file.write_text(config, "utf-8")
        return UvResolver(
            python=python,
            target=self._other(target),
            settings=settings,
            run=self.session.run,
            work=self.session.work,
            project=self.session.source,
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
