"""Find the releases that can give wheels of a bundle, and their bytecode."""

from typing import Dict, NamedTuple, Sequence, Tuple

from ..manifest import BundledWheel
from . import kept, record


class Provider(NamedTuple):
    """A release that has a wheel, or its bytecode; `record` is the RECORD of that, compared with the bundle's hash.

    `folders`: see kept.Index. `shared`: its files may be linked; else they are copied. `others` are releases where
    files may be if they were altered in this one.
    """

    release: str
    folders: Dict[str, str]
    record: bytes
    shared: bool
    executables: Tuple[str, ...] = ()
    others: Tuple[str, ...] = ()


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
