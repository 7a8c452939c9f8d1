"""The record of what was installed, `.platter-contents.json`, to detect later changes.

It is written before the marker says complete. It is not protected: it detects accidents, not attacks by users who can
write to the release. Releases of earlier installers have none.
"""

import contextlib
import csv
import hashlib
import json
import os
import stat
from typing import Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ..checksums import digest
from ..errors import DestinationError, first
from ..findings import Finding
from ..install.final_check import Answer
from ..install.install_state import CONTENTS, SCRIPTS
from ..untrusted import LIST, open_file, parse_json, read_file
from . import record

FILE = CONTENTS
_HINT = "install the release again with --force; if it is the active one, activate another release before"


class Distribution(NamedTuple):
    """`place` is its .dist-info folder, below the release; `sha256` that of its RECORD, empty if it has none."""

    name: str
    version: str
    place: str
    sha256: str


class Contents(NamedTuple):
    """`path` is the real path of the release, `library` the file of the module `os` of its interpreter.

    `modules` are the compiled modules of the standard library that could be imported. `altered` are the files that
    post-install.sh changed, below the release, each with its hash as in RECORD; empty if the file is gone. `scripts`
    are the project's scripts and their data that the release keeps, by their path in it, with their SHA-256.
    """

    path: str
    library: str
    modules: List[str]
    distributions: List[Distribution]
    altered: Dict[str, str]
    scripts: Mapping[str, str] = {}


def of(folder: str, answer: Answer) -> Contents:
    """Return the current contents of the folder."""
    found = []
    for one in answer.distributions:
        try:
            digest = _sha256(os.path.join(folder, one.place, "RECORD"))
        except FileNotFoundError:  # post-install.sh may have brought one without it
            digest = ""
        found.append(Distribution(one.name, one.version, one.place, digest))
    modules = [name for name, reason in answer.modules.items() if not reason]
    return Contents(os.path.realpath(folder), answer.library, modules, sorted(found), {}, _scripts(folder))


def _scripts(folder: str) -> Dict[str, str]:
    """Return the SHA-256 of each file that is kept for scripts, by its path in the release."""
    found = {}
    for place, _, names in os.walk(os.path.join(folder, SCRIPTS)):
        for path in (os.path.join(place, name) for name in names):
            if stat.S_ISREG(os.lstat(path).st_mode):
                with open(path, "rb") as stream:
                    found[os.path.relpath(path, folder)] = digest(stream)
    return found


def write(folder: str, contents: Contents) -> int:
    """Return the time of the filesystem, in nanoseconds, at which the file was written."""
    path = os.path.join(folder, FILE)
    with contextlib.suppress(FileNotFoundError):  # whatever lies there is not written through
        os.unlink(path)
    with open(path, "x", encoding="ascii") as stream:
        os.fchmod(stream.fileno(), 0o644)
        data = {**contents._asdict(), "distributions": [one._asdict() for one in contents.distributions]}
        json.dump({"format": 1, **data}, stream, indent=1)
        stream.write("\n")
    return os.stat(path).st_ctime_ns


