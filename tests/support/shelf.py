"""Releases without a virtualenv, in this process: what is unpacked of a bundle, shared with other releases."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unittest import mock

from platter_setuptools.payload import checksums, manifest, worker_pool
from platter_setuptools.payload.install.environment import Scheme
from platter_setuptools.payload.options import AUTO
from platter_setuptools.payload.wheels import kept, supply, unpacking
from support import handmade

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

SITE = "lib/python3.11/site-packages"


@dataclass(frozen=True, kw_only=True)
class Release:
    path: Path
    unpacked: unpacking.Unpacked

    @property
    def site(self) -> Path:
        return self.path / SITE

    @property
    def altered(self) -> int:
        return sum(self.unpacked.altered.values())

    def files(self) -> dict[str, tuple[bytes, int, int | None]]:
        """The content and the mode of each file, and the time of modules, by its path."""
        found = {}
        for path in sorted(self.path.rglob("*")):
            if path.is_file():
                status = path.stat()
                time = status.st_mtime_ns if path.suffix == ".py" else None
                content = path.read_bytes().replace(bytes(self.path), b"HERE")
                if path.name == "RECORD":  # the hashes of scripts differ with the folder
                    content = b"".join(line for line in content.splitlines(True) if b"/bin/" not in line)
                found[str(path.relative_to(self.path))] = (content, status.st_mode, time)
        return found

    def shares(self, other: Release) -> set[str]:
        """The files that are the same ones in both."""
        theirs = {str(path.relative_to(other.path)): path for path in other.path.rglob("*") if path.is_file()}
        ours = {name: self.path / name for name in theirs}
        return {name for name, path in ours.items() if path.exists() and path.samefile(theirs[name])}


def install(
    made: handmade.Bundle,
    folder: Path,
    *releases: Release,
    mode: str = AUTO,
    own: bool = False,
) -> Release:
    """Unpack a bundle into a folder, with what these releases have; with `own`, that of the project, too."""
    path = str(made.path)
    plan, sums = manifest.read(path), checksums.read(path)
    folder.mkdir(parents=True)
    root, site = str(folder), str(folder / SITE)
    scheme = Scheme(root, f"{root}/bin/python", site, site, f"{root}/bin", f"{root}/include", root)
    found = supply.providers([str(one.path) for one in releases], plan.wheels, bytecode=True)
    known = {f"{path}/data/{name}": provider for name, provider in found.items() if provider.shared or own}
    sources = unpacking.sources(path, sums, plan, bytecode=True, compiling=False)
    with (
        mock.patch.object(worker_pool, "run", _here),
        contextlib.closing(unpacking.Archives(path, known, mode)) as archives,
    ):
        unpacked = unpacking.unpack(scheme, sources, (3, 11), archives, keeping=True)
    kept.write(scheme, unpacked.kept)
    return Release(path=folder, unpacked=unpacked)


def _here(jobs: int, work: Callable[[int], Any], processes: int) -> Iterator[tuple[int, Any]]:
    del processes
    return ((job, work(job)) for job in range(jobs))


def bundle(folder: Path, version: str, wheels: Sequence[Path], **more: Any) -> handmade.Bundle:
    """A bundle of the project `app` in this version, and of these wheels."""
    project = handmade.wheel(folder / version, "app", version, files={"app/__init__.py": f"VERSION = '{version}'\n"})
    return handmade.bundle(folder, [project, *wheels], bytecode=True, **more)
