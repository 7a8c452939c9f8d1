"""The store: shared by builds at once, verified on the way out, repaired when damaged."""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import shutil
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.ground.errors import PlatterError, UsageError
from platter_setuptools.ground.run import Processes
from platter_setuptools.steps.store import Store, default_location, key_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAME = "app-1.0-py3-none-any.whl"
needs_ordinary_user = pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")


def make(folder: Path, content: bytes = b"content", name: str = NAME) -> tuple[Path, str]:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path, hashlib.sha256(content).hexdigest()


def files(store: Store) -> list[Path]:
    return sorted(path for path in store.root.rglob("*") if path.is_file())


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "deep" / "store")


class TestBlobs:
    def test_what_was_added_is_found(self, store: Store, tmp_path: Path) -> None:
        source, sha256 = make(tmp_path)
        assert store.find(sha256, NAME) is None
        path = store.add(source, sha256)
        assert store.find(sha256, NAME) == path == store.add(source, sha256)
        assert path.read_bytes() == b"content"
        assert path.name == NAME
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
        assert store.find(sha256, "other.whl") is None
        assert files(store) == [path]

    def test_it_outlives_its_source(self, store: Store, tmp_path: Path) -> None:
        source, sha256 = make(tmp_path)
        path = store.add(source, sha256)
        source.unlink()
        assert store.find(sha256, NAME) == path

    @pytest.mark.parametrize("damage", [b"", b"content, and more", b"CONTENT"])
    def test_damaged_entries_are_dropped_and_made_again(self, damage: bytes, store: Store, tmp_path: Path) -> None:
        source, sha256 = make(tmp_path)
        path = store.add(source, sha256)
        path.unlink()
        path.write_bytes(damage)
        assert store.find(sha256, NAME) is None
        assert not path.exists()
        assert store.add(source, sha256) == path
        assert store.find(sha256, NAME) == path

    def test_adding_repairs_what_nobody_looked_for(self, store: Store, tmp_path: Path) -> None:
        source, sha256 = make(tmp_path)
        path = store.add(source, sha256)
        path.unlink()
        path.write_bytes(b"half")
        assert store.add(source, sha256).read_bytes() == b"content"

    def test_a_folder_in_the_place_of_an_entry(self, store: Store, tmp_path: Path) -> None:
        source, sha256 = make(tmp_path)
        path = store.add(source, sha256)
        path.unlink()
        path.mkdir()
        assert store.find(sha256, NAME) is None

    @pytest.mark.parametrize("sha256", ["", "..", "../../x", "0" * 63, "G" * 64])
    def test_what_is_no_hash_is_not_looked_for(self, sha256: str, store: Store) -> None:
        assert store.find(sha256, NAME) is None

    @pytest.mark.parametrize("by_name", [True, False])
    def test_nothing_outside_is_touched_whatever_a_lock_says(self, by_name: bool, store: Store, tmp_path: Path) -> None:
        source, sha256 = make(tmp_path)
        store.add(source, sha256)
        victim, _sha256 = make(tmp_path / "home", b"precious", "mine.whl")
        blob = store.root / "blobs" / sha256[:2] / sha256
        if by_name:
            assert store.find(sha256, os.path.relpath(victim, blob)) is None
        else:
            assert store.find(os.path.relpath(victim.parent, store.root), "mine.whl") is None
        assert victim.read_bytes() == b"precious"

    def test_wheels_come_the_latest_first(self, store: Store, tmp_path: Path) -> None:
        for number, name in enumerate(["a-1-py3-none-any.whl", "b-1-py3-none-any.whl", "a.zip"]):
            source, sha256 = make(tmp_path, name.encode(), name)
            os.utime(store.add(source, sha256), (number, number))
        assert [path.name for path in store.wheels()] == ["b-1-py3-none-any.whl", "a-1-py3-none-any.whl"]
        assert list(Store(tmp_path / "none").wheels()) == []


