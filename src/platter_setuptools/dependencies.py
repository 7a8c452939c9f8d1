"""Dependencies: what the options, the project, and the configuration of pip and uv say about them, each read once."""

from __future__ import annotations

import dataclasses
import functools
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import NormalizedName, canonicalize_name

from platter_setuptools.resolve import uv_project
from platter_setuptools.resolve.amendments import amendments_of
from platter_setuptools.resolve.hashed_requirements import Pins, find_pins
from platter_setuptools.resolve.lock import Lock, read_lock
from platter_setuptools.resolve.pip_config import pip_config_files, read_settings
from platter_setuptools.resolve.requirements import (
    NOTHING,
    Line,
    Requirements,
    requirement_line,
)
from platter_setuptools.resolve.requirements_reader import RequirementsReader, installed_pip
from platter_setuptools.resolve.resolver import Request
from platter_setuptools.resolve.uv_config import UvConfig, check_config, is_set, read_config
from platter_setuptools.resolve.workspace import Member, members_beside, read_groups_of
from platter_setuptools.runtime.files import located
from platter_setuptools.wheels.build_settings import BuildSettings, any_not_isolated, settings_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from packaging.requirements import Requirement

    from platter_setuptools.resolve.amendments import Amendment
    from platter_setuptools.resolve.indexes import IndexSettings
    from platter_setuptools.session import Session
    from platter_setuptools.targets.find import Machines


