"""Archives: read back by the standard library and by command line tools, always the same bytes, whole or absent."""

from __future__ import annotations

import bz2
import contextlib
import errno
import gzip
import hashlib
import io
import lzma
import os
import random
import shutil
import stat
import subprocess
import sys
import tarfile
import tracemalloc
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from platter_setuptools.bundle.archive import stage_archive
from platter_setuptools.bundle.compressors import deflated
from platter_setuptools.bundle.members import Member, from_bytes, from_file, from_text
from platter_setuptools.config.options import FORMATS
from platter_setuptools.errors import ArchiveError, InterruptedBuildError, WheelError
from support.archives import write_archive

if TYPE_CHECKING:
    from collections.abc import Iterator

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MTIME = 1_000_000_000  # even: zip's clock ticks every two seconds
STEM = "app-1.0-linux-x86_64"
NOISE = random.Random(7).randbytes(100_000)
TARS = [kind for kind in FORMATS if kind.startswith("tar")]
ZIPS = ["zip", "run"]
FILES = [kind for kind in FORMATS if kind != "dir"]
LONG = "data/" + "/".join(["a-rather-long-folder-name"] * 5) + "/" + "n" * 120 + ".txt"

AHEAD = {"a.py": b"x = 1\n" * 999, "b.py": b"", "c.pyc": NOISE[:1000], "d.py": b"-" * 512, LONG: b"of pax"}

Entry = tuple[str, int, bytes]  # kind and link, permissions, content


def rich_members(folder: Path) -> list[Member]:
    """One of each kind, in no order."""
    packed = folder / "app-1.0-py3-none-any.whl"
    packed.write_bytes(NOISE)
    return [
        from_text("data/zebra.txt", "stripes\n" * 500),
        from_file("data/app-1.0-py3-none-any.whl", packed, packed=True),
        from_bytes("install.sh", b"#!/bin/sh\n", executable=True),
        from_text("info.json", "{}\n"),
        from_text("SHA256SUMS", ""),
        from_text("data/empty.txt", ""),
        from_text(LONG, "deep"),
        from_text("data/grüße-日本.txt", "unicode"),
        from_text("data/sp ace 'quote' \\ back", "odd"),
        Member(name="data/node/empty"),
        Member(name="data/link", link="zebra.txt"),
        Member(name="data/folder-link", link="../data/node"),
        from_bytes("data/second.whl", NOISE[:70_000]),
        *(from_bytes(f"boot/{name}", content, deflated=deflated(content)) for name, content in AHEAD.items()),
    ]


def expected(members: list[Member]) -> dict[str, Entry]:
    entries: dict[str, Entry] = {STEM: ("folder", 0o755, b"")}
    for member in members:
        parts = f"{STEM}/{member.name}".split("/")
        if member.link is not None:
            entries["/".join(parts)] = (f"link {member.link}", 0o777, b"")
        elif member.is_folder:
            entries["/".join(parts)] = ("folder", 0o755, b"")
        else:
            with member.open() as source:
                entries["/".join(parts)] = ("file", member.mode, source.read())
        for end in range(1, len(parts)):
            entries["/".join(parts[:end])] = ("folder", 0o755, b"")
    return entries


@contextlib.contextmanager
def opened(path: Path) -> Iterator[tarfile.TarFile]:
    """What a reader that knows nothing of the writer makes of it."""
    if path.name.endswith(".zst"):
        with zstd.open(path, "rb") as stream, tarfile.open(fileobj=io.BytesIO(stream.read())) as tar:
            yield tar
    else:
        with tarfile.open(path) as tar:
            yield tar


def read_tar(path: Path) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    with opened(path) as tar:
        for one in tar:
            assert (one.uid, one.gid, one.uname, one.gname, one.mtime) == (0, 0, "", "", MTIME)
            if one.issym():
                entries[one.name] = (f"link {one.linkname}", one.mode, b"")
            elif one.isdir():
                entries[one.name] = ("folder", one.mode, b"")
            else:
                source = tar.extractfile(one)
                assert source is not None
                entries[one.name] = ("file", one.mode, source.read())
    return entries


