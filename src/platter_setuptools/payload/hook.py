"""post-install.sh, the project's own last word, run as a part of the installation."""

import os
from typing import Dict, List, Mapping

from . import checksums, process
from .errors import HookError

FILE = "post-install.sh"


def command(path: str) -> List[str]:
    """By its own ``#!`` line, or ``sh -e``. The line is read here, so a bundle on a noexec mount works as well."""
    with open(path, "rb") as stream:
        line = stream.readline(4096)
    words = line[2:].strip().split(None, 1) if line.startswith(b"#!") else []
    if not words:
        return [process.SHELL, "-e", path]
    return [os.fsdecode(word) for word in words] + [path]


def environment(before: Mapping[str, str], bundle: str, virtualenv: str) -> Dict[str, str]:
    """As after ``. bin/activate``, with HERE and DATA_DIR; modules of the bundle leave no bytecode in it."""
    ours = {"HERE": bundle, "DATA_DIR": os.path.join(bundle, "data"), "PYTHONDONTWRITEBYTECODE": "1"}
    return {**process.activated(before, virtualenv), **ours}


def run(bundle: str, sums: Dict[str, str], virtualenv: str, before: Mapping[str, str]) -> None:
    """Raise HookError if it fails; a signal that ends us ends it too. Bytecode that it left in the bundle goes."""
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
