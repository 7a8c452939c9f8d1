"""The tools of every build: the wheels of virtualenv and pip, and those that build scripts may ask for.

Which releases they are is resolved each time, beside the project's dependencies; with a lock, too, which does not name
them. Without a network the last answer counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from platter_setuptools.ground.errors import DependencyError
from platter_setuptools.steps.resolving.resolver import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from platter_setuptools.ground.options import Options
    from platter_setuptools.ground.values import Wheel
    from platter_setuptools.steps.resolving.lock import Lock
    from platter_setuptools.steps.resolving.resolver import Resolver


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """The wheels that install a bundle and that make virtual environments here."""

    virtualenv: tuple[Wheel, ...]  # with what it requires
    pip: Wheel
    for_scripts: tuple[Wheel, ...]  # setuptools and wheel, for the build scripts' virtual environment


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolChest:
    """Where a build's tools come from; `resolver` is for them, and not for the project."""

    options: Options
    resolver: Resolver

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
        try:
            return self.resolver(Request(requirements=requirements))
        except DependencyError as error:
            needed = "every bundle needs virtualenv, and pip while it is built"
            raise DependencyError(
                f"{needed}: {error.message}",
                hint="let the index that you name have them too: add them to it, or name it as an extra index",
                output=error.output,
            ) from error


def _specified(name: str, version: str | None) -> str:
    """A requirement from a name and what the options say of its version: nothing, `1.0` or `>=1.0`."""
    if version is None:
        return name
    return f"{name}{version}" if version[0] in "=<>!~" else f"{name}=={version}"
