"""Bytecode for the target, compiled once per wheel and magic number, and kept in the wheel cache."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from platter_setuptools._in_process import compile as foreign
from platter_setuptools.errors import CommandError, PlatterError
from platter_setuptools.runtime.concurrency import CORES
from platter_setuptools.runtime.files import sha256_of_file
from platter_setuptools.runtime.progress import Progress, counted
from platter_setuptools.values import Bytecode
from platter_setuptools.wheel_cache import WheelCache, key_of, sha256_of_blob

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from platter_setuptools.runtime.processes import Runner
    from platter_setuptools.targets.target import Interpreter, Target
    from platter_setuptools.values import Wheel

_LARGEST = 4 << 20  # bytes: builds import little of a larger wheel


def compile_wheels(
    wheels: Sequence[Wheel],
    compiler: Interpreter,
    cache: WheelCache,
    run: Runner,
    progress: Progress,
    work: Path,
) -> Mapping[Wheel, Bytecode]:
    """Return a zip of bytecode for each wheel, `STEM.CACHE_TAG.zip`; its content: _in_process/compile.py."""
    found = {wheel: bytecode for wheel in wheels if (bytecode := find_compiled(wheel, compiler, cache))}
    if to_compile := [wheel for wheel in wheels if wheel not in found]:
        folder = work / "bytecode"
        folder.mkdir(exist_ok=True)
        outputs = {wheel: folder / f"{wheel.path.stem}.{compiler.cache_tag}.zip" for wheel in to_compile}
        with progress.step(f"Compiling bytecode of {counted(len(to_compile), 'wheel')} for {compiler.cache_tag}"):
            compile_archives({wheel.path: output for wheel, output in outputs.items()}, compiler, run)
        for wheel, output in outputs.items():
            found[wheel] = _bytecode(cache.keep_derived("bytecode", _key(wheel, compiler), output))
    return found


def find_compiled(wheel: Wheel, target: Target, cache: WheelCache) -> Bytecode | None:
    """Return the bytecode of a wheel that was compiled before; none for a target whose bytecode is not known."""
    if not target.magic:
        return None
    path = cache.find_derived("bytecode", _key(wheel, target))
    return _bytecode(path) if path else None


def _bytecode(path: Path) -> Bytecode:
    with zipfile.ZipFile(path) as archive:
        size = sum(member.file_size for member in archive.infolist() if member.filename != foreign.RECORD)
        record_sha256 = hashlib.sha256(archive.read(foreign.RECORD)).hexdigest()
    return Bytecode(path=path, sha256=sha256_of_blob(path), size=size, record_sha256=record_sha256)


def compile_for_builds(
    wheels: Sequence[Wheel], compiler: Interpreter, cache: WheelCache, run: Runner, work: Path
) -> list[Path]:
    """Return zips as `compile_wheels` does, for build environments: a module's bytecode is valid for the same source.

    Without them each build would compile what it imports anew, setuptools for one: a fifth of the time of a release.
    """
    keys = {wheel: key_of(_key(wheel, compiler), "source") for wheel in wheels if wheel.size <= _LARGEST}
    found = {wheel: cache.find_derived("bytecode", key) for wheel, key in keys.items()}
    folder = Path(tempfile.mkdtemp(prefix="bytecode-", dir=work))
    outputs = {wheel: folder / f"{wheel.path.stem}.zip" for wheel, path in found.items() if path is None}
    if outputs:
        compile_archives({wheel.path: output for wheel, output in outputs.items()}, compiler, run, check="source")
        found |= {wheel: cache.keep_derived("bytecode", keys[wheel], output) for wheel, output in outputs.items()}
    return [path for path in found.values() if path]


def compile_archives(outputs: Mapping[Path, Path], compiler: Interpreter, run: Runner, *, check: str = "time") -> None:
    """Compile the modules in each archive into the output beside it, in as many processes as there are cores."""
    jobs = [
        {"wheel": os.fspath(source), "output": os.fspath(output), "check": check} for source, output in outputs.items()
    ]
    request = json.dumps({"processes": CORES, "jobs": jobs})
    environ = {name: "" for name in os.environ if name.startswith("PYTHON")} | {"PYTHONHASHSEED": "0"}
    try:
        # Not -I, which would ignore PYTHONHASHSEED: the other variables are emptied instead, which is as good as none.
        run([compiler.executable, "-s", "-B", Path(foreign.__file__)], env=environ, stdin=request)
    except CommandError as error:
        raise PlatterError(
            f"compiling bytecode with {compiler.executable} failed",
            hint="no-bytecode makes a bundle without it",
            output=error.output,
        ) from error


def compile_modules(
    files: Mapping[str, bytes], compiler: Interpreter, run: Runner, work: Path, *, check: str = "time"
) -> dict[str, bytes]:
    """Return the bytecode of the modules among these files, by its name. Their time, if that is checked, is 1980."""
    folder = Path(tempfile.mkdtemp(prefix="modules-", dir=work))
    outputs = {folder / f"{half}.zip": folder / f"{half}.compiled" for half in (0, 1)}  # compiled at the same time
    with contextlib.ExitStack() as stack:
        halves = [stack.enter_context(zipfile.ZipFile(half, "w")) for half in outputs]
        left = sum(map(len, files.values())) // 2
        for name, content in sorted(files.items()):
            left -= len(content)
            halves[left < 0].writestr(zipfile.ZipInfo(name, foreign.FIXED_TIME), content)
    compile_archives(outputs, compiler, run, check=check)
    compiled: dict[str, bytes] = {}
    for output in outputs.values():
        with zipfile.ZipFile(output) as archive:
            compiled |= {name: archive.read(name) for name in archive.namelist() if name != foreign.RECORD}
    return compiled


def _key(wheel: Wheel, target: Target) -> str:
    compiler, _size = sha256_of_file(Path(foreign.__file__))
    return key_of(wheel.sha256, target.magic or "", target.cache_tag or "", compiler)
