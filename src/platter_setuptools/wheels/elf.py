"""Read the compiled files in a wheel (ELF): what they link with, and what they provide.

Importing it takes time, so it is imported only for wheels with such files that are new to the wheel cache.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSection, DynamicSegment
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection
from elftools.elf.segments import InterpSegment

from platter_setuptools.wheels.system_libraries import Linkage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Version = tuple[int, int]
Machine = tuple[int, bool, str | int]  # bits, little-endian, the processor

_MOST_ENTRIES = 10_000  # of a table: a damaged file may claim billions
_WEAK = 2  # VER_FLG_WEAK: the loader does without that version
_GLIBC = re.compile(r"GLIBC_(\d+)\.(\d+)(?:\.\d+)?")
# What compiled files for a system of this name (sysconfig.get_platform()) say of themselves.
_MACHINES: Mapping[str, Machine] = {
    "linux-x86_64": (64, True, "EM_X86_64"),
    "linux-i686": (32, True, "EM_386"),
    "linux-aarch64": (64, True, "EM_AARCH64"),
    "linux-armv7l": (32, True, "EM_ARM"),
    "linux-armv8l": (32, True, "EM_ARM"),
    "linux-ppc64le": (64, True, "EM_PPC64"),
    "linux-s390x": (64, False, "EM_S390"),
    "linux-riscv64": (64, True, "EM_RISCV"),
}
# A name that stands for what the loader itself must understand, with the release that first did.
_LOADER = {"GLIBC_ABI_DT_RELR": (2, 36)}
# What the reader raises over damaged files.
_DAMAGED = (ELFError, ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)


def read_linkage(name: str, file: IO[bytes], platform: str) -> Linkage:
    """Return what an ELF file links with and offers; nothing if it is for another kind of machine than the platform.

    `name` is its name in the wheel. On a platform of which that is not known, every ELF file counts. A file that is
    damaged is no library for any loader, and has no linkage.
    """
    glibc, needs, offers = set[Version](), set[str](), {name.rpartition("/")[2]}
    try:
        elf = ELFFile(file)
        machine = _machine(elf)
        if machine != _MACHINES.get(platform, machine):
            return Linkage()
        for section in elf.iter_sections():
            if isinstance(section, DynamicSection):
                for tag in itertools.islice(section.iter_tags(), _MOST_ENTRIES):
                    if tag.entry.d_tag == "DT_NEEDED":
                        needs.add(_printable(tag.needed))  # type: ignore[attr-defined]
                    elif tag.entry.d_tag == "DT_SONAME":
                        offers.add(_printable(tag.soname))  # type: ignore[attr-defined]
            elif isinstance(section, GNUVerNeedSection):
                glibc |= set(_versions(section))
    except _DAMAGED:
        return Linkage()
    return Linkage(glibc=max(glibc, default=None), needs=frozenset(needs), offers=frozenset(offers))


@dataclass(frozen=True, slots=True)
class Loading:
    """How an ELF file is loaded: its `loader` (PT_INTERP, empty for libraries), and the folders that it names.

    `folders` are those of its RPATH or RUNPATH, `absolute` the libraries that it names by a path.
    """

    machine: Machine
    loader: str = ""
    folders: tuple[str, ...] = ()
    absolute: tuple[str, ...] = ()


def read_loading(file: IO[bytes]) -> Loading | None:
    """Return how a file is loaded; None if it is not ELF, or damaged."""
    loader, folders, absolute = "", list[str](), list[str]()
    try:
        elf = ELFFile(file)
        for segment in elf.iter_segments():
            if isinstance(segment, InterpSegment):
                loader = _printable(segment.get_interp_name())
            elif isinstance(segment, DynamicSegment):
                for tag in itertools.islice(segment.iter_tags(), _MOST_ENTRIES):
                    named = _printable(getattr(tag, tag.entry.d_tag[3:].lower(), "") or "")
                    if tag.entry.d_tag in {"DT_RPATH", "DT_RUNPATH"}:
                        folders += named.split(":")
                    elif tag.entry.d_tag == "DT_NEEDED" and "/" in named:
                        absolute.append(named)
        return Loading(_machine(elf), loader, tuple(filter(None, folders)), tuple(absolute))
    except _DAMAGED:
        return None


def machine_name(loading: Loading) -> str:
    """Return the processor for people: `x86_64`, `aarch64`, or as ELF calls it."""
    name = str(loading.machine[2]).removeprefix("EM_").lower()
    return {"386": "i686", "ppc64": "ppc64le" if loading.machine[1] else "ppc64"}.get(name, name)


def _machine(elf: ELFFile) -> Machine:
    return elf.elfclass, elf.little_endian, elf["e_machine"]


def _printable(name: str) -> str:
    """Return the name without characters that a terminal would obey."""
    return name.encode("unicode_escape").decode("ascii")


def _versions(section: GNUVerNeedSection) -> Iterator[Version]:
    for _library, names in itertools.islice(section.iter_versions(), _MOST_ENTRIES):
        for one in itertools.islice(names, _MOST_ENTRIES):
            if one["vna_flags"] & _WEAK:
                continue
            if match := _GLIBC.fullmatch(one.name):
                yield int(match[1]), int(match[2])
            elif one.name in _LOADER:
                yield _LOADER[one.name]
