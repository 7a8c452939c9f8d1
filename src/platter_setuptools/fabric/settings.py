"""The settings of a fabfile under "platter", read once and checked."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from platter_setuptools.errors import UsageError

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NUMBERS = {
    "batch": 1,
    "canary": 0,
    "max_failures": 1,
    "keep": 1,
    "connect_timeout": 1,
    "retries": 0,
    "wait": 0,
    "ready_timeout": 1,
    "command_timeout": 1,
}
_CHOICES: Mapping[str, tuple[str | bool, ...]] = {
    "host_keys": ("accept", "known"),
    "pre": (False, True),
    "thin": (True, False),
    "run_once": (False, True),
}
_LISTS = ("hosts", "install_options", "build_options")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    root: str = ""  # on the hosts: an absolute path
    hosts: tuple[str, ...] = ()  # [user@]host[:port], or names from ~/.ssh/config
    name: str | None = None  # project, platform and Python, if dist has bundles of several
    platform: str | None = None
    bundle_python: str | None = None  # `3.11` or `cp311`
    dist: Path = Path("dist")  # here: in the folder that fab runs in, which is also the project
    # How many hosts at a time; how many first; after how many failures to stop.
    batch: int = 5
    canary: int = 1
    max_failures: int = 1
    pre: bool = False  # whether to deploy pre-releases, too
    thin: bool = True  # whether to leave out of bundles what a host has
    host_keys: str = "accept"  # or "known": refuse keys that are not in known_hosts
    connect_timeout: int | None = None  # seconds
    retries: int = 0  # further attempts to connect
    wait: int = 0  # seconds for another deployment to end
    sudo_user: str | None = None  # the root's owner, if that is not the login user
    uploads: str = ".cache/platter"  # on the hosts; relative to the login user's home
    # For install.sh and ROOT/platter.
    python: str | None = None
    keep: int | None = None
    health_check: str | None = None
    reload: str | None = None
    ready: str | None = None
    ready_timeout: int | None = None  # seconds
    command_timeout: int | None = None  # seconds
    run_once: bool = False  # whether the first host gets PLATTER_RUN_ONCE=1
    install_options: tuple[str, ...] = ()
    build_host: str | None = None
    build_command: str = "platter"  # on the build host
    build_options: tuple[str, ...] = ()
    build_env: Mapping[str, str] = field(default_factory=dict)

    def need(self, name: str) -> str:
        """Return the value of a required setting. Raises UsageError if it is not set."""
        value = getattr(self, name)
        if not value:
            raise UsageError(f'"{name}" is not set', hint=f'namespace.configure({{"platter": {{"{name}": …}}}})')
        return str(value)

    def commands(self) -> list[str]:
        """Return the options of install.sh and ROOT/platter for the operator's commands and their time limits."""
        given = {
            "--health-check": self.health_check,
            "--reload": self.reload,
            "--ready": self.ready,
            "--ready-timeout": self.ready_timeout,
            "--command-timeout": self.command_timeout,
        }
        return [f"{option}={value}" for option, value in given.items() if value]

    def installing(self) -> list[str]:
        """Return the arguments of install.sh."""
        given = {"--python": self.python, "--keep": self.keep}
        words = [f"--root={self.root}", *(f"{option}={value}" for option, value in given.items() if value)]
        return [*words, *self.commands(), *self.install_options]


def read(configuration: Mapping[str, Any]) -> Settings:
    """Return the settings in a configuration of Invoke. Raises UsageError that names the wrong one."""
    given = dict(configuration)
    known = [one.name for one in fields(Settings)]
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            raise UsageError(
                f'"{name}" is not a setting',
                hint=f'did you mean "{close[0]}"?' if close else f"there are {', '.join(known)}",
            )
    values = {
        name: (_one_of if name in _CHOICES else _checked)(name, value)
        for name, value in given.items()
        if value is not None
    }
    if not values.get("root", "/").startswith("/"):
        raise UsageError(f'"root" is {given["root"]!r}', hint="name the folder on the hosts by its absolute path")
    settings = Settings(**{"dist": Path.cwd() / "dist", **values})
    if settings.run_once and settings.canary != 1:
        raise UsageError(
            f'"run_once" needs one canary, and "canary" is {settings.canary}',
            hint="the first host is finished before others begin only if it is alone",
        )
    return settings


def _one_of(name: str, value: Any) -> Any:
    if value not in _CHOICES[name]:
        raise UsageError(f'"{name}" is {value!r}', hint=f"use {' or '.join(map(repr, _CHOICES[name]))}")
    return value


def _checked(name: str, value: Any) -> Any:
    if name in _NUMBERS:
        if not isinstance(value, int) or isinstance(value, bool) or value < _NUMBERS[name]:
            raise UsageError(f'"{name}" is {value!r}', hint=f"use a number of at least {_NUMBERS[name]}")
        return value
    if name in _LISTS:
        if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(one, str) for one in value):
            raise UsageError(f'"{name}" is {value!r}', hint="use a list of strings")
        return tuple(value)
    if name == "build_env":
        pairs = dict(value) if hasattr(value, "keys") else {str(value): ""}
        if wrong := [one for one in pairs if not _VARIABLE.fullmatch(one)]:
            raise UsageError(f'"build_env" has {wrong[0]!r}', hint="use names of environment variables")
        return {one: str(text) for one, text in pairs.items()}
    if not isinstance(value, str | Path):
        raise UsageError(f'"{name}" is {value!r}', hint="use a string")
    if name == "uploads":
        return str(value).removeprefix("~/")  # no shell expands it, and relative paths start at the home
    return Path.cwd() / value if name == "dist" else str(value)
