"""Check whether an installed release's Python is still the one that it was installed with."""

import os
import pkgutil
import subprocess
from typing import Iterator, List, Tuple

from .. import host
from ..errors import HostError, InstallError
from ..findings import Finding
from ..install import final_check, install_state, owners
from ..install.install_state import Marker
from ..wheels import contents

_TIMEOUT = 60.0  # seconds
_HINT = (
    "put Python %s back at %s; or replace the release with --force, by this bundle (-p names another Python %s)"
    " or by one for a Python that is here"
)


def examine(folder: str) -> List[Finding]:
    """Return what prevents the release in this folder from running, or changed under it; nothing if it can run.

    A later patch release of its Python or a newer libc does not count.
    """
    return [finding for _, finding in judge(folder)]


def judge(folder: str) -> List[Tuple[bool, Finding]]:
    """Return the findings of `examine`, each with whether it prevents the release from starting."""
    stranger = owners.stranger(folder)
    if stranger:
        return [(True, Finding(HostError, "owner: " + stranger, owners.HINT))]
    note = install_state.read(folder)
    if note is None:
        return [(True, Finding(HostError, "release: expected one in %s, found none" % folder, "install it again"))]
    python = os.path.join(folder, "bin", "python")
    minor = ".".join(note.python.split(".")[:2])
    base = note.interpreter or os.path.realpath(python)
    hint = _HINT % (minor, base, minor)
    changes = _changes(folder, python, note, "%s at %s" % (minor, base))
    return [(stops, Finding(HostError, text, hint)) for stops, text in changes]


def _changes(folder: str, python: str, note: Marker, expected: str) -> Iterator[Tuple[bool, str]]:
    """Yield each change, and whether it prevents the release from starting."""
    if not os.path.exists(python):
        yield True, "Python: expected %s, found nothing" % expected
        return
    try:
        found = _facts(python)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        yield True, "Python: expected %s, found one that does not run: %s" % (expected, error)
        return
    if note.abi not in ("", found.abi):
        yield True, "Python: expected %s (%s), found %s (%s)" % (expected, note.abi, found.full_python, found.abi)
        return
    if note.libc and not host.serves(found.libc, note.libc):
        yield False, "libc: expected %s or newer, found %s" % (note.libc, found.libc)
    known = contents.read(folder)
    if known is None:
        return
    try:
        answer = final_check.ask(python)
    except InstallError as error:
        yield True, "Python: %s" % error.message
        return
    if answer.prefix != os.path.realpath(folder):
        yield True, "Python: %s takes itself for that of %s; look at pyvenv.cfg" % (python, answer.prefix)
    for fault in final_check.faults(answer, known.library, known.modules):
        yield False, "Python: %s" % fault


def _facts(python: str) -> host.Host:
    """Return the facts about the release's interpreter, which is usually not the one that runs this."""
    # The file may lie in a zip archive.
    source = pkgutil.get_data(host.__package__ or "", "host.py")
    done = subprocess.run(
        [python, "-I", "-S", "-B", "-"],
        check=False,
        input=source,
        capture_output=True,
        env=final_check.CLEAN,
        timeout=_TIMEOUT,
    )
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["status %d" % done.returncode]
        raise ValueError(lines[-1])
    lines = done.stdout.decode("utf-8", "replace").splitlines() or [""]
    return host.decoded(lines[-1])  # before it may stand what a wrapper prints
