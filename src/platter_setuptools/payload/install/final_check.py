"""The final check: start the new interpreter once, and compare what it finds with what was installed."""

import importlib
import os
import subprocess
from typing import Dict, Iterable, Iterator, List, NamedTuple, Tuple

from ..errors import InstallError, PythonError
from ..names import normalised

# What systemd or cron would give it: what is found so is found there.
CLEAN = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
_MARK = "platter-answer"
# Parts of the standard library that need libraries of the system, which services may not find.
_MODULES = ("_bz2", "_ctypes", "_hashlib", "_lzma", "_sqlite3", "_ssl")
# What importlib.metadata would find, in a quarter of its time: it takes longer to load than the list to make.
# The interpreter is started without `site`, which is then run as usual but for the .pth files and the sitecustomize
# of what was installed. Packages of the system's own are none of ours.
_PROGRAM = """\
import _csv, os, site, sys, zlib
def now(path, flags):  # a pipe is not waited for
    return os.open(path, flags | os.O_NONBLOCK)
site.addpackage = lambda *_: None
site.execsitecustomize = lambda: None
site.main()
root = os.path.realpath(sys.prefix)
lines = [b"", b"platter-answer", os.fsencode(root), os.fsencode(os.__file__)]
for module in sys.argv[1:]:
    try:
        __import__(module)
    except ImportError as error:
        lines.append(b"-%s\\t%s" % (module.encode(), ascii(str(error)).encode()))
    else:
        lines.append(b"+%s" % module.encode())
for folder in {os.path.realpath(path) for path in sys.path}:
    for name in os.listdir(folder) if folder.startswith(root + os.sep) and os.path.isdir(folder) else ():
        if name.endswith(".dist-info"):
            fields = {}
            try:
                with open(os.path.join(folder, name, "METADATA"), "rb", opener=now) as stream:
                    for line in stream:
                        if not line.strip():
                            break
                        key, _, value = line.partition(b":")
                        fields.setdefault(key.strip().lower(), value.strip())
            except OSError:
                pass
            place = os.fsencode(os.path.relpath(os.path.join(folder, name), root))
            lines.append(b"=%s\\t%s\\t%s" % (fields.get(b"name", b""), fields.get(b"version", b""), place))
sys.stdout.buffer.write(b"\\n".join([*lines, b"platter-answer", b""]))
"""
_TIMEOUT = 300.0


class Distribution(NamedTuple):
    """`place` is its .dist-info folder, below the virtualenv."""

    name: str
    version: str
    place: str


class Answer(NamedTuple):
    """The answer of an interpreter that was started as systemd or cron would start it.

    `prefix` is the real path of its virtualenv, `library` the file of its module `os`. `modules` are compiled modules
    of the standard library, each with the error if it cannot be imported, else empty.
    """

    prefix: str
    library: str
    modules: Dict[str, str]
    distributions: List[Distribution]


def inspect(python: str, expected: Iterable[Tuple[str, str]], library: str) -> Answer:
    """InstallError unless the interpreter runs and reports these names and versions, no more and no less.

    `library` is the file of the module `os` that it has to have: with another standard library it is not the
    Python that the preflight looked at. A part of it that this process can import must not be missing there.
    """
    answer = ask(python)
    lacking = [name for name, reason in answer.modules.items() if reason and _importable(name)]
    for fault in faults(answer, library, lacking):
        raise PythonError(
            "%s, started in an empty environment: %s" % (python, fault),
            hint=_hint() if lacking else "name the Python with -p by its real path, not by a link",
        )
    have = sorted((normalised(one.name), one.version) for one in answer.distributions)
    want = sorted((normalised(name), version) for name, version in expected)
    if have != want:
        lacks = ", ".join("%s %s" % one for one in want if one not in have)
        extra = ", ".join("%s %s" % one for one in have if one not in want or have.count(one) > 1)
        raise InstallError(
            "the new virtualenv is not what the bundle says: missing %s; unexpected %s"
            % (lacks or "none", extra or "none"),
            hint="look whether something else writes into that folder, then try again; if nothing does, build it again",
        )
    return answer


def faults(answer: Answer, library: str, modules: Iterable[str]) -> Iterator[str]:
    """Return what is wrong with an interpreter that should have this file as `os` and import these modules."""
    if os.path.realpath(answer.library) != os.path.realpath(library):
        yield "expected the standard library %s, found %s" % (os.path.dirname(library), os.path.dirname(answer.library))
    for name in modules:
        if answer.modules.get(name):
            yield "the module %s cannot be imported: %s" % (name, answer.modules[name])


def ask(python: str) -> Answer:
    """Start the interpreter once. PythonError if it fails, InstallError if it does not start or answer."""
    try:
        done = subprocess.run(
            [python, "-I", "-S", "-B", "-c", _PROGRAM, *_MODULES],
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
            "%s fails in an empty environment (status %d): %s" % (python, done.returncode, words[-1] if words else ""),
            hint=_hint(),
        )
    try:
        return _answer(done.stdout.decode("utf-8", "surrogateescape").split("\n"))
    except ValueError as error:
        raise InstallError("%s prints something else than it was asked for" % python, hint=_hint()) from error


def _answer(lines: List[str]) -> Answer:
    """Read what stands between the marks, whatever a wrapper of the interpreter prints beside it; else ValueError."""
    first = lines.index(_MARK)
    prefix, library, *rows = lines[first + 1 : lines.index(_MARK, first + 1)]
    answer = Answer(prefix, library, {}, [])
    for row in rows:
        mark, fields = row[:1], row[1:].split("\t")
        if mark == "=":
            name, version, place = fields
            answer.distributions.append(Distribution(name, version, place))
        else:
            answer.modules[fields[0]] = fields[1] if mark == "-" else ""
    return answer


def _importable(module: str) -> bool:
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    return True


def _hint() -> str:
    if os.environ.get("LD_LIBRARY_PATH"):
        return "LD_LIBRARY_PATH is set here, and will not be for services: let the loader find the libraries without it"
    return "look whether this Python runs by itself: env -i PYTHON -c 'import csv, zlib'"
