"""The interpreter in a bundle: a relocatable CPython, checked and packed as one archive, for servers without a Python.

`data/python/VERSION-SHA256.tar.gz` has a top folder `python`, and in it SHA256SUMS of all its other files. It depends
on nothing but the interpreter, so that releases of a project share one on the server, whatever was built when.
"""

from __future__ import annotations

import os
import tempfile
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platter_setuptools.bundle.archive import stage_archive
from platter_setuptools.bundle.checksums import checksums
from platter_setuptools.bundle.interpreter_check import check_machine, check_start, find_needs
from platter_setuptools.bundle.interpreter_source import TOP, copy_interpreter
from platter_setuptools.bundle.members import Member, from_bytes, from_file, from_folder
from platter_setuptools.errors import UsageError
from platter_setuptools.payload.host import serves
from platter_setuptools.runtime.progress import Progress, first_few
from platter_setuptools.runtime.reproducible import EARLIEST
from platter_setuptools.targets.find import find_interpreter, find_machines
from platter_setuptools.wheel_cache import key_of
from platter_setuptools.wheels.bytecode import compile_modules
from platter_setuptools.wheels.system_libraries import EVERYWHERE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from platter_setuptools.bundle.archive import StagedArchive
    from platter_setuptools.config.options import Options
    from platter_setuptools.runtime.processes import Runner
    from platter_setuptools.targets.target import Interpreter, Target
    from platter_setuptools.wheel_cache import WheelCache
    from platter_setuptools.wheels.system_libraries import SystemLibraries

_LAYOUT = f"2, zlib {zlib.ZLIB_RUNTIME_VERSION}"  # of what is kept; others deflate to other bytes
_KIND, _FACTS = "interpreter", "interpreter-facts"
_FITTING = "leave python and target out, and the bundle is for that interpreter; or name one that fits"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    """What is noted of an archive; sizes are in bytes, unpacked if they say `installed`."""

    libc: str | None
    libraries: tuple[str, ...]  # that it needs and does not bring
    sha256: str
    record_sha256: str  # of the SHA256SUMS in it
    size: int
    installed_size: int
    installed_files: int
    licences: tuple[str, ...]  # the paths of its licence files


@dataclass(frozen=True, slots=True, kw_only=True)
class BundledInterpreter:
    """An interpreter that goes into a bundle; `loader` is the system's program that loads it, if there is one."""

    target: Interpreter  # of its copy in a temporary folder, which is the target of the build
    archive: Path
    facts: _Facts
    loader: str

    @property
    def file(self) -> str:
        """Return its path below the bundle's data folder."""
        return f"python/{self.target.full_version}-{self.facts.sha256[:12]}.tar.gz"

    def info(self) -> dict[str, Any]:
        """Return the value of `interpreter` in info.json. install.sh reads the first three, each on its line."""
        facts = asdict(self.facts)
        del facts["licences"]
        return {
            "file": self.file,
            "machine": self.target.environment["platform_machine"],
            "loader": self.loader,
            "version": self.target.full_version,
            **facts,
            "libraries": list(self.facts.libraries),
        }

    def member(self) -> Member:
        return from_file(f"data/{self.file}", self.archive, sha256=self.facts.sha256, packed=True)


