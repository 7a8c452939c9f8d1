"""What an input claims decides neither time nor memory."""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.bundle.members import from_bytes
from platter_setuptools.errors import ArchiveError, DependencyError, ScriptError, WheelError
from platter_setuptools.inspect.bundle_reader import read_contents
from platter_setuptools.payload import checksums, cleaning, names, specifiers, tags, untrusted
from platter_setuptools.payload.errors import BundleError
from platter_setuptools.payload.install.environment import Scheme, is_own
from platter_setuptools.payload.install.tree import Tree
from platter_setuptools.payload.wheels import layout, scripts
from platter_setuptools.payload.wheels import wheel as unpacking
from platter_setuptools.payload.wheels.archive import Archive
from platter_setuptools.resolve import requirements
from platter_setuptools.resolve.answer_cache import metadata_of
from platter_setuptools.resolve.lock import load_lock, read_lock
from platter_setuptools.values import Origin
from platter_setuptools.wheels import elf, system_libraries
from platter_setuptools.wheels.metadata import describe, open_wheel
from support import handmade

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1 << 20
INFO = "app-1.0.dist-info"


@pytest.mark.parametrize(
    ("name", "size", "reason"),
    [
        (f"{INFO}/METADATA", 3 * MIB, "METADATA is longer than 524288 bytes"),
        (f"{INFO}/RECORD", 9 * MIB, "RECORD is longer than 8388608 bytes"),
        (f"{INFO}/entry_points.txt", 3 * MIB, "entry_points.txt is longer than 524288 bytes"),
        ("app-1.0.data/scripts/big", 65 * MIB, "it unpacks to more than 200 times its size"),
    ],
)
def test_wheels(tmp_path: Path, name: str, size: int, reason: str) -> None:
    whole = handmade.wheel(tmp_path / "whole", "app")
    with Archive(str(whole)) as archive:
        members = [
            handmade.Member(name=one, content=archive.read(info))
            for one, info in archive.members.items()
            if one != name
        ]
    start = b"Metadata-Version: 2.1\nName: app\nVersion: 1.0\n\n" if name.endswith("METADATA") else b""
    members.append(handmade.Member(name=name, content=start + b"#" * size))
    path = handmade.archive(tmp_path / whole.name, members)
    wheel = open_wheel(path, Origin.FETCHED)
    with pytest.raises(BundleError, match=reason), Archive(str(path)) as archive:
        unpacking.Installation(layout.Wheel(archive, SCHEME), SCHEME, NOTHING).members()
    if "METADATA" in name or "scripts" in name:
        with pytest.raises(WheelError, match=reason):
            describe(wheel)


SCHEME = Scheme("/v", "/v/bin/python", "/v/s", "/v/s", "/v/bin", "/v/include", "/v")


class Nothing(Tree):
    """Takes everything, keeps nothing."""

    def write(self, path: str, chunks: object, *, executable: bool = False, mtime: int | None = None) -> None: ...


NOTHING = Nothing(frozenset())


@pytest.mark.parametrize("kind", [b"x", b"g", b"L", b"K"])
def test_headers_of_a_tar(tmp_path: Path, kind: bytes) -> None:
    path = tmp_path / "app.tar.gz"
    header = tarfile.TarInfo("app/PACKAGE")
    header.type, header.size = kind, 1 << 32
    with gzip.open(path, "wb") as file:
        file.write(header.tobuf(tarfile.USTAR_FORMAT) + bytes(10240))
    with pytest.raises(ArchiveError, match="a header of 4294967296 bytes"):
        read_contents(path, tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "a." * 500_000 + "a = 1",
        '"a" . ' * 300_000,
        "a = {" + "'a'." * 300_000,
        "[" + "a." * 100 + "a]",
        "a." * 33 + "b = 1",
    ],
    ids=["bare", "quoted", "inside", "table", "just too long"],
)
def test_keys_of_a_lock(text: str) -> None:
    """tomllib takes the square of the number of a key's parts: hours for a million."""
    with pytest.raises(DependencyError, match="a key has more than 32 parts"):
        load_lock(text.encode(), base=Path("/"), where="pylock.toml")


JOINED = ".".join("abcdefghi")
MANY_TAGS = f"app-1.0-{JOINED}-{JOINED}-{JOINED}.whl"


