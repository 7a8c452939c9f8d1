"""The workshop: the tools of one build, made from its options. `assemble` uses them."""

from __future__ import annotations

import contextlib
import functools
import os
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from platter_setuptools.dependencies import Dependencies
from platter_setuptools.ground.threads import Later
from platter_setuptools.ground.times import source_date_epoch
from platter_setuptools.resolvers import Resolvers
from platter_setuptools.steps.bundle import bootstrap
from platter_setuptools.steps.bundle.signing import Signer, open_key
from platter_setuptools.steps.hooks import Stage
from platter_setuptools.steps.resolving.resolver import (
    Request,
)
from platter_setuptools.steps.store import Store, default_location
from platter_setuptools.steps.target import Target, find_target
from platter_setuptools.steps.wheelhouse.build import WheelBuilder
from platter_setuptools.steps.wheelhouse.build_settings import PLAIN
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

    from packaging.utils import NormalizedName

    from platter_setuptools.ground.options import Options
    from platter_setuptools.ground.progress import Progress
    from platter_setuptools.ground.run import Runner
    from platter_setuptools.ground.values import Wheel
    from platter_setuptools.steps.bundle.members import Member
    from platter_setuptools.steps.resolving.lock import Lock


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
        self.dependencies = Dependencies(
            options,
            source,
            self.target,
            run=run,
            progress=progress,
            store=self.store,
            work=work,
            pip=lambda: self.tools.pip.path,
        )
        self.resolvers = Resolvers(
            self.dependencies,
            store=self.store,
            run=run,
            work=work,
            shared_python=lambda: Path(self.environment.python_executable),
            pip=lambda: self.tools.pip.path,
        )

    @property
    def needs_environment(self) -> bool:
        """Whether anything runs in the build scripts' virtual environment."""
        return self.options.has_scripts or self.dependencies.shares_environment

    @functools.cached_property
    def signer(self) -> Signer | None:
        """What signs the bundle, if the options name a key."""
        return open_key(self.options.sign_with, self.run) if self.options.sign_with else None

    def get_ready(self) -> None:
        """Begin, in the background, with what every build needs, whatever its project turns out to require."""
        # In this order, and here, since afterwards several threads ask for them.
        said = self.dependencies
        _ = said.settings, said.uv_config, self._tools, self._installer, self.resolvers.project, self.signer

    @property
    def tools(self) -> Tools:
        """The wheels that every build needs; waits until they are there."""
        return self._tools.result()

    @property
    def installer(self) -> list[Member]:
        """install.sh and what it starts on the server; waits until it is there."""
        return self._installer.result()

    def installer_with(self, virtualenv: Sequence[Wheel]) -> list[Member]:
        """The same with these wheels of virtualenv and what it requires."""
        with_bytecode = not self.options.no_bytecode
        return bootstrap.members(virtualenv, self.target, self.store, self.run, self.work, with_bytecode=with_bytecode)

    @functools.cached_property
    def _installer(self) -> Later[list[Member]]:
        return Later(lambda: self.installer_with(self.tools.virtualenv))

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
        if self.dependencies.shares_environment:
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
        said = self.dependencies
        return Collector(
            target=self.target,
            store=self.store,
            settings=said.settings if for_tools else said.all_settings,
            builder=lambda: self._builder_for_tools if for_tools else self.builder,
            build_settings=said.build_settings if not for_tools else lambda _name, _lock: PLAIN,
            run=self.run,
            progress=self.progress,
            work=self.work,
            offline=self.options.no_download,
        ).collect(lock, extras=extras, groups=groups, leave_out=leave_out, look=look, purpose=purpose)

    def _collect_tools(self) -> Tools:
        chest = ToolChest(options=self.options, resolver=self.resolvers.for_tools)
        return chest.collect(functools.partial(self.collect, for_tools=True), with_scripts=self.needs_environment)

    def _wheels_for_build(self, requirements: Collection[str]) -> list[Wheel]:
        """What a build requires, resolved and collected."""
        return self.collect(self.resolvers.resolve_for_build(tuple(requirements)), purpose="to build with")

    def _wheels_for_tools(self, requirements: Collection[str]) -> list[Wheel]:
        """The same for building a tool, without build constraints: they are read by pip, which is one of the tools."""
        lock = self.resolvers.for_tools(Request(requirements=tuple(requirements)))
        return self.collect(lock, for_tools=True, purpose="to build with")
