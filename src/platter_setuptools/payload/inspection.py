"""The consistency check: the new interpreter is started once and has to know exactly what was installed."""

import json
import subprocess
from typing import Iterable, Tuple

from .errors import InstallError
from .names import normalised

_PROGRAM = """\
import importlib.metadata, json
found = [(one.metadata["Name"], one.version) for one in importlib.metadata.distributions()]
print(json.dumps(found))
"""
_TIMEOUT = 300.0


def inspect(python: str, expected: Iterable[Tuple[str, str]]) -> None:
    """InstallError unless the interpreter runs and reports these names and versions, no more and no less."""
    try:
        done = subprocess.run(
            [python, "-I", "-c", _PROGRAM],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=_TIMEOUT,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise InstallError("%s does not start: %s" % (python, error)) from error
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise InstallError(
            "%s fails in the new virtualenv (status %d): %s" % (python, done.returncode, lines[-1] if lines else "")
        )
    try:
        reported = [(str(name), str(version)) for name, version in json.loads(done.stdout)]
    except (ValueError, TypeError) as error:
        raise InstallError("%s prints something else than it was asked for" % python) from error
    have = sorted((normalised(name), version) for name, version in reported)
    want = sorted((normalised(name), version) for name, version in expected)
    if have != want:
        lacks = ", ".join("%s %s" % one for one in want if one not in have)
        extra = ", ".join("%s %s" % one for one in have if one not in want or have.count(one) > 1)
        raise InstallError(
            "the new virtualenv is not what the bundle says: missing %s; unexpected %s"
            % (lacks or "none", extra or "none")
        )
