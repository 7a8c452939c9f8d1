"""The bootstrap, which install.sh starts on the server: the payload, and virtualenv with its dependencies, unpacked.

Unpacked and compiled it starts in a fifth of a second, three times faster than from its wheels.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from platter_setuptools import payload
from platter_setuptools.bundle.compressors import deflated
from platter_setuptools.bundle.members import Member, from_bytes
from platter_setuptools.errors import WheelError
from platter_setuptools.payload import untrusted
from platter_setuptools.payload.errors import BundleError
from platter_setuptools.payload.wheels.archive import Archive
from platter_setuptools.wheel_cache import WheelCache, key_of
from platter_setuptools.wheels.bytecode import compile_modules

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from platter_setuptools.runtime.processes import Runner
    from platter_setuptools.targets.target import Interpreter
    from platter_setuptools.values import Wheel

FOLDER = "data/bootstrap"
_PAYLOAD = Path(payload.__file__).parent
PACKAGE = "platter_payload"  # what the payload is called in a bundle
_LAYOUT = f"2, zlib {zlib.ZLIB_RUNTIME_VERSION}"  # of what is kept; others deflate to other bytes
# Not needed on a POSIX server by a virtualenv that is created without seed packages.
_LEFT_OUT = re.compile(r"virtualenv/seed/wheels/embed/.*\.whl$|.*\.exe$|.*\.pyi$|[^/]+\.dist-info/sboms/.*")


def members(
    virtualenv: Sequence[Wheel], compilers: Sequence[Interpreter], cache: WheelCache, run: Runner, work: Path
) -> list[Member]:
    """Return install.sh and the files below `data/bootstrap`, from the wheel cache if nothing has changed.

    They have bytecode of each compiler.
    """
    modules = {
        f"{PACKAGE}/{path.relative_to(_PAYLOAD).as_posix()}": path.read_bytes()
        for path in sorted(_PAYLOAD.rglob("*.py"))
    }
    key = key_of(
        _LAYOUT,
        *(f"{compiler.magic} {compiler.cache_tag}" for compiler in compilers),
        "",
        *(wheel.sha256 for wheel in virtualenv),
        *(f"{name}\n{content.decode()}" for name, content in modules.items()),
    )
    packed = cache.find_derived("bootstrap", key)
    if packed is None:
        folder = Path(tempfile.mkdtemp(prefix="bootstrap-", dir=work))
        files = sources = modules | _unpacked(virtualenv)
        for compiler in compilers:
            files = files | compile_modules(sources, compiler, run, folder, check="never")
        packed = folder / "bootstrap"
        packed.write_bytes(_pack(files))
        packed = cache.keep_derived("bootstrap", key, packed)
    installer = from_bytes("install.sh", (_PAYLOAD / "install.sh").read_bytes(), executable=True)
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


def _pack(files: dict[str, bytes]) -> bytes:
    """Return all files as one: names and sizes in a line of JSON, the contents, and the same deflated, for a tar.gz."""
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