def read_zip(path: Path) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        for one in archive.infolist():
            assert one.date_time == (2001, 9, 9, 1, 46, 40)
            mode, content = one.external_attr >> 16, archive.read(one)
            if stat.S_ISLNK(mode):
                entries[one.filename] = (f"link {os.fsdecode(content)}", 0o777, b"")
            elif one.is_dir():
                assert stat.S_ISDIR(mode)
                entries[one.filename.rstrip("/")] = ("folder", stat.S_IMODE(mode), b"")
            else:
                assert stat.S_ISREG(mode)
                entries[one.filename] = ("file", stat.S_IMODE(mode), content)
    return entries


def read_folder(path: Path) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for one in [path, *path.rglob("*")]:
        name, status = one.relative_to(path.parent).as_posix(), one.lstat()
        if stat.S_ISLNK(status.st_mode):
            entries[name] = (f"link {one.readlink()}", 0o777, b"")
            continue
        content = b"" if one.is_dir() else one.read_bytes()
        entries[name] = ("folder" if one.is_dir() else "file", stat.S_IMODE(status.st_mode), content)
    return entries


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def tool(*command: str | Path, cwd: Path) -> str:
    """Run one of the tools that people unpack with; skip where it is not installed."""
    if shutil.which(str(command[0])) is None:
        pytest.skip(f"needs {command[0]}")
    environ = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, cwd=cwd, check=False, capture_output=True, text=True, env=environ)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


@pytest.fixture
def members(tmp_path: Path) -> list[Member]:
    return rich_members(tmp_path)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "dist"


class TestReadBack:
    @pytest.mark.parametrize("kind", TARS)
    def test_tar(self, kind: str, members: list[Member], output: Path) -> None:
        path, size, sha256 = write_archive(members, STEM, kind, output, MTIME)
        assert (path, size) == (output / f"{STEM}.{kind}", path.stat().st_size)
        assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert read_tar(path) == expected(members)

    @pytest.mark.parametrize("kind", ZIPS)
    def test_zip(self, members: list[Member], output: Path, kind: str) -> None:
        path, _size, sha256 = write_archive(members, STEM, kind, output, MTIME)
        assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert read_zip(path) == expected(members)

    def test_folder(self, members: list[Member], output: Path) -> None:
        path, size, _sha256 = write_archive(members, STEM, "dir", output, MTIME)
        assert path == output / STEM
        assert size == sum(member.size for member in members)
        assert read_folder(path) == expected(members)
        times = {one.lstat().st_mtime for one in [path, *path.rglob("*")] if not one.is_symlink()}
        assert times == {MTIME}

    @pytest.mark.parametrize("kind", TARS)
    def test_command_line_tar(self, kind: str, members: list[Member], output: Path, tmp_path: Path) -> None:
        path, _size, _sha256 = write_archive(members, STEM, kind, output, MTIME)
        helper = {"tar.gz": "gzip", "tar.bz2": "bzip2", "tar.xz": "xz", "tar.zst": "zstd"}.get(kind)
        if helper and shutil.which(helper) is None:
            pytest.skip(f"tar needs {helper}")
        into = tmp_path / "unpacked"
        into.mkdir()
        tool("tar", "-xpf", path, "-C", into, cwd=tmp_path)
        assert read_folder(into / STEM) == expected(members)
        assert (into / STEM / "info.json").stat().st_mtime == MTIME

    @pytest.mark.parametrize("kind", ZIPS)
    def test_command_line_unzip(self, members: list[Member], output: Path, tmp_path: Path, kind: str) -> None:
        path, _size, _sha256 = write_archive(members, STEM, kind, output, MTIME)
        tool("unzip", "-q", path, "-d", "unpacked", cwd=tmp_path)
        assert read_folder(tmp_path / "unpacked" / STEM) == expected(members)

    @pytest.mark.parametrize(
        ("kind", "command"),
        [("tar.gz", "gzip"), ("tar.bz2", "bzip2"), ("tar.xz", "xz"), ("tar.zst", "zstd")],
    )
    def test_the_compressors_own_tools_find_no_fault(
        self, kind: str, command: str, members: list[Member], output: Path
    ) -> None:
        path, _size, _sha256 = write_archive(members, STEM, kind, output, MTIME)
        tool(command, "-t", "-q", path, cwd=output)

    @pytest.mark.parametrize("kind", FILES)
    def test_no_members_at_all(self, kind: str, output: Path) -> None:
        path, _size, _sha256 = write_archive([], STEM, kind, output, MTIME)
        assert (read_zip if kind in ZIPS else read_tar)(path) == {STEM: ("folder", 0o755, b"")}

    def test_folders_come_before_what_is_in_them(self, members: list[Member], output: Path) -> None:
        path, _size, _sha256 = write_archive(members, STEM, "tar", output, MTIME)
        seen = set()
        for name in read_tar(path):
            parent = name.rpartition("/")[0]
            assert not parent or parent in seen
            seen.add(name)


