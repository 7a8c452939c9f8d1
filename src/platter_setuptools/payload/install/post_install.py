"""Run post-install.sh, the bundle's own script, as the last part of the installation."""

import contextlib
import os
import shutil
from typing import Dict, Iterator, Mapping, NamedTuple

from .. import checksums, extraction, process, thin
from ..bundle_files import MODULES, Folder, files
from ..errors import HookError
from .environment import WORK

FILE = "post-install.sh"


class Setting(NamedTuple):
    """What the script is told: the environment of install.sh, the root (empty with a DST), the version, the limit."""

    environment: Mapping[str, str]
    root: str
    version: str
    limit: float


def environment(setting: Setting, bundle: str, virtualenv: str) -> Dict[str, str]:
    """Return the environment as after `. bin/activate`, with the script's variables; Python writes no bytecode."""
    ours = {
        "HERE": bundle,
        "DATA_DIR": os.path.join(bundle, "data"),
        "PLATTER_ROOT": setting.root,
        "PLATTER_VERSION": setting.version,
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return {**process.activated(setting.environment, virtualenv), **ours}


def run(bundle: str, sums: Dict[str, str], virtualenv: str, setting: Setting) -> None:
    """Raise HookError if it fails; a signal that ends us ends it too. Bytecode that it left in the bundle goes.

    A bundle that is one file is a folder for the script, without wheels, bytecode and bootstrap.
    """
    with _as_folder(bundle, virtualenv) as folder:
        _run(folder, sums, virtualenv, setting)


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


def _run(bundle: str, sums: Dict[str, str], virtualenv: str, setting: Setting) -> None:
    path = os.path.join(bundle, FILE)
    words = process.words_of(path)
    try:
        failure = process.run(words, bundle, environment(setting, bundle, virtualenv), setting.limit)
    except OSError as error:
        raise HookError(
            "%s: cannot start %s: %s" % (path, words[0], error.strerror), hint="its first line names what runs it"
        ) from error
    finally:
        checksums.sweep(bundle, sums)
    if failure:
        raise HookError(
            "%s %s" % (path, failure), hint=process.advice(failure) + "; the installation was removed again"
        )
