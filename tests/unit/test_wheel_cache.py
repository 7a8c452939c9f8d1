"""The store: shared by builds at once, verified on the way out, repaired when damaged."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pwd
import queue
import shutil
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.errors import PlatterError, UsageError
from platter_setuptools.runtime.processes import Runner
from platter_setuptools.wheel_cache import WheelCache, default_location, key_of

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


def files(cache: WheelCache) -> list[Path]:
    return sorted(path for path in cache.root.rglob("*") if path.is_file())


@pytest.fixture
def cache(tmp_path: Path) -> WheelCache:
    return WheelCache(tmp_path / "deep" / "store")


class TestBlobs:
    def test_what_was_added_is_found(self, cache: WheelCache, tmp_path: Path) -> None:
        source, sha256 = make(tmp_path)
        assert cache.find(sha256, NAME) is None
        path = cache.add(source, sha256)
        assert cache.find(sha256, NAME) == path == cache.add(source, sha256)
        assert path.read_bytes() == b"content"
        assert path.name == NAME
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
        assert cache.find(sha256, "other.whl") is None
        assert files(cache) == [path]

    def test_it_outlives_its_source(self, cache: WheelCache, tmp_path: Path) -> None:
        source, sha256 = make(tmp_path)
        path = cache.add(source, sha256)
        source.unlink()
        assert cache.find(sha256, NAME) == path

    @pytest.mark.parametrize("damage", [b"", b"content, and more", b"CONTENT"])
    def test_damaged_entries_are_dropped_and_made_again(self, damage: bytes, cache: WheelCache, tmp_path: Path) -> None:
        source, sha256 = make(tmp_path)
        path = cache.add(source, sha256)
        path.unlink()
        path.write_bytes(damage)
        assert cache.find(sha256, NAME) is None
        assert not path.exists()
        assert cache.add(source, sha256) == path
        assert cache.find(sha256, NAME) == path

    def test_adding_repairs_what_nobody_looked_for(self, cache: WheelCache, tmp_path: Path) -> None:
        source, sha256 = make(tmp_path)
        path = cache.add(source, sha256)
        path.unlink()
        path.write_bytes(b"half")
        assert cache.add(source, sha256).read_bytes() == b"content"

    def test_a_folder_in_the_place_of_an_entry(self, cache: WheelCache, tmp_path: Path) -> None:
        source, sha256 = make(tmp_path)
        path = cache.add(source, sha256)
        path.unlink()
        path.mkdir()
        assert cache.find(sha256, NAME) is None

    @pytest.mark.parametrize("sha256", ["", "..", "../../x", "0" * 63, "G" * 64])
    def test_what_is_no_hash_is_not_looked_for(self, sha256: str, cache: WheelCache) -> None:
        assert cache.find(sha256, NAME) is None

    @pytest.mark.parametrize("by_name", [True, False])
    def test_nothing_outside_is_touched_whatever_a_lock_says(
        self, by_name: bool, cache: WheelCache, tmp_path: Path
    ) -> None:
        source, sha256 = make(tmp_path)
        cache.add(source, sha256)
        victim, _sha256 = make(tmp_path / "home", b"precious", "mine.whl")
        blob = cache.root / "blobs" / sha256[:2] / sha256
        if by_name:
            assert cache.find(sha256, os.path.relpath(victim, blob)) is None
        else:
            assert cache.find(os.path.relpath(victim.parent, cache.root), "mine.whl") is None
        assert victim.read_bytes() == b"precious"


class TestDerived:
    def test_what_was_kept_is_found(self, cache: WheelCache, tmp_path: Path) -> None:
        source, _sha256 = make(tmp_path)
        assert cache.find_derived("built", "key") is None
        path = cache.keep_derived("built", "key", source)
        assert cache.find_derived("built", "key") == path
        assert cache.find_derived("bytecode", "key") is None
        assert cache.find_derived("built", "other") is None

    def test_the_later_one_counts(self, cache: WheelCache, tmp_path: Path) -> None:
        cache.keep_derived("built", "key", make(tmp_path, b"one")[0])
        (tmp_path / "other").mkdir()
        path = cache.keep_derived("built", "key", make(tmp_path / "other", b"two")[0])
        assert cache.find_derived("built", "key") == path
        assert path.read_bytes() == b"two"

    @pytest.mark.parametrize(
        "reference",
        ["", "{", "[]", "{}", "null", '"text"', '{"name": 1, "sha256": 2}', '{"name": "x"}', '{"sha256": null}'],
    )
    def test_damaged_references(self, reference: str, cache: WheelCache, tmp_path: Path) -> None:
        source, _sha256 = make(tmp_path)
        cache.keep_derived("built", "key", source)
        (path,) = cache.root.glob("refs/built/*.json")
        path.write_text(reference)
        assert cache.find_derived("built", "key") is None
        cache.keep_derived("built", "key", source)
        assert cache.find_derived("built", "key")

    def test_binary_rubbish_as_a_reference(self, cache: WheelCache, tmp_path: Path) -> None:
        cache.keep_derived("built", "key", make(tmp_path)[0])
        (path,) = cache.root.glob("refs/built/*.json")
        path.write_bytes(b"\xff\xfe\x00")
        assert cache.find_derived("built", "key") is None

    def test_a_reference_to_what_is_gone(self, cache: WheelCache, tmp_path: Path) -> None:
        cache.keep_derived("built", "key", make(tmp_path)[0]).unlink()
        assert cache.find_derived("built", "key") is None


def test_keys_keep_their_parts_apart() -> None:
    keys = {key_of("a", "b"), key_of("ab"), key_of("a", "b", ""), key_of("b", "a"), key_of('a", "b'), key_of()}
    assert len(keys) == 6
    assert key_of("a", "b") == key_of("a", "b")
    assert len(key_of("a")) == 64


class TestTogether:
    def test_threads(self, cache: WheelCache, tmp_path: Path) -> None:
        sources = [make(tmp_path / str(number), b"x" * 200_000) for number in range(24)]
        with ThreadPoolExecutor(12) as pool:
            paths = list(pool.map(lambda one: cache.add(*one), sources))
            kept = list(pool.map(lambda one: cache.keep_derived("built", "key", one[0]), sources))
        assert {*paths, *kept} == {paths[0]}
        assert cache.find(sources[0][1], NAME) == paths[0] == cache.find_derived("built", "key")
        assert len(files(cache)) == 2

    def test_processes(self, cache: WheelCache, tmp_path: Path) -> None:
        code = """