class TestCompression:
    def test_gzip_is_one_member_whatever_alternates(self, output: Path) -> None:
        members = [
            Member(
                name=f"data/{number:02}",
                content=content,
                size=len(content),
                sha256=hashlib.sha256(content).hexdigest(),
                packed=bool(number % 2),
            )
            for number, content in enumerate([b"text " * 9000, NOISE, b"", b"", b"x", NOISE[:1], b"y" * 70_000] * 3)
        ]
        path, _size, _sha256 = write_archive(members, STEM, "tar.gz", output, MTIME)
        data = path.read_bytes()
        assert data[:10] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
        one = zlib.decompressobj(wbits=31)
        content = one.decompress(data) + one.flush()
        assert one.eof
        assert one.unused_data == b""
        assert content == gzip.decompress(data)
        assert read_tar(path) == expected(members)

    @pytest.mark.parametrize("kind", ["tar.gz", "zip"])
    def test_packed_members_are_stored(self, kind: str, output: Path, tmp_path: Path) -> None:
        source = tmp_path / "a.whl"
        source.write_bytes(b"a" * 1_000_000)
        packed, loose = from_file("data/a.whl", source, packed=True), from_file("data/a.whl", source)
        stored, _size, _sha256 = write_archive([packed], STEM, kind, output, MTIME)
        assert 1_000_000 < stored.stat().st_size < 1_010_000
        small, _size, _sha256 = write_archive([loose], STEM, kind, output, MTIME)
        assert small.stat().st_size < 10_000

    @pytest.mark.parametrize(
        ("kind", "decompress"), [("tar.bz2", bz2.decompress), ("tar.xz", lzma.decompress), ("tar.zst", zstd.decompress)]
    )
    def test_streams_one_after_the_other_read_as_one(
        self, kind: str, decompress: Any, members: list[Member], output: Path
    ) -> None:
        path, _size, _sha256 = write_archive(members, STEM, kind, output, MTIME)
        plain, size, _sha256 = write_archive(members, STEM, "tar", output, MTIME)
        assert decompress(path.read_bytes()) == plain.read_bytes()
        assert path.stat().st_size < size


class TestDeterminism:
    @pytest.mark.parametrize("kind", FILES)
    def test_same_bytes_in_any_order_umask_and_place(self, kind: str, members: list[Member], tmp_path: Path) -> None:
        first, _size, _sha256 = write_archive(members, STEM, kind, tmp_path / "one", MTIME)
        elsewhere = tmp_path / "other"
        elsewhere.mkdir()
        again = rich_members(elsewhere)
        os.utime(elsewhere / "app-1.0-py3-none-any.whl", (1, 1))
        before = os.umask(0o077)
        try:
            second, _size, _sha256 = write_archive(again[::-1], STEM, kind, tmp_path / "two", MTIME)
        finally:
            os.umask(before)
        assert first.read_bytes() == second.read_bytes()

    def test_a_folder_has_the_same_modes_whatever_the_umask(self, members: list[Member], output: Path) -> None:
        before = os.umask(0o077)
        try:
            path, _size, _sha256 = write_archive(members, STEM, "dir", output, MTIME)
        finally:
            os.umask(before)
        assert read_folder(path) == expected(members)

    @pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
    def test_the_archive_itself_has_the_mode_of_any_new_file(self, umask: int, mode: int, output: Path) -> None:
        before = os.umask(umask)
        try:
            path, _size, _sha256 = write_archive([], STEM, "tar", output, MTIME)
            program, _size, _sha256 = write_archive([], STEM, "run", output, MTIME)
        finally:
            os.umask(before)
        assert stat.S_IMODE(path.stat().st_mode) == mode
        assert stat.S_IMODE(program.stat().st_mode) == mode | (mode & 0o444) >> 2


