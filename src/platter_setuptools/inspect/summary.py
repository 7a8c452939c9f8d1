"""The summary of a bundle, from its info.json and its bill of materials. No wheel is opened.

`platter verify` checks whether these are true.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from platter_setuptools.bundle.sbom import FILE as BILL
from platter_setuptools.bundle.sbom import Bill, read_bill
from platter_setuptools.errors import BundleError, UsageError
from platter_setuptools.inspect.archive_reader import read_files, size_of
from platter_setuptools.payload import checksums, manifest, thin
from platter_setuptools.payload.errors import InstallError
from platter_setuptools.payload.install import activation_scripts, post_install

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from platter_setuptools.payload.thin import Thin

_RUN_ON_SERVERS = (post_install.FILE, *activation_scripts.NAMES)
_KEPT = (manifest.FILE, checksums.FILE, checksums.SIGNATURE, BILL, thin.FILE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One wheel of a bundle. Sizes are in bytes; `path` are the names from a root of the bundle to it."""

    name: str
    version: str
    file: str
    sha256: str
    size: int
    installed_size: int
    licence: str  # empty if unknown
    libc: str  # `glibc 2.28`; empty if it needs none
    libraries: tuple[str, ...]
    scripts: tuple[str, ...]
    requires: tuple[str, ...]
    path: tuple[str, ...]
    targets: tuple[str, ...] = ()  # the ids of those that take it

    @property
    def tag(self) -> str:
        return "-".join(self.file.removesuffix(".whl").split("-")[-3:])


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleSummary:
    """`parts` are sorted by size, the largest first; `roots` are the project and what no other wheel requires."""

    about: manifest.Manifest
    size: int
    signed: bool
    roots: tuple[str, ...]
    parts: tuple[Part, ...]
    bill: str  # the text of the bill of materials
    sums: Mapping[str, str]  # the SHA-256 of every file
    thin: Thin | None = None  # None for a full bundle

    @property
    def packages(self) -> tuple[Part, ...]:
        """Return the wheels that were requested by name, the project first."""
        requested = {wheel.name for wheel in self.about.wheels if wheel.requested}
        found = {part.name: part for part in self.parts if part.name in {self.roots[0], *requested}}
        return tuple(sorted(found.values(), key=lambda part: (part.name != self.roots[0], part.name)))

    @property
    def scripts(self) -> list[str]:
        """Return the commands of the packages."""
        return list(dict.fromkeys(script for part in self.packages for script in part.scripts))

    @property
    def server_scripts(self) -> dict[str, str]:
        """Return the SHA-256 of the project's scripts that run on a server, by their names, in their order."""
        return {name: self.sums[name] for name in _RUN_ON_SERVERS if name in self.sums}

    @property
    def libc(self) -> str:
        """Return the newest C library that a wheel or the interpreter needs; empty if none needs one."""
        brought = [self.about.interpreter.libc] if self.about.interpreter else []
        return max([*brought, *(part.libc for part in self.parts)], key=_numbers, default="")

    @property
    def libraries(self) -> list[str]:
        """Return the libraries that the server must have, since no wheel, and no interpreter, contains them."""
        brought = self.about.interpreter.libraries if self.about.interpreter else ()
        return sorted({*brought, *(library for part in self.parts for library in part.libraries)})

    def wheels_left_out(self) -> list[str]:
        """Return the file names of the wheels that a thin bundle leaves out."""
        return [part.file for part in self.parts if self.thin and f"data/{part.file}" in self.thin.left_out]

    def require_wheels(self, path: Path) -> None:
        """Raise UsageError if the bundle, which is at this path, leaves a wheel out."""
        if missing := self.wheels_left_out():
            raise UsageError(
                f"{path} is a thin bundle: it leaves out {len(missing)} wheels, such as {missing[0]}",
                hint="name the full bundle",
            )


def summarise(path: Path) -> BundleSummary:
    """Read a bundle of any format. Raises ArchiveError if it is not a bundle, BundleError if its metadata is wrong."""
    texts = read_files(path, _KEPT)
    for name in (manifest.FILE, checksums.FILE, BILL):
        if name not in texts:
            raise BundleError(f"{path} has no {name}", hint="name a bundle that this version of platter has built")
    try:
        about = manifest.load(texts[manifest.FILE], f"{path}: {manifest.FILE}")
        sums = checksums.parse(texts[checksums.FILE])
        left_out = thin.find(texts.get(thin.FILE), sums, about, f"{path}: {thin.FILE}")
        roots, parts = _parts(about, read_bill(texts[BILL]))
    except InstallError as error:
        raise BundleError(error.message, hint=error.hint) from error
    except (LookupError, StopIteration) as error:
        raise BundleError(f"{path}: {manifest.FILE} and {BILL} do not match", hint="run platter verify") from error
    return BundleSummary(
        about=about,
        size=size_of(path),
        signed=checksums.SIGNATURE in texts,
        roots=roots,
        parts=tuple(sorted(parts, key=lambda part: (-part.size, part.name))),
        bill=texts[BILL].decode(),
        sums=sums,
        thin=left_out,
    )


def _parts(about: manifest.Manifest, bill: Bill) -> tuple[tuple[str, ...], list[Part]]:
    components = {one.sha256: one for one in bill.components}
    names = {components[wheel.sha256].ref: wheel.name for wheel in about.wheels}
    interpreter = components[about.interpreter.sha256].ref if about.interpreter else ""
    graph = {
        ref: [names[one] for one in wanted if one != interpreter]
        for ref, wanted in bill.graph.items()
        if ref != interpreter
    }
    roots = tuple(dict.fromkeys(graph.pop(bill.subject)))
    requires: dict[str, tuple[str, ...]] = {}
    for ref, wanted in graph.items():  # several wheels may have one name, for several targets
        requires[names[ref]] = tuple(dict.fromkeys([*requires.get(names[ref], ()), *wanted]))
    paths = dict(_paths(roots, requires))
    takers = {wheel.file: list[str]() for wheel in about.wheels}
    for target in about.targets:
        for wheel in about.for_target(target).wheels:
            takers[wheel.file].append(target.id)
    parts = []
    for wheel in about.wheels:
        component = components[wheel.sha256]
        parts.append(
            Part(
                name=wheel.name,
                version=wheel.version,
                file=wheel.file,
                sha256=wheel.sha256,
                size=wheel.size,
                installed_size=wheel.installed_size,
                licence=component.licence,
                libc=wheel.libc,
                libraries=wheel.libraries,
                scripts=component.scripts,
                requires=requires[wheel.name],
                path=paths[wheel.name],
                targets=tuple(takers[wheel.file]),
            )
        )
    return roots, parts


def _paths(roots: tuple[str, ...], requires: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Return the shortest path to each wheel, from the project if it leads there."""
    seen: set[str] = set()
    for root in roots:
        ahead: list[tuple[str, ...]] = [(root,)]
        for path in ahead:  # grows meanwhile
            if path[-1] not in seen:
                seen.add(path[-1])
                yield path[-1], path
                ahead += [(*path, name) for name in requires[path[-1]]]


def _numbers(libc: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", libc))) or (-1 if not libc else 0,)
