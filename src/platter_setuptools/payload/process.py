"""Processes that the bundle or the operator asks for: their output is the user's to see, and they end with us."""

import os
import signal
import subprocess
from typing import Dict, Mapping, Sequence

# Not what PATH says: that begins with the release, whose packages may bring a program of any name.
SHELL = "/bin/sh"
_GRACE = 5.0


def activated(before: Mapping[str, str], virtualenv: str) -> Dict[str, str]:
    """The environment as after ``. bin/activate``."""
    active = {name: value for name, value in before.items() if name != "PYTHONHOME"}
    active["VIRTUAL_ENV"] = virtualenv
    active["PATH"] = os.path.join(virtualenv, "bin") + os.pathsep + before.get("PATH", os.defpath)
    return active


def run(words: Sequence[str], folder: str, environment: Mapping[str, str], umask: int = 0o022) -> str:
    """Return how it failed, such as ``exited with 1``; empty if it did not. OSError if it cannot be started."""
    process = subprocess.Popen(words, cwd=folder, env=environment, preexec_fn=lambda: os.umask(umask))  # noqa: PLW1509 - there are no threads
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
    if status < 0:
        return "was ended by signal %s" % signal.Signals(-status).name
    return "exited with %d" % status if status else ""
