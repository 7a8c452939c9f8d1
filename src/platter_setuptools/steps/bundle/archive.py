"""The archive: a bundle's members as one file, or a folder. Deterministic, streaming, whole or absent.

Members come sorted, with numeric owner 0, modes 0644 and 0755, and one time. Wheels and bytecode are compressed
already, so tar.gz and zip store them; the other formats compress them lightly.
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

from platter_setuptools.ground.background import Background
from platter_setuptools.ground.consent import GIVEN, Consent
from platter_setuptools.ground.errors import ArchiveError, WheelError
from platter_setuptools.ground.files import obstacle, sha256_of_file
from platter_setuptools.ground.temporary import replacing
from platter_setuptools.steps.bundle.sinks import STORED, Beside, Gzip, Plain, Streams, bzip2, xz, zstd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from platter_setuptools.steps.bundle.members import Member
    from platter_setuptools.steps.bundle.sinks import Output, Sink

_CHUNK = 4 * STORED  # read, hashed and written as one
_HINT = "choose another folder with --output (--dist-dir for the command)"
_MARKS = ("info.json", "install.sh", "SHA256SUMS")  # a folder that has all of them is a bundle


def check_output(output: Path) -> None:
    """Raises ArchiveError if nothing can be written to this folder. Makes nothing."""
    if reason := obstacle(output):
        raise ArchiveError(f"nothing can be written to {output}: {reason}", hint=_HINT)


def archive_name(stem: str, kind: str) -> str:
    """What a bundle is called in its output folder."""
    return stem if kind == "dir" else f"{stem}.{kind}"


def write_archive(
    members: Sequence[Member],
    stem: str,
    kind: str,
    output: Path,
    mtime: int,
    consent: Consent = GIVEN,
    check: Callable[[Path], object] = lambda _path: None,
) -> tuple[Path, int, str | None]:
    """Write `STEM.KIND` into the folder `output`, replacing an older one.

    It gets its name only with the `consent`, which may come when it is written already, or be refused; and unless
    `check` refuses what it would replace. Gives its path, its size in bytes, and its SHA-256 (None for a folder).
    Raises ArchiveError if it cannot be written, or if a folder of that name is no bundle of ours; WheelError if a
    member changes meanwhile; InterruptedBuildError without consent.
    """
    bundle = _Bundle(sorted(members, key=lambda member: member.name), stem, mtime, consent)
    path = output / archive_name(stem, kind)
    try:
        output.mkdir(parents=True, exist_ok=True)
        if kind == "dir":
            bundle.to_folder(path, check)
            return path, sum(member.size for member in members), None
        if path.is_dir():
            raise ArchiveError(f"{path} is a folder", hint="move it away, or choose another output folder")
        with replacing(path) as name, name.open("wb") as file:
            if kind == "zip":
                bundle.to_zip(file)
                file.flush()
                sha256, _ = sha256_of_file(name)  # its writer goes back in the file
            else:
                hashed = _Hashed(file)
                bundle.to_tar(_SINKS[kind](hashed))
                file.flush()
                sha256 = hashed.digest.hexdigest()
            consent.wait()
            check(path)
    except OSError as error:
        hint = "make room there, or choose another output folder" if error.errno == errno.ENOSPC else None
        raise ArchiveError(
            f"{path} cannot be written: {error.strerror or error}",
            hint=hint or _HINT,
        ) from error
    return path, path.stat().st_size, sha256


@contextlib.contextmanager
def _opened(member: Member, consent: Consent) -> Iterator[_Checked | BinaryIO]:
    try:
        source = member.open()
    except OSError as error:  # not to be taken for an error of the archive's own
        raise WheelError(
            f"{member.name} cannot be read any more: {error.strerror}",
            hint="build again, and let nothing empty the wheel cache meanwhile",
        ) from error
    with source:
        # What is in memory was hashed there.
        yield source if member.path is None else _Checked(member, source, consent)


class _Checked:
    """Reads a member; what it reads is compared with what the manifest says."""

    def __init__(self, member: Member, source: BinaryIO, consent: Consent) -> None:
        self._member, self._source, self._consent = member, source, consent
        self._digest, self._left = hashlib.sha256(), member.size

    def read(self, size: int = _CHUNK) -> bytes:
        self._consent.check()
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
    """An output whose bytes are hashed on their way."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.digest = file, hashlib.sha256()

    def write(self, data: bytes, /) -> int:
        self.digest.update(data)
        return self._file.write(data)


@dataclass(frozen=True, slots=True)
class _Bundle:
    """The sorted members and what they have in common, for each kind of archive."""

    members: Sequence[Member]
    stem: str
    mtime: int
    consent: Consent

    def to_tar(self, destination: Sink) -> None:
        # Reading and hashing what comes in, compressing and hashing what goes out: two cores share it.
        with Background() as writer:
            self._write_tar(Beside(destination, writer))

    def _write_tar(self, sink: Sink) -> None:
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
                    with _opened(member, self.consent) as source:
                        tar.addfile(header, cast("BinaryIO", _Announced(member, source, sink)))
                    sink.pack(False)
        sink.close()

    def to_zip(self, file: BinaryIO) -> None:
        with zipfile.ZipFile(file, "w") as archive:
            for folder in _folders(self.members):
                name = f"{self.stem}/{folder}".rstrip("/") + "/"
                archive.writestr(self._entry(name, stat.S_IFDIR | 0o755, zipfile.ZIP_STORED), b"")
            for member in self.members:
                name = f"{self.stem}/{member.name}"
                if member.link is not None:
                    entry = self._entry(name, stat.S_IFLNK | 0o777, zipfile.ZIP_STORED)
                    archive.writestr(entry, os.fsencode(member.link))
                elif not member.is_folder:
                    method = zipfile.ZIP_STORED if member.packed else zipfile.ZIP_DEFLATED
                    entry = self._entry(name, stat.S_IFREG | member.mode, method)
                    entry.file_size = member.size
                    with _opened(member, self.consent) as source, archive.open(entry, "w") as destination:
                        shutil.copyfileobj(cast("BinaryIO", source), destination, _CHUNK)

    def to_folder(self, path: Path, check: Callable[[Path], object]) -> None:
        if path.exists() and not all((path / name).is_file() for name in _MARKS):
            raise ArchiveError(f"{path} exists and is no bundle", hint="move it away, or choose another output folder")
        with replacing(path) as new:
            self._fill(new)
            self.consent.wait()
            check(path)

    def _fill(self, new: Path) -> None:
        folders = _folders(self.members)
        for folder in folders:
            (new / folder).mkdir()
            (new / folder).chmod(0o755)
        for member in self.members:
            destination = new / member.name
            if member.link is not None:
                destination.symlink_to(member.link)
            elif not member.is_folder:
                with _opened(member, self.consent) as source, destination.open("wb") as file:
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
    """All folders, the top one as the empty string, each before what is in it."""
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
