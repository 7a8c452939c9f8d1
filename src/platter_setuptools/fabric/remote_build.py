"""Build a bundle of a git revision on another machine, and fetch it."""

from __future__ import annotations

import contextlib
import secrets
import shlex
from pathlib import Path

from platter_setuptools.errors import ArchiveError, CommandError, UsageError
from platter_setuptools.fabric.host import Host, RemoteError
from platter_setuptools.inspect.find import ReplaceableCheck, targets_of
from platter_setuptools.runtime.files import sha256_of_file
from platter_setuptools.runtime.processes import Runner
from platter_setuptools.runtime.streams import print_notice
from platter_setuptools.runtime.temporary import temporary_folder

_SUBMODULE = "160000 "  # its mode in a tree of git's
_MAKE = 'mktemp -d "${TMPDIR:-/tmp}/platter-build.XXXXXXXXXX"'
# The last line of standard output is the bundle's path; before it comes its SHA-256.
_BUILD = """\
cd {folder} && mkdir source && tar -xzf source.tar.gz -C source && cd source || exit 1
bundle=$({environment} {command}) || exit
sha256sum -- "$bundle" | cut -d ' ' -f 1
printf '%s\\n' "$bundle"
"""


def build_on(host: Host, rev: str) -> Path:
    """Build `rev` there. Return the bundle's path here. Raises RemoteError with the exit code of `platter build`."""
    settings = host.settings
    with temporary_folder() as scratch, contextlib.closing(host):
        archive = _git_archive(rev, Path.cwd(), scratch)
        folder = host.run(_MAKE, "a folder to build in").stdout.strip()
        try:
            host.put(archive, f"{folder}/source.tar.gz")
            words = [*shlex.split(settings.build_command), "build", *settings.build_options, "."]
            environment = " ".join(f"{name}={shlex.quote(value)}" for name, value in settings.build_env.items())
            script = _BUILD.format(folder=shlex.quote(folder), environment=environment, command=shlex.join(words))
            digest, bundle = host.run(script, "platter", live=True).stdout.splitlines()[-2:]
            return _fetch(host, bundle, digest, settings.dist)
        finally:
            with contextlib.suppress(RemoteError):
                host.run(f"rm -rf {shlex.quote(folder)}", "cleaning up")


def _git_archive(rev: str, project: Path, scratch: Path) -> Path:
    run, archive = Runner(), scratch / "source.tar.gz"
    git: list[str | Path] = ["git", "-C", project]
    try:
        # A revision could look like an option of `git archive`; its hash does not.
        commit = run([*git, "rev-parse", "--verify", "--end-of-options", f"{rev}^{{commit}}"]).strip()
        for line in run([*git, "ls-tree", "-r", commit]).splitlines():
            mode, _, path = line.partition("\t")
            if mode.startswith(_SUBMODULE):
                print_notice(f"warning: the submodule {path} is left out: git archive does not contain it")
        run([*git, "archive", "--format=tar.gz", f"--output={archive}", commit])
    except CommandError as error:
        raise UsageError(
            f"git cannot make an archive of {rev!r} in {project}",
            hint="name a commit, a tag or a branch of that repository (git log --all shows them)",
            output=error.output,
        ) from error
    return archive


def _fetch(host: Host, path: str, digest: str, dist: Path) -> Path:
    """Fetch the bundle under a temporary name, check it and rename it."""
    target = dist / path.rpartition("/")[2]
    part = dist / f".{target.name}.{secrets.token_hex(4)}.part"
    try:
        dist.mkdir(parents=True, exist_ok=True)
        host.get(path, part)
        arrived, _size = sha256_of_file(part)
        if arrived != digest:
            raise RemoteError(f"{target.name} was changed on the way", hint="build it again", code=4)
        ReplaceableCheck(targets_of(part))(target)
        part.replace(target)
    except OSError as error:
        raise ArchiveError(
            f"{target} cannot be written: {error.strerror}",
            hint="check the folder's permissions and free space (ls -ld, df -h), or choose another",
        ) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
    return target
