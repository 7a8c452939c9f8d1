"""Resolving: from requirements to a lock, for one target. uv does it, or pip where that is asked for."""

from __future__ import annotations

import json
import os
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit
from urllib.request import url2pathname

from platter_setuptools.ground.errors import CommandError, DependencyError, UsageError
from platter_setuptools.ground.files import sha256_of_file
from platter_setuptools.ground.setuptools_config import builds_elsewhere
from platter_setuptools.steps.foreign import run_pip
from platter_setuptools.steps.resolving import indexes
from platter_setuptools.steps.resolving.credentials import git_environment, git_logins, without_git_login
from platter_setuptools.steps.resolving.lock import Lock, parse_lock, read_lock
from platter_setuptools.steps.resolving.requirements import NOTHING, Requirements
from platter_setuptools.steps.resolving.uv import run_uv

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from platter_setuptools.ground.run import Runner
    from platter_setuptools.steps.resolving.indexes import IndexSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be resolved.

    Requirements are PEP 508 strings; what files `said` are requirements and constraints, and `build` constraints of
    builds. With `python_version` markers and Requires-Python are judged for that version, where the resolver can: for
    the oldest patch release that the lock is to serve. With `no_deps` what the requirements require in their turn is
    left out. With `universal` the lock is for every platform and every later Python, too. `tree` is a pyproject.toml
    that says to uv where distributions come from, for these extras and groups of it, but not for the names in
    `no_sources`; those that come from URLs are `sources`, too, as requirements. `project` is the project's own wheel,
    if the first requirement names one. A resolver that need not be `fresh` may take what it was told a moment ago for
    true. Answers depend on the order of all of these.
    """

    requirements: tuple[str, ...]
    said: Requirements = NOTHING
    build: Requirements = NOTHING
    python_version: str | None = None
    no_deps: bool = False
    universal: bool = False
    tree: Path | None = None
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    no_sources: tuple[str, ...] = ()
    project: Path | None = None
    fresh: bool = True


class Resolver(Protocol):
    """What the main flow needs of a resolver."""

    def __call__(self, request: Request) -> Lock:
        """Resolve for the target. Raises DependencyError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class UvResolver:
    """`uv pip compile`: the default, since it takes an eighth of pip's time. What pip is configured to do, it does."""

    python: Path  # the target's, or that of a virtual environment which builds are to use instead of isolated ones
    settings: IndexSettings
    run: Runner
    work: Path
    project: Path  # where uv looks for the project's own configuration
    config: Path | None = None  # a uv.toml that counts instead of all that uv would find
    offline: bool = False  # whether uv was told so
    environ: Mapping[str, str | None] = field(default_factory=dict, repr=False)  # uv's variables where they differ

    def __call__(self, request: Request) -> Lock:
        folder = Path(tempfile.mkdtemp(prefix="resolve-", dir=self.work))
        source, lock = folder / "requirements.in", folder / "pylock.toml"
        source.write_text("".join(f"{without_git_login(line)}\n" for line in request.requirements), "utf-8")
        command: list[str | Path] = [
            *("pip", "compile", "--format", "pylock.toml", "--no-header", "--quiet", "--no-python-downloads"),
            *("--output-file", os.fspath(lock), "--python", os.fspath(self.python)),
            *indexes.uv_arguments(self.settings),
            *(("--config-file", self.config) if self.config else ()),
            *(["--python-version", request.python_version] if request.python_version else []),
            # Indexes, branches and folders may have changed since uv looked at them. Offline it refuses the option.
            *(["--refresh"] if request.fresh and not self.offline else []),
            *(["--no-deps"] if request.no_deps else []),
            *(["--universal"] if request.universal else []),
            *(word for file in _written(request.said, folder / "constraints.txt") for word in ("--constraints", file)),
            *(word for file in _written(request.build, folder / "build.txt") for word in ("--build-constraints", file)),
            *_of_tree(request),
            "--",
            source,
            *_written(request.said, folder / "requirements.txt"),
            *([request.tree] if request.tree else []),
        ]
        try:
            environ = {**self.environ, **indexes.uv_environment(self.settings), **_leaving_trees_clean(folder)}
            environ |= _git_environment(request)
            run_uv(self.run, command, cwd=self.project, env=environ)
        except CommandError as error:
            raise _unresolved(error) from error
        return read_lock(lock)


