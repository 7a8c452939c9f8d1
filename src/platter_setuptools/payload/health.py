"""Is the Python under an installed release still the one that it was made for? Systems change beneath it."""

import os
import pkgutil
import subprocess
from typing import Iterator, List

from . import host, inspection, marker
from .errors import HostError
from .findings import Finding
from .marker import Marker

_TIMEOUT = 60.0  # seconds
_HINT = (
    "put Python %s back at %s; or replace the release with --force, by this bundle (-p names another Python %s)"
    " or by one for a Python that is here"
)


def examine(folder: str) -> List[Finding]:
    """What has changed for the worse under the release in this folder; nothing if it can run as on its first day.

    A later patch release of its Python or a newer libc is nothing.
    """
    note = marker.read(folder)
    if note is None:
        return [Finding(HostError, "release: expected one in %s, found none" % folder, "install it again")]
    python = os.path.join(folder, "bin", "python")
    minor = ".".join(note.python.split(".")[:2])
    base = note.interpreter or os.path.realpath(python)
    hint = _HINT % (minor, base, minor)
    return [Finding(HostError, text, hint) for text in _changes(python, note, "%s at %s" % (minor, base))]


def _changes(python: str, note: Marker, expected: str) -> Iterator[str]:
    if not os.path.exists(python):
        yield "Python: expected %s, found nothing" % expected
        return
    try:
        found = _facts(python)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        yield "Python: expected %s, found one that does not run: %s" % (expected, error)
        return
    if note.abi not in ("", found.abi):
        yield "Python: expected %s (%s), found %s (%s)" % (expected, note.abi, found.full_python, found.abi)
    if note.libc and not host.serves(found.libc, note.libc):
        yield "libc: expected %s or newer, found %s" % (note.libc, found.libc)


def _facts(python: str) -> host.Host:
    """What the release's interpreter says of itself: it is not the one that runs this, as a rule."""
    # The file may lie in a zip archive.
    source = pkgutil.get_data(host.__package__ or "", "host.py")
    done = subprocess.run(
        [python, "-I", "-S", "-B", "-"],
        check=False,
        input=source,
        capture_output=True,
        env=inspection.CLEAN,
        timeout=_TIMEOUT,
    )
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["status %d" % done.returncode]
        raise ValueError(lines[-1])
    lines = done.stdout.decode("utf-8", "replace").splitlines() or [""]
    return host.decoded(lines[-1])  # before it may stand what a wrapper prints
