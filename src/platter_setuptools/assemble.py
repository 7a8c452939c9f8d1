"""The main flow: from a project's wheel to a self-installing bundle. Read this first."""

from __future__ import annotations

import functools
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from platter_setuptools.ground.consent import GIVEN, Consent
from platter_setuptools.ground.draft import Draft, Untold
from platter_setuptools.ground.errors import DependencyError, PlatterError, UsageError
from platter_setuptools.ground.progress import Progress, human_size
from platter_setuptools.ground.threads import Later
from platter_setuptools.ground.values import Artifact, Origin, Wheel
from platter_setuptools.ground.workspace import temporary_workspace
from platter_setuptools.steps.bundle.archive import archive_name, check_output, write_archive
from platter_setuptools.steps.bundle.bootstrap import FOLDER as BOOTSTRAP
from platter_setuptools.steps.bundle.bundles import ReplaceableCheck
from platter_setuptools.steps.bundle.manifest import Manifest, checksums, stem
from platter_setuptools.steps.bundle.members import Member, from_text
from platter_setuptools.steps.bundle.sbom import bill_of_materials
from platter_setuptools.steps.checkout import Checkout
from platter_setuptools.steps.foresight import Foresight
from platter_setuptools.steps.wheels.bytecode import compile_wheels
from platter_setuptools.steps.wheels.check import (
    Asked,
    Described,
    check_extras,
    check_fits,
    check_set,
    needed_by_other_patches,
)
from platter_setuptools.steps.wheels.forgotten import warn_of_forgotten
from platter_setuptools.steps.wheels.needs import find_needs, warnings
from platter_setuptools.steps.wheels.scripts import check_attributes, check_scripts
from platter_setuptools.steps.wheels.soundness import check_case, check_places, examine_wheels
from platter_setuptools.steps.wheels.wheelfile import describe, describe_once, open_wheel
from platter_setuptools.workshop import Workshop, open_workshop

if TYPE_CHECKING:
    from platter_setuptools.ground.options import Options
    from platter_setuptools.ground.run import Processes
    from platter_setuptools.steps.hooks import Stage
    from platter_setuptools.steps.resolving.lock import Lock

# How a door gets the project's own wheel: it builds it into a folder, with the workshop's tools or its own, and tells.
ProjectWheel = Callable[[Workshop, Path], Path]
Written = tuple[Path, int, str | None]  # the bundle, its size in bytes, and its SHA-256 if it is a file


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
    with (
        temporary_workspace(run) as work,
        open_workshop(options, source, run, progress, work) as workshop,
    ):
        checkout = Checkout(tree, run, record=options.record_git_state)
        workshop.get_ready()
        if tree and not options.lock:
            _tell_of_locks(tree, progress)
        checkout.read_revision(progress)  # now: what builds may change tracked files

        if options.prebuild_script:
            _run_script(options.prebuild_script, workshop.stage, progress)

        workshop.dependencies.read_requirements()

        foresight = Foresight(
            source=source,
            target=workshop.target,
            store=workshop.store,
            resolve=workshop.resolvers.resolve,
            answered=workshop.resolvers.look_for_newer,
        )
        foresight.look_ahead(None if options.lock else workshop.dependencies.request, work)

        project = _described(workshop, project_wheel)

        looked = Later(lambda: _look_at(project.wheel, workshop))
        check = ReplaceableCheck(workshop.target.abi)
        replaceable = Later(lambda: check(options.output / _file_name(workshop, project)))
        write = functools.partial(_write, workshop, project, check=check, checkout=checkout)
        # Resolving takes longer than all the rest, and mostly leads to the wheels of last time.
        with _draft(workshop, project, foresight, looked, write) as draft:
            wheels = _complete_set(workshop, project, foresight, progress)
            looked.result()
            replaceable.result()
            written = draft.outcome(progress, right=wheels == foresight.wheels_for(project))
        path, size, sha256 = written or write(wheels, progress)
        foresight.remember(project, wheels)
        workshop.resolvers.tell_of_newer()
        artifact = Artifact(
            path=path,
            size=size,
            sha256=sha256,
            wheels=Counter(one.wheel.origin for one in wheels),
            seconds=time.monotonic() - began,
        )
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


def _draft(
    workshop: Workshop, project: Described, foresight: Foresight, looked: Later[None], write: Callable[..., Written]
) -> Draft[Written]:
    """The bundle as it will be if the resolver says what it said last time."""
    options = workshop.options
    # With a lock there is nothing to wait for, and what scripts do or a signer asks is not done for a guess.
    sensible = not (options.lock or options.has_scripts or options.sign_with) and options.output.is_dir()

    def make(consent: Consent, progress: Progress) -> Written:
        wheels = foresight.wheels_for(project) if sensible else None
        if not wheels:
            raise PlatterError("there is nothing to go by", hint="build it without looking ahead")
        looked.result()
        return write(wheels, progress, consent)

    return Draft(make)


def _file_name(workshop: Workshop, project: Described) -> str:
    options = workshop.options
    return archive_name(stem(project.wheel, workshop.target, with_python=options.name_with_python), options.format)


def _look_at(wheel: Wheel, workshop: Workshop) -> None:
    """Find out, while other wheels are still on their way, what is asked of the project's later: the store notes it."""
    if not workshop.options.no_bytecode:
        compile_wheels([wheel], workshop.target, workshop.store, workshop.run, Untold(), workshop.work)
    workshop.look_into([wheel])