@pytest.mark.parametrize("place", [f'name = "{MANY_TAGS}"', f'url = "https://x/{MANY_TAGS}"', f'path = "{MANY_TAGS}"'])
def test_tags_of_a_lock(place: str) -> None:
    """A lock of 2 MiB could have 26 million of them."""
    url = "" if "url" in place or "path" in place else 'url = "https://x/y", '
    wheel = f'{{ {place}, {url}hashes = {{ sha256 = "0" }} }}'
    text = f'lock-version = "1.0"\ncreated-by = "x"\n[[packages]]\nname = "app"\nversion = "1.0"\nwheels = [{wheel}]\n'
    with pytest.raises(DependencyError, match="stands for more than 200 tags"):
        load_lock(text.encode(), base=Path("/"), where="pylock.toml")
    fits = text.replace(f"{JOINED}-{JOINED}-{JOINED}", f"py3-none-{JOINED}")
    assert load_lock(fits.encode(), base=Path("/"), where="pylock.toml").pylock.packages


def test_tags_of_a_wheel(tmp_path: Path) -> None:
    assert tags.of_wheel(MANY_TAGS) == []
    path = handmade.wheel(tmp_path, "app").rename(tmp_path / MANY_TAGS)
    with pytest.raises(WheelError, match="it stands for more than 200 tags"):
        open_wheel(path, Origin.FETCHED)


def test_a_lock_that_is_no_short_file(tmp_path: Path) -> None:
    os.mkfifo(pipe := tmp_path / "pipe")
    (long := tmp_path / "long").write_bytes(b"#" * (untrusted.LIST + 1))
    for path, reason in ((pipe, "it is not a file"), (long, "it is longer than 8388608 bytes")):
        with pytest.raises(DependencyError, match=reason):
            read_lock(path)


def test_what_a_build_script_leaves() -> None:
    with pytest.raises(ScriptError, match=r"post-install\.sh is longer than 2097152 bytes"):
        from_bytes("post-install.sh", b"#" * (untrusted.TEXT + 1)).tells_secret()


def test_what_only_looks_like_a_long_key() -> None:
    text = f"lock-version = '1.0'\ncreated-by = \"{'a.' * 20}\"\npackages = []\n[tool.{'a.' * 20}b]\nx = 1.5\n"
    assert load_lock(text.encode(), base=Path("/"), where="pylock.toml").pylock.created_by == "a." * 20


def test_metadata_of_a_project(tmp_path: Path) -> None:
    path = handmade.wheel(tmp_path, "app", metadata="Name: app\n\n" + "#" * untrusted.METADATA)
    with pytest.raises(DependencyError, match=re.escape("app-1.0-py3-none-any.whl has no METADATA")):
        metadata_of(path)


PIECES = ["a", "1", ".", "-", " ", "\t", "/", "://", "a@", "x://", "#!python ", "\\n", '"', "[", "coding:", "lib/", "_"]
EXPRESSIONS: dict[str, Callable[[str], object]] = {
    "SHA256SUMS": lambda text: checksums.parse(("0" * 64 + "  " + text + "\n").encode()),
    "specifiers": specifiers.valid,
    "contains": lambda text: specifiers.contains(f">={text[: untrusted.STRING]}", (3, 11, 1)),
    "project": names.is_project,
    "version": names.is_version,
    "normalised": names.normalised,
    "place": is_own,
    "bytecode": unpacking.source_of,
    "clean": cleaning.clean,
    "script": lambda text: scripts.rewritten(f"#!python{text}\rx".encode(), "/v/bin/python"),
    "coding": lambda text: scripts.rewritten(f"#!python\n# {text}".encode(), "/v" * 100),
    "entry points": lambda text: scripts.entry_points(f"[console_scripts]\n{text}", "x"),
    "JSON": lambda text: untrusted.parse_json(f'["{text}'.encode()),
    "requirements": requirements._WITH_USERINFO.findall,
    "libc": system_libraries._LIBC.fullmatch,
    "musl": system_libraries._MUSL.fullmatch,
    "glibc": elf._GLIBC.fullmatch,
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_expressions_take_time_in_proportion(name: str) -> None:
    for piece in PIECES:
        text = piece * (MIB // len(piece))
        start = time.process_time()
        with contextlib.suppress(BundleError, ValueError):
            EXPRESSIONS[name](text)
        assert time.process_time() - start < 5, piece
