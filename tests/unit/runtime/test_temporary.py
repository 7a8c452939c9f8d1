"""Temporary folders, and those of runs that were killed."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.errors import PlatterError
from platter_setuptools.runtime.temporary import clear, replacing, temporary_folder

if TYPE_CHECKING:
    from pathlib import Path

NAME = ".platter-abcd_123.tmp"
# Holds a temporary folder until it is killed, and tells its name.
HOLDER = """
import sys, time
from pathlib import Path
from platter_setuptools.errors import PlatterError
from platter_setuptools.runtime.temporary import temporary_folder
with temporary_folder(Path(sys.argv[1])) as folder:
    (folder / "half").write_text("half")
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", HOLDER, str(tmp_path)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


class TestReplacing:
    def test_replacing(self, tmp_path: Path) -> None:
        path = tmp_path / ("n" * 250)
        path.write_text("old")
        with replacing(path) as temporary:
            temporary.write_text("new")
            assert path.read_text() == "old"
        assert path.read_text() == "new"
        assert list(tmp_path.iterdir()) == [path]

    def test_replacing_that_fails(self, tmp_path: Path) -> None:
        path = tmp_path / "a"
        path.write_text("old")

        def fail() -> None:
            with replacing(path) as temporary:
                temporary.write_text("new")
                raise KeyError

        with pytest.raises(KeyError):
            fail()
        assert path.read_text() == "old"
        assert list(tmp_path.iterdir()) == [path]

    def test_nobody_else_looks_into_it(self, tmp_path: Path) -> None:
        with replacing(tmp_path / "a") as temporary:
            assert stat.S_IMODE(temporary.parent.stat().st_mode) == 0o700
            temporary.touch()

    def test_a_folder(self, tmp_path: Path) -> None:
        path = tmp_path / "a"
        for content in ("first", "second"):
            with replacing(path) as temporary:
                temporary.mkdir()
                (temporary / "file").write_text(content)
            assert (path / "file").read_text() == content
        assert list(tmp_path.iterdir()) == [path]

    def test_a_folder_that_cannot_take_its_place(self, tmp_path: Path) -> None:
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "old").touch()
        with pytest.raises(FileNotFoundError), replacing(tmp_path / "a"):
            pass  # nothing is written
        assert (tmp_path / "a" / "old").exists()
        assert list(tmp_path.iterdir()) == [tmp_path / "a"]

    def test_many_at_once_beside_each_other(self, tmp_path: Path) -> None:
        def write(number: int) -> None:
            with replacing(tmp_path / str(number)) as temporary:
                temporary.write_text(str(number))

        with ThreadPoolExecutor(16) as pool:
            list(pool.map(write, range(300)))
        assert sorted(int(path.name) for path in tmp_path.iterdir()) == list(range(300))

    def test_readers_see_one_or_the_other(self, tmp_path: Path) -> None:
        path = tmp_path / "a"
        path.write_text("0" * 5000)
        seen: set[str] = set()
        done = threading.Event()

        def read() -> None:
            while not done.is_set():
                text = path.read_text()
                seen.add(f"{text[0]}{len(text)}{len(set(text))}")

        thread = threading.Thread(target=read)
        thread.start()
        for number in range(1, 10):
            with replacing(path) as temporary:
                temporary.write_text(str(number) * 5000)
        done.set()
        thread.join()
        assert {one[1:] for one in seen} == {"50001"}


class TestTemporaryFolders:
    def test_where_all_temporary_files_are(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        with temporary_folder() as folder:
            assert folder.parent == tmp_path
            assert not folder.name.startswith(".")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
    def test_no_room(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        full = OSError(number, os.strerror(number), "file")
        message = f"no temporary file can be written to {tmp_path}: "
        with pytest.raises(PlatterError, match=message) as caught, temporary_folder():
            raise full
        assert caught.value.hint
        assert list(tmp_path.iterdir()) == []
        with pytest.raises(OSError, match="file") as raised, temporary_folder(tmp_path):
            raise full
        assert raised.value is full

    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
    def test_a_tool_finds_no_room(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

        def hint(line: str, free: int = 1 << 30) -> str | None:
            monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=free))
            with pytest.raises(PlatterError) as caught, temporary_folder() as folder:
                raise PlatterError("it failed", hint="see above", output=["so:", line.replace("HERE", str(folder))])
            return caught.value.hint

        ours = f"make room in {tmp_path}, or set TMPDIR to a folder that has it"
        said = os.strerror(number)
        assert hint(f"failed to copy to `HERE/environments/a/b`: {said} (os error {number})") == ours
        assert hint(f"OSError: [Errno {number}] {said}", free=1000) == ours
        assert hint(f"OSError: [Errno {number}] {said}: '/elsewhere'") == "see above"
        assert hint("HERE/setup.py: SyntaxError", free=1000) == "see above"

    def test_other_errors_mean_something_else(self) -> None:
        with pytest.raises(PermissionError), temporary_folder():
            raise PermissionError

    def test_nowhere(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tempfile, "tempdir", None)
        monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(tmp_path / "nowhere")])
        with pytest.raises(PlatterError, match="anywhere"), temporary_folder():
            pass

    def test_of_a_run_that_lives(self, tmp_path: Path, holder: subprocess.Popen[str]) -> None:
        assert holder.stdout
        with holder:
            theirs = holder.stdout.readline().strip()
            clear(tmp_path)
            with temporary_folder(tmp_path):
                assert (tmp_path / theirs / "half").exists()
            holder.send_signal(signal.SIGKILL)

    def test_of_a_dead_run(self, tmp_path: Path, holder: subprocess.Popen[str]) -> None:
        assert holder.stdout
        with holder:
            theirs = holder.stdout.readline().strip()
            holder.send_signal(signal.SIGKILL)
        assert (tmp_path / theirs / "half").exists()
        with temporary_folder(tmp_path) as ours:
            assert list(tmp_path.iterdir()) == [ours]
        assert list(tmp_path.iterdir()) == []

    def test_what_a_dead_run_had_set_aside_comes_back(self, tmp_path: Path) -> None:
        for name in ("gone", "there"):
            (tmp_path / NAME / ".aside" / name).mkdir(parents=True)
            (tmp_path / NAME / ".aside" / name / "old").touch()
        (tmp_path / "there").mkdir()
        clear(tmp_path)
        found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))
        assert found == ["gone", "gone/old", "there"]

    @pytest.mark.parametrize("name", ["platter-notes", ".platter-abcd1234", "my.platter-abcd1234.tmp", "abcd1234.tmp"])
    def test_names_of_others(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).mkdir()
        clear(tmp_path)
        assert (tmp_path / name).exists()

    def test_links_are_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "precious").mkdir()
        (tmp_path / NAME).symlink_to("precious")
        clear(tmp_path)
        assert (tmp_path / "precious").exists()

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a folder to somebody else")
    def test_folders_of_other_users(self, tmp_path: Path) -> None:
        (tmp_path / NAME).mkdir()
        os.chown(tmp_path / NAME, 65534, 65534)
        clear(tmp_path)
        assert (tmp_path / NAME).exists()

    def test_no_folder_at_all(self, tmp_path: Path) -> None:
        clear(tmp_path / "nowhere")