def _write(
    workshop: Workshop,
    project: Described,
    wheels: Sequence[Described],
    progress: Progress,
    consent: Consent = GIVEN,
    *,
    check: ReplaceableCheck,
    checkout: Checkout,
) -> Written:
    """Make the bundle of these wheels; it appears in the output folder with the consent."""
    options, target, store, run, work = workshop.options, workshop.target, workshop.store, workshop.run, workshop.work
    asked = _asked(workshop, project)
    with progress.step(f"Checking {len(wheels)} wheels"):
        check_set(wheels, asked, target)
        needs = find_needs([one.wheel for one in wheels], target, store, run, work)
        places = examine_wheels([*(one.wheel for one in wheels), *workshop.tools.virtualenv], store, run)
    for warning in warnings(needs):
        progress.warn(warning)

    compiled = [] if options.no_bytecode else [one.wheel for one in wheels]
    bytecode = compile_wheels(compiled, target, store, run, progress, work)
    manifest = Manifest(
        project=project,
        wheels=wheels,
        bytecode=bytecode,
        target=target,
        needs=needs,
        extras=options.extras,
        groups=options.group,
        excluded=sorted(asked.excluded),
        name_with_python=options.name_with_python,
        revision=checkout.revision,
        amendments=asked.amendments,
        system_site_packages=options.finds_system_packages,
        case_sensitive=check_case([places[one.wheel] for one in wheels], target.platform, progress),
    )
    check_places(manifest.in_order, places, progress)
    check_scripts(wheels, [project], places, asked, progress)
    check_attributes(project, progress)
    warn_of_forgotten(checkout.tree, checkout.tracked, places[project.wheel], progress)
    members = [
        *manifest.members(),
        bill_of_materials(manifest, asked),
        *_requirements(workshop),
        *workshop.installer,
    ]
    if options.has_scripts:
        members += _run_postbuild(options.postbuild_script, workshop.stage, members, progress)

    members.append(checksums(members))
    if workshop.signer:
        members.append(workshop.signer.sign(members[-1], progress, work))
    with progress.step(f"Writing {archive_name(manifest.stem, options.format)}"):
        return write_archive(members, manifest.stem, options.format, options.output, workshop.mtime, consent, check)


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


def _described(workshop: Workshop, project_wheel: ProjectWheel) -> Described:
    output = workshop.work / "project"
    output.mkdir()
    wheel = open_wheel(project_wheel(workshop, output), Origin.PROJECT)
    project = Described(wheel=wheel, description=describe(wheel))
    check_fits(project, workshop.target)
    check_extras(project, workshop.options.extras)
    if wheel.name in _asked(workshop, project).excluded:
        raise UsageError(f"exclude: {wheel.name} is the project itself", hint="name distributions that it depends on")
    return project


def _complete_set(workshop: Workshop, project: Described, foresight: Foresight, progress: Progress) -> list[Described]:
    """The project's wheel and all that it needs: by the lock that was given, or resolved."""
    wheel = project.wheel
    if given := workshop.dependencies.given_lock(wheel.name):
        foresight.wait()
        return _with_wheels(workshop, project, given)
    title = f"Resolving {project.description.name} {wheel.version}"
    request = workshop.dependencies.request(wheel.path)
    with progress.step(title):
        lock = foresight.lock_for(request) or workshop.resolvers.resolve(request)
    workshop.resolvers.look_for_newer(request, lock)
    asked: tuple[str, ...] = ()
    while True:
        found = _with_wheels(workshop, project, lock)
        # What the resolver could not know: servers may have any patch release of this Python.
        more = needed_by_other_patches(found, _asked(workshop, project), workshop.target)
        if set(more) <= set(asked):
            return found
        asked += more
        try:
            with progress.step(f"{title} for all patch releases of Python {workshop.target.version}"):
                lock = workshop.resolvers.resolve(workshop.dependencies.request(wheel.path, asked))
        except DependencyError as error:
            progress.warn(f"on some patch releases of Python {workshop.target.version}: {error.message}")
            return found


def _with_wheels(workshop: Workshop, project: Described, lock: Lock) -> list[Described]:
    options, store, resolver = workshop.options, workshop.store, workshop.resolvers.project

    lock = resolver.check_required(lock, [*project.description.requires, *workshop.dependencies.groups])
    excluded = _asked(workshop, project).excluded
    if useless := sorted(excluded - {package.name for package in lock.pylock.packages} - {"pip"}):
        workshop.progress.warn(f"exclude {', '.join(useless)}: it would not be in the bundle anyway")
    collected = workshop.collect(
        lock,
        extras=options.extras,
        groups=options.group,
        leave_out=[project.wheel.name, *excluded],
        look=workshop.look_into,
    )
    if not options.no_pip and "pip" not in excluded and all(wheel.name != "pip" for wheel in collected):
        collected.append(workshop.tools.pip)
    found = [Described(wheel=wheel, description=describe_once(wheel, store)) for wheel in collected]
    resolver.check_required(lock, [each for one in found for each in one.description.requires])
    return [*found, project]


def _asked(workshop: Workshop, project: Described) -> Asked:
    return Asked(
        extras={project.wheel.name: frozenset(workshop.options.extras)},
        groups=workshop.dependencies.groups,
        excluded=frozenset(map(canonicalize_name, workshop.options.exclude)),
        amendments=workshop.dependencies.amendments,
    )


def _requirements(workshop: Workshop) -> list[Member]:
    if not workshop.options.requirements:
        return []
    return [from_text("data/requirements.txt", workshop.dependencies.requirements.as_text())]


def _run_postbuild(script: Path | None, stage: Stage, members: list[Member], progress: Progress) -> list[Member]:
    """Let the post-build script, if there is one, see the bundle; gives what the build scripts added to it."""
    if script:
        stage.place(member for member in members if not member.name.startswith(BOOTSTRAP))
        _run_script(script, stage, progress)
    return stage.take(members)


def _run_script(script: Path, stage: Stage, progress: Progress) -> None:
    with progress.step(f"Running {script.name}"):
        stage.run_script(script)
