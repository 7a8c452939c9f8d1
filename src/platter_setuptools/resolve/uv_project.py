"""Projects of uv: their lock, and the source trees, repositories and indexes that they name."""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit, urlunsplit
from urllib.request import url2pathname

from packaging.utils import canonicalize_name

from platter_setuptools.config.files import named, read_toml
from platter_setuptools.errors import CommandError, DependencyError, UsageError
from platter_setuptools.resolve.amendments import manifest_amendments
from platter_setuptools.resolve.credentials import git_logins
from platter_setuptools.resolve.lock import Lock, read_lock
from platter_setuptools.resolve.uv import run_uv
from platter_setuptools.resolve.uv_config import listed, uv_tables
from platter_setuptools.runtime.files import real_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from platter_setuptools.resolve.amendments import Amendment
    from platter_setuptools.resolve.uv_config import UvConfig
    from platter_setuptools.runtime.processes import Runner

LOCK = "uv.lock"
_FILE_URL = re.compile(r"file://[^\s\"'#;]+")


def export(
    path: Path, names: Sequence[str], *, extras: Sequence[str], groups: Sequence[str], run: Runner, work: Path
) -> Lock:
    """Return what members of a workspace need by its uv.lock, with these extras and groups, but for these members.

    Nothing is resolved. Raises DependencyError.
    """
    file = Path(tempfile.mkdtemp(prefix="exported-", dir=work)) / "pylock.toml"
    command: list[str | Path] = [
        *("export", "--frozen", "--quiet", "--format", "pylock.toml", "--no-header", "--no-python-downloads"),
        *("--no-default-groups", "--output-file", file),
        *(word for name in names for word in ("--package", name, "--no-emit-package", name)),
        *(word for extra in extras for word in ("--extra", extra)),
        *(word for group in groups for word in ("--group", group)),
    ]
    try:
        run_uv(run, command, cwd=path.parent)
    except CommandError as error:
        raise DependencyError(
            f"{path} holds no lock of {' and '.join(names)}",
            hint="see what uv says above; uv.lock has to lie where `uv lock` has put it, beside its pyproject.toml",
            output=error.output,
        ) from error
    return read_lock(file)


def sources(project: Path) -> Iterator[tuple[Path, str, dict[str, Any]]]:
    """Yield each entry of `[tool.uv.sources]` of the project, then of its workspace: its folder, the name, the table.

    Raises UsageError for a file that is not TOML.
    """
    for folder, table in uv_tables(project):
        said = table.get("sources")
        for name, entries in said.items() if isinstance(said, dict) else ():
            for entry in entries if isinstance(entries, list) else [entries]:
                if isinstance(entry, dict):
                    yield folder, name, entry


def uses_sources(project: Path, name: str) -> bool:
    """Whether `[tool.uv.sources]` of the project, or of its workspace, says where distributions are.

    False for a folder whose pyproject.toml is not that of the project of this name.
    """
    return named(project) == name and any(sources(project))


def is_source(name: str, texts: Iterable[str], project: Path) -> bool:
    """Whether `[tool.uv.sources]` of the project, or of a folder that it or a requirement leads to, has a name."""
    trees = local_trees(texts, project)
    return any(canonicalize_name(one) == name for tree in trees for _, one, _ in sources(tree))


def own_sources(projects: Sequence[Path]) -> list[str]:
    """Return the names in `[tool.uv.sources]` of these folders' own files, but for those of the projects there."""
    names = {name for project in projects for folder, name, _ in sources(project) if folder == project}
    return sorted({*map(canonicalize_name, names)} - {*map(named, projects)})


def source_urls(project: Path) -> list[str]:
    """Return the sources with URLs in `[tool.uv.sources]` as requirements."""
    return [f"{name} @ {entry['url']}" for _, name, entry in sources(project) if "url" in entry]


def pinned(tree: Path | None) -> frozenset[str]:
    """Return the normalized names that `[tool.uv.sources]` of a pyproject.toml takes from one index."""
    entries = sources(tree.parent) if tree else ()
    return frozenset(canonicalize_name(name) for _, name, entry in entries if "index" in entry)


