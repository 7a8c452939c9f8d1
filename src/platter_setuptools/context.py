"""The build context: the tools of one build, made from its options. `assemble` uses them."""

from __future__ import annotations

import dataclasses
import functools
import os
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from platter_setuptools.bundle import bootstrap
from platter_setuptools.dependencies import Dependencies
from platter_setuptools.prefetch import Prefetch
from platter_setuptools.resolve.resolver import Request
from platter_setuptools.resolvers import Resolvers
from platter_setuptools.runtime.concurrency import OncePerKey
from platter_setuptools.runtime.reproducible import source_date_epoch
from platter_setuptools.wheels.analysis import Analyser
from platter_setuptools.wheels.build import WheelBuilder
from platter_setuptools.wheels.build_settings import PLAIN
from platter_setuptools.wheels.bytecode import compile_for_builds
from platter_setuptools.wheels.tools import Tools, collect_tools
from platter_setuptools.wheels.wheelhouse import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from concurrent.futures import Future

    from platter_setuptools.bundle.build_scripts import BuildScriptFolders
    from platter_setuptools.bundle.interpreter import BundledInterpreter
    from platter_setuptools.bundle.members import Member
    from platter_setuptools.bundle.signing import Signer
    from platter_setuptools.session import Session
    from platter_setuptools.targets.find import Machines
    from platter_setuptools.targets.target import Interpreter, Target
    from platter_setuptools.values import Wheel
    from platter_setuptools.wheels.check import WheelWithMetadata
    from platter_setuptools.wheels.environments import Environment


