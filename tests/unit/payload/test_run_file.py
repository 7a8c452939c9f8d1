"""Bundles that are one file, read where they lie."""

from __future__ import annotations

import os
import stat
import zipfile
from pathlib import Path

import pytest

from platter_setuptools.bundle.members import Member, from_bytes, from_folder, from_text
from platter_setuptools.payload import bundle_files, checksums, extraction, manifest
from platter_setuptools.payload.errors import BundleError, DestinationError, InstallError, UsageError
from platter_setuptools.payload.run_file import Part, RunFile
from platter_setuptools.payload.wheels.archive import Archive
from support import handmade
from support.archives import write_archive

MTIME = 1_000_000_000
STEM = "app-1.0-linux-x86_64"
SCRIPT = b"#!/bin/sh\nparts=''\nexit\n"


def run_file(folder: Path, *more: Member) -> Path:
    members = [from_bytes("install.sh", SCRIPT, executable=True), from_text("SHA256SUMS", "sums"), *more]
    return write_archive(members, STEM, "run", folder, MTIME)[0]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A bundle as a folder and as a file."""
    folder = tmp_path_factory.mktemp("whole")
    made = handmade.bundle(folder, [handmade.wheel(folder / "wheels")], bytecode=True)
    return made.path, write_archive(list(from_folder(made.path)), made.path.name, "run", folder, MTIME)[0]


def test_it_has_what_the_folder_has(whole: tuple[Path, Path]) -> None:
    folder, path = map(str, whole)
    one, other = bundle_files.files(folder), bundle_files.files(path)
    assert sorted(one.names()) == sorted(other.names())
    for name in one.names():
        with other.open(name).stream as stream:
            assert stream.read() == one.read(name, 1 << 30) == other.read(name, 1 << 30)
    sums = checksums.read(path)
    assert sums == checksums.read(folder)
    assert checksums.identity(path) == checksums.identity(folder)
    assert manifest.read_verified(path, sums) == manifest.read_verified(folder, sums)
    checksums.verify(path, sums, frozenset())


def test_a_wheel_is_read_in_place(whole: tuple[Path, Path]) -> None:
    there = bundle_files.files(str(whole[1]))
    (wheel,) = (name for name in there.names() if name.endswith(".whl"))
    with (
        Archive(wheel, checksums.read(str(whole[1]))[wheel], there.open) as archive,
        Archive(str(whole[0] / wheel)) as same,
    ):
        assert archive.members.keys() == same.members.keys()
        for name, info in archive.members.items():
            assert archive.read(info) == same.read(same.members[name])


def test_extraction(whole: tuple[Path, Path], tmp_path: Path) -> None:
    made = Path(extraction.extract(str(whole[1]), str(tmp_path / "new")))
    assert made == tmp_path / "new" / whole[0].name
    for path in (*whole[0].rglob("*"), *made.rglob("*")):
        one, other = (
            top / path.relative_to(whole[0] if path.is_relative_to(whole[0]) else made) for top in (whole[0], made)
        )
        assert one.is_dir() == other.is_dir()
        if one.is_file():
            assert one.read_bytes() == other.read_bytes()
            assert other.stat().st_mtime == MTIME
            assert bool(one.stat().st_mode & 0o100) == bool(other.stat().st_mode & 0o100)
    with pytest.raises(DestinationError, match="is in the way"):
        extraction.extract(str(whole[1]), str(tmp_path / "new"))
    with pytest.raises(UsageError, match="is a folder"):
        extraction.extract(str(whole[0]), str(tmp_path))
    (tmp_path / "file").touch()
    with pytest.raises(InstallError, match="failed"):
        extraction.extract(str(whole[1]), str(tmp_path / "file"))
    assert sorted(one.name for one in tmp_path.iterdir()) == ["file", "new"]


def test_links_and_folders(tmp_path: Path) -> None:
    found = RunFile(
        str(
            run_file(
                tmp_path,
                from_text("data/a/text", "here"),
                Member(name="data/link", link="a/text"),
                Member(name="data/folder", link="a"),
                Member(name="data/chain", link="folder/text"),
                Member(name="data/broken", link="nowhere"),
                Member(name="data/loop", link="loop"),
                Member(name="data/empty"),
            )
        )
    )
    for name in ("data/a/text", "data/link", "data/chain", "data/folder/text"):
        assert found.read(name, 10) == b"here"
    assert found.has("data/broken")
    assert not found.has("data/empty")
    for name, error in (("data/broken", FileNotFoundError), ("none", FileNotFoundError), ("data/a", ValueError)):
        with pytest.raises(error):
            found.read(name, 10)
    with pytest.raises(ValueError, match="longer than 3 bytes"):
        found.read("data/link", 3)
    with pytest.raises(BundleError, match="data/loop: a link that leads out"):
        list(found.names())


@pytest.mark.parametrize("target", ["../../x", "/etc/passwd"])
def test_a_link_that_leads_out(tmp_path: Path, target: str) -> None:
    found = RunFile(str(run_file(tmp_path, Member(name="link", link=target))))
    with pytest.raises(BundleError, match="leads out"):
        list(found.names())
    with pytest.raises(FileNotFoundError):
        found.read("link", 10)


def test_the_script_is_that_of_install_sh(tmp_path: Path) -> None:
    path = run_file(tmp_path, from_text("info.json", "{}"))
    content = path.read_bytes()
    first, last = content.index(b"parts='"), content.index(b"'\n", content.index(b"parts='"))
    told = content[first + 7 : last].decode().split()
    assert [one.partition("=")[0] for one in told] == ["SHA256SUMS", "info.json"]
    for one, expected in zip(told, (b"sums", b"{}"), strict=True):
        start, size = map(int, one.partition("=")[2].split("+"))
        assert content[start - 1 : start - 1 + size] == expected
    path.write_bytes(content.replace(b"exit\n", b"evil\n", 1))
    with pytest.raises(BundleError, match=r"is not install\.sh"):
        RunFile(str(path))
    path.write_bytes(content.replace(told[0].encode(), told[1].replace("info.json", "SHA256SUMS").encode(), 1))
    with pytest.raises(BundleError, match=r"SHA256SUMS lies elsewhere|is not install"):
        RunFile(str(path))


def test_what_is_cut_off(tmp_path: Path) -> None:
    path = run_file(tmp_path, from_text("info.json", "{}"))
    content = path.read_bytes()
    for size in range(0, len(content), 7):
        path.write_bytes(content[:size])
        with pytest.raises(BundleError):
            RunFile(str(path))


def test_a_link_that_is_too_long(tmp_path: Path) -> None:
    path = run_file(tmp_path, Member(name="link", link="x" * 5000))
    with pytest.raises(BundleError, match="longer than 4096 bytes"):
        RunFile(str(path))


def test_every_byte(tmp_path: Path) -> None:
    """Each is a part of a file, or makes a difference; but for times and the like, which nothing depends on."""
    path = run_file(tmp_path, from_text("info.json", "{}"), Member(name="data/link", link="../info.json"))
    content = path.read_bytes()
    found = RunFile(str(path))
    known = {name: found.read(name, 99) for name in found.names()}
    silent = 0
    tried = range(0, len(content), 5)
    for position in tried:
        path.write_bytes(content[:position] + bytes([content[position] ^ 0x15]) + content[position + 1 :])
        try:
            found = RunFile(str(path))
            silent += {name: found.read(name, 99) for name in found.names()} == known
        except (BundleError, OSError, ValueError):
            continue
    assert silent < len(tried) / 4


@pytest.mark.parametrize(
    ("names", "method", "mode", "reason"),
    [
        (["../x"], zipfile.ZIP_STORED, stat.S_IFREG, "could leave its folder"),
        (["other/x"], zipfile.ZIP_STORED, stat.S_IFREG, "outside of its one folder"),
        ([STEM + "/x", STEM + "/x"], zipfile.ZIP_STORED, stat.S_IFREG, "twice"),
        ([STEM + "/x"], zipfile.ZIP_DEFLATED, stat.S_IFREG, "not stored"),
        ([STEM + "/x"], zipfile.ZIP_STORED, stat.S_IFIFO, "neither a file"),
        ([], zipfile.ZIP_STORED, stat.S_IFREG, "no files"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_what_no_build_makes(tmp_path: Path, names: list[str], method: int, mode: int, reason: str) -> None:
    path = tmp_path / "x.run"
    with path.open("wb") as file, zipfile.ZipFile(file, "w") as archive:
        top = zipfile.ZipInfo(STEM + "/")
        top.external_attr = 0o040755 << 16
        if names:
            archive.writestr(top, b"")
        for name in names:
            entry = zipfile.ZipInfo(name)
            entry.external_attr, entry.compress_type = (mode | 0o644) << 16, method
            archive.writestr(entry, b"x" * 99)
    with pytest.raises(BundleError, match=reason):
        RunFile(str(path))


def test_a_part_is_a_stream(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"0123456789")
    with (tmp_path / "x").open("rb") as file:
        part = Part(file.fileno(), 2, 5)
        assert (part.read(), part.tell(), part.read()) == (b"23456", 5, b"")
        assert (part.seek(-2, os.SEEK_END), part.read(1), part.seek(-1, os.SEEK_CUR), part.read()) == (
            3,
            b"5",
            3,
            b"56",
        )
        assert (part.seek(9), part.read()) == (9, b"")
        with pytest.raises(OSError, match="Invalid"):
            part.seek(-1)
        assert (part.readable(), part.seekable(), part.fileno()) == (True, True, file.fileno())
