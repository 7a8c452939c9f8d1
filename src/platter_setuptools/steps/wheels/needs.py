"""What the compiled wheels of a bundle need of a server: a libc that is new enough, and libraries that nobody brings.

The build tells what it could not bring along; the installer compares all of it with the server, before it begins.
"""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from platter_setuptools.ground.threads import in_threads
from platter_setuptools.steps.store import Store, key_of
from platter_setuptools.steps.wheels.soundness import examine_once
from platter_setuptools.steps.wheels.wheelfile import tags_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from platter_setuptools.ground.run import Runner
    from platter_setuptools.ground.values import Wheel
    from platter_setuptools.steps.target import Target

# The parts of glibc and of musl: whoever has one of the two has them.
_LIBC = re.compile(
    r"(ld|ld64|ld-linux[-\w]*)\.so\.\d"
    r"|lib(c|m|mvec|dl|rt|pthread|util|resolv|anl|BrokenLocale|thread_db|nss_\w+)\.so\.\d(\.\d)?"
    r"|(ld-musl-\w+|libc\.musl-\w+)\.so\.1|libc\.so"
)
_MUSL = re.compile(r"ld-musl-\w+\.so\.1|libc\.musl-\w+\.so\.1|libc\.so")
# What nearly every system has, and Python with it, is no news at every build. The installer looks for it all the same.
_EVERYWHERE = frozenset({"libgcc_s.so.1", "libstdc++.so.6", "libz.so.1"})
_MANYLINUX = re.compile(r"manylinux(?:_(\d+)_(\d+)|(1|2010|2014))_\w+")
_LEGACY = {"1": (2, 5), "2010": (2, 12), "2014": (2, 17)}  # PEP 600
_SHOWN = 6
_FORMAT = "1"  # of what the store keeps: another one when it is to be read anew


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """Of one wheel; `libraries` are sonames, such as `libpq.so.5`."""

    glibc: tuple[int, int] | None  # at least
    musl: bool
    libraries: tuple[str, ...]

    @property
    def libc(self) -> str | None:
        """`glibc 2.34`; `musl`, which does not tell versions apart; None for what is not compiled."""
        if self.glibc:
            return "glibc {}.{}".format(*self.glibc)
        return "musl" if self.musl else None


def find_needs(wheels: Sequence[Wheel], target: Target, store: Store, run: Runner, work: Path) -> Mapping[Wheel, Needs]:
    """What each wheel needs and no wheel brings. What a wheel says is read once, and kept in the store."""
    if not target.platform.startswith("linux"):
        return {}
    linkages = in_threads(lambda wheel: linkage_of(wheel, target.platform, target.executable, store, work), wheels, run)
    # Wherever in the bundle a library lies: packages load those of others before their own modules ask for them.
    brought = {name for linkage in linkages for name in linkage["offers"]}
    return {
        wheel: Needs(
            glibc=tuple(linkage["glibc"]) if linkage["glibc"] else None,
            musl=any(_MUSL.fullmatch(name) for name in linkage["needs"]),
            libraries=tuple(name for name in linkage["needs"] if name not in brought and not _LIBC.fullmatch(name)),
        )
        for wheel, linkage in zip(wheels, linkages, strict=True)
    }


def warnings(needs: Mapping[Wheel, Needs]) -> Iterator[str]:
    """What whoever builds should know, a line for each wheel."""
    for wheel, need in needs.items():
        if outside := sorted(set(need.libraries) - _EVERYWHERE):
            more = f" and {len(outside) - _SHOWN} more" if len(outside) > _SHOWN else ""
            yield f"{wheel.filename} needs libraries that no wheel brings: {', '.join(outside[:_SHOWN])}{more}"
        promised = min(_promised(wheel), default=None)
        if promised and need.glibc and need.glibc > promised:
            yield f"{wheel.filename} needs {need.libc}, which is newer than its name says"


def _promised(wheel: Wheel) -> Iterator[tuple[int, int]]:
    """The glibc that each of the wheel's tags says to be enough (PEP 600)."""
    for tag in tags_of(wheel):
        if match := _MANYLINUX.fullmatch(tag.platform):
            major, minor, legacy = match.groups()
            yield _LEGACY[legacy] if legacy else (int(major), int(minor))


@functools.cache  # it is looked for before it is asked for
def linkage_of(wheel: Wheel, platform: str, interpreter: Path, store: Store, work: Path) -> dict[str, Any]:
    """The Linkage of elf.py as JSON has it: read from the wheel, or else from what the store keeps of it.

    `platform` is the interpreter's. Raises WheelError for a wheel that is not sound.
    """
    key = key_of(_FORMAT, wheel.sha256, platform)
    if known := store.find_derived("linkage", key):
        kept: dict[str, Any] = json.loads(known.read_text("utf-8"))
        return kept
    from platter_setuptools.steps.wheels.elf import Reader  # noqa: PLC0415 - it loads the library that reads ELF

    # Unpacking a wheel takes longer than what is done with it: in one go it is compared with its RECORD.
    reader = Reader(interpreter)
    examine_once(wheel, store, reader.watch)
    linkage = reader.linkage
    found = {"glibc": linkage.glibc, "needs": sorted(linkage.needs), "offers": sorted(linkage.offers)}
    path = work / f"linkage-{wheel.sha256}.json"
    path.write_text(json.dumps(found), "utf-8")
    store.keep_derived("linkage", key, path)
    return found
