"""What a release keeps for later ones, and what is believed of it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from platter_setuptools.payload.wheels import kept
from support import handmade, shelf

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.shelf import Release


@pytest.fixture
def made(tmp_path: Path) -> handmade.Bundle:
    (tmp_path / "none").mkdir()
    tool = handmade.Member(name="dep/tool", content=b"x", mode=handmade.EXECUTABLE)
    wheels = [
        handmade.wheel(tmp_path, "dep", files={"dep.py": ""}, extra=[tool], scripts={"s": "#!python\n", "t": "#!/x\n"}),
        *(handmade.wheel(tmp_path, name, files={"both.py": name, f"{name}.py": ""}) for name in ("first", "second")),
    ]
    return shelf.bundle(tmp_path, "1.0", wheels, bootstrap=tmp_path / "none")


@pytest.fixture
def release(made: handmade.Bundle, tmp_path: Path) -> Release:
    return shelf.install(made, tmp_path / "release")


def test_what_is_kept(made: handmade.Bundle, release: Release) -> None:
    index = kept.read(str(release.path))
    assert index is not None
    assert index.folders == {
        **dict.fromkeys(("purelib", "platlib"), shelf.SITE),
        "scripts": "bin",
        "headers": "include",
        "data": ".",
    }
    found = {one.file: one for one in index.wheels}
    # Of two wheels with one path neither can be taken.
    assert list(found) == ["app-1.0-py3-none-any.whl", "dep-1.0-py3-none-any.whl"]
    keys = ("sha256", "record_sha256", "bytecode_record_sha256")
    for entry in made.info["wheels"][:2]:
        assert {key: getattr(found[entry["file"]], key) for key in keys} == {key: entry[key] for key in keys}
    programs = ("dep-1.0.data/scripts/s", "dep-1.0.data/scripts/t", "dep/tool")
    assert found["dep-1.0-py3-none-any.whl"].executables == programs
    folder = release.path / kept.FOLDER
    assert sorted(path.suffix for path in folder.iterdir()) == [*[".RECORD"] * 8, ".json", ".script"]
    assert {path.stat().st_mode & 0o7777 for path in folder.iterdir()} == {0o644}
    (script,) = folder.glob("*.script")
    assert kept.find(str(release.path), script.stem, kept.SCRIPT) == b"#!python\n"


def test_what_has_another_hash_is_not_found(release: Release) -> None:
    index = kept.read(str(release.path))
    assert index is not None
    sha256 = index.wheels[0].record_sha256
    path = release.path / kept.FOLDER / f"{sha256}.RECORD"
    content = path.read_bytes()
    assert kept.find(str(release.path), sha256, kept.RECORD) == content
    assert kept.find(str(release.path), sha256, kept.RECORD, len(content) - 1) is None
    path.write_bytes(content + b"\n")
    assert kept.find(str(release.path), sha256, kept.RECORD) is None
    path.unlink()
    assert kept.find(str(release.path), sha256, kept.RECORD) is None
    path.with_name("real").write_bytes(content)
    path.symlink_to("real")
    assert kept.find(str(release.path), sha256, kept.RECORD) is None
    path.unlink()
    os.mkfifo(path)
    assert kept.find(str(release.path), sha256, kept.RECORD) is None


def put(value: object, *path: str | int) -> Callable[[Any], None]:
    def change(data: Any) -> None:
        for key in path[:-1]:
            data = data[key]
        data[path[-1]] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        put(2, "format"),
        put([], "folders"),
        put("../x", "folders", "purelib"),
        put("/etc", "folders", "data"),
        put("a/../../b", "folders", "scripts"),
        put(None, "folders", "headers"),
        put({}, "wheels"),
        put([{}] * 2001, "wheels"),
        put("0" * 63, "wheels", 0, "sha256"),
        put("../" + "0" * 61, "wheels", 0, "record_sha256"),
        put(7, "wheels", 0, "bytecode_sha256"),
        put([7], "wheels", 0, "executables"),
        put("x\n", "wheels", 0, "file"),
    ],
)
def test_an_index_that_is_none(release: Release, change: Callable[[Any], None]) -> None:
    path = release.path / kept.FOLDER / kept.INDEX
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    assert kept.read(str(release.path)) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b" " * (8 << 20) + b"{}"])
def test_a_file_that_is_no_index(release: Release, content: bytes) -> None:
    (release.path / kept.FOLDER / kept.INDEX).write_bytes(content)
    assert kept.read(str(release.path)) is None


def test_a_link_or_a_pipe_is_no_index(release: Release) -> None:
    path = release.path / kept.FOLDER / kept.INDEX
    path.rename(path.with_name("real"))
    assert kept.read(str(release.path)) is None
    path.symlink_to("real")
    assert kept.read(str(release.path)) is None
    path.unlink()
    os.mkfifo(path)
    assert kept.read(str(release.path)) is None