import sys
import time
from pathlib import Path
from platter_setuptools.wheel_cache import WheelCache
cache, folder = WheelCache(Path(sys.argv[1])), Path(sys.argv[2])
folder.mkdir()
for number in range(60):
    source = folder / f"a-{number}-py3-none-any.whl"
    source.write_bytes(b"%d" % number * 5000)
    cache.keep_derived("built", f"key{number}", source)
    assert cache.find_derived("built", f"key{number}"), number
"""
        running = [
            subprocess.Popen([sys.executable, "-c", code, cache.root, tmp_path / name], stderr=subprocess.PIPE)
            for name in ("a", "b", "c")
        ]
        for process in running:
            _output, errors = process.communicate()
            assert (process.returncode, errors) == (0, b"")
        assert len(cache.usage()) == 60
        assert len(files(cache)) == 120


class TestClean:
    def test_everything_of_ours_goes_and_nothing_else(self, cache: WheelCache, tmp_path: Path) -> None:
        source, sha256 = make(tmp_path)
        cache.keep_derived("built", "key", cache.add(source, sha256))
        cache.add(*make(tmp_path, b"other", "other.whl"))
        (cache.root / "mine.txt").write_text("mine")
        assert cache.clean() == 2
        assert files(cache) == [cache.root / "mine.txt"]
        assert cache.clean() == 0

    def test_none_yet(self, cache: WheelCache) -> None:
        assert cache.clean() == 0
        assert not cache.root.exists()

    @pytest.mark.parametrize("part", ["blobs", "refs"])
    def test_what_cannot_be_removed(self, part: str, cache: WheelCache, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(path: Path) -> None:
            if path.name == part:
                raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(shutil, "rmtree", refuse)
        with pytest.raises(PlatterError, match=r"cannot be (emptied|written to): Permission denied"):
            cache.clean()


class TestInUse:
    @pytest.mark.parametrize("clear", [WheelCache.clean, lambda cache: len(cache.prune(max_size=0))])
    def test_a_running_build_loses_nothing(
        self, clear: Callable[[WheelCache], int], cache: WheelCache, tmp_path: Path
    ) -> None:
        told: queue.SimpleQueue[str] = queue.SimpleQueue()
        cache = dataclasses.replace(cache, tell=told.put)
        with ThreadPoolExecutor() as threads, cache.in_use():
            with cache.in_use():  # another build
                path = cache.add(*make(tmp_path))
                cleared = threads.submit(clear, cache)
                assert told.get(timeout=60) == f"waiting until no build uses the wheel cache {cache.root}"
            assert not wait([cleared], timeout=0.1).done
            assert path.exists()
        assert cleared.result() == 1
        assert not path.exists()
        assert told.empty()

    @pytest.mark.parametrize("clear", [WheelCache.clean, lambda cache: len(cache.prune(max_size=0))])
    def test_what_a_build_starts_does_not_wait_for_it(
        self, clear: Callable[[WheelCache], int], cache: WheelCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A build script that does would never end."""
        told = Runner()([sys.executable, "-c", "import os; print(os.environ['PLATTER_BUILD'], end='')"])
        with cache.in_use():
            path = cache.add(*make(tmp_path))
            monkeypatch.setenv("PLATTER_BUILD", told)
            with pytest.raises(PlatterError, match="a build uses the wheel cache"):
                clear(cache)
            assert path.exists()
        assert clear(cache) == 1

    def test_a_disk_without_locks_serves(
        self, cache: WheelCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_arguments: object) -> None:
            raise OSError(95, "Operation not supported")

        monkeypatch.setattr("fcntl.flock", refuse)
        with cache.in_use():
            cache.add(*make(tmp_path))
            assert cache.clean() == 1


