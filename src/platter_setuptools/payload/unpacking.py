"""All wheels into the virtualenv, several at a time."""

import os
from typing import Any, Callable, Dict, FrozenSet, List, Sequence, Set, Tuple

from . import crew, environment, wheel
from .archive import Archive
from .environment import Scheme
from .errors import BundleError
from .manifest import Manifest
from .tree import Tree
from .wheel import Installed, Source

# Archives: so many files may be open everywhere, and their lists take little memory.
_AHEAD = 64


def deferred(plan: Manifest) -> FrozenSet[str]:
    """Files of the bundle that are verified when they are unpacked; paths as in SHA256SUMS."""
    names = [one.file for one in plan.wheels] + [one.bytecode for one in plan.wheels if one.bytecode]
    return frozenset("data/" + name for name in names)


def sources(bundle: str, sums: Dict[str, str], plan: Manifest, *, bytecode: bool, compiling: bool) -> List[Source]:
    """The wheels in the order of the manifest, each with the checksum that SHA256SUMS has for it.

    Their bytecode is among it if it fits this interpreter; with `compiling` what has none is compiled here.
    """
    found = []
    for one in plan.wheels:
        name = "data/" + one.file
        code = "data/" + one.bytecode if one.bytecode and bytecode else None
        if sums[name] != one.sha256:
            raise BundleError(
                "%s: info.json and SHA256SUMS disagree about it" % os.path.join(bundle, name),
                hint="build the bundle again",
            )
        found.append(
            Source(
                path=os.path.join(bundle, name),
                sha256=one.sha256,
                requested=one.requested,
                bytecode=None if code is None else os.path.join(bundle, code),
                bytecode_sha256="" if code is None else sums[code],
                weight=one.installed_size,
                compiling=compiling,
            )
        )
    return found


class Ahead:
    """Archives that are verified, and their lists read, before the folder is ready that they are unpacked into."""

    def __init__(self) -> None:
        self._archives: Dict[str, Archive] = {}

    def __enter__(self) -> "Ahead":  # noqa: PYI034 - Self came with Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        for archive in self._archives.values():
            archive.close()

    def read(self, wheels: Sequence[Source], go_on: Callable[[], bool]) -> None:
        """Open archives, those first that are unpacked first, for as long as there is time."""
        for index in _order(wheels):
            for path, sha256 in wheels[index].archives():
                if len(self._archives) == _AHEAD or not go_on():
                    return
                self._archives[path] = Archive(path, sha256)

    def open(self, path: str, sha256: str) -> Archive:
        """The archive, opened ahead or now; once."""
        return self._archives.pop(path, None) or Archive(path, sha256)


def unpack(scheme: Scheme, wheels: Sequence[Source], version: Tuple[int, int], ahead: Ahead) -> List[Installed]:
    """Install the wheels; where two own the same path, the later one's file stays, as if they came one by one."""
    protected = environment.files(scheme)
    order = _order(wheels)

    def work(job: int) -> Any:
        tree = Tree(protected)
        source = wheels[order[job]]
        return [list(wheel.install(source, scheme, tree, version, ahead.open)), tree.contested]

    found: Dict[int, Installed] = {}
    contested: Set[str] = set()
    for job, (installed, paths) in crew.run(len(wheels), work, crew.cores()):
        found[order[job]] = Installed(*installed)
        contested.update(paths)
    if contested:
        tree = Tree(protected, replace=True)
        for source in wheels:
            wheel.install(source, scheme, tree, version, only=contested)
    return [found[index] for index in sorted(found)]


def _order(wheels: Sequence[Source]) -> List[int]:
    """The biggest first, so that no process is left alone with one at the end."""
    return sorted(range(len(wheels)), key=lambda index: -wheels[index].weight)
