"""Repair an interpreter in ROOT/pythons from the archive in the bundle, while releases use it.

What is damaged is written beside the interpreter, and renamed to its place: whoever opens a file there finds the old
one or the right one, at any moment. After kill -9 the next installation goes on.
"""

import hashlib
import os
import shutil
import tarfile
from typing import AbstractSet, Dict, Iterator, List, Tuple

from .. import checksums, untrusted
from ..bundle_files import AGAIN, BundleFiles
from ..errors import BundleError
from ..interpreter import Interpreter
from . import disk, owners, removal
from .interpreter import difference
from .tree import make_folder

_TOP = "python/"


def repair(place: str, about: Interpreter, there: BundleFiles) -> List[str]:
    """Put right every file that is missing or altered, and return their names; none if a thin bundle lacks the archive.

    What cannot be put right without touching anything else, such as a folder in a file's place, is left as it is. Raise
    BundleError if the archive is not what info.json says, OSError if something cannot be read or written.
    """
    file = "data/" + about.file
    if not there.has(file):
        return []
    opened = there.open(file)
    with opened.stream as stream:
        if checksums.digest(stream, opened.size) != about.sha256:
            raise BundleError("%s: altered" % file, hint=AGAIN)
    draft = os.path.join(os.path.dirname(place), ".%s.platter-new" % os.path.basename(place))
    removal.remove(draft)
    make_folder(draft)
    try:
        with there.open(file).stream as stream, tarfile.open(fileobj=stream, mode="r:gz") as archive:
            written = list(_write(archive, _damaged(place, _sums(archive, about)), draft))
        disk.flush(draft)
        return [name for path, name in written if _move(path, place, name)]
    finally:
        removal.remove(draft)


def _sums(archive: tarfile.TarFile, about: Interpreter) -> Dict[str, str]:
    """Return the SHA-256 of each file by its name, with that of SHA256SUMS itself."""
    stream = archive.extractfile(_TOP + checksums.FILE)
    content = stream.read(untrusted.LIST + 1) if stream else b""
    if hashlib.sha256(content).hexdigest() != about.record_sha256:
        raise BundleError("data/%s: its %s is altered" % (about.file, checksums.FILE), hint=AGAIN)
    return {**checksums.parse(content), checksums.FILE: about.record_sha256}


def _damaged(place: str, sums: Dict[str, str]) -> AbstractSet[str]:
    return {name for name, digest in sums.items() if difference(os.path.join(place, name), digest)}


def _write(archive: tarfile.TarFile, names: AbstractSet[str], draft: str) -> Iterator[Tuple[str, str]]:
    """Write these files into a folder, each under a number; yield its path there, and its name."""
    for number, member in enumerate(archive.getmembers()):
        name, path = member.name[len(_TOP) :], os.path.join(draft, "%d" % number)
        if name not in names or not member.name.startswith(_TOP):
            continue
        source = archive.extractfile(member) if member.isreg() else None
        if member.issym():
            os.symlink(member.linkname, path)
        elif source:
            with source, open(path, "xb") as target:
                os.fchmod(target.fileno(), 0o755 if member.mode & 0o100 else 0o644)
                shutil.copyfileobj(source, target)
            os.utime(path, (member.mtime, member.mtime))  # bytecode tells by it whether it is of this module
        else:
            continue
        yield path, name


def _move(path: str, place: str, name: str) -> bool:
    """Rename a file to its place, if what is around it is ours and as it should be. Return whether that was done."""
    folder = place
    for part in name.split("/")[:-1]:
        folder = os.path.join(folder, part)
        if not os.path.lexists(folder):
            make_folder(folder)
        if os.path.islink(folder) or not os.path.isdir(folder) or owners.other(folder):
            return False
    target = os.path.join(place, name)
    if os.path.isdir(target) and not os.path.islink(target):
        return False
    os.replace(path, target)
    disk.sync_folder(folder)
    return True
