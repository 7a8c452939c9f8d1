"""Find what the releases of the root can give to an installation, before anything is changed."""

import os
from typing import AbstractSet, Dict, Iterable, List, NamedTuple, Optional, Sequence

from ..errors import BundleError, first
from ..install.install_state import WHEELS
from ..manifest import BundledWheel, Manifest
from ..options import COPY
from . import bootstrap, kept, record
from .release_files import ReleaseFiles
from .released import Links, Provider, Released

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


def providers(releases: Sequence[str], wheels: Sequence[BundledWheel], *, bytecode: bool) -> Dict[str, Provider]:
    """Return for each wheel, and with `bytecode` for its bytecode, the first release that has it, by the file's name.

    Only RECORDs are compared with their hashes, those in info.json; files may turn out to be altered. What belongs to
    the project itself is not shared.
    """
    found: Dict[str, Provider] = {}
    others = tuple(releases)
    for release in releases:
        missing = [
            one
            for one in wheels
            if one.record_sha256
            and (one.file not in found or (bytecode and one.bytecode and one.bytecode not in found))
        ]
        index = kept.read(release) if missing else None
        if index is None:
            continue
        known = {(one.record_sha256, record.names_sha256(one.executables)): one for one in index.wheels}
        compiled = {one.bytecode_record_sha256 for one in index.wheels if one.bytecode_record_sha256}
        for one in missing:
            wheel = known.get((one.record_sha256, one.executables_sha256))
            if wheel and one.file not in found:
                content = kept.find(release, one.record_sha256, kept.RECORD)
                if content is not None:
                    found[one.file] = Provider(
                        release, index.folders, content, not one.requested, wheel.executables, others
                    )
            if bytecode and one.bytecode and one.bytecode not in found and one.bytecode_record_sha256 in compiled:
                content = kept.find(release, one.bytecode_record_sha256, kept.RECORD)
                if content is not None:
                    found[one.bytecode] = Provider(release, index.folders, content, not one.requested, (), others)
    return found


def _read(path: str, provider: Provider) -> None:
    """Raise BundleError unless all files of an archive are in the release as they should be."""
    archive = Released(path, "", provider, ReleaseFiles(provider.release, provider.others), Links(COPY))
    for name, info in archive.members.items():
        if name.rpartition("/")[2] not in _INSTALLERS:
            for _ in archive.chunks(info):
                pass
