"""The newest bundle in a folder where there are wheels, sdists and other things as well."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import jsonschema
import pytest

from platter_setuptools.bundle.members import from_text
from platter_setuptools.cli import command_line
from platter_setuptools.config.options import FORMATS
from platter_setuptools.errors import ArchiveError, UsageError
from platter_setuptools.inspect import find
from platter_setuptools.inspect.find import ReplaceableCheck, by_name, newest, python_of, targets_for
from platter_setuptools.wheel_cache import WheelCache
from support.archives import write_archive


def bundle(folder: Path, stem: str, format_: str = "tar.gz", *, python: str = "cp311", suffix: str = "") -> Path:
    members = [
        from_text(name, "#!") for name in ("PACKAGE", "SHA256SUMS", "data/a.whl", "data/deep/er/file", "install.sh")
    ]
    members.append(from_text("info.json", json.dumps({"targets": [{"abi": python}]})))
    return write_archive(members, stem, format_, folder, 10**9, suffix)[0]


def thin_bundle(folder: Path, stem: str, format_: str) -> Path:
    return bundle(folder, stem, format_, suffix="-thin")


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


def test_names_with_a_python(tmp_path: Path) -> None:
    bundle(tmp_path, "app-0.9-cp311-linux-x86_64")
    ours = bundle(tmp_path, "app-1.0-cp311-linux-x86_64")
    found = newest(tmp_path)
    assert (found.path, found.python, found.platform) == (ours, "cp311", "linux-x86_64")
    free = bundle(tmp_path, "app-1.0-cp313t-linux-x86_64", python="cp313t")
    old = bundle(tmp_path, "app-1.0-linux-x86_64", python="cp38")  # does not tell by its name
    with pytest.raises(UsageError, match=r"app 1\.0 for cp311, cp313t, cp38") as caught:
        newest(tmp_path, platform="linux-x86_64")
    assert caught.value.hint == "use --python"
    for python, path in {"3.11": ours, "cp311": ours, "3.13t": free, "cp313t": free, "3.8": old}.items():
        assert newest(tmp_path, python=python).path == path
    with pytest.raises(UsageError, match=r"no bundle for 3\.12 in"):
        newest(tmp_path, python="3.12")


def test_a_name_with_and_one_without_its_python_are_no_contradiction(tmp_path: Path) -> None:
    bundle(tmp_path, "app-1.0-linux-x86_64", "zip")
    expected = bundle(tmp_path, "app-1.0-cp311-linux-x86_64")
    assert newest(tmp_path).path == expected


@pytest.mark.parametrize("format_", FORMATS)
def test_thin_ones_only_when_asked_for(tmp_path: Path, format_: str) -> None:
    thin = thin_bundle(tmp_path, "app-1.1-linux-x86_64", format_)
    with pytest.raises(UsageError, match="there is no bundle in"):
        newest(tmp_path)
    expected = bundle(tmp_path, "app-1.0-linux-x86_64", format_)
    with_python = bundle(tmp_path, "app-0.9-cp311-linux-x86_64", format_)
    assert newest(tmp_path).path == expected
    found = newest(tmp_path, thin=True)
    assert (found.path, found.platform, found.format, found.thin) == (thin, "linux-x86_64", format_, True)
    assert (named := by_name(with_python)) is not None
    assert (named.python, named.thin) == ("cp311", False)
    with pytest.raises(UsageError, match=r"there is no thin bundle of other in") as caught:
        newest(tmp_path, name="other", thin=True)
    assert caught.value.hint == "platter thin makes one"


@pytest.mark.parametrize("format_", FORMATS)
class TestReplacing:
    def test_nothing_and_a_bundle_for_the_same_python(self, tmp_path: Path, format_: str) -> None:
        ReplaceableCheck("cp311")(tmp_path / "missing")
        path = bundle(tmp_path, "app-1.0-linux-x86_64", format_)
        assert python_of(path) == "cp311"
        ReplaceableCheck("cp311")(path)

    def test_one_for_another_python_stays(self, tmp_path: Path, format_: str) -> None:
        path = bundle(tmp_path, "app-1.0-linux-x86_64", format_)
        with pytest.raises(ArchiveError, match="is a bundle for cp311, which one for cp312 would") as caught:
            ReplaceableCheck("cp312")(path)
        assert caught.value.exit_code == 6
        assert all(way in (caught.value.hint or "") for way in ("--output", "--name-with-python"))

    def test_one_for_another_libc_stays(self, tmp_path: Path, format_: str) -> None:
        info = from_text("info.json", json.dumps({"targets": [{"abi": "cp311", "libc": "musl 1.2"}]}))
        path = write_archive([info], "app-1.0-linux-x86_64", format_, tmp_path, 10**9)[0]
        for libc in ("glibc 2.28", "glibc", None):
            with pytest.raises(
                ArchiveError, match="is a bundle for cp311 musl, which one for cp311 would replace"
            ) as caught:
                ReplaceableCheck(targets_for([("cp311", libc)]))(path)
            assert (caught.value.hint or "").startswith(
                "no name tells glibc and musl apart: choose another folder with"
            )
            assert "--name-with-python" not in (caught.value.hint or "")
        with pytest.raises(ArchiveError) as caught:
            ReplaceableCheck(targets_for([("cp312", "glibc")]))(path)
        assert "--name-with-python" in (caught.value.hint or "")
        ReplaceableCheck(targets_for([("cp311", "musl")]))(path)
        assert python_of(path) == "cp311"

    def test_what_has_changed_is_looked_at_again(self, tmp_path: Path, format_: str) -> None:
        check = ReplaceableCheck("cp311")
        check(bundle(tmp_path, "app-1.0-linux-x86_64", format_))
        with pytest.raises(ArchiveError, match="is a bundle for cp310,"):
            check(bundle(tmp_path, "app-1.0-linux-x86_64", format_, python="cp310"))

    def test_one_that_is_replaced_while_it_is_read(
        self, tmp_path: Path, format_: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = bundle(tmp_path, "app-1.0-linux-x86_64", format_)

        def replaced(path: Path) -> str:
            monkeypatch.undo()
            bundle(tmp_path, "app-1.0-linux-x86_64", format_, python="cp310")
            raise ArchiveError(f"{path} cannot be read as a bundle: it has changed", hint="try again")

        monkeypatch.setattr(find, "targets_of", replaced)
        with pytest.raises(ArchiveError, match="is a bundle for cp310,"):
            ReplaceableCheck("cp311")(path)

    def test_what_was_written_is_remembered(
        self, tmp_path: Path, format_: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cache = WheelCache(tmp_path / "store")
        path = bundle(tmp_path, "app-1.0-linux-x86_64", format_)
        ReplaceableCheck("cp311", cache).remember(path)
        with pytest.raises(ArchiveError, match="is a bundle for cp311,"):
            ReplaceableCheck("cp312", cache)(path)
        if format_ != "dir":
            monkeypatch.setattr(find, "targets_of", None)
        ReplaceableCheck("cp311", cache)(path)
        monkeypatch.undo()
        bundle(tmp_path, "app-1.0-linux-x86_64", format_, python="cp310")
        with pytest.raises(ArchiveError, match="is a bundle for cp310,"):
            ReplaceableCheck("cp311", cache)(path)

    @pytest.mark.parametrize(
        "text", ["{}", "[" * 100_000, '{"targets": [{"abi": []}]}', '{"targets": [{"abi": "cp311", "libc": []}]}', "\0"]
    )
    def test_one_that_does_not_name_its_python(self, tmp_path: Path, format_: str, text: str) -> None:
        path = write_archive([from_text("info.json", text)], "app-1.0-linux-x86_64", format_, tmp_path, 10**9)[0]
        with pytest.raises(ArchiveError, match="does not name its Python"):
            ReplaceableCheck("cp311")(path)

    def test_anything_else_stays(self, tmp_path: Path, format_: str) -> None:
        path = tmp_path / f"app-1.0-linux-x86_64.{format_}"
        path.write_bytes(b"no bundle")
        with pytest.raises(ArchiveError, match="is in the way, and is not a bundle") as caught:
            ReplaceableCheck("cp311")(path)
        assert "move it away" in (caught.value.hint or "")
        assert path.read_bytes() == b"no bundle"


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
    assert command_line.main(["latest"]) == 2
    assert "dist is not a folder" in capsys.readouterr().err
    (tmp_path / "dist").mkdir()
    assert command_line.main(["latest"]) == 2
    assert "there is no bundle in" in capsys.readouterr().err
    expected = bundle(tmp_path / "dist", "app-1.0-linux-x86_64")
    for words in ([], ["dist"], [str(tmp_path / "dist"), "--name", "app", "--platform=linux-x86_64", "-p3.11"]):
        assert command_line.main(["latest", *words]) == 0
        assert capsys.readouterr() == (f"{expected}\n", "")


@pytest.mark.parametrize("format_", FORMATS)
def test_command_as_json(tmp_path: Path, format_: str, capsys: pytest.CaptureFixture[str]) -> None:
    expected = bundle(tmp_path, "app-1.0-cp311-linux-x86_64", format_)
    assert command_line.main(["latest", "--json", str(tmp_path)]) == 0
    result = json.loads(capsys.readouterr().out)
    schema = Path(__file__).parents[3] / "docs" / "latest.schema.json"
    jsonschema.validate(result, json.loads(schema.read_text()))
    about = {
        "name": "app",
        "version": "1.0",
        "platform": "linux-x86_64",
        "python": "cp311",
        "format": format_,
        "thin": False,
    }
    assert result == {"path": str(expected), **about}


def test_pre_releases_come_last(tmp_path: Path) -> None:
    bundle(tmp_path, "app-1.1rc1-linux-x86_64")
    assert newest(tmp_path).path.name == "app-1.1rc1-linux-x86_64.tar.gz"
    bundle(tmp_path, "app-1.0-linux-x86_64")
    assert newest(tmp_path).path.name == "app-1.0-linux-x86_64.tar.gz"
    assert newest(tmp_path, pre=True).path.name == "app-1.1rc1-linux-x86_64.tar.gz"


def test_bundles_of_several_targets_are_found_by_each(tmp_path: Path) -> None:
    several = bundle(tmp_path, "app-1.0-cp311.cp313-linux-aarch64.macosx-11.0-arm64")
    found = newest(tmp_path)
    assert (found.python, found.platform) == ("cp311.cp313", "linux-aarch64.macosx-11.0-arm64")
    for platform in ("linux-aarch64", "macosx-11.0-arm64"):
        assert newest(tmp_path, platform=platform, python="3.13").path == several
    with pytest.raises(UsageError, match="there is no bundle for"):
        newest(tmp_path, platform="linux-x86_64")
    with pytest.raises(UsageError, match="there is no bundle for"):
        newest(tmp_path, python="3.12")
