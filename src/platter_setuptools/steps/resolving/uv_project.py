"""Projects that are kept with uv: its lock, and where `[tool.uv]` says that distributions are."""

from __future__ import annotations

import contextlib
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit, urlunsplit

from packaging.utils import canonicalize_name

from platter_setuptools.ground.configuration import read_pyproject
from platter_setuptools.ground.errors import CommandError, DependencyError, UsageError
from platter_setuptools.steps.resolving.lock import Lock, read_lock
from platter_setuptools.steps.resolving.resolver import uv_command

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from platter_setuptools.ground.run import Runner

LOCK = "uv.lock"


def export(path: Path, name: str, *, extras: Sequence[str], groups: Sequence[str], run: Runner, work: Path) -> Lock:
    """What a uv.lock holds for one project of its workspace, with these extras and groups. Nothing is resolved.

    Raises DependencyError.
    """
    file = Path(tempfile.mkdtemp(prefix="exported-", dir=work)) / "pylock.toml"
    command: list[str | Path] = [
        *uv_command(),
        *("export", "--frozen", "--quiet", "--format", "pylock.toml", "--no-header", "--no-python-downloads"),
        *("--package", name, "--no-emit-package", name, "--no-default-groups", "--output-file", file),
        *(word for extra in extras for word in ("--extra", extra)),
        *(word for group in groups for word in ("--group", group)),
    ]
    try:
        run(command, cwd=path.parent)
    except CommandError as error:
        raise DependencyError(
            f"{path} holds no lock of {name}",
            hint="see what uv says above; uv.lock has to lie where `uv lock` has put it, beside its pyproject.toml",
            output=error.output,
        ) from error
    return read_lock(file)


def uses_sources(project: Path, name: str) -> bool:
    """Whether `[tool.uv.sources]` of the project, or of the workspace that it is in, says where distributions are.

    A folder whose pyproject.toml is not that of the project of this name has no say.
    """
    table = read_pyproject(project).get("project", {})
    if not isinstance(table, dict) or canonicalize_name(str(table.get("name", ""))) != name:
        return False
    return any(table.get("sources") for table in _uv_tables(project))


def index_urls(project: Path, environ: Mapping[str, str]) -> list[str]:
    """The URLs of `[[tool.uv.index]]`, with the user and password that uv's variables have for each."""
    urls = []
    tables = [table.get("index") for table in _uv_tables(project)]
    # What is wrong in there uv will tell, if it is asked.
    indexes = (index for table in tables if isinstance(table, list) for index in table if isinstance(index, dict))
    for index in indexes:
        try:
            parts = urlsplit(str(index.get("url", "")))
        except ValueError:
            continue
        prefix = "UV_INDEX_" + re.sub(r"[^A-Z0-9]", "_", str(index.get("name", "")).upper())
        user, password = (environ.get(f"{prefix}_{word}", "") for word in ("USERNAME", "PASSWORD"))
        if user or password:
            host = parts.netloc.rpartition("@")[2]
            parts = parts._replace(netloc=f"{quote(user, safe='')}:{quote(password, safe='')}@{host}")
        urls.append(urlunsplit(parts))
    return urls


def _uv_tables(project: Path) -> Iterator[dict[str, Any]]:
    """`[tool.uv]` of the project, and of the root of its workspace if it is in one."""
    if not (project / "pyproject.toml").is_file():
        return
    yield _uv_table(project)
    for folder in project.parents:
        with contextlib.suppress(UsageError):  # it may have nothing to do with us
            table = _uv_table(folder)
            if "workspace" in table:
                yield table
                return


def _uv_table(folder: Path) -> dict[str, Any]:
    tool = read_pyproject(folder).get("tool", {})
    table = tool.get("uv", {}) if isinstance(tool, dict) else {}
    return table if isinstance(table, dict) else {}
