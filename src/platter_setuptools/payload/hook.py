"""post-install.sh, the project's own last word, run as a part of the installation."""

import os
import signal
import subprocess
from typing import Dict, List, Mapping

from .errors import HookError

FILE = "post-install.sh"
_GRACE = 5.0


def command(path: str) -> List[str]:
    """By its own ``#!`` line, or ``sh -e``. The line is read here, so a bundle on a noexec mount works as well."""
    with open(path, "rb") as stream:
        line = stream.readline(4096)
    words = line[2:].strip().split(None, 1) if line.startswith(b"#!") else []
    if not words:
        return ["sh", "-e", path]
    return [os.fsdecode(word) for word in words] + [path]


def environment(before: Mapping[str, str], bundle: str, virtualenv: str) -> Dict[str, str]:
    """As after ``. bin/activate``, with HERE and DATA_DIR."""
    active = {name: value for name, value in before.items() if name != "PYTHONHOME"}
    active["HERE"] = bundle
    active["DATA_DIR"] = os.path.join(bundle, "data")
    active["VIRTUAL_ENV"] = virtualenv
    active["PATH"] = os.path.join(virtualenv, "bin") + os.pathsep + before.get("PATH", os.defpath)
    return active


def run(bundle: str, virtualenv: str, before: Mapping[str, str]) -> None:
    """HookError if it fails; a signal that ends us ends it too."""
    path = os.path.join(bundle, FILE)
    words = command(path)
    try:
        process = subprocess.Popen(words, cwd=bundle, env=environment(before, bundle, virtualenv))
    except OSError as error:
        raise HookError("%s: cannot start %s: %s" % (path, words[0], error.strerror)) from error
    try:
        status = process.wait()
    except BaseException:
        process.terminate()
        try:
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise
    if status:
        how = "was ended by signal %s" % signal.Signals(-status).name if status < 0 else "exited with %d" % status
        raise HookError(
            "%s %s" % (path, how), hint="its output above should say why; the installation was removed again"
        )
