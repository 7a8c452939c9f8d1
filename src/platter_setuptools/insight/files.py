"""The files that the wheels of a bundle install. Each wheel is unpacked into nothing, as the installer would do it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from platter_setuptools.ground.errors import BundleError, WheelError
from platter_setuptools.ground.temporary import temporary_folder
from platter_setuptools.ground.values import Origin
from platter_setuptools.steps.bundle.entries import Kind, open_bundle
from platter_setuptools.steps.wheels.soundness import installed
from platter_setuptools.steps.wheels.wheelfile import open_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from platter_setuptools.insight.portrait import Portrait


def files_of(path: Path, portrait: Portrait) -> dict[str, tuple[str, ...]]:
    """For each wheel, by its file name, what it installs below the virtualenv; `site-packages` stands for the folder.

    Bytecode is not among it. Raises BundleError for a wheel that is missing or cannot be read.
    """
    wanted = {f"data/{wheel.file}": wheel for wheel in portrait.about.wheels}
    major, minor = portrait.about.targets[0].python.split(".")[:2]
    found = {}
    with open_bundle(path) as entries, temporary_folder() as scratch:
        for entry in entries:
            about = wanted.get(entry.name.partition("/")[2])
            if about is None or entry.kind is not Kind.FILE:
                continue
            copy = scratch / about.file
            with entry.open() as source, copy.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
            try:
                wheel = open_wheel(copy, Origin.STORE, sha256=about.sha256)
                found[about.file] = installed(wheel, (int(major), int(minor)), requested=about.requested)
            except WheelError as error:
                raise BundleError(f"{path}: {error.message}", hint="platter verify tells what is wrong") from error
            copy.unlink()
    if missing := sorted(about.file for about in wanted.values() if about.file not in found):
        raise BundleError(f"{path} has no {', '.join(missing)}", hint="platter verify tells what is wrong")
    return found
