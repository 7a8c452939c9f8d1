"""From a set of wheels to the bundle: check, compile, describe and write it."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from platter_setuptools.bundle.activation_scripts import activation_scripts
from platter_setuptools.bundle.archive import StagedArchive, archive_name, stage_archive
from platter_setuptools.bundle.bootstrap import FOLDER as BOOTSTRAP
from platter_setuptools.bundle.checksums import checksums
from platter_setuptools.bundle.joined import members_of
from platter_setuptools.bundle.manifest import Manifest, stem
from platter_setuptools.bundle.members import Member, from_text
from platter_setuptools.bundle.sbom import bill_of_materials
from platter_setuptools.complete_set import asked_for, packages_among
from platter_setuptools.contexts import installer_of, lowest, virtualenv_of
from platter_setuptools.errors import InterruptedBuildError, PlatterError
from platter_setuptools.inspect.find import ReplaceableCheck, targets_for
from platter_setuptools.runtime.progress import BufferedProgress, Progress
from platter_setuptools.runtime.signals import note_written, signals_held_back
from platter_setuptools.wheels.bytecode import compile_wheels
from platter_setuptools.wheels.check import check_set, told_of_repairs
from platter_setuptools.wheels.entry_points import check_attributes, check_scripts
from platter_setuptools.wheels.package_data import warn_of_forgotten
from platter_setuptools.wheels.record_check import check_case, check_places, check_shared, contested
from platter_setuptools.wheels.system_libraries import check_libc, find_system_libraries, warnings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from platter_setuptools.context import BuildContext
    from platter_setuptools.values import Bytecode, Wheel
    from platter_setuptools.wheels.check import Asked, WheelWithMetadata


@dataclass(frozen=True, slots=True, kw_only=True)
class _Contents:
    """The wheels of a bundle: those that it installs, and virtualenv's."""

    wheels: Sequence[Sequence[WheelWithMetadata]]  # for each target
    virtualenv: Sequence[Wheel]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Staged:
    contents: _Contents
    archive: StagedArchive
    progress: BufferedProgress


class BundleWriter:
    """Writes the bundle of one project into the options' output folder.

    From the beginning of the block on it stages, in the background, the bundle that the last build's wheels would make.
    """

    def __init__(self, contexts: Sequence[BuildContext], projects: Sequence[WheelWithMetadata]) -> None:
        """Each target has a context, and a wheel of the project, which may be the same."""
        self._contexts, self._context, self._projects = contexts, contexts[0], projects
        targets = [context.target for context in contexts]
        told = targets_for((target.abi, target.libc) for target in targets)
        self._check_replaceable = ReplaceableCheck(told, self._context.cache)
        self._stem = stem(projects[0].wheel, targets, with_python=self._context.options.name_with_python)
        self._staging: Future[_Staged] | None = None
        self._unwanted = threading.Event()

    def __enter__(self) -> BundleWriter:  # noqa: PYI034 - Self came with Python 3.11
        options = self._context.options
        # Scripts and signers act on what is really written.
        if not (options.has_scripts or options.sign_with) and options.output.is_dir():
            self._staging = self._context.background.start(self._stage_expected)
        return self

    def __exit__(self, *_: object) -> None:
        self._unwanted.set()
        if self._staging:
            self._staging.add_done_callback(_discard)  # which does nothing to one that was committed

    def write(self, wheels: Sequence[Sequence[WheelWithMetadata]]) -> StagedArchive:
        """Write the bundle of these wheels of each target, and give it its name in the output folder."""
        context = self._context
        contents = _Contents(wheels=wheels, virtualenv=virtualenv_of(self._contexts))
        archive = self._staged(contents) or self._stage(contents, context.progress)
        try:
            self._check_replaceable(archive.path)
            with signals_held_back():  # it is there, or it is not, when a signal ends the build
                archive.commit()
                note_written(archive.path)
                self._check_replaceable.remember(archive.path)
        finally:
            archive.discard()
        return archive

    def _staged(self, contents: _Contents) -> StagedArchive | None:
        """Return the archive that was staged, if it has exactly these contents; tell what was found on the way."""
        if not self._staging:
            return None
        if self._expected() != contents:
            self._unwanted.set()
        # What failed there is done again in its turn, and tells why.
        with contextlib.suppress(PlatterError, OSError):
            staged = self._staging.result()
            if staged.contents == contents:
                staged.progress.replay(self._context.progress)
                return staged.archive
            staged.archive.discard()
        return None

    def _stage_expected(self) -> _Staged:
        contents, progress = self._expected(), BufferedProgress()
        if not contents:
            raise InterruptedBuildError("there is nothing to go by", hint="build it without")
        archive = self._stage(contents, progress, self._go_on)
        return _Staged(contents=contents, archive=archive, progress=progress)

    def _expected(self) -> _Contents | None:
        """Return what the bundle will hold if the resolver answers as it did last time."""
        both = zip(self._contexts, self._projects, strict=True)
        wheels = [found for context, project in both if (found := context.prefetch.wheels_for(project))]
        virtualenv = lowest(self._contexts).prefetch.virtualenv()
        complete = virtualenv and len(wheels) == len(self._contexts)
        return _Contents(wheels=wheels, virtualenv=virtualenv) if complete and virtualenv else None

    def _go_on(self) -> None:
        if self._unwanted.is_set() or self._context.run.stopped:
            raise InterruptedBuildError("the staged bundle is not wanted", hint="build it without")

    def _stage(
        self, contents: _Contents, progress: Progress, interrupt: Callable[[], object] = lambda: None
    ) -> StagedArchive:
        context, options, name = self._context, self._context.options, self._stem
        file = archive_name(name, options.format)
        self._check_replaceable(options.output / file)
        members = self._contents(contents, progress)
        if options.has_scripts:
            members += self._run_postbuild(members, progress)
        members.append(checksums(members))
        if context.signer:
            members.append(context.signer.sign(members[-1], progress, context.work))
        with progress.step(f"Writing {file}"):
            return stage_archive(members, name, options.format, options.output, context.mtime, interrupt)

    def _contents(self, contents: _Contents, progress: Progress) -> list[Member]:
        """Check the wheels, and return what the bundle holds but for checksums and what build scripts add."""
        self._context.analyser.analyse_all(contents.virtualenv)  # which raises an error for one that is not sound
        both = zip(self._contexts, self._projects, strict=True)
        asked = [asked_for(context, project) for context, project in both]
        parts = zip(self._contexts, self._projects, contents.wheels, asked, strict=True)
        manifests = [_manifest(*part, progress) for part in parts]
        return [
            *members_of(manifests),
            bill_of_materials(self._stem, manifests, asked),
            *self._requirements(),
            *activation_scripts(self._context.options.pre_activate_script, self._context.options.post_activate_script),
            *installer_of(self._contexts, contents.virtualenv),
        ]

    def _requirements(self) -> list[Member]:
        if not self._context.options.requirements:
            return []
        return [from_text("data/requirements.txt", self._context.dependencies.requirements.as_text())]

    def _run_postbuild(self, members: list[Member], progress: Progress) -> list[Member]:
        """Show the bundle to the post-build script, if there is one; return what the build scripts added to it."""
        script, folders = self._context.options.postbuild_script, self._context.script_folders
        if script:
            folders.place(member for member in members if not member.name.startswith(BOOTSTRAP))
            _run_script(script, self._context, progress)
        return folders.take(members)


