"""Put the interpreter that a bundle brings where it belongs: ROOT/pythons/NAME, shared by releases, or DST/.python.

install.sh has unpacked it into a temporary folder and started this from there, unless it is in ROOT/pythons already.
Its files are compared with the SHA256SUMS in it, and that with info.json. They are linked, since the process goes on in
the temporary folder, which goes with it. A place is whole or absent: it gets its name when it is complete.
"""

import contextlib
import hashlib
import json
import os
import shutil
import sys
from typing import Callable, Iterator, List, NamedTuple, Optional, Tuple

from .. import checksums, untrusted
from ..bundle_files import files
from ..errors import BundleError, DestinationError, HostError, InstallError, advice, describe, first
from ..findings import Finding, report
from ..interpreter import Interpreter
from ..table import HINT, Table
from . import disk, environment, owners, removal
from .install_state import PYTHONS
from .tree import make_folder, write_new

OWN = ".python"  # below a DST
NOTE = ".platter-python.json"
_AGAIN = (
    "install again with the full bundle, which repairs it; if that does not help, move that folder away first, which"
    " releases in the root may use"
)


class Note(NamedTuple):
    """What is written beside its files: the SHA-256 of its archive, and of the SHA256SUMS in it."""

    version: str
    sha256: str
    record_sha256: str


class Base:
    """The interpreter that the virtualenv is based on.

    With `about` it is the one that the bundle brings, and runs this from the folder `source`, which is `place` if it is
    there already, where it is `shared` with other releases. Without it, it is this one, where it is.
    """

    def __init__(
        self, about: Optional[Interpreter] = None, source: str = "", place: str = "", *, shared: bool = False
    ) -> None:
        self._about, self._source, self._place, self._shared = about, source, place, shared
        self._made = False

    @property
    def name(self) -> str:
        """Return its name in ROOT/pythons; empty if the bundle does not bring it."""
        return self._about.name if self._about else ""

    @property
    def program(self) -> str:
        if not self._about:
            return environment.base_interpreter()
        name = "bin/python%d.%d" % sys.version_info[:2]
        found = os.path.exists(os.path.join(self._source, name))
        return os.path.join(self._place, name if found else self._about.program)

    def in_place(self, path: str) -> str:
        """Return where a file of the running interpreter is, or will be when that is in its place."""
        return os.path.join(self._place, os.path.relpath(path, sys.base_prefix)) if self._about else path

    def needs(self) -> Tuple[int, int]:
        """Return the bytes and the number of files that it will take; no bytes where it can be linked."""
        if not self._about or (self._shared and os.path.lexists(self._place)):
            return 0, 0
        parent = self._place
        while not os.path.lexists(parent):
            parent = os.path.dirname(parent)
        linked = os.stat(parent).st_dev == os.stat(self._source).st_dev
        return 0 if linked else self._about.installed_size, self._about.installed_files

    def examine(self) -> List[Finding]:
        """Return what is wrong with what is in its place."""
        if not self._about or not os.path.lexists(self._place):
            return []
        for path in (os.path.dirname(self._place), self._place):
            stranger = owners.other(path)
            if stranger:
                return [Finding(HostError, "interpreter: %s can be changed by %s" % (path, stranger), owners.HINT)]
        shown = first(list(differences(self._place, self._about.record_sha256)))
        hint = _AGAIN if self._shared else "install it again with --force"
        return [Finding(DestinationError, "interpreter: %s: %s" % (self._place, text), hint) for text in shown]

    def repair(self, bundle: str, warn: Callable[[str], None]) -> List[Finding]:
        """Return what is wrong with what is in its place after damage was repaired, which is told.

        That is done only where releases share it, and if the bundle has the archive. Whoever calls this has the lock.
        """
        findings = self.examine()
        if not (self._about and self._shared and findings and all(one.kind is DestinationError for one in findings)):
            return findings
        from .interpreter_repair import repair  # noqa: PLC0415 - hardly ever needed

        try:
            names = repair(self._place, self._about, files(bundle))
            if names:
                self._leave_note(self._place)
        except OSError as error:
            raise InstallError(
                "the interpreter in %s cannot be repaired: %s" % (self._place, describe(error)), hint=advice(error)
            ) from error
        if not names:
            return findings
        warn("the interpreter in %s was damaged, and is repaired: %s" % (self._place, ", ".join(first(names))))
        return self.examine()

    def verify(self) -> None:
        """Raise BundleError unless the interpreter that runs this is what info.json says."""
        for text in differences(self._source, self._about.record_sha256) if self._about else ():
            raise BundleError("the interpreter in the bundle: %s" % text, hint="copy the bundle to this machine again")

    def settle(self) -> None:
        """Put it in its place, unless it is there; whoever calls this has the lock.

        Raise BundleError if what was unpacked is not what info.json says, DestinationError if what is there is not.
        """
        findings = self.examine()
        if findings:
            raise report(findings, "the interpreter cannot be used")
        if not self._about or os.path.lexists(self._place):
            return
        self.verify()
        parent, name = os.path.split(self._place)
        draft = os.path.join(parent, ".%s.platter-new" % name)
        removal.remove(draft)
        with contextlib.suppress(FileExistsError):
            make_folder(parent)
        try:
            _copy(self._source, draft)
            self._leave_note(draft)
            disk.flush(draft)
            self._made = True
            os.rename(draft, self._place)
            disk.sync_folder(parent)
        except BaseException:
            removal.remove(draft)
            raise

    def _leave_note(self, folder: str) -> None:
        """Write the note, if it is not there as it should be."""
        note = self._about and Note(self._about.version, self._about.sha256, self._about.record_sha256)
        if note and read_note(folder) != note:
            path = os.path.join(folder, NOTE)
            removal.remove(path + ".new")
            write_new(path + ".new", json.dumps(note._asdict()).encode("ascii"))
            os.replace(path + ".new", path)

    def withdraw(self) -> None:
        """Remove what `settle` has made, since the installation failed."""
        if self._made and os.path.lexists(self._place):
            remove(self._place)
        if self._about:
            with contextlib.suppress(OSError):
                os.rmdir(os.path.dirname(self._place))


