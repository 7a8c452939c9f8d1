"""Find what the releases of the root can give to an installation, before anything is changed."""

import os
from typing import AbstractSet, Dict, Iterable, List, NamedTuple, Optional, Sequence

from ..errors import BundleError, first
from ..install.install_state import WHEELS
from ..manifest import Manifest
from ..options import COPY
from . import bootstrap
from .providers import Provider, providers
from .release_files import ReleaseFiles
from .released import Links, Released

_INSTALLERS = ("INSTALLER", "REQUESTED")  # install.sh writes these files of .dist-info itself


class Supply(NamedTuple):
    """`providers` are the releases that give archives, by the archive's name.

    `bootstrap` is the content of its files by their paths in the bundle, where a thin one needs those of releases.
    """

    providers: Dict[str, Provider]
    bootstrap: Optional[Dict[str, bytes]] = None


def bootstraps(releases: Iterable[str]) -> List[str]:
    """Return where releases keep the bootstrap of their bundles."""
    return [os.path.join(release, WHEELS, bootstrap.FILE) for release in releases]


def find(
    bundle: str,
    sums: Dict[str, str],
    plan: Manifest,
    lacking: AbstractSet[str],
    releases: Sequence[str],
    *,
    bytecode: bool,
    sharing: bool,
    hashed: bool,
) -> Supply:
    """Return what releases give: what the bundle lacks, and with `sharing` what it has and they may share.

    Bytecode is needed with `bytecode`. Files of wheels are compared with their hashes when they are taken; with
    `hashed` those that the bundle lacks here, too. Raise BundleError that names what no release has.
    """
    found = providers(releases, plan.wheels, bytecode=bytecode)
    needed = {name for one in plan.wheels for name in (one.file, one.bytecode if bytecode else None) if name}
    needed = {name for name in needed if "data/" + name in lacking}
    files = bootstrap.read(bundle, sums, bootstraps(releases)) if lacking else None
    missing = {"data/" + name for name in needed - found.keys()}
    if files is not None:
        missing |= bootstrap.names(sums) - files.keys()
    if missing:
        raise BundleError(
            "no release has what this thin bundle leaves out, as it should be:\n"
            + "\n".join("  " + name for name in first(sorted(missing))),
            hint="send the full bundle",
        )
    if hashed:
        for name in sorted(needed):
            _read(os.path.join(bundle, "data", name), found[name])
    given = {name: one for name, one in found.items() if name in needed or (sharing and one.shared)}
    return Supply(given, files)


def _read(path: str, provider: Provider) -> None:
    """Raise BundleError unless all files of an archive are in the release as they should be."""
    archive = Released(path, "", provider, ReleaseFiles(provider.release, provider.others), Links(COPY))
    for name, info in archive.members.items():
        if name.rpartition("/")[2] not in _INSTALLERS:
            for _ in archive.chunks(info):
                pass
