"""Read the archive of an interpreter in a bundle, in one pass, without unpacking it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from platter_setuptools.bundle.checksums import checksums
from platter_setuptools.bundle.interpreter_source import TOP
from platter_setuptools.bundle.members import Member, from_bytes
from platter_setuptools.errors import PlatterError, WheelError
from platter_setuptools.inspect.archive_reader import Kind, impossible, open_bundle
from platter_setuptools.payload import checksums as sums
from platter_setuptools.payload import untrusted
from platter_setuptools.runtime.files import sha256_of

if TYPE_CHECKING:
    from pathlib import Path

    from platter_setuptools.inspect.archive_reader import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class InterpreterInside:
    """An interpreter in a bundle, as info.json describes it; the size is in bytes."""

    record_sha256: str
    installed_size: int
    installed_files: int


def read_interpreter(path: Path, name: str) -> InterpreterInside:
    """Return what is in the archive at `path`; `name` is its name in the bundle.

    Raise WheelError for what no build packs: it could leave its folder, or is not as the SHA256SUMS in it says.
    """
    members: dict[str, Member] = {}
    try:
        with open_bundle(path) as entries:
            for entry in entries:
                if finding := impossible(entry, TOP, members):
                    raise WheelError(f"{name}: {entry.name}: {finding}", hint="build the bundle again")
                if entry.inside and entry.kind is not Kind.FOLDER:
                    members[entry.inside] = _member(entry)
                if len(members) > untrusted.FILES:
                    raise WheelError(f"{name}: more than {untrusted.FILES} files", hint="build the bundle again")
        listed = members.pop(sums.FILE, from_bytes(sums.FILE, b""))
        if checksums(members.values()).sha256 != listed.sha256:
            raise WheelError(f"{name}: the {sums.FILE} in it is not that of its files", hint="build the bundle again")
    except PlatterError as error:
        if isinstance(error, WheelError):
            raise
        raise WheelError(f"{name}: {error.message}", hint="build the bundle again") from error
    return InterpreterInside(
        record_sha256=listed.sha256 or "",
        installed_size=sum(member.size for member in members.values()) + listed.size,
        installed_files=len(members) + 1,
    )


def _member(entry: Entry) -> Member:
    if entry.kind is not Kind.FILE:
        return Member(name=entry.inside, link=entry.link)
    with entry.open() as source:
        sha256, size = sha256_of(source)
    return Member(name=entry.inside, content=b"", sha256=sha256, size=size)
