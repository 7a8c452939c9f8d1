"""The main flow: from a project's wheel to a self-installing bundle. Read this first."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from platter_setuptools.bundling import BundleWriter, run_script
from platter_setuptools.complete_set import asked_for, build_project, collect_set, complete_set
from platter_setuptools.ground.draft import Draft, Untold
from platter_setuptools.ground.errors import PlatterError
from platter_setuptools.ground.progress import Progress, human_size
from platter_setuptools.ground.threads import Later
from platter_setuptools.ground.values import Artifact, Origin
from platter_setuptools.ground.workspace import temporary_workspace
from platter_setuptools.steps.bundle.archive import check_output
from platter_setuptools.steps.checkout import Checkout
from platter_setuptools.steps.foresight import Foresight
from platter_setuptools.steps.wheels.bytecode import compile_wheels
from platter_setuptools.steps.wheels.check import Described, check_fits
from platter_setuptools.steps.wheels.wheelfile import describe_once
from platter_setuptools.workshop import open_workshop

if TYPE_CHECKING:
    from pathlib import Path

    from platter_setuptools.bundling import Written
    from platter_setuptools.complete_set import ProjectWheel
    from platter_setuptools.ground.consent import Consent
    from platter_setuptools.ground.options import Options
    from platter_setuptools.ground.run import Processes
    from platter_setuptools.ground.values import Wheel
    from platter_setuptools.workshop import Workshop


def assemble(
    options: Options,
    *,
    source: Path,
    project_wheel: ProjectWheel,
    run: Processes,
    progress: Progress,
    tree: Path | None = None,
) -> Artifact:
    """Make the bundle of the project in the folder `source`, and put it into the options' output folder.

    `tree` is the folder that its wheel is built from, if that is known.

    Raises a PlatterError of the class that says what failed; nothing half-made is left behind then.
    """
    began = time.monotonic()
    check_output(options.output)
    with temporary_workspace(run) as work, open_workshop(options, source, run, progress, work) as workshop:
        checkout = Checkout(tree, run, record=options.record_git_state)
        workshop.get_ready()
        if tree and not options.lock:
            _tell_of_locks(tree, progress)
        checkout.read_revision(progress)  # now: what builds may change tracked files
        if options.prebuild_script:
            run_script(options.prebuild_script, workshop, progress)
        workshop.dependencies.read_requirements()

        foresight = _look_ahead(workshop)
        project = build_project(workshop, project_wheel)
        check_fits(project, workshop.target)
        asked_for(workshop, project)

        writer = BundleWriter(workshop=workshop, project=project, checkout=checkout)
        looked = Later(lambda: _look_at(project.wheel, workshop))
        replaceable = Later(writer.check_replaceable)
        # Resolving takes longer than all the rest, and mostly leads to the wheels of last time.
        with _draft(writer, foresight, looked) as draft:
            wheels = _choose_wheels(workshop, project, foresight)
            looked.result()
            replaceable.result()
            virtualenv = workshop.tools.virtualenv
            foreseen = foresight.wheels_for(project), foresight.virtualenv()
            written = draft.outcome(progress, right=(wheels, virtualenv) == foreseen)
        path, size, sha256 = written or writer.write(wheels, progress)
        foresight.remember(project, wheels, virtualenv)
        workshop.resolvers.tell_of_newer()
        origins, seconds = Counter(one.wheel.origin for one in wheels), time.monotonic() - began
        artifact = Artifact(path=path, size=size, sha256=sha256, wheels=origins, seconds=seconds)
    progress.done(summary(artifact))
    return artifact


def _tell_of_locks(tree: Path, progress: Progress) -> None:
    """Tell of a lock that lies beside the project and is not used: that it would be is easily believed."""
    if (tree / "PKG-INFO").is_file():  # an sdist was unpacked there
        return
    for name in ("pylock.toml", "uv.lock"):
        if (tree / name).is_file():
            progress.warn(f"{name} is not used: --lock {name} takes it")
            return


def _look_ahead(workshop: Workshop) -> Foresight:
    """Begin, in the background, with what the last build of the project needed."""
    foresight = Foresight(
        source=workshop.source,
        target=workshop.target,
        store=workshop.store,
        resolve=workshop.resolvers.resolve,
    )
    foresight.look_ahead(None if workshop.options.lock else workshop.dependencies.request, workshop.work)
    return foresight


def _draft(writer: BundleWriter, foresight: Foresight, looked: Later[None]) -> Draft[Written]:
    """Return the bundle as it will be if the resolver says what it said last time."""
    options = writer.workshop.options
    # What scripts do or a signer asks is not done for a guess.
    sensible = not (options.has_scripts or options.sign_with) and options.output.is_dir()

    def make(consent: Consent, progress: Progress) -> Written:
        wheels, virtualenv = (
            (foresight.wheels_for(writer.project), foresight.virtualenv()) if sensible else (None, None)
        )
        if not wheels or not virtualenv:
            raise PlatterError("there is nothing to go by", hint="build it without looking ahead")
        looked.result()
        return writer.write(wheels, progress, consent, virtualenv)

    return Draft(make)


def _look_at(wheel: Wheel, workshop: Workshop) -> None:
    """Find out, while other wheels are still on their way, what is asked of the project's later: the store notes it."""
    if not workshop.options.no_bytecode:
        compile_wheels([wheel], workshop.target, workshop.store, workshop.run, Untold(), workshop.work)
    workshop.look_into([wheel])


def _choose_wheels(workshop: Workshop, project: Described, foresight: Foresight) -> list[Described]:
    """Return all wheels of the bundle: by the lock that was given, or resolved. The project's own is the last."""
    options = workshop.options
    if given := workshop.dependencies.given_lock(project.wheel.name):
        foresight.wait()
        chosen = collect_set(workshop, project, given)
    else:
        request = workshop.dependencies.request(project.wheel.path)
        with workshop.progress.step(f"Resolving {project.description.name} {project.wheel.version}"):
            lock = foresight.lock_for(request) or workshop.resolvers.resolve(request)
        chosen = complete_set(workshop, project, lock)
    names = {package.name for package in chosen.lock.pylock.packages}
    excluded = asked_for(workshop, project).excluded
    if useless := sorted(excluded - names - {"pip"}):
        workshop.progress.warn(f"exclude {', '.join(useless)}: it would not be in the bundle anyway")
    if options.no_pip or "pip" in excluded or any(one.wheel.name == "pip" for one in chosen.wheels):
        return chosen.wheels
    pip = workshop.tools.pip
    return [*chosen.wheels[:-1], Described(wheel=pip, description=describe_once(pip, workshop.store)), project]


def summary(artifact: Artifact) -> str:
    """The last words of a build."""
    wheels = artifact.wheels
    counts = [
        f"{wheels.get(Origin.STORE, 0)} from the wheel cache",
        f"{wheels.get(Origin.FETCHED, 0)} fetched",
        f"{wheels.get(Origin.BUILT, 0) + wheels.get(Origin.PROJECT, 0)} built",
    ]
    lines = [
        f"{artifact.path}",
        f"  size     {human_size(artifact.size)}",
        f"  sha256   {artifact.sha256}",
        f"  wheels   {sum(wheels.values())}: {', '.join(counts)}",
        f"  time     {artifact.seconds:.1f} s",
    ]
    return "\n".join(line for line in lines if not line.endswith("None"))
