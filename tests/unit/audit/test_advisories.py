"""Databases of advisories: folders and archives, whole and damaged."""

from __future__ import annotations

import json
import os
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from platter_setuptools.audit.advisories import read_database
from platter_setuptools.errors import ArchiveError
from support import handmade

if TYPE_CHECKING:
    from pathlib import Path


def record(id_: str, name: str = "leaf", ecosystem: str = "PyPI", modified: str = "2026-01-01T00:00:00Z") -> str:
    affected: dict[str, Any] = {"package": {"ecosystem": ecosystem, "name": name}, "versions": ["1.0"]}
    return json.dumps({"id": id_, "modified": modified, "affected": [affected]})


RECORDS = {
    "PYSEC-1.json": record("PYSEC-1"),
    "below/GHSA-2.json": record("GHSA-2", modified="2026-11-20T00:00:00Z"),
    "PYSEC-3.json": record("PYSEC-3", "other"),
    "npm.json": record("GHSA-4", ecosystem="npm"),
    "README.md": "not a record",
}


def folder(path: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    return path


def archive(path: Path, files: dict[str, str]) -> Path:
    return handmade.archive(path, [handmade.Member(name=name, content=text.encode()) for name, text in files.items()])


@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_what_it_keeps(tmp_path: Path, kind: str) -> None:
    path = folder(tmp_path / "db", RECORDS) if kind == "folder" else archive(tmp_path / "all.zip", RECORDS)
    found = read_database(path, {"leaf", "app"})
    assert (found.path, found.size, found.modified) == (path, 3, "2026-11-20T00:00:00Z")
    assert {name: sorted(one.id for one in each) for name, each in found.advisories.items()} == {
        "leaf": ["GHSA-2", "PYSEC-1"]
    }


@pytest.mark.parametrize("kind", ["folder", "archive"])
@pytest.mark.parametrize("text", ["", "{", "[]", '{"id": "PYSEC-9"}', "[" * 50_000])
def test_one_damaged_record_is_named(tmp_path: Path, kind: str, text: str) -> None:
    files = {**RECORDS, "below/broken.json": text}
    path = folder(tmp_path / "db", files) if kind == "folder" else archive(tmp_path / "all.zip", files)
    with pytest.raises(ArchiveError) as caught:
        read_database(path, {"leaf"})
    where = f"{path}/below/broken.json" if kind == "folder" else f"{path}: below/broken.json"
    assert caught.value.message.startswith(f"{where} is not an OSV record: ")
    assert "PyPI/all.zip" in (caught.value.hint or "")


@pytest.mark.parametrize("kind", ["folder", "archive"])
@pytest.mark.parametrize("files", [{}, {"npm.json": RECORDS["npm.json"]}, {"PYSEC-1.yaml": "id: PYSEC-1"}])
def test_a_database_without_advisories(tmp_path: Path, kind: str, files: dict[str, str]) -> None:
    (tmp_path / "db").mkdir()
    path = folder(tmp_path / "db", files) if kind == "folder" else archive(tmp_path / "all.zip", files)
    with pytest.raises(ArchiveError, match="has no advisory for PyPI"):
        read_database(path, {"leaf"})


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[content.index(b"PYSEC-1.json") + 30] ^= 1  # a byte of what it holds
    path.write_bytes(content)


def _replace(path: Path) -> None:
    path.write_text(RECORDS["PYSEC-1.json"])


@pytest.mark.parametrize(
    ("damage", "reason"),
    [(_cut, "not a zip file"), (_flip, "PYSEC-1.json"), (_replace, "not a zip file"), (os.unlink, "cannot be read")],
)
def test_a_damaged_archive(tmp_path: Path, damage: Any, reason: str) -> None:
    path = archive(tmp_path / "all.zip", RECORDS)
    damage(path)
    with pytest.raises(ArchiveError, match=reason) as caught:
        read_database(path, {"leaf"})
    assert str(path) in caught.value.message
    assert "bundle" not in (caught.value.hint or "")


@pytest.mark.parametrize("name", ["../PYSEC-1.json", "/PYSEC-1.json", "a//b.json"])
def test_members_that_lead_out(tmp_path: Path, name: str) -> None:
    path = archive(tmp_path / "all.zip", {name: RECORDS["PYSEC-1.json"]})
    with pytest.raises(ArchiveError, match="could leave its folder"):
        read_database(path, {"leaf"})


def test_bombs(tmp_path: Path) -> None:
    """Neither a record nor the whole may unpack to more than is sensible."""
    one = archive(tmp_path / "one.zip", {"PYSEC-1.json": " " * (9 << 20)})
    with pytest.raises(ArchiveError, match="longer than 8388608 bytes"):
        read_database(one, {"leaf"})
    with zipfile.ZipFile(tmp_path / "all.zip", "w", zipfile.ZIP_DEFLATED) as target:
        for number in range(10):
            target.writestr(f"{number}.json", b" " * (7 << 20))
    with pytest.raises(ArchiveError, match="more than 200 times its size"):
        read_database(tmp_path / "all.zip", {"leaf"})


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    folder(tmp_path / "db", RECORDS)
    os.mkfifo(tmp_path / "db" / "pipe.json")
    with pytest.raises(ArchiveError, match=r"pipe\.json cannot be read: it is not a file"):
        read_database(tmp_path / "db", {"leaf"})
    (tmp_path / "db" / "pipe.json").unlink()
    (tmp_path / "db" / "long.json").write_text(" " * ((8 << 20) + 1))
    with pytest.raises(ArchiveError, match=r"long\.json cannot be read: it is longer"):
        read_database(tmp_path / "db", {"leaf"})


def test_more_records_than_a_wheel_may_have_files(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as target:
        for number in range(50_001):
            target.writestr(f"{number}.txt", b"")
        target.writestr("PYSEC-1.json", RECORDS["PYSEC-1.json"])
    assert read_database(tmp_path / "all.zip", {"leaf"}).size == 1