class TestUnwritable:
    @pytest.fixture
    def blocked(self, tmp_path: Path) -> WheelCache:
        (tmp_path / "file").touch()
        return WheelCache(tmp_path / "file" / "store")

    def test_writing_is_an_error_with_a_hint(self, blocked: WheelCache, tmp_path: Path) -> None:
        source, sha256 = make(tmp_path)
        reason = r"wheel cache .* cannot be written to: Not a directory"
        with pytest.raises(PlatterError, match=reason):
            blocked.keep_derived("built", "key", source)
        with pytest.raises(PlatterError, match=reason) as caught:
            blocked.add(source, sha256)
        assert "no-wheel-cache" in str(caught.value.hint)

    def test_reading_finds_nothing(self, blocked: WheelCache) -> None:
        assert blocked.find("0" * 64, NAME) is None
        assert blocked.find_derived("built", "key") is None

    @needs_ordinary_user
    def test_a_store_of_somebody_else_is_read(self, cache: WheelCache, tmp_path: Path) -> None:
        source, sha256 = make(tmp_path)
        path = cache.add(source, sha256)
        for folder in (path.parent, path.parent.parent, cache.root / "blobs", cache.root):
            folder.chmod(0o555)
        assert cache.find(sha256, NAME) == path
        assert cache.add(source, sha256) == path
        with pytest.raises(PlatterError, match="cannot be written"):
            cache.add(*make(tmp_path, b"new"))


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


def test_references_are_plain_json(cache: WheelCache, tmp_path: Path) -> None:
    source, sha256 = make(tmp_path)
    cache.keep_derived("built", "key", source)
    (path,) = cache.root.glob("refs/built/key.json")
    assert json.loads(path.read_text()) == {"name": NAME, "sha256": sha256}


