"""Reading the compiled files in a wheel (ELF, as Linux has them): what they link with, and what they offer to others.

Takes its time to load, so it is imported only for wheels that the store knows nothing of yet.
"""

from __future__ import annotations

import itertools
import re
import tempfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

Version = tuple[int, int]
Machine = tuple[int, bool, str | int]  # bits, little-endian, the processor

_MAGIC = b"\x7fELF"
_IN_MEMORY = 32 << 20  # bytes: what is larger is unpacked to disk, for some libraries take gigabytes
_MOST_ENTRIES = 10_000  # of a table: a damaged file may claim billions
_WEAK = 2  # VER_FLG_WEAK: the loader does without that version
_GLIBC = re.compile(r"GLIBC_(\d+)\.(\d+)(?:\.\d+)?")
# A name that stands for what the loader itself must understand, with the release that first did.
_LOADER = {"GLIBC_ABI_DT_RELR": (2, 36)}
_ROLES = {"DT_NEEDED": "needed", "DT_SONAME": "soname"}  # and what the reader calls the attribute
# What the reader raises over damaged files.
_DAMAGED = (ELFError, ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Linkage:
    """Of one ELF file, or of all in a wheel. Libraries go by their sonames, such as `libpq.so.5`."""

    glibc: Version | None  # the newest that a symbol needs
    needs: frozenset[str]
    offers: frozenset[str]


class Reader:
    """Reads the ELF files among a wheel's members that are for the interpreter's kind of machine; others are mere data.

    A file that begins like ELF and goes on otherwise is passed over: no loader takes it either.
    """

    def __init__(self, interpreter: Path) -> None:
        with interpreter.open("rb") as file:
            self._machine = _machine_of(file)
        self._found: list[Linkage] = []

    def watch(self, name: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """A member's content, as it is, for whoever else reads it: wheels are unpacked only once."""
        whole = iter(chunks)
        first = next(whole, b"")
        if not (self._machine and first.startswith(_MAGIC)):
            yield first
            yield from whole
            return
        # Its tables are read back and forth.
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as file:
            for chunk in itertools.chain([first], whole):
                file.write(chunk)
                yield chunk
            if linkage := _linkage(name, file, self._machine):
                self._found.append(linkage)

    @property
    def linkage(self) -> Linkage:
        """What those that were read say, as if they were one."""
        return Linkage(
            glibc=max((one.glibc for one in self._found if one.glibc), default=None),
            needs=frozenset().union(*(one.needs for one in self._found)),
            offers=frozenset().union(*(one.offers for one in self._found)),
        )


def _machine_of(file: IO[bytes]) -> Machine | None:
    try:
        return _machine(ELFFile(file))
    except _DAMAGED:  # an interpreter of another kind, on a system without ELF
        return None


def _machine(elf: ELFFile) -> Machine:
    return elf.elfclass, elf.little_endian, elf["e_machine"]


def _linkage(name: str, file: IO[bytes], machine: Machine | None) -> Linkage | None:
    glibc = set[Version]()
    names: dict[str, set[str]] = {"needed": set(), "soname": {name.rpartition("/")[2]}}
    try:
        elf = ELFFile(file)
        if _machine(elf) != machine:
            return None
        for section in elf.iter_sections():
            if isinstance(section, DynamicSection):
                for tag in itertools.islice(section.iter_tags(), _MOST_ENTRIES):
                    if role := _ROLES.get(tag.entry.d_tag):
                        # What is no plain text would speak to the terminals that it is shown on.
                        names[role].add(getattr(tag, role).encode("unicode_escape").decode("ascii"))
            elif isinstance(section, GNUVerNeedSection):
                glibc |= set(_versions(section))
    except _DAMAGED:
        return None
    return Linkage(glibc=max(glibc, default=None), needs=frozenset(names["needed"]), offers=frozenset(names["soname"]))


def _versions(section: GNUVerNeedSection) -> Iterator[Version]:
    for _library, names in itertools.islice(section.iter_versions(), _MOST_ENTRIES):
        for one in itertools.islice(names, _MOST_ENTRIES):
            if one["vna_flags"] & _WEAK:
                continue
            if match := _GLIBC.fullmatch(one.name):
                yield int(match[1]), int(match[2])
            elif one.name in _LOADER:
                yield _LOADER[one.name]
