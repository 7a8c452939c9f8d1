"""uv, the program: how we start it, and which of its variables each of its runs is told.

uv applies what it was told to whatever it resolves. Here are three kinds of runs. The project's own dependencies are
resolved by all that uv was told. Build environments get what uv itself gives them: indexes, and settings about builds.
Our tools (virtualenv, pip) get where distributions come from, and nothing else.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from platter_setuptools.ground.errors import UsageError
from platter_setuptools.ground.files import located

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from platter_setuptools.ground.run import Runner

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
# Variables with paths, which count from the working folder, and what separates several.
_PATHS: Mapping[str, str] = {
    **dict.fromkeys(("UV_CONSTRAINT", "UV_OVERRIDE", "UV_EXCLUDE", "UV_BUILD_CONSTRAINT"), " "),
    **dict.fromkeys(("UV_INDEX", "UV_EXTRA_INDEX_URL"), " "),
    "UV_FIND_LINKS": ",",
    **dict.fromkeys(("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_CONFIG_FILE", "UV_CACHE_DIR", "UV_CREDENTIALS_DIR"), ""),
    **dict.fromkeys(("SSL_CERT_FILE", "SSL_CERT_DIR", "SSL_CLIENT_CERT"), ""),
}


def run_uv(
    run: Runner,
    words: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str | None] | None = None,
    stdin: str = "",
    secret: bool = False,
) -> str:
    """Run the uv that came with our own installation, and give its standard output.

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
    command = (program, "--no-progress", "--color", "never", *words)
    ours = dict.fromkeys((f"UV_{name}" for name in _OURS), None)
    environ = {**ours, **_with_paths(os.environ, Path.cwd()), **(env or {})}
    return run(command, cwd=cwd, env=environ, stdin=stdin, secret=secret)


def _with_paths(environ: Mapping[str, str], base: Path) -> dict[str, str]:
    """Uv's variables with the paths that they mean in the folder `base`, wherever uv runs."""
    found: dict[str, str] = {}
    for name, separator in _PATHS.items():
        if value := environ.get(name):
            parts = re.split(r"[\s,]+" if separator == "," else r"\s+", value.strip()) if separator else [value]
            said = separator.join(located(part, base) for part in parts if part)
            found |= {name: said} if said != value else {}
    return found


def without(*, builds: bool) -> dict[str, str | None]:
    """The variables that our tools or, with `builds`, build environments are not told."""
    names = (*_ABOUT_PROJECT, *(() if builds else _ABOUT_BUILDS))
    return dict.fromkeys((f"UV_{name}" for name in names), None)