def used(cache: WheelCache, folder: Path, **days: int) -> dict[str, Path]:
    """Keep a wheel of 1000 bytes for each name, used so many days ago."""
    made = {}
    for name, ago in days.items():
        path = cache.keep_derived("built", name, make(folder, name.encode() * 1000, f"{name}-1-py3-none-any.whl")[0])
        moment = time.time() - ago * 86400
        os.utime(path, (moment, moment - 86400 * 100))
        made[name] = path
    return made


class TestPrune:
    def test_what_nobody_used_for_long_goes(self, cache: WheelCache, tmp_path: Path) -> None:
        made = used(cache, tmp_path, a=1, b=10, c=20)
        assert [one.path for one in cache.usage()] == [made["c"], made["b"], made["a"]]
        assert [one.path for one in cache.prune(older_than=5 * 86400)] == [made["c"], made["b"]]
        assert [one.path for one in cache.usage()] == [made["a"]]
        assert [cache.find_derived("built", name) for name in "abc"] == [made["a"], None, None]
        assert not made["b"].parent.exists()

    def test_until_it_is_small_enough(self, cache: WheelCache, tmp_path: Path) -> None:
        made = used(cache, tmp_path, a=1, b=10, c=20)
        assert cache.prune(max_size=3000) == []
        assert [one.path for one in cache.prune(max_size=2999)] == [made["c"]]
        assert [one.size for one in cache.prune(max_size=0)] == [1000, 1000]
        assert files(cache) == []

    def test_both(self, cache: WheelCache, tmp_path: Path) -> None:
        made = used(cache, tmp_path, a=1, b=10, c=20)
        assert [one.path for one in cache.prune(older_than=15 * 86400, max_size=1000)] == [made["c"], made["b"]]

    def test_notes_and_what_is_not_ours_stay(self, cache: WheelCache, tmp_path: Path) -> None:
        used(cache, tmp_path, a=9)
        cache.note("hints", "key", {"some": "note"})
        (cache.root / "mine.txt").write_text("mine")
        assert len(cache.prune(older_than=0)) == 1
        assert cache.recall("hints", "key") == {"some": "note"}
        assert (cache.root / "mine.txt").exists()

    def test_a_note_is_whole_or_nothing(self, cache: WheelCache) -> None:
        noted = {"size": 41, "names": ["a", "b"]}
        cache.note("hints", "key", noted)
        (path,) = cache.root.glob("refs/hints/*.json")
        whole = path.read_bytes()
        for bit in range(8 * len(whole)):
            damaged = bytearray(whole)
            damaged[bit // 8] ^= 1 << bit % 8
            path.write_bytes(damaged)
            assert cache.recall("hints", "key") in (None, noted)

    def test_a_store_that_is_not_there(self, tmp_path: Path) -> None:
        assert WheelCache(tmp_path / "none").prune(max_size=0) == WheelCache(tmp_path / "none").usage() == []


@pytest.mark.parametrize(
    ("before", "inside", "after"),
    [(0o755, "blobs", 0o700), (0o775, "blobs", 0o775), (0o2775, "blobs", 0o2775), (0o755, "else", 0o755)],
)
def test_an_old_store_is_closed_to_other_users(tmp_path: Path, before: int, inside: str, after: int) -> None:
    cache = WheelCache(tmp_path / "store")
    (cache.root / inside).mkdir(parents=True)
    cache.root.chmod(before)
    with cache.in_use():
        assert stat.S_IMODE(cache.root.stat().st_mode) == after


def test_other_users_cannot_look_into_a_new_store(tmp_path: Path) -> None:
    noted, used = WheelCache(tmp_path / "a" / "store"), WheelCache(tmp_path / "b" / "store")
    noted.note("kind", "key", 1)
    with used.in_use():
        assert [stat.S_IMODE(cache.root.stat().st_mode) for cache in (noted, used)] == [0o700, 0o700]
