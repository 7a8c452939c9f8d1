"""uv's configuration, read as uv reads it: uv.toml and `[tool.uv]` of the project, the user, the system."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from platter_setuptools.config.files import read_toml
from platter_setuptools.errors import CommandError, UsageError
from platter_setuptools.resolve.amendments import amendments_of
from platter_setuptools.resolve.uv import run_uv
from platter_setuptools.runtime.files import located

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from platter_setuptools.resolve.amendments import Amendment
    from platter_setuptools.runtime.processes import Runner

# Keys of uv.toml for where distributions come from, and for the network.
_INDEX_KEYS = (
    *("index", "index-url", "extra-index-url", "no-index", "find-links", "index-strategy", "keyring-provider"),
    *("allow-insecure-host", "native-tls", "system-certs", "http-proxy", "https-proxy", "no-proxy", "offline"),
    *("concurrent-downloads", "concurrent-builds", "no-cache", "cache-dir", "preview", "preview-features"),
)
# What uv applies to build environments, too.
_BUILD_KEYS = (
    *("no-binary", "no-binary-package", "no-build", "no-build-package", "exclude-newer", "exclude-newer-package"),
    *("config-settings", "config-settings-package", "no-build-isolation", "no-build-isolation-package"),
    *("extra-build-dependencies", "extra-build-variables", "build-constraint-dependencies", "dependency-metadata"),
)
# Keys whose values are URLs or paths, in uv.toml and in an index.
_PLACES = {"find-links", "extra-index-url", "index-url", "cache-dir", "url"}


@dataclass(frozen=True, slots=True, kw_only=True)
class UvConfig:
    """uv's merged configuration, which uv can read: `table` has the keys of uv.toml, and no relative paths."""

    table: Mapping[str, Any] = field(default_factory=dict, repr=False)  # an index may have a password

    def option(self, name: str) -> Any:
        """Return one effective setting for `uv pip`; None if it is not set."""
        pip = self.table.get("pip", {})
        return _merged({name: pip.get(name)}, {name: self.table.get(name)})[name]

    def names(self, option: str) -> frozenset[str]:
        """Return a setting that is a list of distributions, by normalized names."""
        return frozenset(canonicalize_name(str(one)) for one in self.option(option) or ())

    def toml(self, *, builds: bool) -> str:
        """Return a uv.toml for the tools or, with `builds`, for build environments."""
        keys = (*_INDEX_KEYS, *(_BUILD_KEYS if builds else ()))
        told = {key: self.table[key] for key in keys if key in self.table}
        told["pip"] = {key: value for key, value in self.table.get("pip", {}).items() if key in keys}
        told["index"] = [
            {key: value for key, value in one.items() if key != "exclude-newer"} for one in told.get("index", ())
        ]
        if builds:
            told["constraint-dependencies"] = self.table.get("build-constraint-dependencies", [])
        told = {key: value for key, value in told.items() if value not in ([], {})}
        if not told:
            return ""
        import tomli_w  # noqa: PLC0415

        return tomli_w.dumps(told)

    @property
    def amendments(self) -> tuple[Amendment, ...]:
        """Return the requirements that the user replaces."""
        return amendments_of({**self.table, "dependency-metadata": self.option("dependency-metadata")})


def read_config(project: Path, environ: Mapping[str, str]) -> UvConfig:
    """Return uv's configuration for the project in this folder. Raises UsageError for a file that is not TOML."""
    if named := environ.get("UV_CONFIG_FILE"):
        return UvConfig(table=_located(read_toml(Path(named)), Path(named).parent))
    if is_set(environ, "UV_NO_CONFIG"):
        return UvConfig()
    table = _of_project(project)
    for file in _user_files(environ):
        table = _merged(table, _located(read_toml(file), file.parent))
    return UvConfig(table=table)


def check_config(project: Path, run: Runner) -> None:
    """Raise UsageError, in uv's own words, if uv cannot read its configuration for the project in this folder.

    uv passes over a whole `[tool.uv]` table of which it does not understand one setting, with a warning.
    """
    try:
        said = run_uv(run, ["cache", "dir"], cwd=project, warnings=True).splitlines()[:-1]  # the last is the folder
        wrong = any(line.startswith("warning: Failed to parse") for line in said)
    except CommandError as error:
        said, wrong = [*error.output], True
    if wrong:
        raise UsageError(
            "uv cannot read its configuration, and would pass over all settings beside the wrong one",
            hint="correct that setting, install a uv that knows it, or set UV_NO_CONFIG=1 to build without any",
            output=[line for line in said if line.strip()],
        )


def uv_tables(project: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield `[tool.uv]` of the project and of the root of its workspace, if it has one, each with its folder."""
    if not (project / "pyproject.toml").is_file():
        return
    yield project, _uv_table(project)
    for folder in project.parents:
        table = _lenient(folder)
        if "workspace" in table:
            yield folder, table
            return


def _of_project(project: Path) -> dict[str, Any]:
    """Return the nearest uv.toml or `[tool.uv]`, from the root of the project's workspace upwards."""
    root = [folder for folder, _ in uv_tables(project)][-1:] or [project]
    for folder in (root[0], *root[0].parents):
        if (folder / "uv.toml").is_file():
            return _located(read_toml(folder / "uv.toml"), folder)
        if table := _lenient(folder):
            return _located(table, folder)
    return {}


def _user_files(environ: Mapping[str, str]) -> list[Path]:
    """Return the user's uv.toml and the system's, if they exist."""
    home = Path(environ.get("HOME") or os.path.expanduser("~"))  # noqa: PTH111 - Path.home raises where there is none
    user = Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "uv" / "uv.toml"
    folders = (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep)
    system = [Path(folder) / "uv" / "uv.toml" for folder in (*folders, "/etc") if folder]
    first = [file for file in system if file.is_file()][:1]
    return [file for file in (user, *first) if file.is_file()]


def _lenient(folder: Path) -> dict[str, Any]:
    """Return `[tool.uv]` of a folder that may be unrelated; ignore errors."""
    try:
        return _uv_table(folder)
    except UsageError:
        return {}


def _uv_table(folder: Path) -> dict[str, Any]:
    tool = read_toml(folder / "pyproject.toml").get("tool", {})
    table = tool.get("uv", {}) if isinstance(tool, dict) else {}
    return table if isinstance(table, dict) else {}


def _merged(strong: Mapping[str, Any], weak: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two values: join lists, the stronger one's values first; merge tables; else use the stronger value."""
    merged = {**weak, **{key: value for key, value in strong.items() if value is not None}}
    for key in strong.keys() & weak.keys():
        one, other = strong[key], weak[key]
        if isinstance(one, list) and isinstance(other, list):
            merged[key] = [*one, *other]
        elif isinstance(one, dict) and isinstance(other, dict):
            merged[key] = _merged(one, other)
    return merged


def _located(table: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the table of a file in this folder, with absolute paths."""
    found = dict(table)
    for key, value in table.items():
        if key in _PLACES:
            several = isinstance(value, list)
            found[key] = [located(str(one), folder) for one in value] if several else located(str(value), folder)
        elif key == "index":
            found[key] = [_located(one, folder) for one in listed(value) if isinstance(one, dict)]
        elif key == "pip" and isinstance(value, dict):
            found[key] = _located(value, folder)
    return found


def listed(value: Any) -> list[Any]:
    """Return a list, and an empty one instead of what is none."""
    return value if isinstance(value, list) else []


def is_set(environ: Mapping[str, str], name: str) -> bool:
    """Whether one of uv's variables that are flags says yes."""
    return environ.get(name, "").lower() not in {"", "0", "false", "no", "off", "n", "f"}
