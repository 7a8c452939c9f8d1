"""A portrait of a bundle: what it says of itself in info.json and in its bill of materials. No wheel is opened.

Whether it speaks the truth is for `platter verify` to find out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from platter_setuptools.ground.errors import BundleError
from platter_setuptools.payload import checksums, manifest, untrusted
from platter_setuptools.payload.errors import InstallError
from platter_setuptools.steps.bundle.entries import Kind, open_bundle
from platter_setuptools.steps.bundle.sbom import FILE as BILL
from platter_setuptools.steps.bundle.sbom import Bill, read_bill

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_KEPT = (manifest.FILE, checksums.FILE, checksums.SIGNATURE, BILL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One wheel of a bundle. Sizes are in bytes; `path` leads to it from a root of the bundle, by names."""

    name: str
    version: str
    file: str
    sha256: str
    size: int
    installed_size: int
    licence: str  # empty if it tells none
    libc: str  # `glibc 2.28`; empty for what needs none
    libraries: tuple[str, ...]
    scripts: tuple[str, ...]
    requires: tuple[str, ...]
    path: tuple[str, ...]

    @property
    def tag(self) -> str:
        return "-".join(self.file.removesuffix(".whl").split("-")[-3:])


@dataclass(frozen=True, slots=True, kw_only=True)
class Portrait:
    """`parts` come the largest first; `roots` name the project and what is there for no other's sake."""

    about: manifest.Manifest
    size: int
    signed: bool
    roots: tuple[str, ...]
    parts: tuple[Part, ...]
    bill: str  # the text of the bill of materials
    sums: Mapping[str, str]  # the SHA-256 of every file

    @property
    def project(self) -> Part:
        return next(part for part in self.parts if part.name == self.roots[0])

    @property
    def libc(self) -> str:
        """The newest C library that a wheel needs; empty if none needs one."""
        return max((part.libc for part in self.parts), key=_numbers, default="")

    @property
    def libraries(self) -> list[str]:
        """What the server has to have, since no wheel brings it."""
        return sorted({library for part in self.parts for library in part.libraries})


def portray(path: Path) -> Portrait:
    """Read a bundle of any format. Raises ArchiveError for what is none, BundleError for one that tells too little."""
    texts: dict[str, bytes] = {}
    size = path.stat().st_size if path.is_file() else 0
    with open_bundle(path) as entries:
        for entry in entries:
            name = entry.name.partition("/")[2]
            if name in _KEPT and entry.kind is Kind.FILE:
                with entry.open() as source:
                    texts[name] = source.read(untrusted.LIST + 1)
    if path.is_dir():
        size = sum(one.lstat().st_size for one in path.rglob("*") if one.is_file())
    for name in (manifest.FILE, checksums.FILE, BILL):
        if name not in texts:
            raise BundleError(f"{path} has no {name}", hint="name a bundle that this version of platter has built")
    try:
        about = manifest.load(texts[manifest.FILE], f"{path}: {manifest.FILE}")
        sums = checksums.parse(texts[checksums.FILE])
        roots, parts = _parts(about, read_bill(texts[BILL]))
    except InstallError as error:
        raise BundleError(error.message, hint=error.hint) from error
    except (LookupError, StopIteration) as error:
        raise BundleError(
            f"{path}: {manifest.FILE} and {BILL} do not fit each other", hint="platter verify tells what is wrong"
        ) from error
    return Portrait(
        about=about,
        size=size,
        signed=checksums.SIGNATURE in texts,
        roots=roots,
        parts=tuple(sorted(parts, key=lambda part: (-part.size, part.name))),
        bill=texts[BILL].decode(),
        sums=sums,
    )


def _parts(about: manifest.Manifest, bill: Bill) -> tuple[tuple[str, ...], list[Part]]:
    components = {one.sha256: one for one in bill.components}
    names = {components[wheel.sha256].ref: wheel.name for wheel in about.wheels}
    graph = {ref: [names[one] for one in wanted] for ref, wanted in bill.graph.items()}
    roots = tuple(graph.pop(bill.subject))
    requires = {names[ref]: tuple(wanted) for ref, wanted in graph.items()}
    paths = dict(_paths(roots, requires))
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
            )
        )
    return roots, parts


def _paths(roots: tuple[str, ...], requires: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The shortest way to everything; what the project leads to is not led to by others."""
    seen: set[str] = set()
    for root in roots:
        ahead: list[tuple[str, ...]] = [(root,)]
        for path in ahead:  # which grows
            if path[-1] not in seen:
                seen.add(path[-1])
                yield path[-1], path
                ahead += [(*path, name) for name in requires[path[-1]]]


def _numbers(libc: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", libc))) or (-1 if not libc else 0,)
