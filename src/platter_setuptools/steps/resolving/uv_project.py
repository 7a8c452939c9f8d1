"""Projects that are kept with uv: its lock, and where `[tool.uv]` says that distributions are."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit, urlunsplit

from packaging.utils import canonicalize_name

from platter_setuptools.ground.configuration import named, read_pyproject, read_toml
from platter_setuptools.ground.errors import CommandError, DependencyError, UsageError
from platter_setuptools.steps.resolving.credentials import git_logins
from platter_setuptools.steps.resolving.lock import Lock, read_lock
from platter_setuptools.steps.resolving.uv import run_uv
from platter_setuptools.steps.resolving.uv_amendments import manifest_amendments
from platter_setuptools.steps.resolving.uv_config import uv_tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from platter_setuptools.ground.amendments import Amendment
    from platter_setuptools.ground.run import Runner
    from platter_setuptools.steps.resolving.uv_config import UvConfig

LOCK = "uv.lock"


def export(path: Path, name: str, *, extras: Sequence[str], groups: Sequence[str], run: Runner, work: Path) -> Lock:
    """What a uv.lock holds for one project of its workspace, with these extras and groups. Nothing is resolved.

    Raises DependencyError.
    """
    file = Path(tempfile.mkdtemp(prefix="exported-", dir=work)) / "pylock.toml"
    command: list[str | Path] = [
        *("export", "--frozen", "--quiet", "--format", "pylock.toml", "--no-header", "--no-python-downloads"),
        *("--package", name, "--no-emit-package", name, "--no-default-groups", "--output-file", file),
        *(word for extra in extras for word in ("--extra", extra)),
        *(word for group in groups for word in ("--group", group)),
    ]
    try:
        run_uv(run, command, cwd=path.parent)
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
    return named(project) == name and any(table.get("sources") for _, table in uv_tables(project))


def source_urls(project: Path) -> Iterator[str]:
    """What `[tool.uv.sources]` says to come from a URL, each as a requirement."""
    for _, table in uv_tables(project):
        sources = table.get("sources")
        for name, said in sources.items() if isinstance(sources, dict) else ():
            for one in _listed(said):
                if "url" in one:
                    yield f"{name} @ {one['url']}"


def repositories_with_login(project: Path) -> dict[str, list[str]]:
    """What `[tool.uv.sources]` says to come from a repository whose URL has a login, as requirements by their names.

    uv would hand these URLs to git on its command line. Raises UsageError for what no requirement can say.
    """
    found: dict[str, list[str]] = {}
    tables = [table.get("sources") for _, table in uv_tables(project)]
    for sources in (one for one in reversed(tables) if isinstance(one, dict)):  # the project's count most
        for name, said in sources.items():
            found.pop(canonicalize_name(name), None)
            if any(git_logins([f"git+{one.get('git')}"]) for one in _listed(said)):
                found[canonicalize_name(name)] = [_of_repository(name, one) for one in _listed(said)]
    return found


def _of_repository(name: str, source: Mapping[str, Any]) -> str:
    if strange := sorted({*source} - {"git", "rev", "tag", "branch", "subdirectory", "marker"}):
        raise UsageError(
            f"[tool.uv.sources] gives {name} a repository with a password in its URL, beside {', '.join(strange)}",
            hint="leave the password out of the URL: git finds it in .netrc or asks a credential helper",
        )
    names = {"rev": "", "tag": "refs/tags/", "branch": "refs/heads/"}
    revision = "".join(f"@{prefix}{source[key]}" for key, prefix in names.items() if key in source)
    folder = f"#subdirectory={source['subdirectory']}" if "subdirectory" in source else ""
    marker = f" ; {source['marker']}" if "marker" in source else ""
    return f"{name} @ git+{source['git']}{revision}{folder}{marker}"


def lost_sources(sdist: Path) -> tuple[str, ...]:
    """The names for which `[tool.uv.sources]` of an unpacked sdist has a workspace or path that the sdist lacks.

    Empty for a folder that is no sdist: there such a source is a mistake, and uv tells of it.
    """
    if not (sdist / "PKG-INFO").is_file():
        return ()
    _, table = next(uv_tables(sdist), (sdist, {}))
    workspace, sources = table.get("workspace", {}), table.get("sources", {})
    patterns = workspace.get("members", []) if isinstance(workspace, dict) else []
    folders = [folder for pattern in patterns for folder in sdist.glob(str(pattern)) if folder.is_dir()]
    members = {named(folder) for folder in folders}

    def is_lost(name: str, entry: object) -> bool:
        if not isinstance(entry, dict):
            return False
        path = entry.get("path")
        outside = isinstance(path, str) and not (sdist / path).exists()
        return outside or (entry.get("workspace") is True and canonicalize_name(name) not in members)

    entries = sources.items() if isinstance(sources, dict) else ()
    return tuple(
        name
        for name, said in entries
        if any(is_lost(name, one) for one in (said if isinstance(said, list) else [said]))
    )


def index_urls(project: Path, config: UvConfig, environ: Mapping[str, str]) -> list[str]:
    """Where uv's files say that distributions are, with the user and password that uv's variables have for each."""
    urls = []
    tables: list[Any] = [config.table, config.table.get("pip"), *(table for _, table in uv_tables(project))]
    tables = [table for table in tables if isinstance(table, dict)]
    # What is wrong in there uv will tell, if it is asked.
    indexes = [one for table in tables for one in _list(table.get("index")) if isinstance(one, dict)]
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX"):
        pairs = (one.partition("=") for one in environ.get(name, "").split())
        indexes += [{"name": first, "url": url} for first, _, url in pairs if re.fullmatch(r"[\w.-]+", first)]
    for key in ("index-url", "extra-index-url", "find-links"):
        said = (table.get(key) for table in tables)
        indexes += [{"url": url} for one in said for url in (one if isinstance(one, list) else [one]) if url]
    sources = (table.get("sources") for table in tables)
    for one in (
        one for table in sources if isinstance(table, dict) for said in table.values() for one in _listed(said)
    ):
        indexes += [{"url": f"git+{one['git']}"}] if "git" in one else [{"url": one["url"]}] if "url" in one else []
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


def amendments_of_lock(path: Path) -> tuple[Amendment, ...]:
    """What was overridden or excluded when this uv.lock was made."""
    manifest = read_toml(path).get("manifest", {})
    return manifest_amendments(manifest) if isinstance(manifest, dict) else ()


def configuration(project: Path, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The text of all that uv may read as its configuration when it resolves in the folder of the project."""
    folders = [project, *project.parents]
    homes = [environ.get("XDG_CONFIG_HOME"), environ.get("HOME") and f"{environ['HOME']}/.config", "/etc"]
    files = [*(folder / "uv.toml" for folder in folders), *(Path(home, "uv", "uv.toml") for home in homes if home)]
    texts = [file.read_text("utf-8", errors="replace") for file in files if file.is_file()]
    tool = read_pyproject(project).get("tool")
    return (json.dumps(tool.get("uv") if isinstance(tool, dict) else None, default=str), *texts)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _listed(said: Any) -> list[dict[str, Any]]:
    """The tables in what may be one, or a list of them."""
    return [one for one in (said if isinstance(said, list) else [said]) if isinstance(one, dict)]
