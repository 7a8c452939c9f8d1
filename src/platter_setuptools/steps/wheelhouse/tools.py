"""The tools of every build: the wheels of virtualenv and pip, and those that build scripts may ask for.

Which releases they are is resolved each time, beside the project's dependencies. Without a network, or where a lock
stands for everything, the last answer counts.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from platter_setuptools.ground.errors import DependencyError
from platter_setuptools.steps.resolving.indexes import UV_URLS, uv_arguments, uv_environment
from platter_setuptools.steps.resolving.lock import read_lock
from platter_setuptools.steps.resolving.resolver import Request
from platter_setuptools.steps.store import key_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from platter_setuptools.ground.options import Options
    from platter_setuptools.ground.values import Wheel
    from platter_setuptools.steps.resolving.indexes import IndexSettings
    from platter_setuptools.steps.resolving.lock import Lock
    from platter_setuptools.steps.resolving.resolver import Resolver
    from platter_setuptools.steps.store import Store
    from platter_setuptools.steps.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """The wheels that install a bundle and that make virtual environments here."""

    virtualenv: tuple[Wheel, ...]  # with what it requires
    pip: Wheel
    for_scripts: tuple[Wheel, ...]  # setuptools and wheel, for the build scripts' virtual environment


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolChest:
    """Where a build's tools come from; `settings` and `resolver` are for them, and not for the project."""

    options: Options
    target: Target
    store: Store
    settings: IndexSettings
    resolver: Resolver
    config: str  # the uv.toml that the resolver uses
    work: Path

    def collect(self, collect: Callable[..., list[Wheel]], *, with_scripts: bool) -> Tools:
        """The tools, by what makes wheels of a lock, and is told what for. Raises DependencyError."""
        scripts = {"setuptools": None, "wheel": self.options.wheel_version} if with_scripts else {}
        names = {"virtualenv": self.options.virtualenv_version, "pip": None, **scripts}
        requirements = tuple(_specified(name, version) for name, version in names.items())
        *first, last = names
        purpose = f"for {', '.join(first)} and {last}"
        wheels = {wheel.name: wheel for wheel in collect(self._lock(requirements), purpose=purpose)}
        pip = wheels.pop(canonicalize_name("pip"))
        chosen = tuple(wheels.pop(canonicalize_name(name)) for name in scripts)
        return Tools(pip=pip, for_scripts=chosen, virtualenv=tuple(wheels.values()))

    def _lock(self, requirements: tuple[str, ...]) -> Lock:
        environ = {**{name: os.environ.get(name, "") for name in UV_URLS}, **uv_environment(self.settings)}
        asked = (self.config, *uv_arguments(self.settings), *(f"{name}={value}" for name, value in environ.items()))
        network = () if self.options.no_download else asked
        key = key_of(self.target.key, self.target.full_version, *requirements, *network)
        if (self.options.lock or self.options.no_download) and (known := self.store.find_derived("tools", key)):
            return read_lock(known)
        try:
            lock = self.resolver(Request(requirements=requirements))
        except DependencyError as error:
            needed = "every bundle needs virtualenv, and pip while it is built"
            raise DependencyError(
                f"{needed}: {error.message}",
                hint="let the index that you name have them too: add them to it, or name it as an extra index",
                output=error.output,
            ) from error
        if not any(package.is_direct for package in lock.pylock.packages):
            import tomli_w  # noqa: PLC0415

            file = self.work / "pylock.tools.toml"
            file.write_text(tomli_w.dumps(lock.pylock.to_dict()), "utf-8")
            self.store.keep_derived("tools", key, file)
        return lock


def _specified(name: str, version: str | None) -> str:
    """A requirement from a name and what the options say of its version: nothing, `1.0` or `>=1.0`."""
    if version is None:
        return name
    return f"{name}{version}" if version[0] in "=<>!~" else f"{name}=={version}"
