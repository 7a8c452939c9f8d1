"""From a bundle, and what releases on a server have, to the thin bundle: the same without what they have.

The bundle is read once; what is left out is not hashed. A second pass reads the files that seemed to be what the server
has, and are not to be left out, as info.json tells, which comes last.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from platter_setuptools.bundle.archive import check_output, stage_archive
from platter_setuptools.bundle.checksums import end_of_links
from platter_setuptools.bundle.members import Member, from_bytes, from_text
from platter_setuptools.config.options import FORMATS
from platter_setuptools.errors import ArchiveError, BundleError, UsageError
from platter_setuptools.inspect.archive_reader import Entry, Kind, above, impossible, open_bundle, size_of
from platter_setuptools.inspect.find import THIN, ReplaceableCheck, targets_for
from platter_setuptools.inspect.known_files import DAMAGED, Known, files_by_kind, parse_sums, read_base
from platter_setuptools.payload import checksums, manifest, thin, untrusted
from platter_setuptools.payload.errors import InstallError
from platter_setuptools.runtime.files import sha256_of_file
from platter_setuptools.runtime.progress import human_size
from platter_setuptools.runtime.signals import note_written, signals_held_back
from platter_setuptools.runtime.temporary import temporary_folder

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from typing import BinaryIO

    from platter_setuptools.payload.target import Target

_IN_MEMORY = 8 << 10  # bytes: files up to this size are not written to a temporary folder


@dataclass(frozen=True, slots=True, kw_only=True)
class ThinBundle:
    """A thin bundle; sizes are in bytes, also that of the full one."""

    path: Path
    size: int
    full_size: int
    wheels: int  # that it has
    all_wheels: int
    left_out: int  # files

    def __str__(self) -> str:
        sizes = f"{human_size(self.size)} of {human_size(self.full_size)}"
        return f"{self.wheels} of {self.all_wheels} wheels, {sizes}"


def make_thin(
    bundle: Path, bases: Sequence[Path], have: Known, *, output: Path, kind: str | None, mtime: int
) -> ThinBundle:
    """Write `STEM-thin.FORMAT` into the folder `output`: the bundle without what the bases have, or `have` tells.

    `kind` is its format, that of the bundle if it is None. Raise UsageError for a thin bundle and for a base of
    another project; BundleError if the bundle is damaged; ArchiveError if something cannot be read or written.
    """
    kind = kind or _format_of(bundle)
    check_output(output)
    found = [read_base(base) for base in bases]
    known = have.union(*(one for _, one in found))
    with temporary_folder() as work:
        full = _FullBundle(bundle, known, work)
        full.read()
        sums, plan = full.about()
        for path, (base, _) in zip(bases, found, strict=True):
            if canonicalize_name(base.name) != canonicalize_name(plan.name):
                raise UsageError(
                    f"{path} is a bundle of {base.name}, not of {plan.name}",
                    hint=f"name an earlier bundle of {plan.name} with --base",
                )
        left_out = full.left_out(sums, plan)
        if not sums.keys() <= full.kept.keys() | left_out:
            full.read(only=sums.keys() - left_out)
        note = {"format": thin.FORMAT, "base": [base._asdict() for base, _ in found], "left_out": sorted(left_out)}
        members = [*full.thinned(sums, left_out), from_text(thin.FILE, json.dumps(note, indent=1) + "\n")]
        check_replaceable = ReplaceableCheck(targets_for((target.abi, target.libc) for target in plan.targets))
        archive = stage_archive(members, full.top, kind, output, mtime, suffix=THIN)
        try:
            check_replaceable(archive.path)
            with signals_held_back():
                archive.commit()
                note_written(archive.path)
        finally:
            archive.discard()
    return ThinBundle(
        path=archive.path,
        size=archive.size,
        full_size=size_of(bundle),
        wheels=sum(f"data/{wheel.file}" not in left_out for wheel in plan.wheels),
        all_wheels=len(plan.wheels),
        left_out=len(left_out),
    )


def _archives(plan: manifest.Manifest, targets: Collection[Target]) -> set[str]:
    """Return the wheels of these targets, and their bytecode."""
    wheels = [wheel for target in targets for wheel in plan.for_target(target).wheels]
    return {f"data/{name}" for wheel in wheels for name in (wheel.file, wheel.bytecode) if name}


def _format_of(bundle: Path) -> str:
    if bundle.is_dir():
        return "dir"
    found = next((one for one in FORMATS if bundle.name.endswith(f".{one}")), None)
    if found is None:
        raise UsageError(f"the name of {bundle} does not tell its format", hint="use --format")
    return found


@dataclass(slots=True)
class _FullBundle:
    """What was read of the full bundle: `kept` are the files that the thin one might need."""

    path: Path
    known: Known
    work: Path
    top: str = ""
    members: dict[str, Member] = field(default_factory=dict)  # files without their content
    kept: dict[str, Member] = field(default_factory=dict)
    _sums: dict[str, str] = field(default_factory=dict)
    _listed: dict[str, tuple[str, str]] = field(default_factory=dict)

    def read(self, only: Collection[str] | None = None) -> None:
        """Read the bundle; with `only`, just these files, if they were left unread the first time."""
        with open_bundle(self.path) as entries:
            for entry in entries:
                if only is None:
                    self._take(entry)
                elif entry.inside in only and entry.inside not in self.kept and entry.kind is Kind.FILE:
                    self.kept[entry.inside] = self._file(entry)

    def _take(self, entry: Entry) -> None:
        name = entry.inside
        self.top = self.top or entry.name.partition("/")[0]
        if finding := impossible(entry, self.top, self.members):
            raise self._damaged(f"{entry.name}: {finding}")
        if len(self.members) >= untrusted.FILES:
            raise self._damaged(f"it holds more than {untrusted.FILES} files")
        if not name:
            return
        if entry.kind is not Kind.FILE:
            self.members[name] = Member(name=name, link=entry.link if entry.kind is Kind.LINK else None)
            return
        self.members[name] = Member(name=name, content=b"")
        if self._listed.get(name) not in self.known:
            self.kept[name] = self._file(entry)
        if name == checksums.FILE:  # before the files that may be left out, in an archive that is sorted
            self._sums = parse_sums(self.path, _content(self.kept[name]))
            self._listed = files_by_kind(self._sums)

    def _file(self, entry: Entry) -> Member:
        with entry.open() as source:
            mode = os.fstat(source.fileno()).st_mode if entry.mode is None else entry.mode
            return _kept(source, entry.inside, executable=bool(mode & stat.S_IXUSR), work=self.work)

    def about(self) -> tuple[dict[str, str], manifest.Manifest]:
        """Return the checksums and the manifest. Raise UsageError if the bundle cannot be made thin."""
        for name in (checksums.FILE, manifest.FILE):
            if name not in self.kept:
                raise ArchiveError(
                    f"{self.path} is not a bundle: it has no {name}", hint="name a bundle that platter built"
                )
        sums = self._sums
        if thin.FILE in sums:
            raise UsageError(
                f"{self.path} has a file of its own that is called {thin.FILE}",
                hint="let the build script write it under another name",
            )
        if thin.FILE in self.members:
            raise UsageError(f"{self.path} is a thin bundle", hint="name the full bundle that it was made from")
        try:
            return sums, manifest.load(_content(self.kept[manifest.FILE]), f"{self.path}: {manifest.FILE}")
        except InstallError as error:
            raise BundleError(error.message, hint=DAMAGED) from error

    def left_out(self, sums: dict[str, str], plan: manifest.Manifest) -> frozenset[str]:
        """Return the files that the server has, or does not need because they are for other targets."""
        linked = set(self._linked())
        found = {
            name
            for name in thin.removable_files(sums, plan)
            if self._listed[name] in self.known and name in self.members and name not in linked
        }
        for one in (wheel for target in plan.targets for wheel in plan.for_target(target).wheels):
            # What a release has is compared with these hashes, which older bundles lack.
            if not one.record_sha256:
                found.discard(f"data/{one.file}")
            if not one.bytecode_record_sha256 or f"data/{one.file}" not in found:
                found.discard(f"data/{one.bytecode}")
        return frozenset(found | {name for name in self._for_others(plan) if name in self.members} - linked)

    def _for_others(self, plan: manifest.Manifest) -> set[str]:
        """Return the wheels and bytecode that only targets need which the server's releases are not for."""
        told = {target for target in plan.targets if (thin.TARGET, thin.target_sha256(target.id)) in self.known}
        return _archives(plan, plan.targets) - _archives(plan, told) if told else set()

    def _linked(self) -> Iterator[str]:
        """Yield what links of build scripts lead to."""
        for name, member in self.members.items():
            if member.link is not None:
                end = end_of_links(self.members, name)
                yield from (one for one in self.members if one == end or one.startswith(f"{end}/"))

    def thinned(self, sums: dict[str, str], left_out: Collection[str]) -> Iterator[Member]:
        """Yield what the thin bundle has. Raise BundleError for a file that is missing, altered or not listed."""
        emptied = {folder for name in left_out for folder in above(name)}
        needed = sums.keys() - left_out
        for name, member in self.members.items():
            if member.link is not None:
                needed.discard(name)
                yield member
            elif member.is_folder and name not in emptied:
                yield member
        for name in sorted(needed - self.kept.keys()):
            raise self._damaged(f"{name} is missing")
        for name, member in self.kept.items():
            if name not in sums and name not in {checksums.FILE, checksums.SIGNATURE}:
                raise self._damaged(f"{name} is not listed in {checksums.FILE}")
            if sums.get(name, member.sha256) != member.sha256:
                raise self._damaged(f"{name} is altered")
            if name not in left_out:
                yield member

    def _damaged(self, what: str) -> BundleError:
        return BundleError(f"{self.path}: {what}", hint=DAMAGED)


def _kept(source: BinaryIO, name: str, *, executable: bool, work: Path) -> Member:
    """Return a file that was read: small ones in memory, others in the temporary folder."""
    packed = thin.kind_of(name) in {thin.WHEEL, thin.BYTECODE, thin.INTERPRETER}
    start = source.read(_IN_MEMORY + 1)
    if len(start) <= _IN_MEMORY:
        return replace(from_bytes(name, start, executable=executable), packed=packed)
    path = Path(tempfile.mkdtemp(dir=work)) / "file"
    with path.open("wb") as file:
        file.write(start)
        shutil.copyfileobj(source, file, 1 << 20)
    sha256, size = sha256_of_file(path)
    return Member(name=name, path=path, sha256=sha256, size=size, executable=executable, packed=packed)


def _content(member: Member) -> bytes:
    with member.open() as file:
        return file.read(untrusted.LIST + 1)
