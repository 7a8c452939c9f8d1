"""The main flow: from a project's wheel to a self-installing bundle. Read this first."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from platter_setuptools.bundle.archive import check_output
from platter_setuptools.bundling import BundleWriter, run_prebuild_script
from platter_setuptools.complete_set import build_projects, choose_wheels, distinct
from platter_setuptools.contexts import finish, open_contexts, read_dependencies
from platter_setuptools.runtime.progress import Progress, human_size
from platter_setuptools.values import Artifact, Origin

if TYPE_CHECKING:
    from pathlib import Path

    from platter_setuptools.complete_set import ProjectWheel
    from platter_setuptools.config.options import Options
    from platter_setuptools.runtime.processes import Runner


def assemble(
    options: Options,
    *,
    source: Path,
    project_wheel: ProjectWheel,
    run: Runner,
    progress: Progress,
    tree: Path | None = None,
    version: str | None = None,
) -> Artifact:
    """Make the bundle of the project in the folder `source`, and put it into the options' output folder.

    `tree` is the folder that its wheel is built from, if that is known; `version` is what its version most likely is,
    if that can be told before it is built.

    Raise a PlatterError of the class that says what failed; nothing half-made is left behind then.
    """
    began = time.monotonic()
    check_output(options.output)
    with open_contexts(options, source, run, progress, tree) as contexts:  # one for each target
        contexts[0].checkout.read_revision(progress)  # now: what builds may change tracked files
        run_prebuild_script(contexts[0])
        read_dependencies(contexts, version)  # now: the script may have written them
        projects = build_projects(contexts, project_wheel)
        with BundleWriter(contexts, projects) as writer:
            chosen = choose_wheels(contexts, projects)
            bundle = writer.write(chosen)
        finish(contexts, projects, chosen)
    origins, seconds = Counter(wheel.origin for wheel in distinct(chosen)), time.monotonic() - began
    artifact = Artifact(path=bundle.path, size=bundle.size, sha256=bundle.sha256, wheels=origins, seconds=seconds)
    progress.done(summary(artifact))
    return artifact


def summary(artifact: Artifact) -> str:
    """Return the last lines of a build's output."""
    wheels = artifact.wheels
    counts = [
        f"{wheels.get(Origin.STORE, 0)} from the wheel cache",
        f"{wheels.get(Origin.FETCHED, 0)} fetched",
        f"{wheels.get(Origin.BUILT, 0) + wheels.get(Origin.PROJECT, 0)} built",
    ]
    lines = [
        f"{artifact.path}",
        f"  size     {human_size(artifact.size)}",
        *([f"  sha256   {artifact.sha256}"] if artifact.sha256 else []),
        f"  wheels   {sum(wheels.values())}: {', '.join(counts)}",
        f"  time     {artifact.seconds:.1f} s",
    ]
    return "\n".join(lines)
