"""Source trees: unpack an sdist or an archive, check out a repository, ask git about the project's own tree."""

from __future__ import annotations

import functools
import lzma
import os
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from platter_setuptools.config.files import PROJECT_FILES
from platter_setuptools.errors import CommandError, DependencyError, PlatterError
from platter_setuptools.payload.manifest import is_revision
from platter_setuptools.resolve.credentials import Place, git_environment, login_of, logins, origin
from platter_setuptools.runtime.files import real_path
from platter_setuptools.urls import redact, without_userinfo

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from platter_setuptools.runtime.processes import Runner
    from platter_setuptools.runtime.progress import Progress

# git writes to its index when it compares, unless it is told not to.
_READ_ONLY = {"GIT_OPTIONAL_LOCKS": "0"}


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack an sdist or another source archive into `folder`, and return the tree in it. Raise DependencyError.

    Members that would leave the folder are refused (tarfile's data filter, PEP 706).
    """
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                for member in opened.infolist():
                    path = Path(opened.extract(member, folder))  # zipfile keeps members inside
                    if path.is_file() and member.external_attr >> 16 & 0o111:  # as pip and uv have it
                        path.chmod(path.stat().st_mode | 0o111)
        else:
            with tarfile.open(archive) as opened_tar:
                opened_tar.extractall(folder, filter="data")
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError, EOFError, OSError) as error:
        # RuntimeError is zipfile's for what is encrypted, or compressed in a way it has not heard of.
        raise DependencyError(
            f"{archive.name} cannot be unpacked: {error}", hint="it has to be an sdist: a .tar.gz or a .zip"
        ) from error
    entries = list(folder.iterdir())
    return entries[0] if len(entries) == 1 and entries[0].is_dir() else folder


def check_out(kind: str, url: str, commit: str, folder: Path, run: Runner, known: Sequence[Place] = ()) -> Path:
    """Clone a repository into `folder` and check out the commit. Raise DependencyError.

    git gets a login that the URL contains, or that is `known` for its host, in its environment.
    """
    if kind != "git":
        raise DependencyError(
            f"{redact(url)} is a {kind} repository, and only git is supported",
            hint="depend on an sdist or a wheel of it instead",
        )
    url, environ = _reachable(url, known)
    try:
        # The whole history, since versions are often read from tags.
        run(["git", "clone", "--quiet", "--no-checkout", "--", url, folder], env=environ)
        if not _has(folder, commit, run, environ):  # no branch leads to it, as of a pull request
            _fetch(folder, commit, run, environ)
        run(["git", "-C", folder, "checkout", "--quiet", "--detach", commit], env=environ)
        run(["git", "-C", folder, "submodule", "--quiet", "update", "--init", "--recursive"], env=environ)
    except CommandError as error:
        raise DependencyError(
            f"commit {commit} of {redact(url)} cannot be checked out",
            hint="see what git says above: is the repository reachable without a password prompt?",
            output=error.output,
        ) from error
    return folder


def git_tags(url: str, run: Runner, known: Sequence[Place] = ()) -> str:
    """Return the tags of a git repository, as git prints them. Raise CommandError if it cannot be reached."""
    url, environ = _reachable(url, known)
    return run(["git", "ls-remote", "--quiet", "--tags", "--", url], env=environ, secret=True)


def _reachable(url: str, known: Sequence[Place]) -> tuple[str, dict[str, str]]:
    """Return the URL as git is told it, and the variables that it needs: they have the login."""
    environ = {"GIT_TERMINAL_PROMPT": "0"}
    if urlsplit(url).scheme in {"http", "https"}:
        login = login_of(url) or next(iter(logins(known, url)), None)
        environ |= git_environment([Place(f"{origin(url)}/", login)], os.environ)
        url = without_userinfo(url)
    return url, environ


def _has(folder: Path, commit: str, run: Runner, environ: Mapping[str, str]) -> bool:
    try:
        run(["git", "-C", folder, "cat-file", "-e", f"{commit}^{{commit}}"], env=environ)
    except CommandError:
        return False
    return True


def _fetch(folder: Path, commit: str, run: Runner, environ: Mapping[str, str]) -> None:
    """Fetch one commit or, from a server that gives none by its name, all that it has a name for."""
    fetch = ["git", "-C", os.fspath(folder), "fetch", "--quiet", "origin"]
    try:
        run([*fetch, commit], env=environ)
    except CommandError:
        run([*fetch, "+refs/*:refs/fetched/*"], env=environ)


class Checkout:
    """The source tree of the project's wheel; `tree` is None if it is unknown."""

    def __init__(self, tree: Path | None, run: Runner, *, record: bool = False) -> None:
        self.tree, self._run, self._record = tree, run, record
        self.revision: str | None = None

    @functools.cached_property
    def tracked(self) -> tuple[str, ...]:
        """Return the files that git tracks, by their paths from the tree; none if it does not track the project."""
        # Names with a line break or a quote are quoted, and then no names.
        tracked = tuple(self._git("-c", "core.quotePath=false", "ls-files").splitlines())
        # A folder that git does not track may lie in a repository: an unpacked sdist in `build`, for one.
        return () if set(PROJECT_FILES).isdisjoint(tracked) else tracked

    @property
    def commit_time(self) -> int | None:
        """Return the time of the commit, in seconds since 1970; None without one, or if tracked files differ."""
        if not self.tracked or self._describe().endswith("-dirty"):
            return None
        time = self._git("rev-list", "--max-count=1", "--timestamp", "HEAD").partition(" ")[0]
        return int(time) if time.isdecimal() else None

    def contains(self, folder: Path) -> bool:
        """Whether a folder is in the repository of the project."""
        top = self._git("rev-parse", "--show-toplevel").strip()
        return bool(top) and real_path(folder).is_relative_to(real_path(Path(top)))

    def read_revision(self, progress: Progress) -> None:
        """Set `revision`, if it is to be recorded: the commit, with `-dirty` behind it if tracked files differ."""
        if not self._record:
            return
        said = self._describe() if self.tracked else ""
        if is_revision(said):
            self.revision = said
        else:
            what = (
                f"git knows no commit of {self.tree}" if self.tree else "what commit a finished wheel is of is unknown"
            )
            progress.warn(f"record-git-state: {what}; the bundle records none")

    def _describe(self) -> str:
        # `--abbrev`: as long as the commit is. `--exclude`: no names of tags.
        return self._git("describe", "--always", "--dirty", "--abbrev=64", "--exclude=*").strip()

    def _git(self, *words: str) -> str:
        """Return git's output; nothing if git is missing or fails."""
        try:
            return self._run(["git", "-C", self.tree, *words], env=_READ_ONLY) if self.tree else ""
        except PlatterError:
            return ""