@dataclass(frozen=True, slots=True, kw_only=True)
class PipResolver:
    """`pip install --dry-run --report`: for what only pip can do. pip reads its own configuration.

    It is the interpreter's own pip, or that in the wheel `pip`.
    """

    python: Path
    pip: Callable[[], Path]
    settings: IndexSettings
    run: Runner
    work: Path
    project: Path

    def __call__(self, request: Request) -> Lock:
        if request.universal:
            raise UsageError(
                "pip resolves for the interpreter that runs it, and for no other",
                hint="leave out universal, or use resolver = uv",
            )
        folder = Path(tempfile.mkdtemp(prefix="resolve-", dir=self.work))
        report = folder / "report.json"
        arguments = [
            # Not --quiet: that would keep from us which requirements contradict each other.
            *("install", "--dry-run", "--ignore-installed", "--progress-bar=off", "--disable-pip-version-check"),
            # Whatever pip is configured to install into, nothing is installed, and the target need be no virtualenv.
            *("--no-input", "--report", report, "--no-user", "--src", folder / "src"),
            *(["--no-deps"] if request.no_deps else []),
            *self.settings.pip_arguments,
            *(word for file in _written(request.said, folder / "constraints.txt") for word in ("--constraint", file)),
            *(word for file in _written(request.said, folder / "requirements.txt") for word in ("--requirement", file)),
            *("--", *map(without_git_login, request.requirements)),
        ]
        # Not as an option, which an older pip does not know.
        limits = _written(request.build, folder / "build.txt")
        environ = {**dict(self.settings.pip_variables), "PIP_REQUIRE_VIRTUALENV": "no", **_leaving_trees_clean(folder)}
        environ |= _git_environment(request)
        environ |= {"PIP_BUILD_CONSTRAINT": os.fspath(limits[0])} if limits else {}
        asked = {"path": self._path(), "arguments": [os.fspath(word) for word in arguments]}
        try:
            self.run([self.python, Path(run_pip.__file__)], cwd=self.project, env=environ, stdin=json.dumps(asked))
        except CommandError as error:
            raise _unresolved(error) from error
        data = json.loads(report.read_text("utf-8"))
        packages = [_package(item) for item in data["install"]]
        return parse_lock(
            {"lock-version": "1.0", "created-by": "pip", "packages": packages}, base=folder, where="pip's report"
        )

    def _path(self) -> list[str]:
        """Where the interpreter is to import pip from: nowhere, if it has its own."""
        try:
            self.run([self.python, "-m", "pip", "--version"])
        except CommandError:
            return [os.fspath(self.pip())]
        return []


def _leaving_trees_clean(folder: Path) -> dict[str, str]:
    """Variables for a resolver that asks builds for metadata, in folders where they lie for one."""
    return {"PYTHONDONTWRITEBYTECODE": "1", **builds_elsewhere(folder, os.environ, egg_info=True)}


def _git_environment(request: Request) -> dict[str, str]:
    """Variables that give git the logins of a request's repositories: its command line would show them."""
    return git_environment(git_logins([*request.requirements, *request.said.urls()]), os.environ)


def _written(said: Requirements, path: Path) -> list[Path]:
    """The path, if anything was said that is written there: requirements, or constraints under any other name."""
    constraints = path.name != "requirements.txt"
    if not said.has(constraints=constraints):
        return []
    said.write(path, constraints=constraints)
    return [path]


def _of_tree(request: Request) -> list[str]:
    """The options that say which parts of the request's tree count."""
    if not request.tree:
        return []
    words = [word for extra in request.extras for word in ("--extra", extra)]
    words += [word for name in request.no_sources for word in ("--no-sources-package", name)]
    return words + [word for group in request.groups for word in ("--group", f"{request.tree}:{group}")]


def _unresolved(error: CommandError) -> DependencyError:
    """What to tell when a resolver gave up: its own words, and what to do about them."""
    text = "\n".join(error.output)
    missing = re.findall(
        r"(?:because|and) ([A-Za-z0-9._-]+)(?:==\S+)? (?:was|were) not found|distribution found for (\S+)",
        text,
        re.IGNORECASE,
    )
    names = ", ".join(sorted({first or second for first, second in missing}))
    return DependencyError(
        f"the dependencies cannot be resolved{': ' + names + ' was not found' if names else ''}",
        hint="see what the resolver says above: a requirement to relax, an index to name, or a network to mend",
        output=error.output,
    )


def _package(item: dict[str, Any]) -> dict[str, Any]:
    """One entry of pip's installation report (its format 1) as a package of a lock."""
    info = item["download_info"]
    package: dict[str, Any] = {
        "name": re.sub(r"[-_.]+", "-", item["metadata"]["name"]).lower(),
        "version": item["metadata"]["version"],
    }
    url, subdirectory = info["url"], info.get("subdirectory")
    where = {"subdirectory": subdirectory} if subdirectory else {}
    if "vcs_info" in info:
        vcs = info["vcs_info"]
        package["vcs"] = {"type": vcs["vcs"], "url": url, "commit-id": vcs["commit_id"], **where}
    elif "dir_info" in info:
        package["directory"] = {"path": url, **where}
    else:
        artifact = {"url": url, "hashes": _hashes(url, info["archive_info"])}
        if item.get("is_direct"):
            package["archive"] = {**artifact, **where}
        elif os.path.basename(urlsplit(url).path).endswith(".whl"):  # noqa: PTH119 - the path of a URL
            package["wheels"] = [artifact]
        else:
            package["sdist"] = artifact
    return package


def _hashes(url: str, info: dict[str, Any]) -> dict[str, str]:
    """What the report has of an archive's hashes; pip before 23.1 gives one at most, and none for a file at hand."""
    if hashes := info.get("hashes"):
        return dict(hashes)
    if "hash" in info:
        return dict([info["hash"].split("=", 1)])
    if url.startswith("file:"):
        return {"sha256": sha256_of_file(Path(url2pathname(urlsplit(url).path)))[0]}
    return {}


def requirement_line(wheel: Path, name: str, extras: Sequence[str]) -> str:
    """The requirement that stands for a wheel at hand and some of its extras."""
    return f"{name}[{','.join(extras)}] @ {wheel.as_uri()}" if extras else f"{name} @ {wheel.as_uri()}"
