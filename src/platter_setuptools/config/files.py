"""Options in a project's files: `[tool.platter]` in pyproject.toml, `[bdist_platter]` in setup.cfg."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from packaging.utils import NormalizedName, canonicalize_name

from platter_setuptools.config.option_sources import read_strings, read_table
from platter_setuptools.errors import UsageError
from platter_setuptools.runtime import libraries

if TYPE_CHECKING:
    import configparser
    from pathlib import Path

    from platter_setuptools.config.option_sources import Source

# The files that make a folder a project. setup.cfg does not: many folders have one for other tools.
PROJECT_FILES = ("pyproject.toml", "setup.py")
SECTION = "bdist_platter"
# distutils' name for `output`.
OUTPUT = "dist_dir"


def closest_project(start: Path) -> Path:
    """The folder of the project that `start` is in: the first upwards that has one. Raises UsageError."""
    for folder in (start, *start.parents):
        if any((folder / name).is_file() for name in PROJECT_FILES):
            return folder
    raise UsageError(
        f"no project found: neither {start} nor a folder above it has a {' or '.join(PROJECT_FILES)}",
        hint="name the project: platter build PATH",
    )


def from_pyproject(project: Path) -> Source:
    """Return the options of `[tool.platter]`; none if there is no such file or table. Raises UsageError."""
    path = project / "pyproject.toml"
    tool = read_pyproject(project).get("tool", {})
    table = tool.get("platter", {}) if isinstance(tool, dict) else tool
    if not isinstance(table, dict):
        raise UsageError(f"{path}: tool.platter must be a table", hint="write its options below a line [tool.platter]")
    return read_table(f"{path} [tool.platter]", project, table)


def read_pyproject(project: Path) -> dict[str, Any]:
    """Return the tables of a project's pyproject.toml; none if there is no such file. Raises UsageError."""
    return read_toml(project / "pyproject.toml")


def named(project: Path) -> NormalizedName:
    """Return the project's normalized name in its pyproject.toml; empty if there is none. Raises UsageError."""
    return canonicalize_name(_stated(project, "name"))


def declared_version(project: Path) -> str:
    """Return the project's version in its pyproject.toml; empty if there is none. Raises UsageError."""
    return _stated(project, "version")


def _stated(project: Path, key: str) -> str:
    table = read_pyproject(project).get("project", {})
    return str(table.get(key, "")) if isinstance(table, dict) else ""


def read_toml(path: Path) -> dict[str, Any]:
    """Return the tables of a TOML file; none if there is no such file. Raises UsageError."""
    if not path.is_file():
        return {}
    try:
        content = path.read_bytes()
        if content.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
            raise UsageError(
                f"{path} begins with a byte order mark (BOM), which TOML does not allow",
                hint="save it as UTF-8 without a BOM",
            )
        tables: dict[str, Any] = libraries.toml().loads(content.decode())
    except (ValueError, RecursionError) as error:  # ValueError: also for numbers with thousands of digits
        raise UsageError(f"{path} is not valid TOML: {error}", hint="correct that line") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", hint="make it readable for this user") from error
    return tables


def from_setup_cfg(project: Path) -> Source:
    """Return the options of `[bdist_platter]`; none if there is no such file or section. Raises UsageError."""
    path = project / "setup.cfg"
    if not path.is_file():
        return {}
    import configparser  # noqa: PLC0415

    parser = configparser.ConfigParser()  # interpolates %(name)s and %%, as setuptools does
    try:
        parser.read_string(path.read_text("utf-8"))
        values = dict(parser.items(SECTION)) if parser.has_section(SECTION) else {}
    except configparser.InterpolationError as error:
        raise UsageError(
            f"{path} [{SECTION}] {error.option}: a single %", hint="write each % of a value as %%"
        ) from None
    except configparser.Error as error:
        raise UsageError(f"{path} cannot be read: {_reason(error)}", hint="correct that line") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(f"{path} cannot be read: {reason}", hint="correct it, or make it readable") from error
    where = f"{path} [{SECTION}]"
    written = {"output" if name.replace("-", "_") == OUTPUT else name: name for name in values}
    source = read_strings(where, project, {name: values[key] for name, key in written.items()})
    if "output" in source:
        source["output"] = dataclasses.replace(source["output"], place=f"{where} {written['output']}")
    return source


def _reason(error: configparser.Error) -> str:
    """Return the line number and kind of error, without the line, which may contain a password."""
    numbers = [number for number, _line in getattr(error, "errors", ())] or [getattr(error, "lineno", None)]
    lines = ", ".join(str(number) for number in numbers if number is not None)
    return f"line {lines}: {type(error).__name__}" if lines else type(error).__name__
