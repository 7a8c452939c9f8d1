from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.payload import checksums
from platter_setuptools.payload.errors import BundleError

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ["a", "data/b.whl", "data/sp ace", "data/back\\slash", "data/new\nline", "data/ünïcode", "data/-dash"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose SHA256SUMS was written by sha256sum itself."""
    for name in NAMES:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
    if shutil.which("sha256sum") is None:
        pytest.skip("needs sha256sum")
    done = subprocess.run(["sha256sum", "--", *NAMES], check=True, capture_output=True, cwd=tmp_path)
    (tmp_path / "SHA256SUMS").write_bytes(done.stdout)
    return tmp_path


def verify(folder: Path, deferred: frozenset[str] = frozenset()) -> None:
    checksums.verify(str(folder), checksums.read(str(folder)), deferred)


def test_reads_what_coreutils_write(folder: Path) -> None:
    sums = checksums.read(str(folder))
    assert set(sums) == set(NAMES)
    verify(folder)


@pytest.mark.parametrize("size", [0, 1, checksums.CHUNK - 1, checksums.CHUNK, checksums.CHUNK + 1])
def test_digest(tmp_path: Path, size: int) -> None:
    (tmp_path / "x").write_bytes(b"x" * size)
    with (tmp_path / "x").open("rb", buffering=0) as stream:
        assert checksums.digest(stream) == hashlib.sha256(b"x" * size).hexdigest()


def test_what_may_be_missing_and_what_may_be_there(folder: Path) -> None:
    sums = checksums.read(str(folder))
    (folder / "data/b.whl").unlink()
    (folder / "note").touch()
    checksums.verify(str(folder), sums, frozenset(), frozenset({"data/b.whl", "a"}), frozenset({"note"}))
    (folder / "a").write_text("other")
    with pytest.raises(BundleError, match="a: altered"):
        checksums.verify(str(folder), sums, frozenset(), frozenset({"data/b.whl", "a"}), frozenset({"note"}))


def test_names_all_that_is_wrong(folder: Path) -> None:
    (folder / "a").write_text("other")
    (folder / "data/b.whl").unlink()
    (folder / "data/extra").touch()
    with pytest.raises(BundleError) as caught:
        verify(folder)
    assert caught.value.exit_code == 4
    assert "  a: altered\n  data/b.whl: missing\n  data/extra: not listed" in caught.value.message


def test_long_lists_are_cut(folder: Path) -> None:
    for number in range(15):
        (folder / f"extra{number}").touch()
    with pytest.raises(BundleError, match="and 5 more"):
        verify(folder)


def test_deferred_files_must_exist_but_are_not_read(folder: Path) -> None:
    (folder / "data/b.whl").write_text("other")
    verify(folder, frozenset({"data/b.whl"}))
    (folder / "data/b.whl").unlink()
    with pytest.raises(BundleError, match=r"data/b\.whl: missing"):
        verify(folder, frozenset({"data/b.whl"}))


def test_links_inside_count_as_their_content(folder: Path) -> None:
    (folder / "data/link").symlink_to("b.whl")
    with pytest.raises(BundleError, match="data/link: not listed"):
        verify(folder)
    (folder / "data/sp ace").unlink()
    (folder / "data/link").rename(folder / "data/sp ace")
    with pytest.raises(BundleError, match="sp ace: altered"):
        verify(folder)


@pytest.mark.parametrize(("link", "target"), [("data/link", "none"), ("data/bootstrap/link", "../../data")])
def test_links_to_nothing_and_beside_modules_are_not_passed_over(folder: Path, link: str, target: str) -> None:
    (folder / link).parent.mkdir(exist_ok=True)
    (folder / link).symlink_to(target)
    with pytest.raises(BundleError, match=f"{link}: not listed"):
        verify(folder)


def test_links_to_folders_of_the_bundle_need_no_line(folder: Path) -> None:
    (folder / "data/link").symlink_to("../data")
    verify(folder)


def test_links_that_lead_out_are_refused(folder: Path) -> None:
    (folder / "data/link").symlink_to("/etc/passwd")
    with pytest.raises(BundleError, match="leads out"):
        verify(folder)


def test_other_kinds_of_files_are_refused(folder: Path) -> None:
    os.mkfifo(folder / "data/pipe")
    with pytest.raises(BundleError, match="neither a file nor a folder"):
        verify(folder)


@pytest.mark.parametrize(
    "text",
    [
        "nonsense\n",
        f"{'0' * 64}  a",
        f"{'0' * 64} a\n",
        f"{'0' * 63}  a\n",
        f"{'G' * 64}  a\n",
        f"{'0' * 64}  /etc/passwd\n",
        f"{'0' * 64}  ../up\n",
        f"{'0' * 64}  a\n{'1' * 64}  a\n",
    ],
)
def test_damaged_list(tmp_path: Path, text: str) -> None:
    (tmp_path / "SHA256SUMS").write_text(text)
    with pytest.raises(BundleError):
        checksums.read(str(tmp_path))


def test_no_list(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="cannot be read"):
        checksums.read(str(tmp_path))


def test_one_file(folder: Path) -> None:
    sums = checksums.read(str(folder))
    checksums.verify_file(str(folder), sums, "a")
    (folder / "a").write_text("other")
    for name in ("a", "unheard-of"):
        with pytest.raises(BundleError, match=name):
            checksums.verify_file(str(folder), sums, name)


def test_what_is_not_of_the_bundle_is_told_apart(folder: Path) -> None:
    (folder / "data" / "log").touch()
    with pytest.raises(BundleError, match="files that are not its own:\n  data/log: not listed") as caught:
        verify(folder)
    assert "damaged" not in caught.value.message
    assert "remove" in caught.value.hint


def test_sweeping_takes_bytecode_alone(folder: Path) -> None:
    for name in ("__pycache__/a.cpython-311.pyc", "data/__pycache__/b.pyc", "data/__pycache__/notes", "data/c.pyc"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    checksums.sweep(str(folder), checksums.read(str(folder)))
    assert not (folder / "__pycache__").exists()
    assert [path.name for path in (folder / "data" / "__pycache__").iterdir()] == ["notes"]
    assert (folder / "data" / "c.pyc").exists()


def test_sweeping_leaves_what_is_listed(tmp_path: Path) -> None:
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").touch()
    checksums.sweep(str(tmp_path), {"__pycache__/a.pyc": "0" * 64})
    assert (tmp_path / "__pycache__" / "a.pyc").exists()
