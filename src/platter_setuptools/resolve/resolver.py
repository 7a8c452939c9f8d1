"""Resolve requirements to a lock, for one target, with uv or, if asked for, pip."""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from packaging.utils import canonicalize_name
from packaging.version import Version

from platter_setuptools._in_process import run_pip
from platter_setuptools.errors import CommandError, DependencyError, UsageError
from platter_setuptools.resolve import indexes
from platter_setuptools.resolve.credentials import git_environment, git_logins, without_git_login
from platter_setuptools.resolve.lock import Lock, parse_lock, read_lock
from platter_setuptools.resolve.preferences import NO_PREFERENCES, Preferences
from platter_setuptools.resolve.requirements import NOTHING, Requirements
from platter_setuptools.resolve.uv import run_uv, uv_platform, uv_variables
from platter_setuptools.resolve.uv_project import local_trees
from platter_setuptools.runtime.files import sha256_of_file
from platter_setuptools.runtime.setuptools_config import builds_elsewhere, left_clean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from platter_setuptools.resolve.indexes import IndexSettings
    from platter_setuptools.runtime.processes import Runner
    from platter_setuptools.targets.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The question for a resolver. Its answer depends on the order of all of these.

    Requirements are PEP 508 strings; `said` are requirements and constraints of files, `build` constraints of builds.
    With `python_version` markers and Requires-Python are evaluated for that version, if the resolver can: for the
    oldest patch release that the lock has to serve. With `no_deps` the requirements' own requirements are left out.
    With `universal` the lock is also for every platform and every later Python. `tree` is a pyproject.toml that tells
    uv where distributions come from, for these extras and groups of it, but not for the names in `no_sources`; those
    that come from URLs are also in `sources`, as requirements. `member_groups` are dependency groups of other folders.
    `project` is the project's own wheel, if the first requirement names one. `preferences` are
    versions of an earlier lock. A resolver that need not be `fresh` may use what it read from indexes before.
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
    member_groups: tuple[tuple[Path, str], ...] = ()
    project: Path | None = None
    preferences: Preferences = NO_PREFERENCES
    fresh: bool = True


Resolver = Callable[[Request], Lock]  # raises DependencyError


@dataclass(frozen=True, slots=True, kw_only=True)
class UvResolver:
    """`uv pip compile`, the default, which needs an eighth of pip's time. It gets pip's configuration."""

    python: Path  # builds for metadata; may be that of a virtual environment that builds use instead of isolated ones
    settings: IndexSettings
    run: Runner
    work: Path
    target: Target | None = None  # if it is not that interpreter
    project: Path  # where uv looks for the project's own configuration
    config: Path | None = None  # a uv.toml that replaces all that uv would find
    offline: bool = False  # whether uv is configured so
    environ: Mapping[str, str | None] = field(default_factory=dict, repr=False)  # uv's variables where they differ

    def __call__(self, request: Request) -> Lock:
        folder = Path(tempfile.mkdtemp(prefix="resolve-", dir=self.work))
        source, lock = folder / "requirements.in", folder / "pylock.toml"
        source.write_text("".join(f"{without_git_login(line)}\n" for line in request.requirements), "utf-8")
        constraints = request.said.write(folder / "constraints.txt", constraints=True)
        build_constraints = request.build.write(folder / "build.txt", constraints=True)
        request.preferences.write_lock(lock)
        command: list[str | Path] = [
            *("pip", "compile", "--format", "pylock.toml", "--no-header", "--quiet", "--no-python-downloads"),
            *("--output-file", os.fspath(lock), "--python", os.fspath(self.python)),
            *indexes.uv_arguments(self.settings),
            *(("--config-file", self.config) if self.config else ()),
            *self._for_target(request),
            # Indexes, branches and folders may have changed since uv looked at them. Offline it refuses the option.
            *(["--refresh"] if request.fresh and not self.offline else []),
            *(["--no-deps"] if request.no_deps else []),
            *(["--universal"] if request.universal else []),
            *(word for one in request.preferences.upgraded for word in ("--upgrade-package", one)),
            *(word for file in constraints for word in ("--constraints", file)),
            *(word for file in build_constraints for word in ("--build-constraints", file)),
            *_of_tree(request),
            "--",
            source,
            *request.said.write(folder / "requirements.txt", constraints=False),
            *([request.tree] if request.tree else []),
        ]
        with _resolving(request, self.project, folder) as variables:
            about = uv_variables(self.target) if self.target else {}
            environ = {**self.environ, **indexes.uv_environment(self.settings), **about, **variables}
            run_uv(self.run, command, cwd=self.project, env=environ)
        return read_lock(lock)

    def _for_target(self, request: Request) -> list[str]:
        """Return the options that say what to resolve for, as far as it is not the interpreter itself."""
        target = self.target
        version = request.python_version or (target and target.full_version)
        words = ["--python-version", version] if version else []
        if target and not request.universal:
            platform = uv_platform(target)
            if platform is None:
                raise UsageError(
                    f"uv cannot resolve for {target}",
                    hint="use resolver = pip, or a lock: uv knows glibc from 2.17 on and musl on x86_64 and aarch64,"
                    " and macOS",
                )
            words += ["--python-platform", platform]
        return words


