"""Source trees: from an sdist, a VCS checkout, an archive or a folder to a folder that a wheel can be built in."""

from __future__ import annotations

import lzma
import os
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from platter_setuptools.ground.errors import CommandError, DependencyError
from platter_setuptools.ground.urls import redact, without_userinfo
from platter_setuptools.steps.resolving.credentials import Place, git_environment, login_of, logins, origin

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from platter_setuptools.ground.run import Runner


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack an sdist or another source archive into `folder`, and give the tree in it.

    Members that would land outside are refused (tarfile's data filter, PEP 706). Raises DependencyError.
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
    """Clone a repository into `folder` and check out the commit. Raises DependencyError.

    A login that the URL names, or is `known` for its host, git gets by its environment.
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


def tags_of(url: str, run: Runner, known: Sequence[Place] = ()) -> str:
    """Return what the tags of a git repository name, as git prints it. Raises CommandError if it cannot be asked."""
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
