"""The bootstrap: what install.sh starts on the server. The payload, and virtualenv with its dependencies, unpacked.

Unpacked and compiled it starts in a fifth of a second, three times faster than from its wheels.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from platter_setuptools import payload
from platter_setuptools.ground.errors import WheelError
from platter_setuptools.payload import untrusted
from platter_setuptools.payload.archive import Archive
from platter_setuptools.payload.errors import BundleError
from platter_setuptools.steps.bundle.members import Member, from_bytes
from platter_setuptools.steps.bundle.sinks import deflated
from platter_setuptools.steps.store import Store, key_of
from platter_setuptools.steps.wheels.bytecode import compile_archives

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from platter_setuptools.ground.run import Runner
    from platter_setuptools.ground.values import Wheel
    from platter_setuptools.steps.target import Target

FOLDER = "data/bootstrap"
PACKAGE = "platter_payload"  # what the payload is called in a bundle
_FIXED_TIME = (1980, 1, 1, 0, 0, 0)
_LAYOUT = f"2, zlib {zlib.ZLIB_RUNTIME_VERSION}"  # of what is kept; others deflate to other bytes
# Not needed on a POSIX server by a virtualenv that is created without seed packages.
_LEFT_OUT = re.compile(r"virtualenv/seed/wheels/embed/.*\.whl$|.*\.exe$|.*\.pyi$|[^/]+\.dist-info/sboms/.*")


def members(
    virtualenv: Sequence[Wheel], target: Target, store: Store, run: Runner, work: Path, *, with_bytecode: bool
) -> list[Member]:
    """install.sh and the files below `data/bootstrap`; these come from the store when nothing has changed."""
    modules = {f"{PACKAGE}/{path.name}": path.read_bytes() for path in sorted(_payload_folder().glob("*.py"))}
    key = key_of(
        _LAYOUT,
        target.magic,
        str(with_bytecode),
        *(wheel.sha256 for wheel in virtualenv),
        *(f"{name}\n{content.decode()}" for name, content in modules.items()),
    )
    packed = store.find_derived("bootstrap", key)
    if packed is None:
        folder = Path(tempfile.mkdtemp(prefix="bootstrap-", dir=work))
        files = modules | _unpacked(virtualenv)
        if with_bytecode:
            files |= _compiled(files, target, run, folder)
        packed = folder / "bootstrap"
        packed.write_bytes(_pack(files))
        packed = store.keep_derived("bootstrap", key, packed)
    installer = from_bytes("install.sh", _payload_file("install.sh"), executable=True)
    return [installer, *_unpack(packed.read_bytes())]


def _unpacked(wheels: Sequence[Wheel]) -> dict[str, bytes]:
    files = {}
    try:
        for wheel in wheels:
            with Archive(os.fspath(wheel.path), wheel.sha256) as archive:
                for name, info in archive.members.items():
                    if not _LEFT_OUT.match(name):
                        files[name] = archive.read(info, untrusted.MODULE)
    except BundleError as error:
        raise WheelError(error.message, hint=error.hint) from error
    return files


def _compiled(files: dict[str, bytes], target: Target, run: Runner, folder: Path) -> dict[str, bytes]:
    sources, compiled = folder / "sources.zip", folder / "bytecode.zip"
    with zipfile.ZipFile(sources, "w") as archive:
        for name, content in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(name, _FIXED_TIME), content)
    compile_archives({sources: compiled}, target, run, unchecked=True)
    with zipfile.ZipFile(compiled) as archive:
        return {member.filename: archive.read(member) for member in archive.infolist()}


def _pack(files: dict[str, bytes]) -> bytes:
    """All files as one: names and sizes in a line of JSON, the contents, and the same deflated, for a tar.gz."""
    ahead = {name: deflated(content) for name, content in files.items()}
    index = [[name, len(content), len(ahead[name])] for name, content in files.items()]
    return b"".join([json.dumps(index).encode(), b"\n", *files.values(), *ahead.values()])


def _unpack(data: bytes) -> Iterator[Member]:
    line, _, rest = data.partition(b"\n")
    index = json.loads(line)
    start, ahead = 0, sum(size for _name, size, _length in index)
    for name, size, length in index:
        content, start = rest[start : start + size], start + size
        compressed, ahead = rest[ahead : ahead + length], ahead + length
        yield from_bytes(f"{FOLDER}/{name}", content, deflated=compressed)


def _payload_folder() -> Path:
    return Path(payload.__file__).parent


def _payload_file(name: str) -> bytes:
    return (_payload_folder() / name).read_bytes()