class TestDerived:
    def test_what_was_kept_is_found(self, store: Store, tmp_path: Path) -> None:
        source, _sha256 = make(tmp_path)
        assert store.find_derived("built", "key") is None
        path = store.keep_derived("built", "key", source)
        assert store.find_derived("built", "key") == path
        assert store.find_derived("bytecode", "key") is None
        assert store.find_derived("built", "other") is None

    def test_the_later_one_counts(self, store: Store, tmp_path: Path) -> None:
        store.keep_derived("built", "key", make(tmp_path, b"one")[0])
        (tmp_path / "other").mkdir()
        path = store.keep_derived("built", "key", make(tmp_path / "other", b"two")[0])
        assert store.find_derived("built", "key") == path
        assert path.read_bytes() == b"two"

    @pytest.mark.parametrize(
        "reference",
        ["", "{", "[]", "{}", "null", '"text"', '{"name": 1, "sha256": 2}', '{"name": "x"}', '{"sha256": null}'],
    )
    def test_damaged_references(self, reference: str, store: Store, tmp_path: Path) -> None:
        source, _sha256 = make(tmp_path)
        store.keep_derived("built", "key", source)
        (path,) = store.root.glob("refs/built/*.json")
        path.write_text(reference)
        assert store.find_derived("built", "key") is None
        store.keep_derived("built", "key", source)
        assert store.find_derived("built", "key")

    def test_binary_rubbish_as_a_reference(self, store: Store, tmp_path: Path) -> None:
        store.keep_derived("built", "key", make(tmp_path)[0])
        (path,) = store.root.glob("refs/built/*.json")
        path.write_bytes(b"\xff\xfe\x00")
        assert store.find_derived("built", "key") is None

    def test_a_reference_to_what_is_gone(self, store: Store, tmp_path: Path) -> None:
        store.keep_derived("built", "key", make(tmp_path)[0]).unlink()
        assert store.find_derived("built", "key") is None


def test_keys_keep_their_parts_apart() -> None:
    keys = {key_of("a", "b"), key_of("ab"), key_of("a", "b", ""), key_of("b", "a"), key_of('a", "b'), key_of()}
    assert len(keys) == 6
    assert key_of("a", "b") == key_of("a", "b")
    assert len(key_of("a")) == 64


class TestTogether:
    def test_threads(self, store: Store, tmp_path: Path) -> None:
        sources = [make(tmp_path / str(number), b"x" * 200_000) for number in range(24)]
        with ThreadPoolExecutor(12) as pool:
            paths = list(pool.map(lambda one: store.add(*one), sources))
            kept = list(pool.map(lambda one: store.keep_derived("built", "key", one[0]), sources))
        assert {*paths, *kept} == {paths[0]}
        assert store.find(sources[0][1], NAME) == paths[0] == store.find_derived("built", "key")
        assert len(files(store)) == 2

    def test_processes(self, store: Store, tmp_path: Path) -> None:
        code = """
import sys
import time
from pathlib import Path
from platter_setuptools.steps.store import Store
store, folder = Store(Path(sys.argv[1])), Path(sys.argv[2])
folder.mkdir()
for number in range(60):
    source = folder / f"a-{number}-py3-none-any.whl"
    source.write_bytes(b"%d" % number * 5000)
    store.keep_derived("built", f"key{number}", source)
    assert store.find_derived("built", f"key{number}"), number
"""
        running = [
            subprocess.Popen([sys.executable, "-c", code, store.root, tmp_path / name], stderr=subprocess.PIPE)
            for name in ("a", "b", "c")
        ]
        for process in running:
            _output, errors = process.communicate()
            assert (process.returncode, errors) == (0, b"")
        assert len(list(store.wheels())) == 60
        assert len(files(store)) == 120


