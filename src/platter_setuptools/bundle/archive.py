"""Write a bundle's members as one file or a folder: deterministic, streaming, complete or not at all.

Members are sorted, with numeric owner 0, modes 0644 and 0755, and one time. Wheels and bytecode are compressed already,
so tar.gz and zip store them; the other formats compress them lightly, and run stores everything.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import stat
import tarfile
import time
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, cast

from platter_setuptools.bundle import run_script
from platter_setuptools.bundle.compressors import STORED, Gzip, Plain, Streams, bzip2, xz, zstd
from platter_setuptools.errors import ArchiveError, WheelError
from platter_setuptools.runtime.files import obstacle, sha256_of_file
from platter_setuptools.runtime.temporary import put_in_place, temporary_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from platter_setuptools.bundle.compressors import Output, Sink
    from platter_setuptools.bundle.members import Member

_CHUNK = 4 * STORED  # read, hashed and written as one
_HINT = "choose another folder with --output (--dist-dir for the command)"
_MARKS = ("info.json", "install.sh", "SHA256SUMS")  # a folder that has all of them is a bundle


def check_output(output: Path) -> None:
    """Raises ArchiveError if nothing can be written to this folder. Makes nothing."""
    if reason := obstacle(output):
        raise ArchiveError(f"nothing can be written to {output}: {reason}", hint=_HINT)


def archive_name(stem: str, kind: str) -> str:
    """Return the bundle's name in its output folder."""
    return stem if kind == "dir" else f"{stem}.{kind}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedArchive:
    """A finished archive under a temporary name. It is not visible to anyone until `commit`."""

    path: Path  # that it gets
    size: int  # bytes; of a folder, those of its files
    sha256: str | None  # None for a folder
    _temporary: Path
    _folder: contextlib.ExitStack

    def commit(self) -> None:
        """Let it replace what is at its path. Raise ArchiveError if that fails."""
        with _errors_of(self.path), self._folder:
            put_in_place(self._temporary, self.path)

    def discard(self) -> None:
        """Remove it, unless it was committed."""
        self._folder.close()


def stage_archive(
    members: Sequence[Member],
    stem: str,
    kind: str,
    output: Path,
    mtime: int,
    interrupt: Callable[[], object] = lambda: None,
    *,
    suffix: str = "",
) -> StagedArchive:
    """Write `STEM.KIND` under a temporary name in the folder `output`, to be committed or discarded.

    `suffix` comes after the stem in this name; the top folder has the stem alone.
    `interrupt` is called before each piece that is read: what it raises ends the writing, and nothing is left.
    Raise ArchiveError if it cannot be written, or if a folder of that name is not a bundle; WheelError if a member
    changes meanwhile.
    """
    bundle = _Bundle(sorted(members, key=lambda member: member.name), stem, mtime, interrupt)
    path = output / archive_name(stem + suffix, kind)
    with contextlib.ExitStack() as stack, _errors_of(path):
        output.mkdir(parents=True, exist_ok=True)
        _check_path(path, kind)
        new = stack.enter_context(temporary_folder(output)) / path.name
        if kind == "dir":
            bundle.fill(new)
            size, sha256 = sum(member.size for member in members), None
        else:
            sha256 = bundle.write(new, kind)
            size = new.stat().st_size
        return StagedArchive(path=path, size=size, sha256=sha256, _temporary=new, _folder=stack.pop_all())


@contextlib.contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        hint = "make room there, or choose another output folder" if error.errno == errno.ENOSPC else _HINT
        raise ArchiveError(f"{path} cannot be written: {error.strerror or error}", hint=hint) from error


def _check_path(path: Path, kind: str) -> None:
    if kind == "dir" and path.exists() and not all((path / name).is_file() for name in _MARKS):
        raise ArchiveError(f"{path} exists and is no bundle", hint="move it away, or choose another output folder")
    if kind != "dir" and path.is_dir():
        raise ArchiveError(f"{path} is a folder", hint="move it away, or choose another output folder")


@contextlib.contextmanager
def _opened(member: Member, interrupt: Callable[[], object]) -> Iterator[_Checked | BinaryIO]:
    try:
        source = member.open()
    except OSError as error:  # not to be taken for an error of the archive's own
        raise WheelError(
            f"{member.name} cannot be read any more: {error.strerror}",
            hint="build again, and let nothing empty the wheel cache meanwhile",
        ) from error
    with source:
        # What is in memory was hashed there.
        yield source if member.path is None else _Checked(member, source, interrupt)


class _Checked:
    """Reads a member, and compares what it reads with the size and the hash in SHA256SUMS."""

    def __init__(self, member: Member, source: BinaryIO, interrupt: Callable[[], object]) -> None:
        self._member, self._source, self._interrupt = member, source, interrupt
        self._digest, self._left = hashlib.sha256(), member.size

    def read(self, size: int = _CHUNK) -> bytes:
        self._interrupt()
        wanted = min(size, self._left)
        data = self._source.read(size)
        self._left -= len(data)
        self._digest.update(data)
        cut_short, at_end = len(data) < wanted, self._left == 0
        if cut_short or self._left < 0 or (at_end and self._digest.hexdigest() != self._member.sha256):
            raise WheelError(f"{self._member.name} changed while the bundle was written", hint="build again")
        return data