def repositories_with_login(project: Path) -> dict[str, list[str]]:
    """Return the repositories with logins in `[tool.uv.sources]` as requirements, by their names.

    uv would pass these URLs to git on its command line. Raises UsageError for what a requirement cannot express.
    """
    places: dict[str, Path] = {}
    entries: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for folder, name, entry in sources(project):
        if places.setdefault(canonicalize_name(name), folder) == folder:  # the project's own come first, and count
            entries.setdefault(canonicalize_name(name), []).append((name, entry))
    return {
        key: [_of_repository(name, entry) for name, entry in found]
        for key, found in entries.items()
        if any(git_logins([f"git+{entry.get('git')}"]) for _, entry in found)
    }


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
    """Return the names for which `[tool.uv.sources]` of an unpacked sdist has a workspace or path that it lacks.

    Empty for a folder that is not an sdist: there such a source is a mistake, which uv reports.
    """
    if not (sdist / "PKG-INFO").is_file():
        return ()
    _, table = next(uv_tables(sdist), (sdist, {}))
    members = {named(folder) for folder in _members(sdist, table)}

    def is_lost(name: str, entry: Mapping[str, Any]) -> bool:
        path = entry.get("path")
        outside = isinstance(path, str) and not (sdist / path).exists()
        return outside or (entry.get("workspace") is True and canonicalize_name(name) not in members)

    lost = [name for folder, name, entry in sources(sdist) if folder == sdist and is_lost(name, entry)]
    return tuple(dict.fromkeys(lost))


def _members(folder: Path, table: Mapping[str, Any]) -> Iterator[Path]:
    """Yield the folders of the workspace that this `[tool.uv]` of a folder declares."""
    workspace = table.get("workspace")
    for pattern in listed(workspace.get("members")) if isinstance(workspace, dict) else ():
        with contextlib.suppress(NotImplementedError, ValueError):  # no pattern, or an absolute one
            yield from (member for member in folder.glob(str(pattern)) if member.is_dir())


def local_trees(texts: Iterable[str], project: Path) -> set[Path]:
    """Return the project's folder and those that it, these requirements, and folders found so far name.

    A resolver builds their metadata in place. What no file says in so many words, as a URL that a setup.py puts
    together, is not found.
    """
    waiting = [*_folders_in("\n".join(texts)), project]
    found: set[Path] = set()
    while waiting:
        tree = real_path(waiting.pop())
        if tree in found or not tree.is_dir():
            continue
        found.add(tree)
        for name in ("pyproject.toml", "setup.py", "setup.cfg"):
            with contextlib.suppress(OSError):
                waiting += _folders_in((tree / name).read_text("utf-8", errors="replace"))
        with contextlib.suppress(UsageError):  # the resolver tells what is wrong with the file
            waiting += [folder / str(entry["path"]) for folder, _, entry in sources(tree) if "path" in entry]
            waiting += [member for folder, table in uv_tables(tree) for member in _members(folder, table)]
    return found


def _folders_in(text: str) -> list[Path]:
    return [Path(url2pathname(urlsplit(url).path)) for url in _FILE_URL.findall(text)]


def index_urls(project: Path, config: UvConfig, environ: Mapping[str, str]) -> list[str]:
    """Return the indexes in uv's files, with the user and password that uv's variables have for each.

    Also return links and sources, whose URLs may have logins. What is no URL is left out: uv reports it.
    """
    tables = [config.table, config.table.get("pip", {}), *(table for _, table in uv_tables(project))]
    indexes = [one for table in tables for one in listed(table.get("index")) if isinstance(one, dict)]
    for variable in ("UV_DEFAULT_INDEX", "UV_INDEX"):
        pairs = (one.partition("=") for one in environ.get(variable, "").split())
        indexes += [{"name": name, "url": url} for name, _, url in pairs if re.fullmatch(r"[\w.-]+", name)]
    for key in ("index-url", "extra-index-url", "find-links"):
        said = (table.get(key) for table in tables)
        indexes += [{"url": url} for one in said for url in (one if isinstance(one, list) else [one]) if url]
    for _, _, entry in sources(project):
        if url := f"git+{entry['git']}" if "git" in entry else entry.get("url"):
            indexes.append({"url": url})
    urls = []
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
    """Return what was overridden or excluded when this uv.lock was made."""
    manifest = read_toml(path).get("manifest", {})
    return manifest_amendments(manifest) if isinstance(manifest, dict) else ()


def configuration(project: Path, config: UvConfig) -> str:
    """Return all configuration that uv uses when it resolves in the project's folder, as one text."""
    return json.dumps([config.table, [table for _, table in uv_tables(project)]], default=str)
