"""The workshop: the tools of one build, made from its options. `assemble` uses them."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import NormalizedName, canonicalize_name

from platter_setuptools.ground.errors import DependencyError
from platter_setuptools.ground.files import absolute, located
from platter_setuptools.ground.threads import Later
from platter_setuptools.ground.times import source_date_epoch
from platter_setuptools.steps.bundle import bootstrap
from platter_setuptools.steps.bundle.signing import Signer, open_key
from platter_setuptools.steps.hooks import Stage
from platter_setuptools.steps.resolving import uv_project
from platter_setuptools.steps.resolving.groups import read_groups
from platter_setuptools.steps.resolving.indexes import IndexSettings, for_builds, for_tools, read_settings
from platter_setuptools.steps.resolving.lock import Lock, read_lock
from platter_setuptools.steps.resolving.named_indexes import named_indexes
from platter_setuptools.steps.resolving.pins import Pins, find_pins
from platter_setuptools.steps.resolving.pip_config import pip_config_files
from platter_setuptools.steps.resolving.remembered import RememberingResolver
from platter_setuptools.steps.resolving.requirements import Requirements, read_requirements
from platter_setuptools.steps.resolving.resolver import (
    PipResolver,
    Request,
    Resolver,
    UvResolver,
    requirement_line,
)
from platter_setuptools.steps.resolving.uv import without
from platter_setuptools.steps.resolving.uv_amendments import amendments_of
from platter_setuptools.steps.resolving.uv_config import UvConfig, is_set, read_config
from platter_setuptools.steps.store import Store, default_location
from platter_setuptools.steps.target import Target, find_target
from platter_setuptools.steps.wheelhouse.build import WheelBuilder
from platter_setuptools.steps.wheelhouse.build_settings import PLAIN, BuildSettings, any_not_isolated, settings_of
from platter_setuptools.steps.wheelhouse.checked import CheckedResolver
from platter_setuptools.steps.wheelhouse.collector import Collector
from platter_setuptools.steps.wheelhouse.environments import (
    Environment,
    Environments,
    create_virtualenv,
    install_wheels,
)
from platter_setuptools.steps.wheelhouse.tools import ToolChest, Tools
from platter_setuptools.steps.wheels.looking import look_into_all

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from packaging.requirements import Requirement

    from platter_setuptools.ground.amendments import Amendment
    from platter_setuptools.ground.options import Options
    from platter_setuptools.ground.progress import Progress
    from platter_setuptools.ground.run import Runner
    from platter_setuptools.ground.values import Wheel
    from platter_setuptools.steps.bundle.members import Member


@contextlib.contextmanager
def open_workshop(options: Options, source: Path, run: Runner, progress: Progress, work: Path) -> Iterator[Workshop]:
    """A Workshop whose store is in use, for as long as it is open."""
    workshop = Workshop(options, source, run, progress, work)
    with workshop.store.in_use():
        yield workshop


class Workshop:
    """One build's tools. What is expensive is made on first use, once."""

    def __init__(self, options: Options, source: Path, run: Runner, progress: Progress, work: Path) -> None:
        # Several threads ask for these later, and before CPython 3.12 one that asks while another reads them for the
        # first time gets half of them (python/cpython#92452).
        sysconfig.get_config_vars()
        self.options, self.source, self.run, self.progress, self.work = options, source, run, progress, work
        self.store = Store(work / "store" if options.no_wheel_cache else options.wheel_cache or default_location())
        self.target: Target = find_target(options.python, run, self.store)
        self.mtime = source_date_epoch(os.environ)  # of all that is in the bundle

    @property
    def needs_environment(self) -> bool:
        """Whether anything runs in the build scripts' virtual environment."""
        return self.options.has_scripts or any_not_isolated(self.settings, self._uv_builds)

    @functools.cached_property
    def signer(self) -> Signer | None:
        """What signs the bundle, if the options name a key."""
        return open_key(self.options.sign_with, self.run) if self.options.sign_with else None

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
        return dataclasses.replace(self.settings, more_urls=(*self.settings.more_urls, *self.requirements.urls()))

    def get_ready(self) -> None:
        """Begin, in the background, with what every build needs, whatever its project turns out to require."""
        # In this order, and here, since afterwards several threads ask for them.
        _ = self.settings, self.uv_config, self._tools, self._installer, self.resolver, self.signer

    @property
    def tools(self) -> Tools:
        """The wheels that every build needs; waits until they are there."""
        return self._tools.result()

    @property
    def installer(self) -> list[Member]:
        """install.sh and what it starts on the server; waits until it is there."""
        return self._installer.result()

    @functools.cached_property
    def _installer(self) -> Later[list[Member]]:
        def members() -> list[Member]:
            wheels, with_bytecode = self.tools.virtualenv, not self.options.no_bytecode
            return bootstrap.members(wheels, self.target, self.store, self.run, self.work, with_bytecode=with_bytecode)

        return Later(members)

    @functools.cached_property
    def _tools(self) -> Later[Tools]:
        return Later(self._collect_tools)

    @functools.cached_property
    def environment(self) -> Environment:
        """The build scripts' virtual environment: with pip, setuptools and wheel, as Platter's had."""
        with self.progress.step("Making a virtual environment for the build"):
            environment = create_virtualenv(self.work / "environment", self.target, self.tools.virtualenv, self.run)
            install_wheels(environment, self.tools.for_scripts, self.run)
        return environment

    @functools.cached_property
    def stage(self) -> Stage:
        """Where build scripts run."""
        return Stage(here=self.work / "bundle", source=self.source, environment=self.environment, run=self.run)

    @functools.cached_property
    def builder(self) -> WheelBuilder:
        if any_not_isolated(self.settings, self._uv_builds):
            _ = self.environment  # made before several threads ask for it
        return self._new_builder(self.work / "environments", self._wheels_for_build)

    @functools.cached_property
    def _builder_for_tools(self) -> WheelBuilder:
        return self._new_builder(self.work / "environments-for-tools", self._wheels_for_tools)

    def _new_builder(self, folder: Path, wheels_for: Callable[[Collection[str]], list[Wheel]]) -> WheelBuilder:
        return WheelBuilder(
            environments=Environments(target=self.target, run=self.run, folder=folder, wheels_for=wheels_for),
            run=self.run,
            work=self.work,
            shared=lambda: self.environment,
        )

    def build_settings(self, name: NormalizedName, lock: Lock | None = None) -> BuildSettings:
        """What the user says about the build of one distribution; see settings_of."""
        return settings_of(name, self.settings, self._uv_builds, lock, self.requirements)

    @functools.cached_property
    def resolver(self) -> CheckedResolver:
        """What the options name to resolve with."""
        options, settings = self.options, self.settings
        # Without isolation a resolver that needs metadata builds in the environment too.
        shared = any_not_isolated(settings, self._uv_builds)
        python = Path(self.environment.python_executable) if shared else self.target.executable
        if options.resolver == "uv":
            return self._checked(self._uv(python, settings), lambda: self.all_settings)
        pip = PipResolver(
            python=python,
            pip=lambda: self.tools.pip.path,
            settings=settings,
            run=self.run,
            work=self.work,
            project=self.source,
        )
        return self._checked(pip, lambda: self.all_settings)

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
                settings(), self.uv_config if self.options.resolver == "uv" else None, said
            ),
        )

    @functools.cached_property
    def uv_config(self) -> UvConfig:
        """What uv is configured to do where the project is."""
        return read_config(self.source, os.environ)

    @property
    def _uv_builds(self) -> UvConfig:
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

    @functools.cached_property
    def _build_constraints(self) -> Later[Requirements]:
        return Later(functools.partial(self._read, (), self.settings.build_constraints))

    def _read(self, files: Sequence[Path], constraints: Sequence[str]) -> Requirements:
        return read_requirements(
            files,
            constraints,
            pip=lambda: self.tools.pip.path,
            python=self.target.executable,
            settings=self.settings,
            project=self.source,
            run=self.run,
            work=self.work,
            offline=self.options.no_download,
        )

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
        said, build = self.requirements, self._build_constraints.result()
        if self._pins(universal=universal):
            return Request(requirements=(), no_deps=True, universal=universal, said=said, build=build)
        name = canonicalize_name(project.name.partition("-")[0])
        lines = (requirement_line(project, name, options.extras), *map(str, self.groups), *more)
        # The project itself, as `-e .` for one, is in the bundle as this wheel.
        said = said.with_wheel(self.source, lambda extras: requirement_line(project, name, extras))
        request = Request(requirements=lines, universal=universal, said=said, build=build, project=project)
        if options.resolver == "uv" and uv_project.uses_sources(self.source, name):
            request = dataclasses.replace(
                request,
                tree=self.source / "pyproject.toml",
                extras=options.extras,
                groups=options.group,
                sources=tuple(uv_project.source_urls(self.source)),
                no_sources=self._lost_sources,
            )
        return request

    @functools.cached_property
    def _lost_sources(self) -> tuple[str, ...]:
        lost = uv_project.lost_sources(self.source)
        if lost:
            self.progress.warn(
                f"[tool.uv.sources] says where {', '.join(lost)} is, which the sdist lacks: an index is asked instead"
            )
        return lost

    def resolve(self, request: Request) -> Lock:
        """Resolve. Raises DependencyError, and WheelError if an index has none of the files that hashes allow."""
        resolve = self._remembering(self.resolver, None if self.options.resolver == "uv" else "pip")
        try:
            # Servers may have any patch release of this Python.
            lock = resolve(dataclasses.replace(request, python_version=f"{self.target.version}.0"))
        except DependencyError:
            lock = resolve(request)
        pins = self._pins(universal=request.universal)
        return pins.hold(lock) if pins else lock

    def _pins(self, *, universal: bool) -> Pins | None:
        return find_pins(self.requirements, required=self.settings.require_hashes, universal=universal)

    def _remembering(self, resolver: Resolver, config: str | None) -> RememberingResolver:
        """A resolver that keeps answers; `config` is what is said to it beside the settings, None for uv's own files.

        Without a network it gives what it has kept, and nothing else.
        """
        return RememberingResolver(
            resolver=resolver,
            config=uv_project.configuration(self.source, os.environ) if config is None else (config,),
            settings=self.settings,
            target=self.target,
            store=self.store,
            work=self.work,
            offline=self.options.no_download,
        )

    def look_into(self, new: Sequence[Wheel]) -> None:
        """Find out, while others are still on their way, what is asked of these wheels later."""
        look_into_all(new, self.target, self.store, self.run, self.work)

    def collect(
        self,
        lock: Lock,
        *,
        extras: Collection[str] = (),
        groups: Collection[str] = (),
        leave_out: Collection[NormalizedName] = (),
        look: Callable[[Sequence[Wheel]], object] = lambda _new: None,
        for_tools: bool = False,
        purpose: str = "",
    ) -> list[Wheel]:
        """The wheels of a lock, from the store or else; see Collector."""
        return Collector(
            target=self.target,
            store=self.store,
            settings=self.settings if for_tools else self.all_settings,
            builder=lambda: self._builder_for_tools if for_tools else self.builder,
            build_settings=self.build_settings if not for_tools else lambda _name, _lock: PLAIN,
            run=self.run,
            progress=self.progress,
            work=self.work,
            offline=self.options.no_download,
        ).collect(lock, extras=extras, groups=groups, leave_out=leave_out, look=look, purpose=purpose)

    @functools.cached_property
    def _resolver_for_tools(self) -> CheckedResolver:
        uv = self._uv(self.target.executable, for_tools(self.settings), self.uv_config.toml(builds=False))
        return self._checked(uv, lambda: self.settings)

    @property
    def _remembering_for_tools(self) -> RememberingResolver:
        return self._remembering(self._resolver_for_tools, self.uv_config.toml(builds=False))

    def _collect_tools(self) -> Tools:
        chest = ToolChest(
            options=self.options,
            target=self.target,
            store=self.store,
            settings=for_tools(self.settings),
            resolver=self._remembering_for_tools,
            config=self.uv_config.toml(builds=False),
            work=self.work,
        )
        return chest.collect(functools.partial(self.collect, for_tools=True), with_scripts=self.needs_environment)

    def _wheels_for_build(self, requirements: Collection[str]) -> list[Wheel]:
        """What a build requires, resolved and collected."""
        said = self._build_constraints.result()
        resolve = self._remembering(self._build_resolver, self.uv_config.toml(builds=True))
        lock = resolve(Request(requirements=tuple(requirements), said=said, build=said))
        pins = find_pins(said)
        # They name what they limit, and not all there is to take.
        lock = dataclasses.replace(pins, required=False).hold(lock) if pins else lock
        return self.collect(lock, purpose="to build with")

    def _wheels_for_tools(self, requirements: Collection[str]) -> list[Wheel]:
        """The same for building a tool, without build constraints: they are read by pip, which is one of the tools."""
        lock = self._remembering_for_tools(Request(requirements=tuple(requirements)))
        return self.collect(lock, for_tools=True, purpose="to build with")

    @functools.cached_property
    def _build_resolver(self) -> CheckedResolver:
        """What resolves for build environments: not by what the project says of its own dependencies."""
        if self.options.resolver != "uv":
            return self.resolver
        config = self.uv_config.toml(builds=True)
        uv = self._uv(self.target.executable, for_builds(self.settings), config, builds=True)
        return self._checked(uv, lambda: self.all_settings)

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
            project=self.source,
            config=file,
            offline=is_set(os.environ, "UV_OFFLINE") or bool(self.uv_config.option("offline")),
            environ={} if config is None else without(builds=builds),
        )