class _Announced:
    """Reads a member; before the first of its bytes, and after its header, the sink is told what comes."""

    def __init__(self, member: Member, source: _Checked | BinaryIO, sink: Sink) -> None:
        self._member, self._source, self._sink = member, source, sink
        self._announced = False

    def read(self, size: int) -> bytes:
        if not self._announced:
            self._sink.pack(self._member.packed, self._member.deflated)
            self._announced = True
        return self._source.read(size)


class _Hashed:
    """An output that hashes its bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.digest = file, hashlib.sha256()

    def write(self, data: bytes, /) -> int:
        self.digest.update(data)
        return self._file.write(data)


@dataclass(frozen=True, slots=True)
class _Bundle:
    """The sorted members and their common properties, for each kind of archive."""

    members: Sequence[Member]
    stem: str
    mtime: int
    interrupt: Callable[[], object]

    def write(self, path: Path, kind: str) -> str:
        """Write a file of this format. Return its SHA-256."""
        with path.open("w+b") as file:
            if kind in {"zip", "run"}:
                self._to_zip(file, runs=kind == "run")
                file.flush()
                return sha256_of_file(path)[0]  # its writer goes back in the file
            hashed = _Hashed(file)
            self._to_tar(_SINKS[kind](hashed))
            return hashed.digest.hexdigest()

    def _to_tar(self, sink: Sink) -> None:
        output = cast("BinaryIO", sink)
        with tarfile.TarFile(fileobj=output, mode="w", format=tarfile.PAX_FORMAT, copybufsize=_CHUNK) as tar:
            for folder in _folders(self.members):
                tar.addfile(self._header(f"{self.stem}/{folder}".rstrip("/"), tarfile.DIRTYPE, 0o755))
            for member in self.members:
                if member.link is not None:
                    header = self._header(f"{self.stem}/{member.name}", tarfile.SYMTYPE, 0o777)
                    header.linkname = member.link
                    tar.addfile(header)
                elif not member.is_folder:
                    header = self._header(f"{self.stem}/{member.name}", tarfile.REGTYPE, member.mode)
                    header.size = member.size
                    with _opened(member, self.interrupt) as source:
                        tar.addfile(header, cast("BinaryIO", _Announced(member, source, sink)))
                    sink.pack(False)
        sink.close()

    def _to_zip(self, file: BinaryIO, *, runs: bool) -> None:
        members = run_script.in_order(self.members) if runs else self.members
        if runs:
            run_script.begin(file, members)
        with zipfile.ZipFile(file, "w") as archive:
            for folder in _folders(self.members):
                name = f"{self.stem}/{folder}".rstrip("/") + "/"
                archive.writestr(self._entry(name, stat.S_IFDIR | 0o755, zipfile.ZIP_STORED), b"")
            for member in members:
                name = f"{self.stem}/{member.name}"
                if member.link is not None:
                    entry = self._entry(name, stat.S_IFLNK | 0o777, zipfile.ZIP_STORED)
                    archive.writestr(entry, os.fsencode(member.link))
                elif not member.is_folder:
                    method = zipfile.ZIP_STORED if member.packed or runs else zipfile.ZIP_DEFLATED
                    entry = self._entry(name, stat.S_IFREG | member.mode, method)
                    entry.file_size = member.size
                    with _opened(member, self.interrupt) as source, archive.open(entry, "w") as destination:
                        shutil.copyfileobj(cast("BinaryIO", source), destination, _CHUNK)
        if runs:
            run_script.complete(file, members, self.stem, archive.NameToInfo)
            mode = os.fstat(file.fileno()).st_mode
            os.fchmod(file.fileno(), mode | (mode & 0o444) >> 2)

    def fill(self, new: Path) -> None:
        """Make the folder, with all members in it."""
        folders = _folders(self.members)
        for folder in folders:
            (new / folder).mkdir()
            (new / folder).chmod(0o755)
        for member in self.members:
            destination = new / member.name
            if member.link is not None:
                destination.symlink_to(member.link)
            elif not member.is_folder:
                with _opened(member, self.interrupt) as source, destination.open("wb") as file:
                    shutil.copyfileobj(cast("BinaryIO", source), file, _CHUNK)
                destination.chmod(member.mode)
                os.utime(destination, (self.mtime, self.mtime))
        for folder in reversed(folders):
            os.utime(new / folder, (self.mtime, self.mtime))

    def _header(self, name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
        header = tarfile.TarInfo(name)
        header.type, header.mode, header.mtime = kind, mode, self.mtime
        return header

    def _entry(self, name: str, mode: int, method: int) -> zipfile.ZipInfo:
        entry = zipfile.ZipInfo(name, time.gmtime(self.mtime)[:6])
        entry.create_system = 3  # Unix: external_attr holds a mode
        entry.external_attr = mode << 16
        entry.compress_type = method
        return entry


def _folders(members: Sequence[Member]) -> list[str]:
    """Return all folders, the top one as the empty string, each before its content."""
    found = {""}
    for member in members:
        name = member.name if member.is_folder else os.path.dirname(member.name)  # noqa: PTH120
        while name:
            found.add(name)
            name = os.path.dirname(name)  # noqa: PTH120
    return sorted(found)


_SINKS: dict[str, Callable[[Output], Sink]] = {
    "tar": Plain,
    "tar.gz": Gzip,
    "tar.bz2": lambda file: Streams(file, bzip2),
    "tar.xz": lambda file: Streams(file, xz),
    "tar.zst": lambda file: Streams(file, zstd),
}