def running_base() -> str:
    """Return the folder of the running interpreter."""
    return sys.base_prefix


def base(about: Optional[Interpreter], unpacked: str, root: str, destination: str) -> Base:
    """Return the base of a release. `unpacked` see Options; paths are real, and `root` is empty without --root."""
    if about is None:
        return Base()
    place = os.path.join(root, PYTHONS, about.name) if root else os.path.join(destination, OWN)
    if unpacked:
        return Base(about, os.path.join(unpacked, "python"), place, shared=bool(root))
    running = os.path.realpath(sys.base_prefix)
    return Base(about, running, place, shared=True) if running == os.path.realpath(place) else Base()


def differences(folder: str, record_sha256: str) -> Iterator[str]:
    """Yield what is not as the SHA256SUMS in an interpreter says, which has this hash. Other files are not noticed."""
    try:
        content = untrusted.read_file(os.path.join(folder, checksums.FILE), untrusted.LIST)
        if hashlib.sha256(content).hexdigest() != record_sha256:
            yield "%s is altered" % checksums.FILE
            return
        sums = checksums.parse(content)
    except (OSError, ValueError) as error:
        yield "%s cannot be read: %s" % (checksums.FILE, error)
        return
    for name, digest in sums.items():
        found = difference(os.path.join(folder, name), digest)
        if found:
            yield "%s %s" % (name, found)


def difference(path: str, digest: str) -> str:
    """Return what is wrong with a file that has to have this SHA-256, such as `is altered`; empty if nothing is."""
    try:
        with untrusted.open_file(path) as stream:
            return "" if checksums.digest(stream) == digest else "is altered"
    except FileNotFoundError:
        return "is missing"
    except (OSError, ValueError) as error:
        return "cannot be read: %s" % error


def remove(place: str) -> List[str]:
    """Remove an interpreter, which is whole or has another name at any moment. Return what could not be deleted."""
    trash = os.path.join(os.path.dirname(place), ".%s.platter-trash" % os.path.basename(place))
    kept = removal.remove(trash)
    if not kept:
        os.rename(place, trash)
        kept = removal.remove(trash)
    return kept


def read_note(folder: str) -> Optional[Note]:
    """Return the note of an interpreter; None if the folder is none that `settle` has made."""
    try:
        table = Table(
            untrusted.parse_json(untrusted.read_file(os.path.join(folder, NOTE), untrusted.MARKER, os.O_NOFOLLOW)), NOTE
        )
        return Note(table.version("version"), table.sha256("sha256"), table.sha256("record_sha256"))
    except (OSError, ValueError, BundleError):
        return None


def _copy(source: str, draft: str) -> None:
    """Link or copy all that was unpacked. Raise BundleError for a file that SHA256SUMS does not name."""
    sums = checksums.parse(untrusted.read_file(os.path.join(source, checksums.FILE), untrusted.LIST))
    for folder, folders, names in os.walk(source):
        inside = os.path.relpath(folder, source)
        make_folder(os.path.normpath(os.path.join(draft, inside)))
        for name in names + [one for one in folders if os.path.islink(os.path.join(folder, one))]:
            path = os.path.normpath(os.path.join(inside, name))
            old, new = os.path.join(folder, name), os.path.join(draft, path)
            if os.path.islink(old):
                os.symlink(os.readlink(old), new)
            elif path in sums or path == checksums.FILE:
                _link(old, new)
            else:
                raise BundleError("the interpreter in the bundle: %s is not its own" % path, hint=HINT)


def _link(old: str, new: str) -> None:
    mode = 0o755 if os.stat(old).st_mode & 0o100 else 0o644
    os.chmod(old, mode)
    try:
        os.link(old, new, follow_symlinks=False)
    except OSError:  # another filesystem, or one without links
        shutil.copyfile(old, new)
        shutil.copystat(old, new)
