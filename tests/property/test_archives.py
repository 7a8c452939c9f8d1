"""Whatever the members are called and hold, each format gives them back, and builder and payload agree on the sums."""

from __future__ import annotations

import contextlib
import io
import stat
import sys
import tarfile
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platter_setuptools.bundle.checksums import checksums
from platter_setuptools.bundle.members import Member, from_bytes, from_folder
from platter_setuptools.config.options import FORMATS
from platter_setuptools.payload import checksums as payload_checksums
from platter_setuptools.payload.errors import BundleError
from support.archives import write_archive

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Iterator

MTIME = 315532800
STEM = "app-1.0-linux-x86_64"

# What a file can be called: UTF-8 without a slash or a NUL, at most 255 bytes; no dots alone.
PARTS = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=40).filter(
    lambda part: part not in {".", ".."} and len(part.encode()) < 250
)
LONG = st.text("abcü", min_size=90, max_size=110)
NAMES = st.lists(PARTS | LONG, min_size=1, max_size=4).map("/".join)
CONTENTS = st.binary(max_size=300) | st.builds(
    lambda one, times: one * times, st.binary(min_size=1), st.integers(1, 9000)
)


@st.composite
def members(draw: st.DrawFn) -> list[Member]:
    """Files and empty folders that can lie in one folder together."""
    found: dict[str, Member] = {}
    for name in draw(st.lists(NAMES, max_size=8, unique=True)):
        parents = {"/".join(name.split("/")[:end]) for end in range(1, name.count("/") + 1)}
        if parents & set(found) or any(other.startswith(f"{name}/") for other in found):
            continue
        if draw(st.booleans()):
            content, executable, packed = draw(CONTENTS), draw(st.booleans()), draw(st.booleans())
            plain = from_bytes(name, content, executable=executable)
            found[name] = Member(
                name=name,
                content=content,
                sha256=plain.sha256,
                size=plain.size,
                executable=executable,
                packed=packed,
            )
        else:
            found[name] = Member(name=name)
    return list(found.values())


def read_back(path: Path, kind: str) -> dict[str, tuple[int, bytes]]:
    """Mode and content of each file, mode and nothing of each folder."""
    if kind == "dir":
        return {
            one.relative_to(path).as_posix(): (
                stat.S_IMODE(one.stat().st_mode),
                b"" if one.is_dir() else one.read_bytes(),
            )
            for one in path.rglob("*")
        }
    data = path.read_bytes()
    top = f"{STEM}/"
    if kind in {"zip", "run"}:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {
                one.filename.rstrip("/")[len(top) :]: (stat.S_IMODE(one.external_attr >> 16), archive.read(one))
                for one in archive.infolist()
                if one.filename != top
            }
    if kind == "tar.zst":
        data = zstd.decompress(data)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {
            one.name[len(top) :]: (one.mode, source.read() if (source := tar.extractfile(one)) else b"")
            for one in tar
            if one.name != STEM
        }


def expected(made: list[Member]) -> dict[str, tuple[int, bytes]]:
    entries = {member.name: (member.mode, member.content or b"") for member in made}
    for member in made:
        for end in range(1, member.name.count("/") + 1):
            entries.setdefault("/".join(member.name.split("/")[:end]), (0o755, b""))
    return entries


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.mark.parametrize("kind", FORMATS)
@settings(deadline=None, max_examples=30)
@given(made=members())
def test_round_trip(kind: str, made: list[Member]) -> None:
    with folder() as output:
        path = write_archive(made, STEM, kind, output, MTIME)[0]
        assert read_back(path, kind) == expected(made)
        if kind == "tar.gz":
            one = zlib.decompressobj(wbits=31)
            one.decompress(path.read_bytes())
            assert (one.eof, one.unused_data) == (True, b"")


@settings(deadline=None, max_examples=30)
@given(made=members(), data=st.data())
def test_order_does_not_matter(made: list[Member], data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from([kind for kind in FORMATS if kind != "dir"]))
    shuffled = data.draw(st.permutations(made))
    with folder() as output:
        first, second = (
            write_archive(each, STEM, kind, output / str(number), MTIME)[0]
            for number, each in enumerate([made, shuffled])
        )
        assert first.read_bytes() == second.read_bytes()


@settings(deadline=None, max_examples=30)
@given(made=members())
def test_a_folder_of_it_has_the_same_members(made: list[Member]) -> None:
    with folder() as output:
        path = write_archive(made, STEM, "dir", output, MTIME)[0]
        again = {member.name: (member.sha256, member.mode, member.is_folder) for member in from_folder(path)}
        assert again == {member.name: (member.sha256, member.mode, member.is_folder) for member in made}


@settings(deadline=None)
@given(made=members(), data=st.data())
def test_the_payload_reads_the_sums_that_the_builder_writes(made: list[Member], data: st.DataObject) -> None:
    files = [member for member in made if member.name.partition("/")[0] != "SHA256SUMS"]
    with folder() as output:
        path = write_archive([*files, checksums(files)], STEM, "dir", output, MTIME)[0]
        sums = payload_checksums.read(str(path))
        assert sums == {member.name: member.sha256 for member in files if member.sha256}
        payload_checksums.verify(str(path), sums, frozenset())
        if sums:
            name = data.draw(st.sampled_from(sorted(sums)))
            with (path / name).open("ab") as file:
                file.write(b"!")
            with pytest.raises(BundleError):
                payload_checksums.verify(str(path), sums, frozenset())