def read(folder: str) -> Optional[Contents]:
    """Return the recorded contents; None if the release has none, or damaged ones: see `changes`."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        data = parse_json(read_file(os.path.join(folder, FILE), LIST, os.O_NOFOLLOW))
        contents = Contents(
            str(data["path"]),
            str(data["library"]),
            [str(name) for name in data["modules"]],
            [Distribution(**{key: str(one[key]) for key in Distribution._fields}) for one in data["distributions"]],
            {str(name): str(data["altered"][name]) for name in data["altered"]},
            {str(name): str(data["scripts"][name]) for name in data.get("scripts", ())},
        )
        return contents if contents.distributions else None
    return None


def has_script(folder: str, name: str) -> bool:
    """Whether this script, by its path in the release, was installed."""
    known = read(folder)
    return known is not None and name in known.scripts


def examine(folder: str) -> List[Finding]:
    """Return what has changed since the installation, in a few milliseconds for each thousand files."""
    return [Finding(DestinationError, text, _HINT) for text in first(list(changes(folder)))]


def changes(folder: str, *, sizes: bool = True) -> Iterator[str]:
    """Return a sentence for each changed distribution, with `sizes` also each changed file, and if it was moved."""
    known = read(folder)
    if known is None:
        if os.path.lexists(os.path.join(folder, FILE)):
            yield "%s is not whole" % FILE
        return
    if not _same(known.path, folder):
        there = "what is there" if os.path.exists(known.path) else "nothing, since that is gone"
        yield "it was installed as %s, and moved: its scripts start %s" % (known.path, there)
    for finding in _distributions(folder, known):
        yield finding
    for finding in _kept_files(folder, known):
        yield finding
    if sizes:
        for finding in _sizes(folder, known):
            yield finding


def _distributions(folder: str, known: Contents) -> Iterator[str]:
    for one in known.distributions:
        path = os.path.join(one.place, "RECORD")
        try:
            if _sha256(os.path.join(folder, path)) != one.sha256:
                yield "%s is not what was installed" % path
        except FileNotFoundError:
            if one.sha256 or not os.path.isdir(os.path.join(folder, one.place)):
                yield "%s %s is missing: there is no %s" % (one.name, one.version, path)
        except (OSError, ValueError) as error:
            yield "%s cannot be read: %s" % (path, error)
    places = {one.place for one in known.distributions}
    for site in sorted({os.path.dirname(place) for place in places}):
        with contextlib.suppress(OSError):  # what is missing is told already
            there = {os.path.join(site, name) for name in os.listdir(os.path.join(folder, site))}
            for place in sorted(there - places):
                if place.endswith(".dist-info"):
                    yield "%s was not installed from the bundle" % place


def _kept_files(folder: str, known: Contents) -> Iterator[str]:
    for name, sha256 in sorted(known.scripts.items()):
        path = os.path.join(folder, name)
        if not os.path.lexists(path):
            yield "%s is missing" % name
            continue
        found = ""
        with contextlib.suppress(OSError, ValueError), open_file(path, os.O_NOFOLLOW) as stream:
            found = digest(stream)
        if found != sha256:
            yield "%s is not what was installed" % name


def _sizes(folder: str, known: Contents) -> Iterator[str]:
    start = folder + os.sep
    for name, owners in sorted(rows(folder, known.distributions).items()):
        sizes = [size for _, size in owners if size]
        if not sizes:
            continue
        try:
            status = os.lstat(start + name)
        except OSError as error:
            if name not in known.altered:
                yield "%s %s" % (name, "is missing" if isinstance(error, FileNotFoundError) else error.strerror)
            continue
        size = str(status.st_size)
        same = stat.S_ISREG(status.st_mode) and size in sizes
        if not same and name not in known.altered:
            yield "%s is not what was installed: it has %s bytes" % (name, size)


def rows(folder: str, distributions: Sequence[Distribution]) -> Dict[str, List[Tuple[str, str]]]:
    """Return hash and size of each file with a hash in an unchanged RECORD; several if several own it.

    That of bytecode has no size.
    """
    found: Dict[str, List[Tuple[str, str]]] = {}
    for one in distributions:
        with contextlib.suppress(OSError, ValueError, csv.Error):
            content = read_file(os.path.join(folder, one.place, "RECORD"), LIST)
            if hashlib.sha256(content).hexdigest() != one.sha256:
                continue
            site = os.path.dirname(one.place) + "/"
            for name, digest, size in record.parse(content).values():
                if digest:
                    path = site + name if not name.startswith("../") else os.path.normpath(site + name)
                    found.setdefault(path, []).append((digest, size))
    return found


def after(folder: str, answer: Answer, since: int) -> Contents:
    """Return the contents as `of`, with the files that were altered at this time, see `write`, or later."""
    contents = of(folder, answer)
    altered = {}
    for name, hashes in rows(folder, contents.distributions).items():
        path = os.path.join(folder, name)
        try:
            if os.lstat(path).st_ctime_ns < since or any(record.matches(path, digest) for digest, _ in hashes):
                continue
            altered[name] = record.digest(path)
        except OSError:  # it is gone, or a link: RECORD has nothing to say of it
            altered[name] = ""
    return contents._replace(altered=altered)


def _sha256(path: str) -> str:
    return hashlib.sha256(read_file(path, LIST)).hexdigest()


def _same(path: str, folder: str) -> bool:
    try:
        return os.path.samefile(path, folder)
    except OSError:
        return False
