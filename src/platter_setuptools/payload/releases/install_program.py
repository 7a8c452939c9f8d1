"""The program ROOT/platter: a shell script that finds a Python, followed by the payload for this Python.

The payload is an uncompressed zip archive.
"""

import contextlib
import io
import os
import re
import zipfile
from typing import Iterator, Optional, Tuple

from ..bundle_files import MODULES, files
from ..errors import InstallError, advice
from ..install import disk, environment
from ..untrusted import MODULE, open_file
from .root import Root

NAME = "platter"
_DRAFT = ".platter.new"
_TIME = (1980, 1, 1, 0, 0, 0)
_SCRIPT = """\
#!/bin/sh
# platter {version}
# Lists, activates, rolls back and prunes the releases in this folder; platter --help says more.
# Behind this script is a zip archive of Python modules: unzip -l platter, unzip -p platter MODULE.
case $0 in */*) here=${{0%/*}} ;; *) here=. ;; esac
# What PATH finds in the current folder, which an empty PATH means as well, is not the system's.
usual=/usr/local/bin:/usr/bin:/bin
rest=${{PATH:-$usual}}: kept=
while [ -n "$rest" ]; do
    case $rest in /*) kept=$kept${{kept:+:}}${{rest%%:*}} ;; esac
    rest=${{rest#*:}}
done
PATH=${{kept:-$usual}}
mine() {{ # FOLDER FILE: the superuser runs no Python that belongs to somebody else
    [ "$(id -u)" != 0 ] || {{ [ -O "$1" ] && [ -O "$1/bin" ] && [ -O "$1/bin/python" ] && [ -O "$1/$2" ]; }}
}}
number=0
for python in {interpreter} python3 python3.14 python3.13 python3.12 python3.11 python3.10 python3.9 python3.8 python \\
    "$here"/versions/*/bin/python "$here"/pythons/*/bin/python; do
    number=$((number + 1))
    case $python in
    "$here"/versions/*) mine "${{python%/bin/python}}" pyvenv.cfg || continue ;;
    "$here"/pythons/*) mine "${{python%/bin/python}}" SHA256SUMS || continue ;;
    esac
    if [ "$number" = 1 ]; then
        # The one that installed this. If it lacks a part of the standard library it starts this script once more.
        if [ -z "${{PLATTER_TRIED:-}}" ] && "$python" -E -S -B -c '' >/dev/null 2>&1 </dev/null; then
            PLATTER_TRIED=1
            export PLATTER_TRIED
            exec "$python" -I -S -B -X utf8 "$0" "$@"
        fi
    elif "$python" -I -S -B "$0" --probe >/dev/null 2>&1 </dev/null; then
        exec "$python" -I -S -B -X utf8 "$0" "$@"
    fi
done
echo 'platter: there is no Python 3.8 or newer here that has all of its standard library' >&2
echo 'hint: install one (python3, not python3-minimal), or put it into PATH' >&2
exit 3
"""
_MAIN = """\
import os
import sys

tried = os.environ.pop("PLATTER_TRIED", "")
if sys.version_info < (3, 8):
    sys.exit(3)
try:
    from {package} import signals
    from {package}.releases.releases_cli import main

    if sys.argv[1:2] != ["list"]:  # what is imported later than this
        from {package}.releases import doctor, have, last_commands, prune
except ImportError:
    if not tried or sys.argv[1:] == ["--probe"]:
        raise
    os.environ["PLATTER_TRIED"] = tried
    os.execv("/bin/sh", ["/bin/sh", *sys.argv])

status = 0 if sys.argv[1:] == ["--probe"] else main(sys.argv[1:], sys.argv[0])
signals.end(status)
sys.exit(status)
"""
_FIRST_LINES = re.compile(rb"#!/bin/sh\n# platter ([^\n]*)\n")


def leave(root: Root, created_by: str, interpreter: str = "") -> None:
    """Put the program there, unless a newer one is there already. It tries the interpreter first; else this one."""
    path = os.path.join(root.path, NAME)
    draft = os.path.join(root.path, _DRAFT)
    # It goes into a shell script, so it must not have a line to itself.
    version = re.sub(r"[^\w.+!-]", "", created_by.rpartition(" ")[2])
    found = version_of(path)
    if found is None:
        root.terminal.error("%s is not our program, and stays as it is" % path)
        return
    if _numbers(found) > _numbers(version):
        return
    with contextlib.suppress(FileNotFoundError):
        os.unlink(draft)
    try:
        descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o755)
        with os.fdopen(descriptor, "wb") as stream:
            os.fchmod(descriptor, 0o755)
            stream.write(content(version, interpreter or environment.base_interpreter()))
            stream.flush()
            disk.sync(descriptor)
        os.replace(draft, path)
        disk.sync_folder(root.path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        told = "%s cannot be written: %s" % (path, error.strerror)
        if found:  # the one that is there manages the new release as well
            root.terminal.error(told)
            return
        raise InstallError(told, hint=advice(error)) from error


def content(version: str, interpreter: str) -> bytes:
    """Return the whole program; `interpreter` is the Python that is tried first."""
    parent, package = os.path.split(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    archive = io.BytesIO()
    quoted = "'%s'" % interpreter.replace("'", "'\\''")
    script = _SCRIPT.format(version=version, interpreter=quoted).encode("utf-8", "surrogateescape")
    # Offsets count from the beginning of the archive, so the script may be edited.
    with zipfile.ZipFile(archive, "w") as members:
        members.writestr(_member("__main__.py"), _MAIN.format(package=package))
        for name, source in _modules(parent, package):
            members.writestr(_member(name), source)
    return script + archive.getvalue()


def _modules(parent: str, package: str) -> Iterator[Tuple[str, bytes]]:
    """Yield the payload's modules, but for the one that starts install.sh: their paths in the folder, and sources."""
    if os.path.isdir(parent):
        there, prefix = files(parent), ""
    else:
        bundle = parent[: -len(MODULES)]  # it has run from within this file
        there, prefix = files(bundle), MODULES
    for name in sorted(there.names(), key=lambda name: (name.rpartition("/")[0], name)):
        if name.startswith("%s%s/" % (prefix, package)) and name.endswith(".py") and not name.endswith("/__main__.py"):
            yield name[len(prefix) :], there.read(name, MODULE)


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, _TIME)
    member.external_attr = 0o100644 << 16
    return member


def version_of(path: str) -> Optional[str]:
    """Return the version of the installed program; empty if there is none, None for another file."""
    try:
        with open_file(path) as stream:
            match = _FIRST_LINES.match(stream.read(200))
    except FileNotFoundError:
        return "" if not os.path.islink(path) else None
    except (OSError, ValueError):
        return None
    return match.group(1).decode("utf-8", "replace") if match else None


def _numbers(version: str) -> Tuple[int, ...]:
    """Return the numbers that decide which of two is newer; builds of one release are equal."""
    match = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in match.group().split(".")) if match else ()
