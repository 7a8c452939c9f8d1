from __future__ import annotations

import hashlib
import os
import stat
import struct
import zipfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from platter_setuptools.payload.errors import BundleError
from platter_setuptools.payload.wheels.archive import Archive
from support.handmade import Member, archive

if TYPE_CHECKING:
    from pathlib import Path

BIG = os.urandom(100_000) * 60


def opened(path: Path) -> Archive:
    return Archive(str(path), hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("content", [b"", b"x", b"hello" * 1000, BIG], ids=["empty", "one", "some", "big"])
def test_content(tmp_path: Path, compression: int, content: bytes) -> None:
    path = archive(tmp_path / "a.whl", [Member(name="ü/x", content=content, compression=compression)])
    with opened(path) as found:
        assert found.read(found.members["ü/x"], 1 << 30) == content


def test_all_real_members_alike(tmp_path: Path) -> None:
    members = [Member(name=f"f{number}", content=os.urandom(number) + b"\0" * number) for number in range(0, 5000, 97)]
    path = archive(tmp_path / "a.whl", members)
    with opened(path) as found, zipfile.ZipFile(path) as reference:
        for name, info in found.members.items():
            assert found.read(info) == reference.read(name)


def test_wrong_hash(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.whl", [Member(name="x")])
    with pytest.raises(BundleError, match=r"a\.whl: altered"):
        Archive(str(path), "0" * 64)
    with pytest.raises(BundleError, match="cannot be read"):
        Archive(str(tmp_path / "none"), "0" * 64)


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", "a\\b", "a//b", "./a", "a/./b", "..", "a/.."])
def test_names_that_lead_elsewhere(tmp_path: Path, name: str) -> None:
    with pytest.raises(BundleError, match="could leave"):
        opened(archive(tmp_path / "a.whl", [Member(name=name)]))


def test_name_with_nul(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.whl", [Member(name="aXb.py")])
    path.write_bytes(path.read_bytes().replace(b"aXb.py", b"a\0b.py"))
    with pytest.raises(BundleError, match="could leave"):
        opened(path)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFBLK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFDIR])
def test_only_files(tmp_path: Path, kind: int) -> None:
    with pytest.raises(BundleError, match="neither a file nor a folder"):
        opened(archive(tmp_path / "a.whl", [Member(name="x", content=b"/etc", mode=kind | 0o777)]))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_twice_the_same_name(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="twice"):
        opened(archive(tmp_path / "a.whl", [Member(name="x"), Member(name="x")]))


def test_folders_are_no_members(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.whl", [Member(name="d/", mode=stat.S_IFDIR | 0o755), Member(name="d/x", mode=0)])
    with opened(path) as found:
        assert list(found.members) == ["d/x"]


def test_two_names(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.whl", [Member(name="good.py", content=b"x")])
    path.write_bytes(path.read_bytes().replace(b"good.py", b"evil.py", 1))
    with opened(path) as found, pytest.raises(BundleError, match="two names"):
        found.read(found.members["good.py"])


def test_encrypted(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.whl", [Member(name="x")])
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(BundleError, match="encrypted"):
        opened(path)


@pytest.mark.parametrize("content", [b"", b"no zip at all", b"PK\x05\x06" + b"\0" * 10])
def test_no_archive(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.whl").write_bytes(content)
    with pytest.raises(BundleError, match="not a zip file"):
        opened(tmp_path / "a.whl")


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("content", [b"hello" * 100, BIG], ids=["some", "big"])
def test_announced_size_is_kept(tmp_path: Path, compression: int, content: bytes) -> None:
    path = archive(tmp_path / "a.whl", [Member(name="x", content=content, compression=compression)])
    data = bytearray(path.read_bytes())
    where = data.rindex(b"PK\x01\x02") + 24
    data[where : where + 4] = struct.pack("<I", len(content) - 50)
    path.write_bytes(data)
    with opened(path) as found, pytest.raises(BundleError, match="length and CRC"):
        found.read(found.members["x"], 1 << 30)


def test_no_more_than_announced_is_unpacked(tmp_path: Path) -> None:
    announced = 5 << 20
    path = archive(tmp_path / "a.whl", [Member(name="x", content=bytes(64 << 20))])
    data = bytearray(path.read_bytes())
    where = data.rindex(b"PK\x01\x02") + 24
    data[where : where + 4] = struct.pack("<I", announced)
    path.write_bytes(data)
    sizes: list[int] = []
    with opened(path) as found, pytest.raises(BundleError, match="length and CRC"):
        sizes.extend(map(len, found.chunks(found.members["x"])))
    assert sum(sizes) <= announced


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_damage_is_an_error_of_ours_or_harmless(tmp_path: Path, data: st.DataObject) -> None:
    members = [
        Member(name="a.py", content=b"x = 1\n" * 50),
        Member(name="b.py", content=b"y", compression=zipfile.ZIP_STORED),
    ]
    content = bytearray(archive(tmp_path / "a.whl", members).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "b.whl").write_bytes(content)
    try:
        with opened(tmp_path / "b.whl") as found:
            for info in found.members.values():
                found.read(info)
    except BundleError:
        pass


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_no_flipped_bit_of_what_zipfile_unpacks_is_more_than_damage(tmp_path: Path, compression: int) -> None:
    content = archive(tmp_path / "a.whl", [Member(name="x", content=b"", compression=compression)]).read_bytes()
    for bit in range(8 * content.index(b"PK\x01\x02")):
        altered = bytearray(content)
        altered[bit // 8] ^= 1 << bit % 8
        (tmp_path / "b.whl").write_bytes(altered)
        with opened(tmp_path / "b.whl") as found:
            try:
                assert found.read(found.members["x"]) == b""
            except BundleError:
                continue