def broken(error: BaseException) -> Member:
    """A member that fails when it is read."""

    class Broken(Member):
        def open(self) -> NoReturn:
            raise error

    return Broken(name="z", content=b"x", size=1, sha256="0" * 64)


class TestWholeOrAbsent:
    @pytest.mark.parametrize("kind", FORMATS)
    def test_replaces_an_older_one(self, kind: str, members: list[Member], output: Path) -> None:
        old, _size, _sha256 = write_archive(OLD, STEM, kind, output, MTIME)
        path, _size, _sha256 = write_archive(members, STEM, kind, output, MTIME)
        assert path == old
        assert names_in(output) == [path.name]
        found = read_folder(path) if kind == "dir" else (read_zip if kind in ZIPS else read_tar)(path)
        assert found == expected(members)

    @pytest.mark.parametrize("kind", FORMATS)
    @pytest.mark.parametrize("change", [b"", NOISE[:50_000], NOISE[:40_960], NOISE[:-1] + b"!", b"other"])
    def test_a_member_that_changes_meanwhile_is_an_error(
        self, kind: str, change: bytes, members: list[Member], output: Path, tmp_path: Path
    ) -> None:
        path, _size, _sha256 = write_archive(OLD, STEM, kind, output, MTIME)
        (tmp_path / "app-1.0-py3-none-any.whl").write_bytes(change)
        with pytest.raises(WheelError, match=r"app-1\.0-py3-none-any\.whl (changed|became shorter)") as caught:
            write_archive(members, STEM, kind, output, MTIME)
        assert caught.value.hint
        assert_old(path, kind, output)

    @pytest.mark.parametrize("kind", FORMATS)
    def test_a_member_that_is_gone_is_no_fault_of_the_output_folder(
        self, kind: str, members: list[Member], output: Path, tmp_path: Path
    ) -> None:
        path, _size, _sha256 = write_archive(OLD, STEM, kind, output, MTIME)
        (tmp_path / "app-1.0-py3-none-any.whl").unlink()
        with pytest.raises(WheelError, match=r"app-1\.0-py3-none-any\.whl"):
            write_archive(members, STEM, kind, output, MTIME)
        assert_old(path, kind, output)

    @pytest.mark.parametrize("kind", FORMATS)
    @pytest.mark.parametrize("error", [KeyboardInterrupt(), InterruptedBuildError("stopped")])
    def test_an_interruption_leaves_the_old_one(self, kind: str, error: BaseException, output: Path) -> None:
        path, _size, _sha256 = write_archive(OLD, STEM, kind, output, MTIME)
        with pytest.raises(type(error)):
            write_archive([from_bytes("a", NOISE), broken(error)], STEM, kind, output, MTIME)
        assert_old(path, kind, output)

    @pytest.mark.parametrize("kind", FORMATS)
    def test_a_staged_one_is_there_when_it_is_committed(self, kind: str, output: Path) -> None:
        path, _size, _sha256 = write_archive(OLD, STEM, kind, output, MTIME)
        archive = stage_archive([*OLD, from_bytes("new", NOISE)], STEM, kind, output, MTIME)
        assert archive.path == path
        old = names_in(path) if kind == "dir" else path.read_bytes()
        archive.commit()
        archive.discard()  # does nothing any more
        assert (names_in(path) if kind == "dir" else path.read_bytes()) != old
        assert [one.name for one in output.iterdir()] == [path.name]

    @pytest.mark.parametrize("kind", FORMATS)
    def test_of_a_discarded_one_nothing_is_left(self, kind: str, output: Path) -> None:
        path, _size, _sha256 = write_archive(OLD, STEM, kind, output, MTIME)
        stage_archive([from_bytes("new", NOISE)], STEM, kind, output, MTIME).discard()
        assert_old(path, kind, output)

    @pytest.mark.parametrize("kind", FORMATS)
    def test_writing_can_be_interrupted(self, kind: str, members: list[Member], output: Path) -> None:
        path, _size, _sha256 = write_archive(OLD, STEM, kind, output, MTIME)

        def interrupt() -> None:
            raise InterruptedBuildError("not wanted", hint="")

        with pytest.raises(InterruptedBuildError):
            stage_archive(members, STEM, kind, output, MTIME, interrupt)
        assert_old(path, kind, output)

    @pytest.mark.parametrize("kind", FORMATS)
    def test_full_disk(self, kind: str, output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path, _size, _sha256 = write_archive(OLD, STEM, kind, output, MTIME)
        real = Path.rename

        def full(source: str | Path, *_arguments: Any, **_options: Any) -> Path:
            # The old folder's way out stays open: only the new one finds no place.
            if isinstance(source, Path) and source == path:
                return real(source, *_arguments)
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", full)
            patch.setattr(Path, "rename", full)
            with pytest.raises(ArchiveError, match="cannot be written: No space left on device") as caught:
                write_archive([], STEM, kind, output, MTIME)
            patch.undo()
        assert caught.value.exit_code == 6
        assert "make room" in str(caught.value.hint)
        if kind != "dir":
            assert_old(path, kind, output)

    @pytest.mark.parametrize("kind", FORMATS)
    def test_the_output_folder_is_a_file(self, kind: str, tmp_path: Path) -> None:
        (tmp_path / "dist").touch()
        with pytest.raises(ArchiveError, match="cannot be written") as caught:
            write_archive([], STEM, kind, tmp_path / "dist", MTIME)
        assert "--output" in str(caught.value.hint)

    @pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
    @pytest.mark.parametrize("kind", FORMATS)
    def test_the_output_folder_is_not_writable(self, kind: str, tmp_path: Path) -> None:
        (tmp_path / "dist").mkdir(mode=0o555)
        with pytest.raises(ArchiveError, match="Permission denied"):
            write_archive([], STEM, kind, tmp_path / "dist", MTIME)

    @pytest.mark.parametrize("kind", FILES)
    def test_a_folder_in_the_way_of_a_file_stays(self, kind: str, output: Path) -> None:
        (output / f"{STEM}.{kind}").mkdir(parents=True)
        with pytest.raises(ArchiveError, match="is a folder"):
            write_archive([], STEM, kind, output, MTIME)
        assert names_in(output) == [f"{STEM}.{kind}"]

    @pytest.mark.parametrize("content", [{}, {"info.json": "{}"}, {"install.sh": "", "SHA256SUMS": ""}])
    def test_only_bundles_are_replaced_by_a_folder(self, content: dict[str, str], output: Path) -> None:
        (output / STEM).mkdir(parents=True)
        (output / STEM / "mine.txt").write_text("mine")
        for name, text in content.items():
            (output / STEM / name).write_text(text)
        with pytest.raises(ArchiveError, match="is no bundle") as caught:
            write_archive([], STEM, "dir", output, MTIME)
        assert caught.value.exit_code == 6
        assert names_in(output / STEM) == sorted(["mine.txt", *content])

    def test_a_file_in_the_way_of_a_folder_stays(self, output: Path) -> None:
        output.mkdir()
        (output / STEM).write_text("mine")
        with pytest.raises(ArchiveError, match="is no bundle"):
            write_archive([], STEM, "dir", output, MTIME)
        assert (output / STEM).read_text() == "mine"

    def test_the_old_folder_comes_back_if_the_new_one_cannot_take_its_place(
        self, output: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path, _size, _sha256 = write_archive(OLD, STEM, "dir", output, MTIME)
        real = Path.rename

        def rename(source: Path, destination: Path) -> Path:
            if destination == path and source.parent.name != ".aside":
                raise KeyboardInterrupt
            return real(source, destination)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "rename", rename)
            with pytest.raises(KeyboardInterrupt):
                write_archive([], STEM, "dir", output, MTIME)
        assert_old(path, "dir", output)


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind != "tar.xz"])
def test_large_members_stream(kind: str, output: Path, tmp_path: Path) -> None:
    source = tmp_path / "large.whl"
    with source.open("wb") as file:
        file.truncate(30 << 20)
    member = from_file("data/large.whl", source, packed=True)
    tracemalloc.start()
    try:
        write_archive([member], STEM, kind, output, MTIME)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20  # three queues of 4 MiB
    finally:
        tracemalloc.stop()


OLD = [from_text("info.json", "old"), from_text("install.sh", ""), from_text("SHA256SUMS", "")]


def assert_old(path: Path, kind: str, output: Path) -> None:
    assert names_in(output) == [path.name]
    if kind == "dir":
        assert (path / "info.json").read_text() == "old"
    else:
        found = (read_zip if kind in ZIPS else read_tar)(path)
        assert found[f"{STEM}/info.json"][2] == b"old"
