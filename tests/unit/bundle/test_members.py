"""Members: what becomes of the folder that build scripts leave behind."""

from __future__ import annotations

import hashlib
import os
import socket
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.bundle.members import Member, from_bytes, from_file, from_folder, from_text
from platter_setuptools.errors import ScriptError

if TYPE_CHECKING:
    from pathlib import Path


def found(folder: Path) -> dict[str, Member]:
    return {member.name: member for member in from_folder(folder)}


def content(member: Member) -> bytes:
    with member.open() as source:
        return source.read()


def test_text_and_bytes() -> None:
    text = from_text("a", "grüße")
    assert (text.size, text.sha256, text.mode, content(text)) == (
        7,
        hashlib.sha256("grüße".encode()).hexdigest(),
        0o644,
        "grüße".encode(),
    )
    assert from_bytes("a", b"", executable=True).mode == 0o755
    assert not from_bytes("a", b"").is_folder


@pytest.mark.parametrize(("mode", "expected"), [(0o600, 0o644), (0o700, 0o755), (0o644, 0o644), (0o655, 0o644)])
def test_only_the_owners_executable_bit_counts(mode: int, expected: int, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    path.chmod(mode)
    member = from_file("name", path)
    assert (member.mode, member.size, member.sha256) == (expected, 7, hashlib.sha256(b"content").hexdigest())


def test_a_known_hash_is_not_taken_again(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    assert from_file("name", path, sha256="known").sha256 == "known"


def test_everything_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_text("x")
    (tmp_path / "a" / "empty").mkdir()
    (tmp_path / ".hidden").write_text("")
    (tmp_path / "a" / "to-file").symlink_to("b/file")
    (tmp_path / "to-folder").symlink_to("a/b")
    (tmp_path / "a" / "up").symlink_to("../.hidden")
    members = found(tmp_path)
    assert set(members) == {"a/b/file", "a/empty", ".hidden", "a/to-file", "to-folder", "a/up"}
    assert members["a/empty"].is_folder
    assert members["a/empty"].mode == 0o755
    assert {name: one.link for name, one in members.items() if one.link} == {
        "a/to-file": "b/file",
        "to-folder": "a/b",
        "a/up": "../.hidden",
    }


@pytest.mark.parametrize("target", ["/etc/passwd", "../../outside", "nowhere", "../..", "loop", "a/../../../x"])
def test_links_that_lead_out_or_nowhere(target: str, tmp_path: Path) -> None:
    (tmp_path / "outside").touch()
    folder = tmp_path / "bundle" / "data"
    folder.mkdir(parents=True)
    (folder / "loop").symlink_to(target)
    with pytest.raises(ScriptError, match="data/loop -> ") as caught:
        found(tmp_path / "bundle")
    assert caught.value.exit_code == 7
    assert caught.value.hint


def test_a_link_that_leads_out_by_way_of_another(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "short").symlink_to("deep/er")
    (folder / "fine").symlink_to("short/..")
    assert set(found(folder)) == {"deep/er", "short", "fine"}
    (folder / "deep" / "out").symlink_to("../short/../../..")
    with pytest.raises(ScriptError, match="deep/out"):
        found(folder)


def test_a_link_that_leaves_and_comes_back_by_name(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    (folder / "data").mkdir(parents=True)
    (folder / "file").touch()
    (folder / "data" / "link").symlink_to("../../bundle/file")
    with pytest.raises(ScriptError, match="leads out of the bundle"):
        list(from_folder(folder))


def test_an_absolute_link_to_the_inside_would_lead_elsewhere_on_the_server(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with pytest.raises(ScriptError):
        found(tmp_path)


def test_pipes_and_sockets(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ScriptError, match="pipe, which is neither a file nor a folder"):
        found(tmp_path)
    (tmp_path / "pipe").unlink()
    with socket.socket(socket.AF_UNIX) as one:
        handle = os.open(tmp_path, os.O_RDONLY)
        try:
            one.bind(f"/proc/self/fd/{handle}/s")  # the path of a socket has to be short
        except OSError:
            pytest.skip("no /proc")
        finally:
            os.close(handle)
    with pytest.raises(ScriptError, match="neither"):
        found(tmp_path)


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    try:
        (tmp_path / name).touch()
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    with pytest.raises(ScriptError, match=r"caf.*UTF-8") as caught:
        found(tmp_path)
    caught.value.message.encode()
