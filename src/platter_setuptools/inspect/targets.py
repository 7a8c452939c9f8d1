"""The targets of a bundle, as builds have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging import tags

from platter_setuptools.targets.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterable

    from platter_setuptools.payload import manifest
    from platter_setuptools.payload.target import Target as BundleTarget

_SYSTEMS = {"linux": ("linux", "Linux"), "macosx": ("darwin", "Darwin")}


def target_of(plan: manifest.Manifest, target: BundleTarget, patch: int, platforms: Iterable[str]) -> Target:
    """Return the target of a bundle as a build has it. The server's glibc is checked during the installation."""
    system, _, machine = target.platform.partition("_")
    sys_platform, platform_system = _SYSTEMS.get(system, (system, system.capitalize()))
    fitting = [name for name in platforms if name.endswith(f"_{machine}") or system != "linux"]
    version = tuple(map(int, target.python.split(".")))
    full = f"{target.python}.{patch}"
    abis = [target.abi, target.abi.removesuffix("d")] if target.debug else [target.abi]
    return Target(
        id=target.id,
        implementation=target.implementation,
        version=target.python,
        full_version=full,
        platform=plan.platform if len(plan.targets) == 1 else target.platform.replace("_", "-", 1),
        abi=target.abi,
        cache_tag=target.cache_tag,
        magic=target.magic,
        debug=target.debug,
        free_threaded=target.free_threaded,
        libc=None,
        environment={
            "implementation_name": target.implementation,
            "implementation_version": full,
            "os_name": "posix",
            "platform_machine": machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": platform_system,
            "platform_version": "",
            "python_full_version": full,
            "python_version": target.python,
            "sys_platform": sys_platform,
        },
        tags=(
            *tags.cpython_tags(version, abis, fitting),
            *tags.compatible_tags(version, f"cp{version[0]}{version[1]}", fitting),
        ),
    )