class Dependencies:
    """The dependencies of the project, as configured. `pip` waits for a wheel of pip."""

    def __init__(self, session: Session, machines: Machines, *, pip: Callable[[], Path]) -> None:
        self.session, self.options, self.source = session, session.options, session.source
        self.target, self.host, self.pip = machines.target, machines.host, pip

    @property
    def shares_environment(self) -> bool:
        """Return whether some builds use the build scripts' virtual environment."""
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
        """Return the settings with the URLs in requirements files and sources, which may have credentials."""
        said = (self.requirements, self._secret_sources)
        more = [*(url for one in said for url in one.urls()), *(one.url for one in self.groups if one.url)]
        return dataclasses.replace(self.settings, more_urls=(*self.settings.more_urls, *more))

    def build_settings(self, name: NormalizedName, lock: Lock | None = None) -> BuildSettings:
        """Return the user's settings for the build of one distribution; see settings_of."""
        found = settings_of(name, self.settings, self.uv_builds, lock, self.requirements)
        return dataclasses.replace(found, limits=self._build_limits)

    @functools.cached_property
    def _build_limits(self) -> tuple[str, ...]:
        """Return all constraints on the requirements of builds, in pip's configuration or uv's."""
        said = [line.text for line in self.build_constraints.lines]
        if self.options.resolver == "uv":
            said += [line.text for line in self._read((), self._places_in("UV_BUILD_CONSTRAINT")).lines]
            said += map(str, self.uv_config.option("build-constraint-dependencies") or ())
        return tuple(said)

    @functools.cached_property
    def uv_config(self) -> UvConfig:
        """Return uv's configuration for the project. Raise UsageError for what uv cannot read."""
        config = read_config(self.source, os.environ)
        if config.table:
            check_config(self.source, self.session.run)
        return config

    @property
    def uv_builds(self) -> UvConfig:
        """Return the part of uv's configuration that applies to builds."""
        return self.uv_config if self.options.resolver == "uv" else UvConfig()

    @functools.cached_property
    def amendments(self) -> tuple[Amendment, ...]:
        """Return the requirements that uv's configuration or the lock replaces."""
        lock = self.options.lock
        if lock is not None and lock.name == uv_project.LOCK:
            return uv_project.amendments_of_lock(lock)
        if lock is None and self.options.resolver != "uv":
            return ()
        told = {"override-dependencies": self._told("UV_OVERRIDE"), "exclude-dependencies": self._told("UV_EXCLUDE")}
        return (*amendments_of(told), *self.uv_config.amendments)

    def _told(self, variable: str) -> list[str]:
        """Return the requirements in the files that one of uv's variables names."""
        files = map(Path, self._places_in(variable))
        return [line.text for line in self._read([*files], ()).lines if line.requirement]

    @functools.cached_property
    def packages(self) -> tuple[Member, ...]:
        """Return the members of the workspace that go into the bundle beside the project. Raise UsageError."""
        return members_beside(self.source, self.options.package, self.session.run)

    @functools.cached_property
    def groups(self) -> tuple[Requirement, ...]:
        """Return what the options' dependency groups require."""
        return read_groups_of(self.source, self.packages, self.options.group)

    def read_requirements(self) -> None:
        """Start reading requirements and constraints files in the background. A build script may write them."""
        _ = self._files

    @property
    def requirements(self) -> Requirements:
        """Return what the files of options and pip's configuration require and limit; wait until they are read."""
        return self._files.result()[0]

    @property
    def build_constraints(self) -> Requirements:
        """Return the constraints on the requirements of builds; wait until they are read."""
        return self._files.result()[1]

    @functools.cached_property
    def _files(self) -> Future[tuple[Requirements, Requirements]]:
        options, settings = self.options, self.settings
        of_uv = self._places_in("UV_CONSTRAINT") if options.resolver == "uv" else []
        constraints = (*settings.constraints, *of_uv, *map(str, options.constraints))
        return self.session.background.start(
            lambda: (self._read(options.requirements, constraints), self._read((), settings.build_constraints))
        )

    def _places_in(self, variable: str) -> list[str]:
        """Return the files, by absolute paths or URLs, that one of uv's variables names."""
        return [located(one, Path.cwd()) for one in os.environ.get(variable, "").split()]

    @functools.cached_property
    def _read(self) -> RequirementsReader:
        return RequirementsReader(
            # The pip that is installed here is compiled already: it takes half the time of a wheel.
            pip=lambda: (installed_pip() if os.fspath(self.host.executable) == sys.executable else None) or self.pip(),
            target=self.target,
            host=self.host,
            settings=self.settings,
            project=self.source,
            run=self.session.run,
            cache=self.session.cache,
            work=self.session.work,
            offline=self.options.no_download,
        )

    def given_lock(self, name: str) -> Lock | None:
        """Return the lock that the options name, for the project of this name. Raise DependencyError."""
        options = self.options
        if options.lock is None:
            return None
        if options.lock.name != uv_project.LOCK:
            return read_lock(options.lock)
        return uv_project.export(
            options.lock,
            [name, *(one.name for one in self.packages)],
            extras=options.extras,
            groups=options.group,
            run=self.session.run,
            work=self.session.work,
        )

    def with_packages(self, lock: Lock) -> Lock:
        """Return the lock with the folders of the packages beside the project, whatever it has under their names."""
        found = lock.without({one.name for one in self.packages})
        return found.with_packages([*found.pylock.packages, *(one.locked for one in self.packages)])

    def request(self, project: Path, more: Sequence[str] = (), *, universal: bool = False) -> Request:
        """Return what is to be resolved: requirements of the project's wheel, of requirements files, and `more`.

        All constraints apply. If requirements or constraints have hashes, they must name everything.
        """
        options = self.options
        said, build = self.requirements, self.build_constraints
        if self.pins(universal=universal):
            return Request(requirements=(), no_deps=True, universal=universal, said=said, build=build)
        name = canonicalize_name(project.name.partition("-")[0])
        packages = [one.requirement(options.extras) for one in self.packages]
        itself = Member(name=name, folder=self.source)
        extras = itself.extras(options.extras) if packages else options.extras
        own = requirement_line(project, name, extras)
        if options.resolver == "uv" and uv_project.is_source(name, packages, self.source):
            own = itself.requirement(extras)  # uv takes a distribution from one place
        else:
            # The project itself, as `-e .` for one, is in the bundle as this wheel.
            said = said.with_wheel(project, name, self.source)
        lines = (own, *packages, *map(str, self.groups), *more)
        request = Request(requirements=lines, universal=universal, said=said, build=build, project=project)
        if options.resolver != "uv":
            self._warn_of_unread_sources()
            return request
        return self._with_sources(request, itself, extras)

    def _with_sources(self, request: Request, itself: Member, extras: Sequence[str]) -> Request:
        """Return the request with what `[tool.uv.sources]` and dependency groups of the project and packages say."""
        asked, secret = self.options.group, self._secret_sources.lines
        request = dataclasses.replace(
            request,
            said=dataclasses.replace(request.said, lines=(*request.said.lines, *secret)),
            sources=tuple(url for one in self.packages for url in uv_project.source_urls(one.folder)),
            no_sources=tuple(dict.fromkeys(line.text.partition(" @ ")[0] for line in secret)),
            member_groups=tuple((one.folder, group) for one in self.packages for group in one.groups(asked)),
        )
        if not uv_project.uses_sources(self.source, itself.name):
            return request
        return dataclasses.replace(
            request,
            tree=self.source / "pyproject.toml",
            extras=tuple(extras),
            groups=itself.groups(asked) if self.packages else asked,
            sources=(*uv_project.source_urls(self.source), *request.sources),
            no_sources=(*self._lost_sources, *request.no_sources),
        )

    @functools.cached_property
    def _secret_sources(self) -> Requirements:
        """Return repositories whose URLs have passwords as constraints, since uv would show them.

        They are those of the project and of local source trees that it or requirements files name.
        """
        no_sources = os.environ.get("UV_NO_SOURCES_PACKAGE", "").split()
        without = {*map(canonicalize_name, no_sources), *self.uv_config.names("no-sources-package")}
        if is_set(os.environ, "UV_NO_SOURCES") or self.uv_config.option("no-sources"):
            return NOTHING
        found: dict[str, list[str]] = {}
        named = [*map(str, self.groups), *(line.text for line in self.requirements.lines)]
        named += [one.requirement(()) for one in self.packages]
        for tree in (*sorted(uv_project.local_trees(named, self.source)), self.source):  # the project's count most
            found |= uv_project.repositories_with_login(tree)
        texts = [text for name in found.keys() - without for text in found[name]]
        lines = (Line(where="[tool.uv.sources]", constraint=True, text=text, shown=text) for text in sorted(texts))
        return Requirements(lines=tuple(lines))

    def _warn_of_unread_sources(self) -> None:
        """Warn of the names that pip would take from an index, and uv from elsewhere."""
        if unread := uv_project.own_sources([self.source, *(one.folder for one in self.packages)]):
            self.session.progress.warn(
                f"pip does not read [tool.uv.sources]: {', '.join(unread)} may come from an index instead"
            )

    @functools.cached_property
    def _lost_sources(self) -> tuple[str, ...]:
        lost = uv_project.lost_sources(self.source)
        if lost:
            self.session.progress.warn(
                f"[tool.uv.sources] says where {', '.join(lost)} is, which the sdist lacks: an index is asked instead"
            )
        return lost

    def pins(self, *, universal: bool) -> Pins | None:
        """Return the hashes that requirements files require, if any."""
        return find_pins(self.requirements, required=self.settings.require_hashes, universal=universal)
