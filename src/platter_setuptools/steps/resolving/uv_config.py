"""What uv is configured to do, read as uv reads it: uv.toml and `[tool.uv]` of the project, the user, the system."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from platter_setuptools.ground.configuration import read_toml
from platter_setuptools.ground.errors import UsageError
from platter_setuptools.ground.files import located
from platter_setuptools.steps.resolving.uv_amendments import amendments_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from platter_setuptools.ground.amendments import Amendment

# Keys of uv.toml that say where distributions come from, and how the network is reached.
_INDEX_KEYS = (
    *("index", "index-url", "extra-index-url", "no-index", "find-links", "index-strategy", "keyring-provider"),
    *("allow-insecure-host", "native-tls", "system-certs", "http-proxy", "https-proxy", "no-proxy", "offline"),
    *("concurrent-downloads", "concurrent-builds", "no-cache", "cache-dir", "preview", "preview-features"),
)
# What uv applies to build environments besides.
_BUILD_KEYS = (
    *("no-binary", "no-binary-package", "no-build", "no-build-package", "exclude-newer", "exclude-newer-package"),
    *("config-settings", "config-settings-package", "no-build-isolation", "no-build-isolation-package"),
    *("extra-build-dependencies", "extra-build-variables", "build-constraint-dependencies", "dependency-metadata"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UvConfig:
    """What uv's files say, merged as uv merges them: `table` has the keys of uv.toml, and no relative paths."""

    table: Mapping[str, Any] = field(default_factory=dict, repr=False)  # an index may have a password

    def option(self, name: str) -> Any:
        """One setting as it counts for `uv pip`; None if nothing says it."""
        pip = self.table.get("pip")
        return _merged({name: pip.get(name)} if isinstance(pip, dict) else {}, {name: self.table.get(name)})[name]

    def names(self, option: str) -> frozenset[str]:
        """A setting that is a list of distributions, by normalized names."""
        return frozenset(canonicalize_name(str(one)) for one in _list(self.option(option)))

    def toml(self, *, builds: bool) -> str:
        """A uv.toml for our tools or, with `builds`, for build environments."""
        keys = (*_INDEX_KEYS, *(_BUILD_KEYS if builds else ()))
        told = {key: self.table[key] for key in keys if key in self.table}
        pip = self.table.get("pip")
        told["pip"] = {key: pip[key] for key in keys if key in pip} if isinstance(pip, dict) else {}
        told["index"] = [
            {key: value for key, value in one.items() if key != "exclude-newer"} if isinstance(one, dict) else one
            for one in _list(told.get("index"))
        ]
        if builds and (constraints := _list(self.table.get("build-constraint-dependencies"))):
            told["constraint-dependencies"] = constraints
        told = {key: value for key, value in told.items() if value not in ([], {})}
        if not told:
            return ""
        import tomli_w  # noqa: PLC0415

        return tomli_w.dumps(told)

    @property
    def amendments(self) -> tuple[Amendment, ...]:
        """What the user puts in the place of distributions' own requirements."""
        return amendments_of({**self.table, "dependency-metadata": self.option("dependency-metadata")})


def read_config(project: Path, environ: Mapping[str, str]) -> UvConfig:
    """What uv finds for the project in this folder. Raises UsageError for a file that is not TOML."""
    if named := environ.get("UV_CONFIG_FILE"):
        return UvConfig(table=_located(read_toml(Path(named)), Path(named).parent))
    if is_set(environ, "UV_NO_CONFIG"):
        return UvConfig()
    table = _of_project(project)
    for file in _user_files(environ):
        table = _merged(table, _located(read_toml(file), file.parent))
    return UvConfig(table=table)


def uv_tables(project: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """`[tool.uv]` of the project and of the root of its workspace, if it is in one, each with its folder."""
    if not (project / "pyproject.toml").is_file():
        return
    yield project, _uv_table(project)
    for folder in project.parents:
        table = _lenient(folder)
        if "workspace" in table:
            yield folder, table
            return


def _of_project(project: Path) -> dict[str, Any]:
    """The nearest uv.toml or `[tool.uv]`, from the root of the project's workspace upwards."""
    root = [folder for folder, _ in uv_tables(project)][-1:] or [project]
    for folder in (root[0], *root[0].parents):
        if (folder / "uv.toml").is_file():
            return _located(read_toml(folder / "uv.toml"), folder)
        if table := _lenient(folder):
            return _located(table, folder)
    return {}


def _user_files(environ: Mapping[str, str]) -> list[Path]:
    """The user's uv.toml and the system's, of those that exist."""
    home = Path(environ.get("HOME") or os.path.expanduser("~"))  # noqa: PTH111 - Path.home raises where there is none
    user = Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "uv" / "uv.toml"
    folders = (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep)
    system = [Path(folder) / "uv" / "uv.toml" for folder in (*folders, "/etc") if folder]
    first = [file for file in system if file.is_file()][:1]
    return [file for file in (user, *first) if file.is_file()]


def _lenient(folder: Path) -> dict[str, Any]:
    """`[tool.uv]` of a folder that may have nothing to do with us."""
    try:
        return _uv_table(folder)
    except UsageError:
        return {}


def _uv_table(folder: Path) -> dict[str, Any]:
    tool = read_toml(folder / "pyproject.toml").get("tool", {})
    table = tool.get("uv", {}) if isinstance(tool, dict) else {}
    return table if isinstance(table, dict) else {}


def _merged(strong: Mapping[str, Any], weak: Mapping[str, Any]) -> dict[str, Any]:
    """Lists are joined, the stronger one's values first; tables are merged; of two other values the stronger counts."""
    merged = {**weak, **{key: value for key, value in strong.items() if value is not None}}
    for key in strong.keys() & weak.keys():
        one, other = strong[key], weak[key]
        if isinstance(one, list) and isinstance(other, list):
            merged[key] = [*one, *other]
        elif isinstance(one, dict) and isinstance(other, dict):
            merged[key] = _merged(one, other)
    return merged


def _located(table: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The table of a file in this folder, where its relative paths start."""
    found = dict(table)
    for key, value in table.items():
        if key in {"find-links", "extra-index-url"} and isinstance(value, list):
            found[key] = [located(str(one), folder) for one in value]
        elif key in {"index-url", "cache-dir"} and isinstance(value, str):
            found[key] = located(value, folder)
        elif key == "index" and isinstance(value, list):
            found[key] = [
                {**one, "url": located(str(one["url"]), folder)} if isinstance(one, dict) and "url" in one else one
                for one in value
            ]
        elif key == "pip" and isinstance(value, dict):
            found[key] = _located(value, folder)
    return found


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def is_set(environ: Mapping[str, str], name: str) -> bool:
    """Whether one of uv's variables that are flags says yes."""
    return environ.get(name, "").lower() not in {"", "0", "false", "no", "off", "n", "f"}
