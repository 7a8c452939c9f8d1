"""The other main flow: from a project to a pylock.toml (PEP 751) to commit, for builds with `--lock`."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from packaging.version import Version

from platter_setuptools.complete_set import build_project, complete_set
from platter_setuptools.context import BuildContext
from platter_setuptools.errors import ArchiveError, DependencyError, PlatterError, WheelError
from platter_setuptools.resolve.lock import Lock, join, read_lock
from platter_setuptools.resolve.preferences import differences, preferences_of, unknown_to
from platter_setuptools.runtime.progress import Progress, counted
from platter_setuptools.runtime.signals import note_written, signals_held_back
from platter_setuptools.runtime.temporary import replacing
from platter_setuptools.session import open_session
from platter_setuptools.targets.find import find_machines
from platter_setuptools.wheels.check import check_python

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from platter_setuptools.complete_set import ProjectWheel
    from platter_setuptools.config.options import Options
    from platter_setuptools.resolve.preferences import Preferences
    from platter_setuptools.runtime.processes import Runner
    from platter_setuptools.session import Session
    from platter_setuptools.targets.target import Target


_PIP_KEEPS = (
    "pip keeps every version of the lock that is there, and no other fits: name those to change with"
    " --upgrade-package NAME, or start anew with --upgrade"
)


def write_lock(
    options: Options,
    path: Path,
    *,
    universal: bool,
    check: bool = False,
    upgrade: bool = False,
    upgraded: Sequence[str] = (),
    source: Path,
    project_wheel: ProjectWheel,
    run: Runner,
    progress: Progress,
) -> None:
    """Resolve what builds with these options would resolve, and write it to `path`, or `check` what is there.

    Versions in the lock that is there are kept as long as they fit, but for those of the `upgraded` requirements; with
    `upgrade` none is kept.

    For several targets the lock is for all of these and no others: each has what a build for it would resolve. A
    `universal` one is for every platform, the lowest target's Python and every later one. Warn of what prevents using
    it elsewhere. Raises a PlatterError of the class that says what failed.
    """
    known = None if upgrade else _read_known(path, progress, check=check)
    preferences = preferences_of(known, upgraded)
    if known and (unknown := unknown_to(known, upgraded)):
        progress.warn(f"upgrade-package {', '.join(unknown)}: {path.name} does not have it")
    with open_session(options, source, run, progress) as session:
        targets, lock = _resolve_all(session, path.parent, preferences, project_wheel, universal=universal)
        told = [f"{path}", counted(len(lock.pylock.packages), "distribution"), *_told_of_each(lock, targets, options)]
        if check and known:
            _check(known, lock.moved(path.parent), path)
            progress.done(f"{path} is up to date")
            return
        for limit in lock.limits(universal=universal):
            progress.warn(limit)
        _write(lock, path)
    progress.done("\n  ".join(told))


def _write(lock: Lock, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with signals_held_back():
            with replacing(path) as new:
                new.write_text(lock.as_toml(path.parent), "utf-8")
            note_written(path)
    except OSError as error:
        raise ArchiveError(f"{path} cannot be written: {error.strerror}", hint="choose another file") from error


def _resolve_all(
    session: Session, folder: Path, preferences: Preferences, project_wheel: ProjectWheel, *, universal: bool
) -> tuple[list[Target], Lock]:
    """Return the targets, the lowest Python first, and a lock for all of them whose paths start in `folder`."""
    options = session.options
    if options.with_python:
        from platter_setuptools.bundle.interpreter import find_program  # noqa: PLC0415 - loads elftools

        program = find_program(options, session.run, session.work)
        options = dataclasses.replace(options, with_python=None, python=(program,) if program else options.python)
    found = sorted(
        find_machines(options.python, options.target, session.run), key=lambda one: Version(one.target.version)
    )
    targets, locks = [one.target for one in found], []
    for number, machines in enumerate(found[:1] if universal else found):
        context = BuildContext(dataclasses.replace(session.below(f"target-{number}"), options=options), machines)
        context.resolvers.preferences = preferences
        with context.cache.in_use():
            serving = targets if universal else [machines.target]
            locks.append(_resolve(context, project_wheel, serving, universal=universal))
    return targets, join(list(zip(targets, locks, strict=True)), folder) if len(locks) > 1 else locks[0]


def _read_known(path: Path, progress: Progress, *, check: bool) -> Lock | None:
    """Return the lock that is there; None, with a warning, if it is none, unless it is to be checked."""
    if not path.is_file():
        if check:
            raise PlatterError(f"{path} is not there", hint="`platter lock` writes it")
        return None
    try:
        return read_lock(path)
    except DependencyError as error:
        if check:
            raise
        progress.warn(f"{error.message}: no version is kept")
        return None


def _check(known: Lock, lock: Lock, path: Path) -> None:
    """Raise PlatterError, with all differences, if a lock is not what was resolved now."""
    if found := list(differences(known, lock)):
        raise PlatterError(
            "\n".join([f"{path} is not up to date:", *(f"  {one}" for one in found)]),
            hint="run `platter lock` with the same options, and commit the file",
        )


def _resolve(context: BuildContext, project_wheel: ProjectWheel, targets: Sequence[Target], *, universal: bool) -> Lock:
    """Return the dependencies of the project and other packages, without these, in a lock for these `targets`."""
    project = build_project(context, project_wheel)
    for target in targets:
        check_python(project, target)
    dependencies, resolvers, options, wheel = context.dependencies, context.resolvers, context.options, project.wheel
    ours = {wheel.name, *(one.name for one in dependencies.packages)}
    try:
        with context.progress.step(f"Resolving {wheel.name} {wheel.version} for {context.target}"):
            lock = resolvers.resolve(dependencies.request(wheel.path, universal=universal))
            lock = resolvers.project.check_required(lock, [*project.description.requires, *dependencies.groups])
        # A universal lock is for all patch releases already; write_lock reports what does not fit the target.
        if not universal and not _told(lock.without(ours), context.target, options)[1]:
            lock = complete_set(context, project, lock).lock
    except DependencyError as error:
        hint = _PIP_KEEPS if resolvers.preferences.kept and options.resolver == "pip" else error.hint
        raise DependencyError(f"{context.target}: {error.message}", hint=hint, output=error.output) from error
    resolvers.tell_of_newer()
    return lock.without(ours)


def _told_of_each(lock: Lock, targets: Sequence[Target], options: Options) -> list[str]:
    """Return how many distributions are for each target. Raises WheelError with all that do not fit one of them."""
    found = [_told(lock, target, options) for target in targets]
    if misfits := [misfit for _, misfit in found if misfit]:
        raise WheelError(
            "\n".join(misfits),
            hint="limit these to versions with a wheel or a source for it (constraints), or leave that target out",
        )
    return [told for told, _ in found]


def _told(lock: Lock, target: Target, options: Options) -> tuple[str, str]:
    """Return how many distributions are for a target, and what does not fit it."""
    try:
        return f"{len(list(lock.select(target, options.extras, options.group)))} of them for {target}", ""
    except WheelError as error:
        return "", error.message