@dataclass(frozen=True, slots=True, kw_only=True)
class PipResolver:
    """`pip install --dry-run --report`, for what only pip can do. pip reads its own configuration.

    It is the interpreter's own pip, or that in the wheel `pip` if it has none: only then is the wheel waited for.
    """

    python: Path
    pip: Callable[[], Path]
    settings: IndexSettings
    run: Runner
    work: Path
    project: Path
    target: Target | None = None  # if it is not that interpreter

    def __call__(self, request: Request) -> Lock:
        if request.universal:
            raise UsageError(
                "pip resolves for the interpreter that runs it, and for no other",
                hint="leave out universal, or use resolver = uv",
            )
        folder = Path(tempfile.mkdtemp(prefix="resolve-", dir=self.work))
        report = folder / "report.json"
        constraints = request.said.write(folder / "constraints.txt", constraints=True)
        requirements = request.said.write(folder / "requirements.txt", constraints=False)
        if kept := request.preferences.as_constraints():  # pip knows no preference that is weaker
            constraints.append(folder / "kept.txt")
            constraints[-1].write_text("".join(f"{one}\n" for one in kept), "utf-8")
        arguments = [
            # Not --quiet: that would keep from us which requirements contradict each other.
            *("install", "--dry-run", "--ignore-installed", "--progress-bar=off", "--disable-pip-version-check"),
            # Whatever pip is configured to install into, nothing is installed, and the target need be no virtualenv.
            *("--no-input", "--report", report, "--no-user", "--src", folder / "src"),
            *(["--no-deps"] if request.no_deps else []),
            *self.settings.pip_arguments,
            *(word for file in constraints for word in ("--constraint", file)),
            *(word for file in requirements for word in ("--requirement", file)),
            *("--", *map(without_git_login, request.requirements)),
        ]
        asked: dict[str, Any] = {
            "path": self._path(),
            "arguments": [os.fspath(word) for word in arguments],
            "target": self.target and _for_pip(self.target, request.python_version),
        }
        with _resolving(request, self.project, folder) as variables:
            environ = {**dict(self.settings.pip_variables), "PIP_REQUIRE_VIRTUALENV": "no", **variables}
            for file in request.build.write(folder / "build.txt", constraints=True):
                environ["PIP_BUILD_CONSTRAINT"] = os.fspath(file)  # not an option, which an older pip does not know
            self.run([self.python, Path(run_pip.__file__)], cwd=self.project, env=environ, stdin=json.dumps(asked))
        data = json.loads(report.read_text("utf-8"))
        target = asked["target"]
        if target and data["environment"] != target["markers"]:
            raise DependencyError("pip resolved for another target than it was asked for", hint="use resolver = uv")
        packages = [_package(item) for item in data["install"]]
        return parse_lock(
            {"lock-version": "1.0", "created-by": "pip", "packages": packages}, base=folder, where="pip's report"
        )

    def _path(self) -> list[str]:
        """Return where the interpreter imports pip from; empty if it has its own."""
        try:
            self.run([self.python, "-m", "pip", "--version"])
        except CommandError:
            return [os.fspath(self.pip())]
        return []


def _for_pip(target: Target, version: str | None) -> dict[str, Any]:
    """Return what pip is to take for facts about its interpreter; see _in_process/run_pip.py."""
    full = version or target.full_version
    markers = {**target.environment, "python_full_version": full, "implementation_version": full}
    return {"version": [*Version(full).release], "markers": markers, "tags": [*map(str, target.tags)]}


@contextlib.contextmanager
def _resolving(request: Request, project: Path, folder: Path) -> Iterator[dict[str, str]]:
    """Yield the variables for a resolver: those that keep source trees clean, and logins of repositories for git.

    Afterwards source trees in which it has built metadata are clean. Raises DependencyError if it failed.
    """
    logins = git_logins([*request.requirements, *request.said.urls()])
    trees = local_trees([*request.requirements, *(line.text for line in request.said.lines)], project)
    variables = {"PYTHONDONTWRITEBYTECODE": "1", **builds_elsewhere(folder, os.environ, egg_info=True)}
    try:
        with left_clean(trees):
            yield {**variables, **git_environment(logins, os.environ)}
    except CommandError as error:
        missing = re.findall(
            r"(?:because|and) ([A-Za-z0-9._-]+)(?:==\S+)? (?:was|were) not found|distribution found for (\S+)",
            "\n".join(error.output),
            re.IGNORECASE,
        )
        names = ", ".join(sorted({first or second for first, second in missing}))
        raise DependencyError(
            f"the dependencies cannot be resolved{': ' + names + ' was not found' if names else ''}",
            hint="see what the resolver says above: a requirement to relax, an index to name, or a network to mend",
            output=error.output,
        ) from error


def _of_tree(request: Request) -> list[str]:
    """Return the options for the used parts of the request's tree, and for the unused sources of all trees."""
    words = [word for name in request.no_sources for word in ("--no-sources-package", name)]
    words += [
        word for folder, group in request.member_groups for word in ("--group", f"{folder}/pyproject.toml:{group}")
    ]
    if not request.tree:
        return words
    words += [word for extra in request.extras for word in ("--extra", extra)]
    return words + [word for group in request.groups for word in ("--group", f"{request.tree}:{group}")]


def _package(item: dict[str, Any]) -> dict[str, Any]:
    """Return one entry of pip's installation report (its format 1) as a package of a lock."""
    info = item["download_info"]
    package: dict[str, Any] = {
        "name": canonicalize_name(item["metadata"]["name"]),
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
    """Return an archive's hashes in the report; pip before 23.1 gives at most one, and none for a local file."""
    if hashes := info.get("hashes"):
        return dict(hashes)
    if "hash" in info:
        return dict([info["hash"].split("=", 1)])
    if url.startswith("file:"):
        return {"sha256": sha256_of_file(Path(url2pathname(urlsplit(url).path)))[0]}
    return {}
