"""From a set of wheels to the bundle: checked, compiled, described, and written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from platter_setuptools.complete_set import asked_for
from platter_setuptools.ground.consent import GIVEN, Consent
from platter_setuptools.steps.bundle.archive import archive_name, write_archive
from platter_setuptools.steps.bundle.bootstrap import FOLDER as BOOTSTRAP
from platter_setuptools.steps.bundle.bundles import ReplaceableCheck
from platter_setuptools.steps.bundle.manifest import Manifest, checksums, stem
from platter_setuptools.steps.bundle.members import Member, from_text
from platter_setuptools.steps.bundle.sbom import bill_of_materials
from platter_setuptools.steps.wheels.bytecode import compile_wheels
from platter_setuptools.steps.wheels.check import check_set, told_of_repairs
from platter_setuptools.steps.wheels.forgotten import warn_of_forgotten
from platter_setuptools.steps.wheels.needs import find_needs, warnings
from platter_setuptools.steps.wheels.scripts import check_attributes, check_scripts
from platter_setuptools.steps.wheels.soundness import check_case, check_places, examine_wheels

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from platter_setuptools.ground.progress import Progress
    from platter_setuptools.ground.values import Wheel
    from platter_setuptools.steps.checkout import Checkout
    from platter_setuptools.steps.wheels.check import Described
    from platter_setuptools.workshop import Workshop

    Written = tuple[Path, int, str | None]  # the bundle, its size in bytes, and its SHA-256 if it is a file


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleWriter:
    """Writes the bundle of one project into the options' output folder."""

    workshop: Workshop
    project: Described
    checkout: Checkout
    _check: ReplaceableCheck = field(init=False)

    def __post_init__(self) -> None:
        check = ReplaceableCheck(self.workshop.target.abi, self.workshop.store)
        object.__setattr__(self, "_check", check)  # it is frozen

    def check_replaceable(self) -> None:
        """Raise if what lies where the bundle is to be must not be replaced."""
        workshop, options = self.workshop, self.workshop.options
        name = stem(self.project.wheel, workshop.target, with_python=options.name_with_python)
        self._check(options.output / archive_name(name, options.format))

    def write(
        self,
        wheels: Sequence[Described],
        progress: Progress,
        consent: Consent = GIVEN,
        virtualenv: Sequence[Wheel] | None = None,
    ) -> Written:
        """Make the bundle of these wheels; it appears in the output folder with the consent.

        With `virtualenv` its wheels are these, and not those that the build's tools turn out to be.
        """
        workshop, options = self.workshop, self.workshop.options
        members = self._contents(wheels, progress, virtualenv)
        if options.has_scripts:
            members += self._run_postbuild(members, progress)
        members.append(checksums(members))
        if workshop.signer:
            members.append(workshop.signer.sign(members[-1], progress, workshop.work))
        name = stem(self.project.wheel, workshop.target, with_python=options.name_with_python)
        with progress.step(f"Writing {archive_name(name, options.format)}"):
            output, mtime = options.output, workshop.mtime
            written = write_archive(members, name, options.format, output, mtime, consent, self._check)
        self._check.remember(written[0])
        return written

    def _contents(
        self, wheels: Sequence[Described], progress: Progress, virtualenv: Sequence[Wheel] | None
    ) -> list[Member]:
        """Check the wheels, and return what the bundle holds but for checksums and what build scripts add."""
        workshop, project, options, target = self.workshop, self.project, self.workshop.options, self.workshop.target
        store, run, work = workshop.store, workshop.run, workshop.work
        asked = asked_for(workshop, project)
        with progress.step(f"Checking {len(wheels)} wheels"):
            check_set(wheels, asked, target)
            needs = find_needs([one.wheel for one in wheels], target, store, run, work)
            tools = workshop.tools.virtualenv if virtualenv is None else virtualenv
            places = examine_wheels([*(one.wheel for one in wheels), *tools], store, run)
        for warning in (*warnings(needs), *map(told_of_repairs, wheels)):
            if warning:
                progress.warn(warning)

        compiled = [] if options.no_bytecode else [one.wheel for one in wheels]
        manifest = Manifest(
            project=project,
            wheels=wheels,
            bytecode=compile_wheels(compiled, target, store, run, progress, work),
            target=target,
            needs=needs,
            extras=options.extras,
            groups=options.group,
            excluded=sorted(asked.excluded),
            name_with_python=options.name_with_python,
            revision=self.checkout.revision,
            amendments=asked.amendments,
            system_site_packages=options.finds_system_packages,
            case_sensitive=check_case([places[one.wheel] for one in wheels], target.platform, progress),
        )
        check_places(manifest.in_order, places, progress)
        check_scripts(wheels, [project], places, asked, progress)
        check_attributes(project, progress)
        warn_of_forgotten(self.checkout.tree, self.checkout.tracked, places[project.wheel], progress)
        return [
            *manifest.members(),
            bill_of_materials(manifest, asked),
            *self._requirements(),
            *(workshop.installer if virtualenv is None else workshop.installer_with(virtualenv)),
        ]

    def _requirements(self) -> list[Member]:
        if not self.workshop.options.requirements:
            return []
        return [from_text("data/requirements.txt", self.workshop.dependencies.requirements.as_text())]

    def _run_postbuild(self, members: list[Member], progress: Progress) -> list[Member]:
        """Let the post-build script, if there is one, see the bundle; return what the build scripts added to it."""
        script, stage = self.workshop.options.postbuild_script, self.workshop.stage
        if script:
            stage.place(member for member in members if not member.name.startswith(BOOTSTRAP))
            run_script(script, self.workshop, progress)
        return stage.take(members)


def run_script(script: Path, workshop: Workshop, progress: Progress) -> None:
    """Run a build script in the folder of the bundle. Raises ScriptError if it fails."""
    with progress.step(f"Running {script.name}"):
        workshop.stage.run_script(script)
