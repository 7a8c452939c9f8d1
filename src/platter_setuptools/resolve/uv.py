"""Run uv, with the environment variables for each kind of run.

uv applies its configuration to everything that it resolves. There are three kinds of runs: the project's dependencies
use all of uv's configuration; build environments use what uv itself gives them: indexes and build settings; the tools
of every bundle (virtualenv, pip) use only where distributions come from.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from platter_setuptools.errors import UsageError
from platter_setuptools.runtime.files import located

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from platter_setuptools.runtime.processes import Runner
    from platter_setuptools.targets.target import Target

# Our command lines say these; of the variables some would lead uv elsewhere, or have it refuse what it is given.
_OURS = (
    *("WORKING_DIR", "WORKING_DIRECTORY", "PROJECT", "PYTHON", "PYTHON_PLATFORM", "SYSTEM_PYTHON"),
    *("BREAK_SYSTEM_PACKAGES", "MANAGED_PYTHON", "NO_MANAGED_PYTHON", "PYTHON_PREFERENCE", "REQUIRE_HASHES"),
    *("NO_REQUIRE_HASHES", "CUSTOM_COMPILE_COMMAND", "COMPILE_BYTECODE", "VENV_SEED", "VENV_CLEAR"),
    *("VENV_RELOCATABLE", "FROZEN", "LOCKED", "DEV", "NO_DEV", "NO_GROUP", "NO_EDITABLE", "ISOLATED"),
)
_ABOUT_PROJECT = (
    *("RESOLUTION", "PRERELEASE", "FORK_STRATEGY", "OVERRIDE", "CONSTRAINT", "EXCLUDE", "NO_SOURCES"),
    *("NO_SOURCES_PACKAGE", "TORCH_BACKEND", "CONFIG_FILE", "NO_CONFIG", "NO_SYSTEM_CONFIG"),
)
_ABOUT_BUILDS = (
    *("EXCLUDE_NEWER", "NO_BINARY", "NO_BINARY_PACKAGE", "NO_BUILD", "NO_BUILD_PACKAGE", "NO_BUILD_ISOLATION"),
    *("BUILD_CONSTRAINT", "REQUIRE_BUILD_HASHES"),
)
# The values of --python-platform.
_MACHINES = ("x86_64", "aarch64")
_MAC_NAMES = {"x86_64": "x86_64", "arm64": "aarch64"}
_GLIBC_MINORS = (17, 28, *range(31, 41))
# Variables with paths, which count from the working folder, and what separates several.
_PATHS: Mapping[str, str] = {
    **dict.fromkeys(("UV_CONSTRAINT", "UV_OVERRIDE", "UV_EXCLUDE", "UV_BUILD_CONSTRAINT"), " "),
    **dict.fromkeys(("UV_INDEX", "UV_EXTRA_INDEX_URL"), " "),
    "UV_FIND_LINKS": ",",
    **dict.fromkeys(("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_CONFIG_FILE", "UV_CACHE_DIR", "UV_CREDENTIALS_DIR"), ""),
    **dict.fromkeys(("SSL_CERT_FILE", "SSL_CERT_DIR", "SSL_CLIENT_CERT"), ""),
}


def uv_platform(target: Target) -> str | None:
    """Return what `--python-platform` calls the target, or the newest older system: what fits that one fits the target.

    None for a machine that uv cannot resolve for.
    """
    machine = target.environment["platform_machine"]
    system = target.environment["sys_platform"]
    name, _, version = (target.libc or "").partition(" ")
    if system == "darwin" and machine in _MAC_NAMES:
        return f"{_MAC_NAMES[machine]}-apple-darwin"
    if system == "linux" and machine in _MACHINES:
        if name == "musl":
            return f"{machine}-unknown-linux-musl"
        minors = [minor for minor in _GLIBC_MINORS if version and minor <= int(version.partition(".")[2])]
        if minors:
            return f"{machine}-manylinux_2_{minors[-1]}"
    return None


def uv_variables(target: Target) -> dict[str, str]:
    """Return the variables that say more of the target than `--python-platform` does: which macOS it is."""
    version = re.search(r"-macosx_(\d+)_(\d+)_", target.id)
    return {"MACOSX_DEPLOYMENT_TARGET": f"{version[1]}.{version[2]}"} if version else {}


def run_uv(
    run: Runner,
    words: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str | None] | None = None,
    stdin: str = "",
    secret: bool = False,
    warnings: bool = False,
) -> str:
    """Run the uv that came with our own installation, and give its standard output; with `warnings`, its errors, too.

    Raises UsageError if there is none, and CommandError.
    """
    import uv  # noqa: PLC0415 - not needed when everything is at hand

    try:
        program = uv.find_uv_bin()
    except FileNotFoundError as error:
        raise UsageError(
            f"the program uv cannot be found: {error}",
            hint="install it again: python -m pip install --force-reinstall uv",
        ) from error
    both = ("sh", "-c", 'exec "$0" "$@" 2>&1') if warnings else ()
    command = (*both, program, "--no-progress", "--color", "never", *words)
    ours = dict.fromkeys((f"UV_{name}" for name in _OURS), None)
    environ = {**ours, **_with_paths(os.environ, Path.cwd()), **(env or {})}
    return run(command, cwd=cwd, env=environ, stdin=stdin, secret=secret)


def _with_paths(environ: Mapping[str, str], base: Path) -> dict[str, str]:
    """Return uv's variables with absolute paths, which start at the folder `base`."""
    found: dict[str, str] = {}
    for name, separator in _PATHS.items():
        if value := environ.get(name):
            parts = value.split() if separator == " " else value.split(separator) if separator else [value]
            said = separator.join(located(part, base) for part in parts if part)
            found |= {name: said} if said != value else {}
    return found


def without(*, builds: bool) -> dict[str, str | None]:
    """Return the variables that the tools or, with `builds`, build environments do not get."""
    names = (*_ABOUT_PROJECT, *(() if builds else _ABOUT_BUILDS))
    return dict.fromkeys((f"UV_{name}" for name in names), None)
