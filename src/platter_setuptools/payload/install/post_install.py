"""Run post-install.sh, the bundle's own script, as the last part of the installation."""

import contextlib
import os
import shutil
from typing import Dict, Iterator, List, Mapping

from .. import checksums, extraction, process, thin
from ..bundle_files import MODULES, Folder, files
from ..errors import HookError
from .environment import WORK

FILE = "post-install.sh"


def command(path: str) -> List[str]:
    """Return the command: by its `#!` line, read here so that it works on a noexec mount, or with `sh -e`."""
    with open(path, "rb") as stream:
        line = stream.readline(4096)
    words = line[2:].strip().split(None, 1) if line.startswith(b"#!") else []
    if not words:
        return [process.SHELL, "-e", path]
    return [os.fsdecode(word) for word in words] + [path]


def environment(before: Mapping[str, str], bundle: str, virtualenv: str) -> Dict[str, str]:
    """Return the environment as after `. bin/activate`, with HERE and DATA_DIR; Python writes no bytecode."""
    ours = {"HERE": bundle, "DATA_DIR": os.path.join(bundle, "data"), "PYTHONDONTWRITEBYTECODE": "1"}
    return {**process.activated(before, virtualenv), **ours}


def run(bundle: str, sums: Dict[str, str], virtualenv: str, before: Mapping[str, str]) -> None:
    """Raise HookError if it fails; a signal that ends us ends it too. Bytecode that it left in the bundle goes.

    A bundle that is one file is a folder for the script, without wheels, bytecode and bootstrap.
    """
    with _as_folder(bundle, virtualenv) as folder:
        _run(folder, sums, virtualenv, before)


@contextlib.contextmanager
def _as_folder(bundle: str, virtualenv: str) -> Iterator[str]:
    there = files(bundle)
    if isinstance(there, Folder):
        yield bundle
        return
    folder = os.path.join(virtualenv, WORK, "bundle")
    try:
        extraction.write(there, folder, lambda name: not (thin.kind_of(name) or name.startswith(MODULES)))
        yield folder
    finally:
        shutil.rmtree(os.path.join(virtualenv, WORK), ignore_errors=True)


def _run(bundle: str, sums: Dict[str, str], virtualenv: str, before: Mapping[str, str]) -> None:
    path = os.path.join(bundle, FILE)
    words = command(path)
    try:
        failure = process.run(words, bundle, environment(before, bundle, virtualenv))
    except OSError as error:
        raise HookError(
            "%s: cannot start %s: %s" % (path, words[0], error.strerror), hint="its first line names what runs it"
        ) from error
    finally:
        checksums.sweep(bundle, sums)
    if failure:
        raise HookError(
            "%s %s" % (path, failure), hint="its output above should say why; the installation was removed again"
        )
