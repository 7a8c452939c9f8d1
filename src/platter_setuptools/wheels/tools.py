"""The tools of every build: the wheels of virtualenv and pip, and those for build scripts.

Their releases are resolved in each build, beside the project's dependencies, also with a lock, which does not name
them. Without a network the last answer is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from platter_setuptools.errors import DependencyError
from platter_setuptools.resolve.resolver import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from platter_setuptools.config.options import Options
    from platter_setuptools.resolve.resolver import Resolver
    from platter_setuptools.values import Wheel


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """The wheels that install a bundle and that make virtual environments here."""

    virtualenv: tuple[Wheel, ...]  # with what it requires
    pip: Wheel
    for_scripts: tuple[Wheel, ...]  # setuptools and wheel, for the build scripts' virtual environment


def collect_tools(
    options: Options, resolve: Resolver, collect: Callable[..., list[Wheel]], *, with_scripts: bool
) -> Tools:
    """Return the tools of a build. Raise DependencyError if the indexes lack them.

    `resolve` is not the project's resolver. `collect` returns the wheels of a lock.
    """
    scripts = {"setuptools": None, "wheel": options.wheel_version} if with_scripts else {}
    names = {"virtualenv": options.virtualenv_version, "pip": None, **scripts}
    requirements = tuple(_specified(name, version) for name, version in names.items())
    try:
        lock = resolve(Request(requirements=requirements))
    except DependencyError as error:
        raise DependencyError(
            f"every bundle needs virtualenv, and pip while it is built: {error.message}",
            hint="let the index that you name have them too: add them to it, or name it as an extra index",
            output=error.output,
        ) from error
    *first, last = names
    wheels = {wheel.name: wheel for wheel in collect(lock, purpose=f"for {', '.join(first)} and {last}")}
    pip = wheels.pop(canonicalize_name("pip"))
    for_scripts = tuple(wheels.pop(canonicalize_name(name)) for name in scripts)
    return Tools(pip=pip, for_scripts=for_scripts, virtualenv=tuple(wheels.values()))


def _specified(name: str, version: str | None) -> str:
    """Return a requirement of a name and the version in the options: nothing, `1.0` or `>=1.0`."""
    if version is None:
        return name
    return f"{name}{version}" if version[0] in "=<>!~" else f"{name}=={version}"
