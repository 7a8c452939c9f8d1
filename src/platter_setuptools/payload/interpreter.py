"""The key `interpreter` of info.json: the interpreter that a bundle brings."""

import re
from typing import NamedTuple, Optional, Tuple

from .errors import BundleError
from .table import HINT, Table

FOLDER = "data/python/"
_FILE = re.compile(r"python/([0-9]{1,2}\.[0-9]{1,2}\.[0-9a-z.+]{1,20}-[0-9a-f]{12})\.tar\.gz", re.ASCII)
_MACHINE = re.compile(r"[A-Za-z0-9_]{1,32}", re.ASCII)
LIBC = re.compile(r"(glibc [0-9]{1,3}\.[0-9]{1,3}|musl)?", re.ASCII)
_LOADER = re.compile(r"(/[A-Za-z0-9._+-]+)*", re.ASCII)
# What install.sh reads, which knows no JSON: the first lines of this form.
_LINES = re.compile(r'^  "interpreter": (null|\{(\n    "(file|machine|loader)": ".*",){3})', re.MULTILINE)
_READ = ("file", "machine", "loader")


class Interpreter(NamedTuple):
    """The interpreter that the bundle brings; `file` is its archive's path below data, `name` that of its folder.

    `machine` is as `uname -m` prints it; `loader` the system's program that loads it, empty if there is none; `libc`
    and `libraries` as of a wheel. `record_sha256` is the SHA-256 of the file SHA256SUMS in it.
    """

    file: str
    machine: str
    loader: str
    version: str
    sha256: str
    record_sha256: str
    size: int
    installed_size: int
    installed_files: int
    libc: str = ""
    libraries: Tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.file[len("python/") : -len(".tar.gz")]

    @property
    def program(self) -> str:
        """Return the path of the program below its folder."""
        return "bin/python3"


def read(top: Table) -> Optional[Interpreter]:
    """Return the value of the key; None if the bundle brings none."""
    data = top.optional("interpreter", dict)
    if data is None:
        return None
    table = Table(data, top.where + ": interpreter")
    file, version, sha256 = table.matching("file", _FILE), table.version("version"), table.sha256("sha256")
    if file != "python/%s-%s.tar.gz" % (version, sha256[:12]):
        raise table.unexpected("file", "the name of its version and hash")
    if not (version + ".").startswith(top.get("python", str) + "."):
        raise table.unexpected("version", "a patch release of the target's Python")
    return Interpreter(
        file=file,
        machine=table.matching("machine", _MACHINE),
        loader=table.matching("loader", _LOADER),
        version=version,
        sha256=sha256,
        record_sha256=table.sha256("record_sha256"),
        size=table.number("size"),
        installed_size=table.number("installed_size"),
        installed_files=table.number("installed_files"),
        libc=table.matching("libc", LIBC) if table.data.get("libc") is not None else "",
        libraries=table.strings("libraries"),
    )


def check_lines(found: Optional[Interpreter], text: str, path: str) -> None:
    """Raise BundleError if install.sh, which reads lines of info.json, would find another interpreter."""
    lines = _LINES.search(text)
    expected = "null"
    if found:
        expected = "{" + "".join('\n    "%s": "%s",' % (key, getattr(found, key)) for key in _READ)
    if (lines.group(1) if lines else "null") != expected:
        raise BundleError("%s: interpreter: expected its first keys on lines of their own" % path, hint=HINT)