def take_interpreter(
    options: Options, cache: WheelCache, run: Runner, progress: Progress, work: Path
) -> BundledInterpreter | None:
    """Return the interpreter that `with_python` names, checked and packed; None without that option.

    Raise UsageError if it is not relocatable, incomplete, or does not fit the target that `python` names.
    """
    if not (named := options.with_python):
        return None
    wanted = _wanted(options, run)
    with progress.step(f"Checking the interpreter {named}"):
        folder = Path(tempfile.mkdtemp(prefix="interpreter-", dir=work))
        program = copy_interpreter(
            named, wanted.version if wanted else find_interpreter(None, run).version, run, folder
        )
        loading = check_machine(program, named)
        # Before it is started.
        members = sorted((one for one in from_folder(folder / TOP) if not one.is_folder), key=lambda one: one.name)
        check_start(program, named, run)
        target = find_interpreter(os.fspath(program), run)
        if wanted:
            _check_fits(target, wanted, named)
        key = key_of(
            _LAYOUT, checksums(members).sha256 or "", *map(_mode, members), target.platform, str(options.no_bytecode)
        )
        archive, facts = cache.find_derived(_KIND, key), _recalled(cache.recall(_FACTS, key))
    if not archive or not facts:
        with progress.step(f"Packing CPython {target.full_version}"):
            needs = find_needs(folder / TOP, program, target, named)
            if not options.no_bytecode:  # a server's users may not be able to write it, and would compile each time
                modules = {one.name: one.path.read_bytes() for one in members if one.path and one.path.suffix == ".py"}
                members += [from_bytes(*one) for one in compile_modules(modules, target, run, folder).items()]
            members.append(checksums(members))
            staged = stage_archive(members, TOP, "tar.gz", folder, EARLIEST)
            staged.commit()
            archive, facts = cache.keep_derived(_KIND, key, staged.path), _facts(members, needs, staged)
            cache.note(_FACTS, key, asdict(facts))
    if wanted and facts.libc and wanted.libc and not serves(wanted.libc, facts.libc):
        raise UsageError(f"{named} needs {facts.libc}, and {wanted} has {wanted.libc}", hint=_FITTING)
    if outside := sorted(set(facts.libraries) - EVERYWHERE):
        progress.warn(f"{named} needs libraries that it does not bring: {first_few(outside)}")
    return BundledInterpreter(target=target, archive=archive, facts=facts, loader=loading.loader if loading else "")


def find_program(options: Options, run: Runner, work: Path) -> str | None:
    """Return the program of a copy of the interpreter that is the target of builds; None if that is another one."""
    if options.python or options.target or not (named := options.with_python):
        return None
    folder = Path(tempfile.mkdtemp(prefix="interpreter-", dir=work))
    program = copy_interpreter(named, find_interpreter(None, run).version, run, folder)
    check_machine(program, named)
    return os.fspath(program)


def _wanted(options: Options, run: Runner) -> Target | None:
    """Return the target that the options name; None if it is the interpreter itself."""
    if not (options.python or options.target):
        return None
    found = [one.target for one in find_machines(options.python, options.target, run)]
    if len(found) > 1:
        raise UsageError(
            f"with-python is for one target, and the bundle is for {len(found)}",
            hint="build a bundle for each target, with its interpreter",
        )
    return found[0]


def _check_fits(found: Target, wanted: Target, named: Path) -> None:
    for fact in ("implementation", "version", "abi", "platform", "magic"):
        if getattr(wanted, fact) not in {None, getattr(found, fact)}:
            raise UsageError(f"{named} is {found} ({found.abi}), and the bundle is for {wanted}", hint=_FITTING)


def _facts(members: Sequence[Member], needs: SystemLibraries | None, archive: StagedArchive) -> _Facts:
    return _Facts(
        libc=needs.libc if needs else None,
        libraries=needs.libraries if needs else (),
        sha256=archive.sha256 or "",
        record_sha256=members[-1].sha256 or "",
        size=archive.size,
        installed_size=sum(member.size for member in members),
        installed_files=len(members),
        licences=tuple(one.name for one in members if one.name.rpartition("/")[2].startswith(("LICENSE", "COPYING"))),
    )


def _recalled(note: Any) -> _Facts | None:
    try:
        return _Facts(**{**note, "licences": tuple(note["licences"]), "libraries": tuple(note["libraries"])})
    except (LookupError, TypeError):  # a note may hold anything
        return None


def _mode(member: Member) -> str:
    """Return what SHA256SUMS does not tell."""
    return f"{member.name} {member.link or member.mode}"
