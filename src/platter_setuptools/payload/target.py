"""The targets of a bundle: the interpreters and platforms that it is for, and which of them this server is."""

import re
from typing import Dict, Iterator, NamedTuple, Optional, Sequence, Tuple

from . import specifiers, tags
from .host import Host, serves
from .names import relative
from .table import Table

_IMPLEMENTATION = re.compile(r"[a-z][a-z0-9]{0,31}", re.ASCII)
PYTHON = re.compile(r"[0-9]{1,2}\.[0-9]{1,2}", re.ASCII)
TAG = re.compile(r"\w[\w.-]{0,199}", re.ASCII)
_HEXADECIMAL = re.compile(r"([0-9a-f]{2}){1,32}", re.ASCII)
_LIBC = re.compile(r"((glibc|musl)( [0-9]{1,3}\.[0-9]{1,3})?)?", re.ASCII)
BYTECODE = re.compile(r"bytecode/[^/]+\.zip")


class Bytecode(NamedTuple):
    """The bytecode of a wheel for one of several targets: its path below the bundle's data folder, and its sizes."""

    wheel: str
    file: str
    record_sha256: str
    installed_size: int
    installed_files: int


class Target(NamedTuple):
    """An interpreter and platform of the bundle.

    `platforms` are the tags of platforms that name it, such as `manylinux_2_28_x86_64`; `libc` is `glibc 2.28`, or only
    the name where any version may do, empty if unknown; `markers` are what all patch releases of the Python have in
    common (PEP 508).
    In a bundle of several targets: `wheels` are the files that it takes, in their order, `bytecode` those of them, and
    `requires_python` the specifiers that its Python has to meet. In a bundle of one target they are empty: all is its.
    """

    implementation: str
    python: str
    abi: str
    platform: str
    cache_tag: str
    magic: str
    debug: bool
    free_threaded: bool
    platforms: Tuple[str, ...] = ()
    libc: str = ""
    markers: Tuple[Tuple[str, str], ...] = ()
    wheels: Tuple[str, ...] = ()
    bytecode: Tuple[Bytecode, ...] = ()
    requires_python: Optional[str] = None

    @property
    def id(self) -> str:
        """Return its name, such as `cp312-manylinux_2_28_aarch64`."""
        return "%s-%s" % (self.abi, (self.platforms or (self.platform,))[0])

    @property
    def python_command(self) -> str:
        """Return what its Python is called in PATH, without `python`: `3.13`, or `3.13t` of a free-threaded one."""
        return self.python + "t" * self.free_threaded


def read_target(table: Table) -> Target:
    """Return a target of info.json. Raise BundleError for a wrong value."""
    markers = table.optional("markers", dict) or {}
    if not all(isinstance(value, str) and TAG.fullmatch(key) for key, value in markers.items()):
        raise table.unexpected("markers", "strings")
    requires_python = table.optional("requires_python", str)
    if requires_python and not specifiers.valid(requires_python):
        raise table.unexpected("requires_python", "version specifiers (PEP 440)")
    platforms = table.strings("platforms")
    if not all(map(TAG.fullmatch, platforms)):
        raise table.unexpected("platforms", "tags")
    found = Target(
        implementation=table.matching("implementation", _IMPLEMENTATION),
        python=table.matching("python", PYTHON),
        abi=table.matching("abi", TAG),
        platform=table.matching("platform", TAG),
        cache_tag=table.matching("cache_tag", TAG),
        magic=table.matching("magic", _HEXADECIMAL),
        debug=table.get("debug", bool),
        free_threaded=table.get("free_threaded", bool),
        platforms=platforms,
        libc=table.matching("libc", _LIBC) if table.data.get("libc") is not None else "",
        markers=tuple(markers.items()),
        wheels=table.strings("wheels"),
        bytecode=tuple(map(_bytecode, table.tables("bytecode"))) if "bytecode" in table.data else (),
        requires_python=requires_python,
    )
    if table.data.get("id", found.id) != found.id:
        raise table.unexpected("id", found.id)
    return found


def _bytecode(table: Table) -> Bytecode:
    file = relative(table.get("file", str), table.where + ": file")
    if not BYTECODE.fullmatch(file):
        raise table.unexpected("file", "a zip file's path")
    return Bytecode(
        wheel=table.get("wheel", str),
        file=file,
        record_sha256=table.sha256("record_sha256", optional=True),
        installed_size=table.number("installed_size"),
        installed_files=table.number("installed_files"),
    )


def pythons(targets: Sequence[Target]) -> str:
    """Return the value of `pythons` in info.json, which install.sh reads: the Pythons of the targets in their order."""
    several = len({target.platform for target in targets}) > 1
    names = (target.python_command + ("@" + target.platform) * several for target in targets)
    return " ".join(dict.fromkeys(names))


def mismatches(target: Target, host: Host) -> Iterator[str]:
    """Yield how this interpreter is another one than the target's."""
    if host.implementation != target.implementation:
        yield "Python: expected %s, found %s" % (target.implementation, host.implementation)
    if host.short_python != target.python:
        yield "Python: expected %s, found %s" % (target.python, host.full_python)
    if host.free_threaded != target.free_threaded:
        names = {True: "free-threaded", False: "with the GIL"}
        yield "Python: expected %s, found %s" % (names[target.free_threaded], names[host.free_threaded])
    # A debug build runs what was made for the ordinary one.
    if target.debug and not host.debug:
        yield "Python: expected a debug build, found an ordinary one"


def best(targets: Sequence[Target], host: Host) -> Target:
    """Return the target that this interpreter and system is, or comes closest to; the first of equal ones.

    The Python counts most, then the platform, then the libc, and last whether both are debug builds.
    """
    if len(targets) == 1:
        return targets[0]

    def closeness(target: Target) -> Dict[str, bool]:
        return {
            "python": not list(mismatches(target, host)),
            "platform": any(tags.platform_fits(host, one) for one in target.platforms or (target.platform,)),
            "libc": not target.libc or serves(host.libc, target.libc),
            "requires_python": not target.requires_python or specifiers.contains(target.requires_python, host.python),
            "debug": target.debug is host.debug,
        }

    return max(targets, key=lambda target: tuple(closeness(target).values()))
