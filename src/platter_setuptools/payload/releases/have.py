"""What the complete releases of a root can give to a thin bundle."""

from typing import Dict, List, NamedTuple, Tuple

from ..thin import BOOTSTRAP, BYTECODE, INTERPRETER, TARGET, WHEEL, bootstrap_sha256, target_sha256
from ..wheels import bootstrap, kept, supply
from .interpreters import interpreters, used
from .root import COMPLETE, Root


class Had(NamedTuple):
    """A file of a bundle, by its SHA-256, that need not be sent; `kind` says what it is.

    Or the target of a release, by the SHA-256 of its id.
    """

    sha256: str
    kind: str
    name: str


def have(root: Root) -> List[Had]:
    """Return what releases have, sorted by kind and name. Their files are compared with hashes when they are taken."""
    found: Dict[Tuple[str, str], Had] = {}
    complete = [release for release in root.releases() if release.state == COMPLETE]
    for target in {release.note.target for release in complete} - {""}:
        had = Had(target_sha256(target), TARGET, target)
        found[had[:2]] = had
    folders = [root.folder(release.version) for release in complete]
    for folder in folders:
        index = kept.read(folder)
        for one in index.wheels if index else ():
            for had in (Had(one.sha256, WHEEL, one.file), Had(one.bytecode_sha256, BYTECODE, one.bytecode)):
                if had.sha256:
                    found[had[:2]] = had
    for path in supply.bootstraps(folders):
        files = bootstrap.have(path)
        if files:
            had = Had(bootstrap_sha256(files), BOOTSTRAP, "data/bootstrap")
            found[had[:2]] = had
    using, versions = used(root), {release.version for release in complete}
    for name, note in interpreters(root).items():
        if not versions.isdisjoint(using.get(name, ())):
            had = Had(note.sha256, INTERPRETER, name + ".tar.gz")
            found[had[:2]] = had
    return sorted(found.values(), key=lambda had: (had.kind, had.name, had.sha256))
