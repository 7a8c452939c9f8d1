"""Bytecode for the target, compiled once per wheel and magic number, and kept in the store."""

from __future__ import annotations

import functools
import json
import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from platter_setuptools.ground.errors import CommandError, PlatterError
from platter_setuptools.ground.files import sha256_of_file
from platter_setuptools.ground.threads import CORES
from platter_setuptools.ground.values import Bytecode
from platter_setuptools.steps.foreign import compile as foreign
from platter_setuptools.steps.store import Store, key_of, sha256_of_blob

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from platter_setuptools.ground.progress import Progress
    from platter_setuptools.ground.run import Runner
    from platter_setuptools.ground.values import Wheel
    from platter_setuptools.steps.target import Target


def compile_wheels(
    wheels: Sequence[Wheel], target: Target, store: Store, run: Runner, progress: Progress, work: Path
) -> Mapping[Wheel, Bytecode]:
    """For each wheel a zip with its bytecode, named `STEM.CACHE_TAG.zip`. See foreign/compile.py for what is in it."""
    found, to_compile = {}, []
    for wheel in wheels:
        bytecode = find_compiled(wheel, target, store)
        if bytecode:
            found[wheel] = bytecode
        else:
            to_compile.append(wheel)
    if to_compile:
        folder = work / "bytecode"
        folder.mkdir(exist_ok=True)
        outputs = {wheel: folder / f"{wheel.path.stem}.{target.cache_tag}.zip" for wheel in to_compile}
        wheels_counted = f"{len(to_compile)} wheel{'s' if len(to_compile) > 1 else ''}"
        with progress.step(f"Compiling bytecode of {wheels_counted} for {target.cache_tag}"):
            compile_archives({wheel.path: output for wheel, output in outputs.items()}, target, run)
        for wheel, output in outputs.items():
            found[wheel] = _bytecode(store.keep_derived("bytecode", _key(wheel, target), output), store)
    return found


def find_compiled(wheel: Wheel, target: Target, store: Store) -> Bytecode | None:
    """The bytecode of a wheel that was compiled before."""
    path = store.find_derived("bytecode", _key(wheel, target))
    return _bytecode(path, store) if path else None


@functools.cache  # foresight.py looks before it is asked for
def _bytecode(path: Path, store: Store) -> Bytecode:
    sha256 = sha256_of_blob(path)
    size = store.recall("unpacked", sha256)
    if not isinstance(size, int):
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        store.note("unpacked", sha256, size)
    return Bytecode(path=path, sha256=sha256, size=size)


def compile_archives(outputs: Mapping[Path, Path], target: Target, run: Runner, *, unchecked: bool = False) -> None:
    """Compile the modules in each archive into the output beside it, in as many processes as there are cores."""
    jobs = [
        {"wheel": os.fspath(source), "output": os.fspath(output), "unchecked": unchecked}
        for source, output in outputs.items()
    ]
    request = json.dumps({"processes": CORES, "jobs": jobs})
    environ = {name: "" for name in os.environ if name.startswith("PYTHON")} | {"PYTHONHASHSEED": "0"}
    try:
        # Not -I, which would ignore PYTHONHASHSEED: the other variables are emptied instead, which is as good as none.
        run([target.executable, "-s", "-B", Path(foreign.__file__)], env=environ, stdin=request)
    except CommandError as error:
        raise PlatterError(
            f"compiling bytecode with {target.executable} failed",
            hint="no-bytecode makes a bundle without it",
            output=error.output,
        ) from error


def _key(wheel: Wheel, target: Target) -> str:
    return key_of(wheel.sha256, target.magic, target.cache_tag or "", _compiler())


@functools.cache
def _compiler() -> str:
    return sha256_of_file(Path(foreign.__file__))[0]
