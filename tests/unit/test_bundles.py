"""The newest bundle in a folder where there are wheels, sdists and other things as well."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

import pytest

from platter_setuptools import cli
from platter_setuptools.ground.errors import ArchiveError, UsageError
from platter_setuptools.ground.options import FORMATS
from platter_setuptools.steps.bundle.archive import write_archive
from platter_setuptools.steps.bundle.bundles import newest
from platter_setuptools.steps.bundle.members import from_text

if TYPE_CHECKING:
    from pathlib import Path


def bundle(folder: Path, stem: str, format_: str = "tar.gz") -> Path:
    members = [
        from_text(name, "x") for name in ("PACKAGE", "SHA256SUMS", "data/a.whl", "data/deep/er/file", "install.sh")
    ]
    return write_archive(members, stem, format_, folder, 10**9)[0]


def sdist(folder: Path, stem: str) -> None:
    with tarfile.open(folder / f"{stem}.tar.gz", "w:gz") as archive:
        for name in ("PKG-INFO", "setup.py"):
            archive.addfile(tarfile.TarInfo(f"{stem}/{name}"), io.BytesIO())


def test_newest_by_version_and_never_a_wheel_or_an_sdist(tmp_path: Path) -> None:
    bundle(tmp_path, "app-1.9-linux-x86_64")
    expected = bundle(tmp_path, "app-1.10-linux-x86_64")
    bundle(tmp_path, "app-1.10rc1-linux-x86_64")
    sdist(tmp_path, "app-2.0")
    sdist(tmp_path, "app-2-of-them-1.0")
    (tmp_path / "app-2.0-py3-none-any.whl").touch()
    (tmp_path / "app-2.0-linux-x86_64.tar.gz.asc").touch()
    (tmp_path / ".app-2.0-linux-x86_64.tar.gz").touch()
    (tmp_path / "app-2.0-linux-x86_64").touch()
    (tmp_path / "notes.zip").touch()
    assert newest(tmp_path).path == expected


@pytest.mark.parametrize("format_", FORMATS)
def test_every_format(tmp_path: Path, format_: str) -> None:
    expected = bundle(tmp_path, "my_app-1!1.0+local-macosx-11.0-arm64", format_)
    found = newest(tmp_path)
    assert (found.path, found.name, found.platform, found.format) == (expected, "my-app", "macosx-11.0-arm64", format_)


def test_of_two_formats_the_first_in_the_list(tmp_path: Path) -> None:
    bundle(tmp_path, "app-1.0-linux-x86_64", "zip")
    bundle(tmp_path, "app-1.0-linux-x86_64", "dir")
    assert newest(tmp_path).format == "zip"


def test_name_and_platform_decide_where_there_are_several(tmp_path: Path) -> None:
    bundle(tmp_path, "app-1.0-linux-x86_64")
    bundle(tmp_path, "app-1.0-linux-aarch64")
    bundle(tmp_path, "my_tool-3.0-linux-x86_64")
    with pytest.raises(UsageError, match="bundles of app, my-tool"):
        newest(tmp_path)
    with pytest.raises(UsageError, match=r"app 1\.0 for linux-aarch64, linux-x86_64"):
        newest(tmp_path, name="app")
    assert newest(tmp_path, name="My.Tool").path.name == "my_tool-3.0-linux-x86_64.tar.gz"
    assert newest(tmp_path, platform="linux-aarch64").path.name == "app-1.0-linux-aarch64.tar.gz"
    with pytest.raises(UsageError, match="no bundle of app for linux-riscv64"):
        newest(tmp_path, name="app", platform="linux-riscv64")


@pytest.mark.parametrize("format_", [one for one in FORMATS if one != "dir"])
@pytest.mark.parametrize("content", [b"", b"no archive", None], ids=["empty", "other", "cut off"])
def test_damaged(tmp_path: Path, format_: str, content: bytes | None) -> None:
    path = bundle(tmp_path, "app-1.0-linux-x86_64", format_)
    path.write_bytes(path.read_bytes()[:40] if content is None else content)
    with pytest.raises(ArchiveError, match="cannot be read"):
        newest(tmp_path)
    wanted = bundle(tmp_path, "other-1.0-linux-x86_64")
    assert newest(tmp_path, name="other").path == wanted


def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["latest"]) == 2
    assert "dist is not a folder" in capsys.readouterr().err
    (tmp_path / "dist").mkdir()
    assert cli.main(["latest"]) == 2
    assert "there is no bundle in" in capsys.readouterr().err
    expected = bundle(tmp_path / "dist", "app-1.0-linux-x86_64")
    for words in ([], ["dist"], [str(tmp_path / "dist"), "--name", "app", "--platform=linux-x86_64"]):
        assert cli.main(["latest", *words]) == 0
        assert capsys.readouterr() == (f"{expected}\n", "")
