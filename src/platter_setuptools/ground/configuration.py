"""Options that a project's own files set: `[tool.platter]` in pyproject.toml, `[bdist_platter]` in setup.cfg."""

from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING, Any

from packaging.utils import NormalizedName, canonicalize_name

from platter_setuptools.ground.dialects import Source, read_strings, read_table
from platter_setuptools.ground.errors import UsageError

if TYPE_CHECKING:
    import configparser
    from pathlib import Path

# What makes a folder a project, to every build frontend. setup.cfg does not: many folders have one for other tools.
PROJECT_FILES = ("pyproject.toml", "setup.py")
SECTION = "bdist_platter"
# distutils' name for where commands put their results; the CLI and TOML say `output`, as Platter did.
OUTPUT = "dist_dir"


def from_pyproject(project: Path) -> Source:
    """What `[tool.platter]` says; nothing if there is no such file or table. Raises UsageError."""
    path = project / "pyproject.toml"
    tool = read_pyproject(project).get("tool", {})
    table = tool.get("platter", {}) if isinstance(tool, dict) else tool
    if not isinstance(table, dict):
        raise UsageError(
            f"{path}: tool.platter has to be a table", hint="write its options below a line [tool.platter]"
        )
    return read_table(f"{path} [tool.platter]", project, table)


def read_pyproject(project: Path) -> dict[str, Any]:
    """The tables of a project's pyproject.toml; none if there is no such file. Raises UsageError."""
    return read_toml(project / "pyproject.toml")


def named(project: Path) -> NormalizedName:
    """The name that a project's pyproject.toml gives it, normalized; empty if it gives none. Raises UsageError."""
    table = read_pyproject(project).get("project", {})
    return canonicalize_name(str(table.get("name", "")) if isinstance(table, dict) else "")


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file; none if there is no such file. Raises UsageError."""
    if not path.is_file():
        return {}
    if sys.version_info >= (3, 11):
        import tomllib  # noqa: PLC0415 - most commands need no TOML
    else:
        import tomli as tomllib  # noqa: PLC0415
    try:
        content = path.read_bytes()
        if content.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
            raise UsageError(
                f"{path} begins with a byte order mark (BOM), which TOML does not allow",
                hint="save it as UTF-8 without a BOM",
            )
        return tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}", hint="correct that line") from error
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}", hint="give this user the right to read it"
        ) from error


def from_setup_cfg(project: Path) -> Source:
    """What `[bdist_platter]` says; nothing if there is no such file or section. Raises UsageError."""
    path = project / "setup.cfg"
    if not path.is_file():
        return Source(where=str(path), values={}, base=project)
    import configparser  # noqa: PLC0415

    parser = configparser.ConfigParser()  # as setuptools: %(name)s and %% have a meaning
    try:
        parser.read_string(path.read_text("utf-8"))
        values = dict(parser.items(SECTION)) if parser.has_section(SECTION) else {}
    except configparser.InterpolationError as error:
        raise UsageError(
            f"{path} [{SECTION}] {error.option}: a % that begins nothing", hint="write each % of a value as %%"
        ) from None
    except configparser.Error as error:
        raise UsageError(f"{path} cannot be read: {_reason(error)}", hint="correct that line") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(f"{path} cannot be read: {reason}", hint="correct it, or let it be readable") from error
    written = {"output" if name.replace("-", "_") == OUTPUT else name: name for name in values}
    source = read_strings(f"{path} [{SECTION}]", project, {name: values[key] for name, key in written.items()})
    return dataclasses.replace(source, keys={**source.keys, "output": written.get("output", "")})


def _reason(error: configparser.Error) -> str:
    """What configparser objects to, without the line itself, which may hold a password."""
    numbers = [number for number, _line in getattr(error, "errors", ())] or [getattr(error, "lineno", None)]
    lines = ", ".join(str(number) for number in numbers if number is not None)
    return f"line {lines}: {type(error).__name__}" if lines else type(error).__name__
