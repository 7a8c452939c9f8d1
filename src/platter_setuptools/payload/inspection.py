"""The consistency check: the new interpreter is started once and has to know exactly what was installed."""

import os
import subprocess
from typing import Iterable, List, Tuple

from .errors import InstallError, PythonError
from .names import normalised

# What systemd or cron would give it: what is found so is found there.
CLEAN = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
_MARK = "platter-answer"
# What importlib.metadata would find, in a quarter of its time: it takes longer to load than the list to make.
# The interpreter is started without `site`, which is then run as usual but for the .pth files and the sitecustomize
# of what was installed. Packages of the system's own are none of ours.
_PROGRAM = """\
import _csv, os, site, sys, zlib
site.addpackage = lambda *_: None
site.execsitecustomize = lambda: None
site.main()
root = os.path.realpath(sys.prefix) + os.sep
lines = [b"", b"platter-answer", os.fsencode(os.path.realpath(os.__file__))]
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
            lines.append(b"%s\\t%s" % (fields[b"name"], fields[b"version"]))
sys.stdout.buffer.write(b"\\n".join([*lines, b"platter-answer", b""]))
"""
_COLUMNS = 2
_TIMEOUT = 300.0


def inspect(python: str, expected: Iterable[Tuple[str, str]], library: str) -> None:
    """InstallError unless the interpreter runs and reports these names and versions, no more and no less.

    It is started as systemd or cron would start it. ``library`` is the file of the module ``os`` that it has to have:
    with another standard library it is not the Python that the preflight looked at.
    """
    try:
        done = subprocess.run(
            [python, "-I", "-S", "-B", "-c", _PROGRAM],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=CLEAN,
            timeout=_TIMEOUT,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise InstallError("%s does not start: %s" % (python, error), hint=_hint()) from error
    if done.returncode:
        words = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise PythonError(
            "%s fails in the new virtualenv, in an empty environment (status %d): %s"
            % (python, done.returncode, words[-1] if words else ""),
            hint=_hint(),
        )
    found, rows = _answer(done.stdout.decode("utf-8", "surrogateescape"), python)
    if found != os.path.realpath(library):
        raise PythonError(
            "%s has the standard library of %s, and not that of %s"
            % (python, os.path.dirname(found), os.path.dirname(library)),
            hint="name the Python with -p by its real path, not by a link",
        )
    have = sorted((normalised(name), version) for name, version in rows)
    want = sorted((normalised(name), version) for name, version in expected)
    if have != want:
        lacks = ", ".join("%s %s" % one for one in want if one not in have)
        extra = ", ".join("%s %s" % one for one in have if one not in want or have.count(one) > 1)
        raise InstallError(
            "the new virtualenv is not what the bundle says: missing %s; unexpected %s"
            % (lacks or "none", extra or "none"),
            hint="look whether something else writes into that folder, then try again; if nothing does, build it again",
        )


def _answer(text: str, python: str) -> Tuple[str, List[Tuple[str, str]]]:
    """Return what stands between the marks, whatever a wrapper of the interpreter prints beside it."""
    lines = text.split("\n")
    if lines.count(_MARK) == 2:  # noqa: PLR2004 - one before and one after
        first = lines.index(_MARK)
        library, *rows = lines[first + 1 : lines.index(_MARK, first + 1)] or [""]
        pairs = [tuple(row.split("\t")) for row in rows]
        if all(len(pair) == _COLUMNS for pair in pairs):
            return library, [(pair[0], pair[1]) for pair in pairs]
    raise InstallError("%s prints something else than it was asked for" % python, hint=_hint())


def _hint() -> str:
    if os.environ.get("LD_LIBRARY_PATH"):
        return "LD_LIBRARY_PATH is set here, and will not be for services: let the loader find the libraries without it"
    return "look whether this Python runs by itself: env -i PYTHON -c 'import csv, zlib'"
