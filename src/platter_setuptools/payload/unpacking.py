"""All wheels into the virtualenv, several at a time."""

import os
from typing import Any, Dict, FrozenSet, List, Sequence, Set, Tuple

from . import crew, environment, wheel
from .environment import Scheme
from .errors import BundleError
from .manifest import Manifest
from .tree import Tree
from .wheel import Installed, Source


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
            raise BundleError("%s: info.json and SHA256SUMS disagree about it" % os.path.join(bundle, name))
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


def unpack(scheme: Scheme, wheels: Sequence[Source], version: Tuple[int, int]) -> List[Installed]:
    """Install the wheels; where two own the same path, the later one's file stays, as if they came one by one."""
    protected = environment.files(scheme)
    # The biggest first, so that no process is left alone with one at the end.
    order = sorted(range(len(wheels)), key=lambda index: -wheels[index].weight)

    def work(job: int) -> Any:
        tree = Tree(protected)
        source = wheels[order[job]]
        return [list(wheel.install(source, scheme, tree, version)), tree.contested]

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
