"""Source trees: from an sdist, a VCS checkout, an archive or a folder to a folder that a wheel can be built in."""

from __future__ import annotations

import hashlib
import lzma
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from platter_setuptools.ground.errors import CommandError, DependencyError
from platter_setuptools.ground.urls import redact

if TYPE_CHECKING:
    from platter_setuptools.ground.run import Runner

_LITTER = {".hg", ".svn", "__pycache__", ".tox", ".nox", ".venv", ".mypy_cache", ".pytest_cache"}


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack an sdist or another source archive into `folder`, and give the tree in it.

    Members that would land outside are refused (tarfile's data filter, PEP 706). Raises DependencyError.
    """
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                opened.extractall(folder)  # noqa: S202 - zipfile keeps members inside
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


def check_out(kind: str, url: str, commit: str, folder: Path, run: Runner) -> Path:
    """Clone a repository into `folder` and check out the commit. Raises DependencyError."""
    if kind != "git":
        raise DependencyError(
            f"{redact(url)} is a {kind} repository, and only git is supported",
            hint="depend on an sdist or a wheel of it instead",
        )
    environ = {"GIT_TERMINAL_PROMPT": "0"}
    try:
        # The whole history, since versions are often read from tags.
        run(["git", "clone", "--quiet", "--no-checkout", "--", url, folder], env=environ)
        run(["git", "-C", folder, "checkout", "--quiet", "--detach", commit], env=environ)
        run(["git", "-C", folder, "submodule", "--quiet", "update", "--init", "--recursive"], env=environ)
    except CommandError as error:
        raise DependencyError(
            f"commit {commit} of {redact(url)} cannot be checked out",
            hint="see what git says above: is the repository reachable without a password prompt?",
            output=error.output,
        ) from error
    return folder


def copy_tree(source: Path, folder: Path) -> Path:
    """Copy a local source tree, so that building leaves no trace in it."""
    shutil.copytree(source, folder, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def hash_tree(folder: Path) -> str:
    """A SHA-256 over the names, modes and contents of a source tree, without caches.

    Of version control what versions are read from counts: git's tags and where it stands.
    """
    digest = hashlib.sha256()
    for where, folders, files in os.walk(folder):
        in_git = Path(where).name == ".git"
        folders[:] = ["refs"] if in_git and "refs" in folders else sorted(set(folders) - _LITTER)
        for name in sorted(set(files) & {"HEAD", "packed-refs"} if in_git else files):
            path = Path(where, name)
            status = path.lstat()
            if stat.S_ISREG(status.st_mode):
                content = path.read_bytes()
            elif stat.S_ISLNK(status.st_mode):
                content = os.fsencode(path.readlink())
            else:
                continue
            relative = os.fsencode(path.relative_to(folder))
            digest.update(b"%d %o %s\0%d\0" % (len(relative), status.st_mode, relative, len(content)))
            digest.update(content)
    return digest.hexdigest()
