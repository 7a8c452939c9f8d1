"""The consistency check: the new interpreter is started once and has to know exactly what was installed."""

import subprocess
from typing import Iterable, Tuple

from .errors import InstallError
from .names import normalised

# What importlib.metadata would find, in a quarter of its time: it takes longer to load than the list to make.
# The interpreter is started without `site`, which is then run as usual but for the .pth files and the sitecustomize
# of what was installed. Packages of the system's own are none of ours.
_PROGRAM = """\
import os, site, sys
site.addpackage = lambda *_: None
site.execsitecustomize = lambda: None
site.main()
root = os.path.realpath(sys.prefix) + os.sep
for folder in {os.path.realpath(path) for path in sys.path}:
    for name in os.listdir(folder) if folder.startswith(root) and os.path.isdir(folder) else ():
        if name.endswith(".dist-info"):
            fields = {}
            with open(os.path.join(folder, name, "METADATA"), "rb") as stream:
                for line in stream:
                    if not line.strip():
                        break
                    key, _, value = line.partition(b":")
                    fields.setdefault(key.strip().lower(), value.strip())
            sys.stdout.buffer.write(b"%s\\t%s\\n" % (fields[b"name"], fields[b"version"]))
"""
_COLUMNS = 2
_TIMEOUT = 300.0


def inspect(python: str, expected: Iterable[Tuple[str, str]]) -> None:
    """InstallError unless the interpreter runs and reports these names and versions, no more and no less."""
    try:
        done = subprocess.run(
            [python, "-I", "-S", "-c", _PROGRAM],
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
    rows = [line.split("\t") for line in done.stdout.decode("utf-8", "replace").split("\n")[:-1]]
    if any(len(row) != _COLUMNS for row in rows):
        raise InstallError("%s prints something else than it was asked for" % python)
    have = sorted((normalised(name), version) for name, version in rows)
    want = sorted((normalised(name), version) for name, version in expected)
    if have != want:
        lacks = ", ".join("%s %s" % one for one in want if one not in have)
        extra = ", ".join("%s %s" % one for one in have if one not in want or have.count(one) > 1)
        raise InstallError(
            "the new virtualenv is not what the bundle says: missing %s; unexpected %s"
            % (lacks or "none", extra or "none")
        )