def _manifest(
    context: BuildContext,
    project: WheelWithMetadata,
    wheels: Sequence[WheelWithMetadata],
    asked: Asked,
    progress: Progress,
) -> Manifest:
    """Check the wheels for one target, compile them, and return their manifest."""
    options, target = context.options, context.target
    named = f" for {target}" if context.several else ""
    with progress.step(f"Checking {len(wheels)} wheels{named}"):
        check_set(wheels, asked, target)
        found = context.analyser.analyse_all([one.wheel for one in wheels])
        needs = find_system_libraries({wheel: analysis.linkage for wheel, analysis in found.items()}, target)
        check_libc(needs, target)
    for warning in (*warnings(needs), *map(told_of_repairs, wheels)):
        if warning:
            progress.warn(warning)
    places = {wheel: analysis.places for wheel, analysis in found.items()}
    packages = [*packages_among(context, wheels), project]
    manifest = Manifest(
        project=project,
        wheels=wheels,
        packages=packages,
        bytecode=_compiled(context, wheels, progress),
        target=target,
        needs=needs,
        extras=options.extras,
        groups=options.group,
        excluded=sorted(asked.excluded),
        revision=context.checkout.revision,
        amendments=asked.amendments,
        system_site_packages=options.finds_system_packages,
        case_sensitive=check_case([places[one.wheel] for one in wheels], target.platform, progress),
        contested=contested({one.wheel: places[one.wheel] for one in wheels}),
        interpreter=context.interpreter,
        shared=options.shared,
    )
    check_places(manifest.in_order, places, progress)
    check_shared(options.shared, places)
    check_scripts(wheels, packages, places, asked, progress)
    for package in packages:
        check_attributes(package, progress)
    warn_of_forgotten(context.checkout.tree, context.checkout.tracked, places[project.wheel], progress)
    return manifest


def _compiled(
    context: BuildContext, wheels: Sequence[WheelWithMetadata], progress: Progress
) -> Mapping[Wheel, Bytecode]:
    """Return the bytecode of the wheels for the context's target: none if it is not wanted, or cannot be made here."""
    if context.options.no_bytecode:
        return {}
    if not context.compiler:
        version = context.target.version
        progress.warn(f"no bytecode: there is no Python {version} here to compile it; install.sh --compile does that")
        return {}
    sources = [one.wheel for one in wheels]
    return compile_wheels(sources, context.compiler, context.cache, context.run, progress, context.work)


def run_prebuild_script(context: BuildContext) -> None:
    """Run the pre-build script, if there is one. Raise ScriptError if it fails."""
    if context.options.prebuild_script:
        _run_script(context.options.prebuild_script, context, context.progress)


def _run_script(script: Path, context: BuildContext, progress: Progress) -> None:
    with progress.step(f"Running {script.name}"):
        context.script_folders.run_script(script)


def _discard(staging: Future[_Staged]) -> None:
    if not staging.exception():
        staging.result().archive.discard()