class TestClean:
    def test_everything_of_ours_goes_and_nothing_else(self, store: Store, tmp_path: Path) -> None:
        source, sha256 = make(tmp_path)
        store.keep_derived("built", "key", store.add(source, sha256))
        store.add(*make(tmp_path, b"other", "other.whl"))
        (store.root / "mine.txt").write_text("mine")
        assert store.clean() == 2
        assert files(store) == [store.root / "mine.txt"]
        assert store.clean() == 0

    def test_none_yet(self, store: Store) -> None:
        assert store.clean() == 0
        assert not store.root.exists()

    @pytest.mark.parametrize("part", ["blobs", "refs"])
    def test_what_cannot_be_removed(self, part: str, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(path: Path) -> None:
            if path.name == part:
                raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(shutil, "rmtree", refuse)
        with pytest.raises(PlatterError, match=r"cannot be (emptied|written to): Permission denied"):
            store.clean()


class TestInUse:
    @pytest.mark.parametrize("clear", [Store.clean, lambda store: len(store.prune(max_size=0))])
    def test_a_running_build_loses_nothing(
        self, clear: Callable[[Store], int], store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with ThreadPoolExecutor() as threads, store.in_use():
            with store.in_use():  # another build
                path = store.add(*make(tmp_path))
                cleared = threads.submit(clear, store)
                time.sleep(0.3)
            time.sleep(0.1)
            assert not cleared.done()
            assert path.exists()
        assert cleared.result() == 1
        assert not path.exists()
        assert capsys.readouterr().err == f"waiting until no build uses the wheel cache {store.root}\n"

    @pytest.mark.parametrize("clear", [Store.clean, lambda store: len(store.prune(max_size=0))])
    def test_what_a_build_starts_does_not_wait_for_it(
        self, clear: Callable[[Store], int], store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A build script that does would never end."""
        told = Processes()([sys.executable, "-c", "import os; print(os.environ['PLATTER_BUILD'], end='')"])
        with store.in_use():
            path = store.add(*make(tmp_path))
            monkeypatch.setenv("PLATTER_BUILD", told)
            with pytest.raises(PlatterError, match="a build uses the wheel cache"):
                clear(store)
            assert path.exists()
        assert clear(store) == 1

    def test_a_disk_without_locks_serves(self, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_arguments: object) -> None:
            raise OSError(95, "Operation not supported")

        monkeypatch.setattr("fcntl.flock", refuse)
        with store.in_use():
            store.add(*make(tmp_path))
            assert store.clean() == 1


class TestUnwritable:
    @pytest.fixture
    def blocked(self, tmp_path: Path) -> Store:
        (tmp_path / "file").touch()
        return Store(tmp_path / "file" / "store")

    def test_writing_is_an_error_with_a_hint(self, blocked: Store, tmp_path: Path) -> None:
        source, sha256 = make(tmp_path)
        reason = r"wheel cache .* cannot be written to: Not a directory"
        with pytest.raises(PlatterError, match=reason):
            blocked.keep_derived("built", "key", source)
        with pytest.raises(PlatterError, match=reason) as caught:
            blocked.add(source, sha256)
        assert "no-wheel-cache" in str(caught.value.hint)

    def test_reading_finds_nothing(self, blocked: Store) -> None:
        assert blocked.find("0" * 64, NAME) is None
        assert blocked.find_derived("built", "key") is None
        assert list(blocked.wheels()) == []

    @needs_ordinary_user
    def test_a_store_of_somebody_else_is_read(self, store: Store, tmp_path: Path) -> None:
        source, sha256 = make(tmp_path)
        path = store.add(source, sha256)
        for folder in (path.parent, path.parent.parent, store.root / "blobs", store.root):
            folder.chmod(0o555)
        assert store.find(sha256, NAME) == path
        assert store.add(source, sha256) == path
        with pytest.raises(PlatterError, match="cannot be written"):
            store.add(*make(tmp_path, b"new"))


def test_the_default_is_the_users_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if sys.platform != "darwin":
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert default_location() == tmp_path / "platter"


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has other folders")
class TestNoPlace:
    def test_a_home_that_is_none(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setenv("HOME", str(tmp_path / "file"))
        with pytest.raises(UsageError, match=f"no place for the wheel cache: {tmp_path}/file is no folder") as caught:
            default_location()
        assert "HOME" in (caught.value.hint or "")

    def test_a_user_without_a_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def unknown(uid: int) -> None:
            raise KeyError(uid)

        monkeypatch.setattr(pwd, "getpwuid", unknown)
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.delenv("HOME")
        with pytest.raises(UsageError, match="no place for the wheel cache: this user has no home"):
            default_location()


def test_references_are_plain_json(store: Store, tmp_path: Path) -> None:
    source, sha256 = make(tmp_path)
    store.keep_derived("built", "key", source)
    (path,) = store.root.glob("refs/built/key.json")
    assert json.loads(path.read_text()) == {"name": NAME, "sha256": sha256}


def used(store: Store, folder: Path, **days: int) -> dict[str, Path]:
    """Keep a wheel of 1000 bytes for each name, used so many days ago."""
    made = {}
    for name, ago in days.items():
        path = store.keep_derived("built", name, make(folder, name.encode() * 1000, f"{name}-1-py3-none-any.whl")[0])
        moment = time.time() - ago * 86400
        os.utime(path, (moment, moment - 86400 * 100))
        made[name] = path
    return made


class TestPrune:
    def test_what_nobody_used_for_long_goes(self, store: Store, tmp_path: Path) -> None:
        made = used(store, tmp_path, a=1, b=10, c=20)
        assert [one.path for one in store.usage()] == [made["c"], made["b"], made["a"]]
        assert [one.path for one in store.prune(older_than=5 * 86400)] == [made["c"], made["b"]]
        assert [one.path for one in store.usage()] == [made["a"]]
        assert list(store.derived("built")) == [made["a"]]
        assert not made["b"].parent.exists()

    def test_until_it_is_small_enough(self, store: Store, tmp_path: Path) -> None:
        made = used(store, tmp_path, a=1, b=10, c=20)
        assert store.prune(max_size=3000) == []
        assert [one.path for one in store.prune(max_size=2999)] == [made["c"]]
        assert [one.size for one in store.prune(max_size=0)] == [1000, 1000]
        assert files(store) == []

    def test_both(self, store: Store, tmp_path: Path) -> None:
        made = used(store, tmp_path, a=1, b=10, c=20)
        assert [one.path for one in store.prune(older_than=15 * 86400, max_size=1000)] == [made["c"], made["b"]]

    def test_notes_and_what_is_not_ours_stay(self, store: Store, tmp_path: Path) -> None:
        used(store, tmp_path, a=9)
        store.note("hints", "key", {"some": "note"})
        (store.root / "mine.txt").write_text("mine")
        assert len(store.prune(older_than=0)) == 1
        assert store.recall("hints", "key") == {"some": "note"}
        assert (store.root / "mine.txt").exists()

    def test_a_note_is_whole_or_nothing(self, store: Store) -> None:
        noted = {"size": 41, "names": ["a", "b"]}
        store.note("hints", "key", noted)
        (path,) = store.root.glob("refs/hints/*.json")
        whole = path.read_bytes()
        for bit in range(8 * len(whole)):
            damaged = bytearray(whole)
            damaged[bit // 8] ^= 1 << bit % 8
            path.write_bytes(damaged)
            assert store.recall("hints", "key") in (None, noted)

    def test_a_store_that_is_not_there(self, tmp_path: Path) -> None:
        assert Store(tmp_path / "none").prune(max_size=0) == Store(tmp_path / "none").usage() == []


@pytest.mark.parametrize(
    ("before", "inside", "after"),
    [(0o755, "blobs", 0o700), (0o775, "blobs", 0o775), (0o2775, "blobs", 0o2775), (0o755, "else", 0o755)],
)
def test_an_old_store_is_closed_to_other_users(tmp_path: Path, before: int, inside: str, after: int) -> None:
    store = Store(tmp_path / "store")
    (store.root / inside).mkdir(parents=True)
    store.root.chmod(before)
    with store.in_use():
        assert stat.S_IMODE(store.root.stat().st_mode) == after


def test_other_users_cannot_look_into_a_new_store(tmp_path: Path) -> None:
    noted, used = Store(tmp_path / "a" / "store"), Store(tmp_path / "b" / "store")
    noted.note("kind", "key", 1)
    with used.in_use():
        assert [stat.S_IMODE(store.root.stat().st_mode) for store in (noted, used)] == [0o700, 0o700]
