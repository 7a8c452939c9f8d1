"""One step of a build alone, in a process of its own: `python steps.py STEP ARGUMENTS`, run with our virtualenv.

    compile WHEELS WORK      bytecode for every wheel in a folder, with an empty wheel cache below WORK
    archive BUNDLE OUTPUT    the archive of an unpacked bundle, tar.gz, and its SHA-256

Prints a JSON object with the `seconds` that the step took; the start of Python and imports are not among them, as in a
build they are there already.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from platter_setuptools.bundle.archive import stage_archive
from platter_setuptools.bundle.bootstrap import FOLDER as BOOTSTRAP
from platter_setuptools.bundle.compressors import deflated
from platter_setuptools.bundle.members import from_bytes, from_file
from platter_setuptools.runtime.processes import Runner
from platter_setuptools.runtime.progress import Progress
from platter_setuptools.targets.find import find_interpreter
from platter_setuptools.values import Origin
from platter_setuptools.wheel_cache import WheelCache
from platter_setuptools.wheels.bytecode import compile_wheels
from platter_setuptools.wheels.metadata import open_wheel


def compile_all(wheels: Path, work: Path) -> float:
    run = Runner()
    target = find_interpreter(None, run)
    opened = [open_wheel(path, Origin.STORE) for path in sorted(wheels.glob("*.whl"))]
    began = time.perf_counter()
    compile_wheels(opened, target, WheelCache(work / "store"), run, Progress(sys.stderr), work)
    return time.perf_counter() - began


def archive(bundle: Path, output: Path) -> float:
    sums = {}
    for line in (bundle / "SHA256SUMS").read_text("utf-8").splitlines():
        digest, _, name = line.partition("  ")
        sums[name] = digest
    members = [
        # What a build knows of its wheels: their hashes, and that they are compressed. Its wheel cache has the rest.
        from_bytes(name, content := (bundle / name).read_bytes(), deflated=deflated(content))
        if name.startswith(BOOTSTRAP)
        else from_file(name, bundle / name, sha256=digest, packed=name.endswith((".whl", ".zip")))
        for name, digest in sums.items()
    ]
    began = time.perf_counter()
    stage_archive(members, bundle.name, "tar.gz", output, 1_700_000_000).commit()
    return time.perf_counter() - began


if __name__ == "__main__":
    step, *folders = sys.argv[1:]
    seconds = {"compile": compile_all, "archive": archive}[step](*map(Path, folders))
    print(json.dumps({"seconds": seconds}))
