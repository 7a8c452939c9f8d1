"""The files that the wheels of a bundle install, found by the installer's code without writing them."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from platter_setuptools.errors import BundleError, WheelError
from platter_setuptools.inspect.archive_reader import Kind, open_bundle
from platter_setuptools.runtime.temporary import temporary_folder
from platter_setuptools.values import Origin
from platter_setuptools.wheels.metadata import open_wheel
from platter_setuptools.wheels.record_check import installed

if TYPE_CHECKING:
    from pathlib import Path

    from platter_setuptools.inspect.summary import BundleSummary


def files_of(path: Path, bundle_summary: BundleSummary) -> dict[str, tuple[str, ...]]:
    """Return the files that each wheel installs, by its file name; `site-packages` is that folder of the virtualenv.

    Bytecode is not among it. Raises BundleError for a wheel that is missing or cannot be read, UsageError for a thin
    bundle that leaves a wheel out.
    """
    bundle_summary.require_wheels(path)
    wanted = {f"data/{wheel.file}": wheel for wheel in bundle_summary.about.wheels}
    plan = bundle_summary.about
    pythons = {one.file: target.python for target in plan.targets for one in plan.for_target(target).wheels}
    found = {}
    with open_bundle(path) as entries, temporary_folder() as scratch:
        for entry in entries:
            about = wanted.get(entry.inside)
            if about is None or entry.kind is not Kind.FILE:
                continue
            copy = scratch / about.file
            with entry.open() as source, copy.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
            try:
                wheel = open_wheel(copy, Origin.STORE, sha256=about.sha256)
                major, minor = pythons[about.file].split(".")
                found[about.file] = installed(wheel, (int(major), int(minor)), requested=about.requested)
            except WheelError as error:
                raise BundleError(f"{path}: {error.message}", hint="run platter verify") from error
            copy.unlink()
    if missing := sorted(about.file for about in wanted.values() if about.file not in found):
        raise BundleError(f"{path} has no {', '.join(missing)}", hint="run platter verify")
    return found
