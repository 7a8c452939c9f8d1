"""The interpreter that a bundle brings, as a folder of a few files: into its place, compared, and out again."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.payload.errors import BundleError, DestinationError, HostError, InstallError
from platter_setuptools.payload.install import interpreter
from platter_setuptools.payload.interpreter import Interpreter

if TYPE_CHECKING:
    from platter_setuptools.payload.install.interpreter import Base

MINOR = f"python{sys.version_info[0]}.{sys.version_info[1]}"
FILES = {f"bin/{MINOR}": "program", "lib/os.py": "import sys\n", "SHA256SUMS": ""}


@pytest.fixture
def about(tmp_path: Path) -> Interpreter:
    """What was unpacked to `unpacked/python`, as info.json describes it."""
    folder = tmp_path / "unpacked" / "python"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "bin" / MINOR).chmod(0o755)
    (folder / "bin" / "python3").symlink_to(MINOR)
    names = [f"bin/{MINOR}", "bin/python3", "lib/os.py"]
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (folder / "SHA256SUMS").write_text("".join(lines))
    return Interpreter(
        file="python/3.12.1-0123456789ab.tar.gz",
        machine="x86_64",
        loader="",
        version="3.12.1",
        sha256="0123456789ab" + "0" * 52,
        record_sha256=hashlib.sha256((folder / "SHA256SUMS").read_bytes()).hexdigest(),
        size=1,
        installed_size=1 << 20,
        installed_files=4,
    )


def base(about: Interpreter, tmp_path: Path) -> Base:
    return interpreter.base(
        about, str(tmp_path / "unpacked"), str(tmp_path / "root"), str(tmp_path / "root/versions/1")
    )


def place(tmp_path: Path) -> Path:
    return tmp_path / "root" / "pythons" / "3.12.1-0123456789ab"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def settled(about: Interpreter, tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir(exist_ok=True)
    base(about, tmp_path).settle()
    return place(tmp_path)


def test_it_is_linked(about: Interpreter, tmp_path: Path) -> None:
    found = settled(about, tmp_path)
    assert names(found) == [".platter-python.json", "SHA256SUMS", "bin", "lib"]
    assert (found / "bin" / "python3").readlink() == Path(MINOR)
    old, new = (folder / "lib" / "os.py" for folder in (tmp_path / "unpacked" / "python", found))
    assert old.stat().st_ino == new.stat().st_ino
    assert (new.stat().st_mode & 0o777, (found / "bin" / MINOR).stat().st_mode & 0o777) == (0o644, 0o755)
    note = interpreter.read_note(str(found))
    assert note
    assert (note.version, note.sha256, note.record_sha256) == (about.version, about.sha256, about.record_sha256)
    assert names(found.parent) == [found.name]


def test_it_is_copied_where_links_cannot_be(
    about: Interpreter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: object, **__: object) -> None:
        raise OSError(18, "another filesystem")

    monkeypatch.setattr(os, "link", link)
    os.utime(tmp_path / "unpacked/python/lib/os.py", (1, 1))
    copied = settled(about, tmp_path) / "lib" / "os.py"
    assert (copied.read_text(), copied.stat().st_mtime) == ("import sys\n", 1)


def test_where_it_will_be(about: Interpreter, tmp_path: Path) -> None:
    made = base(about, tmp_path)
    assert made.program == f"{place(tmp_path)}/bin/{MINOR}"
    assert made.in_place(os.__file__).startswith(f"{place(tmp_path)}/lib")
    own = interpreter.base(about, str(tmp_path / "unpacked"), "", "/srv/app")
    assert own.program == f"/srv/app/.python/bin/{MINOR}"
    for nothing in (interpreter.base(None, "", "/root", ""), interpreter.base(about, "", str(tmp_path), "/srv/app")):
        assert (nothing.name, nothing.in_place("/x"), nothing.needs(), nothing.examine()) == ("", "/x", (0, 0), [])
        nothing.settle()
        nothing.verify()
        nothing.withdraw()


def test_what_it_needs(about: Interpreter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert base(about, tmp_path).needs() == (0, 4)  # it can be linked
    real = os.stat
    monkeypatch.setattr(
        os, "stat", lambda path: real("/proc") if str(path).startswith(str(tmp_path / "unpacked")) else real(path)
    )
    assert base(about, tmp_path).needs() == (1 << 20, 4)
    monkeypatch.undo()
    settled(about, tmp_path)
    assert base(about, tmp_path).needs() == (0, 0)


def test_one_that_is_there_is_used(about: Interpreter, tmp_path: Path) -> None:
    found = settled(about, tmp_path)
    inode = found.stat().st_ino
    again = base(about, tmp_path)
    again.settle()
    again.withdraw()  # nothing that somebody else has made
    assert found.stat().st_ino == inode


def test_what_was_made_is_withdrawn(about: Interpreter, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    made = base(about, tmp_path)
    made.settle()
    made.withdraw()
    assert not names(tmp_path / "root")


def test_what_a_killed_run_has_left(about: Interpreter, tmp_path: Path) -> None:
    for name in (".3.12.1-0123456789ab.platter-new", ".3.12.1-0123456789ab.platter-trash"):
        (place(tmp_path).parent / name / "lib").mkdir(parents=True)
    made = base(about, tmp_path)
    made.settle()
    assert place(tmp_path).name in names(place(tmp_path).parent)
    made.withdraw()
    assert not names(tmp_path / "root")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("lib/os.py", "import os\n", "lib/os.py is altered"),
        ("lib/os.py", None, "lib/os.py is missing"),
        ("SHA256SUMS", "", "SHA256SUMS is altered"),
        ("SHA256SUMS", None, "SHA256SUMS cannot be read"),
    ],
)
class TestAltered:
    def test_where_it_was_unpacked(
        self, about: Interpreter, tmp_path: Path, name: str, text: str | None, said: str
    ) -> None:
        change(tmp_path / "unpacked" / "python" / name, text)
        (tmp_path / "root").mkdir()
        with pytest.raises(BundleError, match=said):
            base(about, tmp_path).settle()
        assert not names(tmp_path / "root")

    def test_in_its_place(self, about: Interpreter, tmp_path: Path, name: str, text: str | None, said: str) -> None:
        path = settled(about, tmp_path) / name
        path.rename(path.with_name("aside"))  # not the file that is linked
        change(path, text)
        with pytest.raises(DestinationError, match=said) as caught:
            base(about, tmp_path).settle()
        assert "install again with the full bundle" in caught.value.hint
        assert [one.kind for one in base(about, tmp_path).examine()] == [DestinationError]


def change(path: Path, text: str | None) -> None:
    path.unlink(missing_ok=True)
    if text is not None:
        path.write_text(text)


def test_a_file_that_is_not_its_own(about: Interpreter, tmp_path: Path) -> None:
    (tmp_path / "unpacked" / "python" / "lib" / "sitecustomize.py").touch()
    (tmp_path / "root").mkdir()
    with pytest.raises(BundleError, match=r"lib/sitecustomize\.py is not its own"):
        base(about, tmp_path).settle()
    base(about, tmp_path).withdraw()
    assert not names(tmp_path / "root")


def test_a_link_to_a_folder(about: Interpreter, tmp_path: Path) -> None:
    (tmp_path / "unpacked" / "python" / "lib64").symlink_to("lib")
    assert (settled(about, tmp_path) / "lib64").readlink() == Path("lib")


def test_one_that_others_can_change(about: Interpreter, tmp_path: Path) -> None:
    settled(about, tmp_path).chmod(0o777)
    (finding,) = base(about, tmp_path).examine()
    assert finding.kind is HostError
    assert "can be changed by anybody" in finding.text


def test_an_error_leaves_nothing(about: Interpreter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: str) -> None:
        raise InstallError("no room", hint="make some")

    monkeypatch.setattr("platter_setuptools.payload.install.disk.flush", full)
    (tmp_path / "root").mkdir()
    made = base(about, tmp_path)
    with pytest.raises(InstallError, match="no room"):
        made.settle()
    made.withdraw()
    assert not names(tmp_path / "root")


@pytest.mark.parametrize("text", ["", "[]", '{"version": 1}', json.dumps({"version": "3.12", "sha256": "x"})])
def test_notes_that_are_none(tmp_path: Path, text: str) -> None:
    assert interpreter.read_note(str(tmp_path)) is None
    (tmp_path / ".platter-python.json").write_text(text)
    assert interpreter.read_note(str(tmp_path)) is None
