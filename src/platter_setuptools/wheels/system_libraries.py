"""What the compiled wheels of a bundle need of a server: a new enough libc, and libraries that no wheel contains.

The build warns of these libraries; the installer checks all of it before it begins.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from platter_setuptools.errors import WheelError
from platter_setuptools.payload.host import serves
from platter_setuptools.payload.tags import LEGACY_MANYLINUX
from platter_setuptools.runtime.progress import first_few
from platter_setuptools.targets.target import Interpreter
from platter_setuptools.wheels.metadata import tags_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from platter_setuptools.targets.target import Target
    from platter_setuptools.values import Wheel

K = TypeVar("K")
# The parts of glibc and of musl: a system has all of one of the two.
_LIBC = re.compile(
    r"(ld|ld64|ld-linux[-\w]*)\.so\.\d"
    r"|lib(c|m|mvec|dl|rt|pthread|util|resolv|anl|BrokenLocale|thread_db|nss_\w+)\.so\.\d(\.\d)?"
    r"|(ld-musl-\w+|libc\.musl-\w+)\.so\.1|libc\.so"
)
_MUSL = re.compile(r"ld-musl-\w+\.so\.1|libc\.musl-\w+\.so\.1|libc\.so")
# Nearly every system has these, and Python needs them: builds do not warn of them, but the installer looks for them.
EVERYWHERE = frozenset({"libgcc_s.so.1", "libstdc++.so.6", "libz.so.1"})
_MANYLINUX = re.compile(r"manylinux(?:_(\d+)_(\d+)|(1|2010|2014))_\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemLibraries:
    """Of one wheel; `libraries` are sonames, such as `libpq.so.5`."""

    glibc: tuple[int, int] | None  # at least
    musl: bool
    libraries: tuple[str, ...]
    gnu: bool = False  # whether it links with glibc, of whatever version

    @property
    def libc(self) -> str | None:
        """Return `glibc 2.34`, `musl`, which has no versions of its symbols, or None for what is not compiled."""
        if self.musl:  # where libgcc_s has symbols of a version that is called GLIBC_2.0, too
            return "musl"
        return "glibc {}.{}".format(*self.glibc) if self.glibc else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Linkage:
    """What one ELF file, or all in a wheel, link with and offer. Libraries go by their sonames: `libpq.so.5`."""

    glibc: tuple[int, int] | None = None  # the newest that a symbol needs
    needs: frozenset[str] = frozenset()
    offers: frozenset[str] = frozenset()

    def __or__(self, other: Linkage) -> Linkage:
        """Return the linkage of both files."""
        return Linkage(
            glibc=max(filter(None, (self.glibc, other.glibc)), default=None),
            needs=self.needs | other.needs,
            offers=self.offers | other.offers,
        )

    def as_note(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {"glibc": self.glibc, "needs": sorted(self.needs), "offers": sorted(self.offers)}

    @classmethod
    def from_note(cls, glibc: tuple[int, int] | None, needs: Iterable[str], offers: Iterable[str]) -> Linkage:
        """Return what `as_note` returned."""
        return cls(glibc=glibc and (glibc[0], glibc[1]), needs=frozenset(needs), offers=frozenset(offers))


def find_system_libraries(linkages: Mapping[K, Linkage], target: Target) -> Mapping[K, SystemLibraries]:
    """Return what each wheel of a bundle, say, needs of a Linux system; nothing on other systems."""
    if not target.platform.startswith("linux"):
        return {}
    # In whichever wheel a library is: packages load those of others before their own modules need them.
    brought = {name for linkage in linkages.values() for name in linkage.offers}
    return {
        wheel: SystemLibraries(
            glibc=linkage.glibc,
            musl=any(_MUSL.fullmatch(name) for name in linkage.needs),
            libraries=tuple(
                name for name in sorted(linkage.needs) if name not in brought and not _LIBC.fullmatch(name)
            ),
            gnu="libc.so.6" in linkage.needs,
        )
        for wheel, linkage in linkages.items()
    }


def check_libc(needs: Mapping[Wheel, SystemLibraries], target: Target) -> None:
    """Raise WheelError for wheels that were compiled for another libc than that of a target that is not this machine.

    As on the server, tags that promise a libc are believed: those of wheels that say only `linux` promise nothing. Of
    an interpreter that is here, the servers' libc is not known: it may be newer.
    """
    if isinstance(target, Interpreter) or not target.libc:
        return
    wrong = []
    for wheel, need in needs.items():
        wanted = need.libc or ("glibc" if need.gnu else "")
        unnamed = all(tag.platform.startswith("linux_") for tag in tags_of(wheel))
        if wanted and unnamed and not serves(target.libc, wanted):
            wrong.append(f"  {wheel.filename} needs {wanted}")
    if wrong:
        raise WheelError(
            f"compiled wheels do not fit {target}, which has {target.libc}:\n" + "\n".join(wrong),
            hint="compile them on such a system, or in a container of it; or choose versions that have wheels for it",
        )


def warnings(needs: Mapping[Wheel, SystemLibraries]) -> Iterator[str]:
    """Yield warnings for those who build: libraries that no wheel has, and a newer glibc than the name promises."""
    for wheel, need in needs.items():
        if outside := sorted(set(need.libraries) - EVERYWHERE):
            yield f"{wheel.filename} needs libraries that no wheel brings: {first_few(outside)}"
        promised = min(_promised(wheel), default=None)
        if promised and need.glibc and need.glibc > promised:
            yield f"{wheel.filename} needs {need.libc}, which is newer than its name says"


def _promised(wheel: Wheel) -> Iterator[tuple[int, int]]:
    """Yield the glibc that each of the wheel's tags promises to be enough (PEP 600)."""
    for tag in tags_of(wheel):
        if match := _MANYLINUX.fullmatch(tag.platform):
            major, minor, legacy = match.groups()
            yield LEGACY_MANYLINUX[legacy] if legacy else (int(major), int(minor))
