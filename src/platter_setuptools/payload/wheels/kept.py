"""What a release keeps in `.platter-wheels`, so that later ones can take files from it.

    index.json         its wheels, as `Index`
    SHA256.RECORD      the RECORD of a wheel, or of its bytecode
    SHA256.script      a script of a wheel as it was there: install.sh changed its first line

The names of these files are the SHA-256 of their content. Nothing in the folder is protected: a bundle names the
RECORD that it wants by its hash, and the RECORD the files.
"""

import contextlib
import hashlib
import json
import os
from typing import TYPE_CHECKING, Any, Dict, NamedTuple, Optional, Sequence, Tuple

from .. import untrusted
from ..errors import BundleError
from ..install.environment import Scheme
from ..install.install_state import WHEELS
from ..install.tree import make_folder, write_new
from ..names import relative
from ..table import Table
from . import scripts

if TYPE_CHECKING:
    from .archive import Archive

FOLDER = WHEELS
INDEX = "index.json"
RECORD, SCRIPT = ".RECORD", ".script"
_FORMAT = 1


class Kept(NamedTuple):
    """A wheel of a release; the names of its file and that of its bytecode, and hashes as in info.json.

    `executables` are the names of its files that have an executable bit, sorted.
    """

    file: str
    sha256: str
    record_sha256: str
    executables: Tuple[str, ...] = ()
    bytecode: str = ""
    bytecode_sha256: str = ""
    bytecode_record_sha256: str = ""


class Index(NamedTuple):
    """`folders` are those for the parts of a wheel, relative to the release; see `Scheme`."""

    folders: Dict[str, str]
    wheels: Tuple[Kept, ...]


def write(scheme: Scheme, wheels: Sequence[Kept]) -> None:
    """Write the index of a release."""
    folders = {key: os.path.relpath(getattr(scheme, key), scheme.root) for key in _KEYS}
    content = {"format": _FORMAT, "folders": folders, "wheels": [one._asdict() for one in wheels]}
    write_new(os.path.join(scheme.root, FOLDER, INDEX), json.dumps(content, indent=1).encode("ascii") + b"\n")


def read(release: str) -> Optional[Index]:
    """Return the index of a release; None if it has none that can be read."""
    path = os.path.join(release, FOLDER, INDEX)
    try:
        top = Table(untrusted.parse_json(untrusted.read_file(path, untrusted.LIST, os.O_NOFOLLOW)), path)
        if top.get("format", int) != _FORMAT:
            return None
        folders = Table(top.get("folders", dict), path)
        places = {key: _place(folders.get(key, str), path) for key in _KEYS}
        return Index(places, tuple(_kept(table) for table in top.tables("wheels")))
    except (OSError, ValueError, BundleError):
        return None


def find(release: str, sha256: str, suffix: str, limit: int = untrusted.LIST) -> Optional[bytes]:
    """Return the content of the kept file with this hash; None if the release does not have it unchanged."""
    with contextlib.suppress(OSError, ValueError):
        content = untrusted.read_file(os.path.join(release, FOLDER, sha256 + suffix), limit, os.O_NOFOLLOW)
        return content if hashlib.sha256(content).hexdigest() == sha256 else None
    return None


class Keeper:
    """Keeps what later releases need of the archives that are installed."""

    def __init__(self, release: str) -> None:
        self._folder = os.path.join(release, FOLDER)
        make_folder(self._folder)

    def keep(self, archive: "Archive", *, compiled: bool) -> Dict[str, Any]:
        """Keep what is needed of a wheel, or of its bytecode if it is `compiled`. Return what `Kept` says of it."""
        if compiled:
            info = archive.members.get("RECORD")
            return {
                "bytecode": os.path.basename(archive.path),
                "bytecode_sha256": archive.sha256,
                "bytecode_record_sha256": self._keep(archive.read(info, untrusted.LIST), RECORD) if info else "",
            }
        kept = ""
        for name in archive.members:
            folder, _, rest = name.partition("/")
            if folder.endswith(".dist-info") and rest == "RECORD":
                kept = self._keep(archive.read(archive.members[name], untrusted.LIST), RECORD)
            elif folder.endswith(".data") and rest.startswith("scripts/"):
                self._script(archive, name)
        return {"record_sha256": kept, "executables": archive.executables()}

    def _script(self, archive: "Archive", name: str) -> None:
        info = archive.members[name]
        if archive.length(info) <= untrusted.METADATA:  # what is longer is no script
            content = archive.read(info)
            if scripts.rewritten(content, "") != content:
                self._keep(content, SCRIPT)

    def _keep(self, content: bytes, suffix: str) -> str:
        sha256 = hashlib.sha256(content).hexdigest()
        with contextlib.suppress(FileExistsError):
            write_new(os.path.join(self._folder, sha256 + suffix), content)
        return sha256


_KEYS = ("purelib", "platlib", "scripts", "headers", "data")


def _place(text: str, where: str) -> str:
    return text if text == "." else relative(text, where)


def _kept(table: Table) -> Kept:
    executables = table.get("executables", list)
    if not all(isinstance(name, str) for name in executables):
        raise table.unexpected("executables", "strings")
    return Kept(
        file=table.get("file", str),
        executables=tuple(executables),
        bytecode=table.get("bytecode", str),
        sha256=table.sha256("sha256"),
        record_sha256=table.sha256("record_sha256"),
        bytecode_sha256=table.sha256("bytecode_sha256", optional=True),
        bytecode_record_sha256=table.sha256("bytecode_record_sha256", optional=True),
    )