class BuildContext:
    """The tools of one build. What is expensive is made on first use, once; what is needed early is started early."""

    def __init__(self, session: Session, machines: Machines, *, several: bool = False) -> None:
        """`several` tells that the bundle is for more than one target."""
        # Several threads ask for these later, and before CPython 3.12 one that asks while another reads them for the
        # first time gets half of them (python/cpython#92452).
        sysconfig.get_config_vars()
        self.options, self.run, self.progress = session.options, session.run, session.progress
        self.background, self.checkout, self.cache = session.background, session.checkout, session.cache
        self.work, self.source, self.several = session.work, session.source, several
        self.interpreter: BundledInterpreter | None = None
        if self.options.with_python:
            from platter_setuptools.bundle.interpreter import take_interpreter  # noqa: PLC0415 - loads elftools

            self.interpreter = take_interpreter(self.options, self.cache, self.run, self.progress, self.work)
        if self.interpreter and not self.options.target:
            machines = machines._replace(target=self.interpreter.target, host=self.interpreter.target)
        # What the bundle is for; what runs here and builds wheels; and what compiles bytecode, if it can.
        self.target, self.host, self.compiler = machines.target, machines.host, machines.compiler
        self.analyser = Analyser(target=self.target, cache=self.cache, run=self.run)
        self.mtime = source_date_epoch(os.environ)  # of all that is in the bundle
        self.dependencies = Dependencies(session, machines, pip=lambda: self.host_tools.pip.path)
        self.resolvers = Resolvers(
            session,
            machines,
            self.dependencies,
            shared_python=lambda: Path(self.environment.python_executable),
        )
        self.prefetch = Prefetch(
            source=self.source,
            target=self.target,
            cache=self.cache,
            resolve=self.resolvers.resolve,
            analyser=self.analyser,
            background=self.background,
        )
        self._installers: OncePerKey[list[Member]] = OncePerKey()
        self._host_tools: OncePerKey[Tools] = OncePerKey()

    @property
    def needs_environment(self) -> bool:
        """Return whether anything runs in the build scripts' virtual environment."""
        return self.options.has_scripts or self.dependencies.shares_environment

    @functools.cached_property
    def signer(self) -> Signer | None:
        """Return what signs the bundle, if the options name a key."""
        if not self.options.sign_with:
            return None
        from platter_setuptools.bundle.signing import open_key  # noqa: PLC0415 - most bundles are not signed

        return open_key(self.options.sign_with, self.run)

    def start_tools(self) -> None:
        """Start to collect the tools that every build needs."""
        # In this order, and here, since afterwards several threads ask for them.
        said = self.dependencies
        _ = said.packages, said.settings, said.uv_config, self._tools, self.resolvers.project

    def read_dependencies(self, version: str | None) -> None:
        """Start to read what the options require, and to prepare what the last build of the project took.

        `version` is the project's, if it is known already.
        """
        self.dependencies.read_requirements()
        self.prefetch.start(None if self.options.lock else self.dependencies.request, self.work, version)

    def finish(
        self, project: WheelWithMetadata, wheels: Sequence[WheelWithMetadata], virtualenv: Sequence[Wheel]
    ) -> None:
        """Remember what the bundle was made of, and warn of newer versions that were passed over."""
        self.prefetch.remember(project, wheels, virtualenv)
        self.resolvers.tell_of_newer()

    @property
    def tools(self) -> Tools:
        """Wait for the wheels that every bundle needs, which fit the target, and return them."""
        return self._tools.result()

    @property
    def host_tools(self) -> Tools:
        """Wait for the wheels that run here, which fit the host, and return them; for another target few builds do."""
        if self.host is self.target:
            return self.tools
        return self._host_tools.get("host", lambda: self._collect_tools(self.host))

    def installer(self, virtualenv: Sequence[Wheel], compilers: Sequence[Interpreter]) -> list[Member]:
        """Return install.sh and what it starts on the server, with these wheels of virtualenv and what it requires.

        It has bytecode of these compilers, unless the options leave bytecode out.
        """

        def make() -> list[Member]:
            wanted = () if self.options.no_bytecode else compilers
            return bootstrap.members(virtualenv, wanted, self.cache, self.run, self.work)

        return self._installers.get(tuple(wheel.sha256 for wheel in virtualenv), make)

    @functools.cached_property
    def _tools(self) -> Future[Tools]:
        return self.background.start(lambda: self._collect_tools(self.target))

    @functools.cached_property
    def environment(self) -> Environment:
        """Make the build scripts' virtual environment. It has pip, setuptools and wheel, as Platter's had."""
        from platter_setuptools.wheels.environments import create_environment, install_wheels  # noqa: PLC0415

        with self.progress.step("Making a virtual environment for the build"):
            environment = create_environment(self.work / "environment", self.host, self.run)
            install_wheels(environment, [self.host_tools.pip, *self.host_tools.for_scripts], self.run)
        return environment

    @functools.cached_property
    def script_folders(self) -> BuildScriptFolders:
        """Return the folders in which build scripts run."""
        from platter_setuptools.bundle.build_scripts import BuildScriptFolders  # noqa: PLC0415

        return BuildScriptFolders(
            here=self.work / "bundle", source=self.source, environment=self.environment, run=self.run
        )

    @functools.cached_property
    def builder(self) -> WheelBuilder:
        if self.dependencies.shares_environment:
            _ = self.environment  # made before several threads ask for it
        return self._new_builder(self.work / "environments", self._wheels_for_build)

    @functools.cached_property
    def _builder_for_tools(self) -> WheelBuilder:
        return self._new_builder(self.work / "environments-for-tools", self._wheels_for_tools)

    def _new_builder(self, folder: Path, wheels_for: Callable[[Collection[str]], list[Wheel]]) -> WheelBuilder:
        from platter_setuptools.wheels.environments import Environments  # noqa: PLC0415 - unless something is built

        return WheelBuilder(
            environments=Environments(
                host=self.host,
                run=self.run,
                folder=folder,
                wheels_for=wheels_for,
                bytecode_for=lambda wheels: compile_for_builds(wheels, self.host, self.cache, self.run, self.work),
                background=self.background,
            ),
            run=self.run,
            work=self.work,
            shared=lambda: self.environment,
        )

    @functools.cached_property
    def collector(self) -> Collector:
        """Return what fetches and builds the wheels of a lock."""
        return dataclasses.replace(
            self._collector_for_tools(self.target),
            settings=self.dependencies.all_settings,
            builder=lambda: self.builder,
            build_settings=self.dependencies.build_settings,
        )

    def _collector_for_tools(self, target: Target) -> Collector:
        return Collector(
            target=target,
            host=self.host,
            cache=self.cache,
            settings=self.dependencies.settings,
            builder=lambda: self._builder_for_tools,
            build_settings=lambda _name, _lock: PLAIN,
            run=self.run,
            progress=self.progress,
            work=self.work,
            offline=self.options.no_download,
        )

    def _collect_tools(self, target: Target) -> Tools:
        resolve, collect = self.resolvers.for_tools(target), self._collector_for_tools(target).collect
        with_scripts = target is self.host and self.needs_environment
        return collect_tools(self.options, resolve, collect, with_scripts=with_scripts)

    def _wheels_for_build(self, requirements: Collection[str]) -> list[Wheel]:
        """Resolve what a build requires. Return the wheels."""
        collector = dataclasses.replace(self.collector, target=self.host)
        return collector.collect(self.resolvers.resolve_for_build(tuple(requirements)), purpose="to build with")

    def _wheels_for_tools(self, requirements: Collection[str]) -> list[Wheel]:
        """Do the same for building a tool. Build constraints do not apply: pip reads them, and is itself a tool."""
        lock = self.resolvers.for_tools(self.host)(Request(requirements=tuple(requirements)))
        return self._collector_for_tools(self.host).collect(lock, purpose="to build with")
