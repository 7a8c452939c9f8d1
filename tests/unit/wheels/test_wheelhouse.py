"""The wheelhouse: what comes from the store, what is fetched, what is built, and what is refused."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from platter_setuptools.errors import CommandError, DependencyError, WheelError
from platter_setuptools.resolve.indexes import IndexSettings
from platter_setuptools.resolve.lock import parse_lock
from platter_setuptools.resolve.uv_config import UvConfig
from platter_setuptools.values import Origin
from platter_setuptools.wheel_cache import WheelCache
from platter_setuptools.wheels.build import BuildError
from platter_setuptools.wheels.build_settings import BuildSettings, settings_of
from platter_setuptools.wheels.wheelhouse import Collector
from support import handmade
from support.fakes import Call, Diary, FakeRunner, target

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from platter_setuptools.targets.target import Interpreter, Target
    from platter_setuptools.wheels.build import WheelBuilder

HERE = target()


@dataclass
class FakeBuilder:
    """Makes the wheel that the tree's file `name` asks for, instead of running a backend."""

    trees: list[Path] = field(default_factory=list)
    error: BuildError | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def build(self, source: Path, output: Path, settings: BuildSettings, *, name: str) -> Path:
        # The work folder is ours: only elsewhere bytecode would be in somebody's way.
        assert ("PYTHONDONTWRITEBYTECODE" in settings.variables) is not source.is_relative_to(output.parent)
        assert name
        with self.lock:
            self.trees.append(source)
        if self.error:
            raise self.error
        name = (source / "name").read_text().strip()
        return handmade.wheel(output, name)


@dataclass
class Yard:
    """A collector with all that it is handed."""

    folder: Path
    target: Target = HERE
    host: Interpreter = HERE
    settings: IndexSettings = field(default_factory=IndexSettings)
    builder: FakeBuilder = field(default_factory=FakeBuilder)
    run: FakeRunner = field(default_factory=FakeRunner)
    diary: Diary = field(default_factory=Diary)

    @property
    def cache(self) -> WheelCache:
        return WheelCache(self.folder / "store")

    def collect(self, *packages: dict[str, Any], offline: bool = False, leave_out: tuple[str, ...] = ()) -> Any:
        """What is collected for a lock of these packages, each as (file name, origin)."""
        data = {"lock-version": "1.0", "created-by": "test", "packages": list(packages)}
        work = self.folder / "work"
        work.mkdir(exist_ok=True)
        collector = Collector(
            target=self.target,
            host=self.host,
            cache=self.cache,
            settings=self.settings,
            builder=lambda: cast("WheelBuilder", self.builder),
            build_settings=lambda name, lock: settings_of(name, self.settings, UvConfig(), lock),
            run=self.run,
            progress=self.diary,
            work=work,
            offline=offline,
        )
        lock = parse_lock(data, base=self.folder, where="the lock")
        wheels = collector.collect(lock, leave_out=cast("tuple[NormalizedName, ...]", leave_out))
        return [(wheel.filename, wheel.origin) for wheel in wheels]

    def wheel(self, name: str, **entry: Any) -> dict[str, Any]:
        path = handmade.wheel(self.folder / "links", name)
        return {"name": name, "version": "1.0", "wheels": [{"url": path.as_uri(), "hashes": hashes(path)}], **entry}

    def sdist(self, name: str, kind: str = "sdist") -> dict[str, Any]:
        tree = self.folder / f"{name}-1.0"
        tree.mkdir()
        (tree / "name").write_text(name)
        path = Path(shutil.make_archive(str(tree), "gztar", self.folder, tree.name))
        return {"name": name, "version": "1.0", kind: {"url": path.as_uri(), "hashes": hashes(path)}}

    def tree(self, name: str) -> dict[str, Any]:
        (self.folder / name).mkdir()
        (self.folder / name / "name").write_text(name)
        return {"name": name, "directory": {"path": name}}


def hashes(path: Path) -> dict[str, str]:
    return {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def file(name: str) -> str:
    return f"{name}-1.0-py3-none-any.whl"


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path)


class TestWheels:
    def test_fetched_once_then_from_the_store(self, yard: Yard) -> None:
        packages = [yard.wheel("b"), yard.wheel("a")]
        assert yard.collect(*packages) == [(file("b"), Origin.FETCHED), (file("a"), Origin.FETCHED)]
        assert "Fetching 2 files" in yard.diary.said("step")
        shutil.rmtree(yard.folder / "links")
        assert yard.collect(*packages) == [(file("b"), Origin.STORE), (file("a"), Origin.STORE)]

    def test_the_order_is_the_locks_whatever_comes_from_where(self, yard: Yard) -> None:
        second = yard.wheel("second")
        yard.collect(second)
        found = yard.collect(yard.sdist("first"), second, yard.wheel("third"))
        assert found == [
            (file("first"), Origin.BUILT),
            (file("second"), Origin.STORE),
            (file("third"), Origin.FETCHED),
        ]

    def test_some_are_left_out(self, yard: Yard) -> None:
        assert yard.collect(yard.wheel("a"), yard.sdist("app"), leave_out=("app",)) == [(file("a"), Origin.FETCHED)]

    def test_nothing_at_all(self, yard: Yard) -> None:
        assert yard.collect() == []
        assert yard.diary.entries == []

    def test_hashes_in_capitals(self, yard: Yard) -> None:
        package = yard.wheel("a")
        wheel = package["wheels"][0]
        wheel["hashes"] = {"sha256": wheel["hashes"]["sha256"].upper()}
        assert yard.collect(package) == [(file("a"), Origin.FETCHED)]
        assert yard.collect(package) == [(file("a"), Origin.STORE)]

    def test_a_wrong_hash(self, yard: Yard) -> None:
        package = yard.wheel("a")
        package["wheels"][0]["hashes"] = {"sha256": "0" * 64}
        with pytest.raises(WheelError, match="does not match the lock's SHA-256"):
            yard.collect(package)
        assert yard.cache.usage() == []

    def test_a_damaged_store_is_repaired(self, yard: Yard) -> None:
        package = yard.wheel("a")
        yard.collect(package)
        path = yard.cache.usage()[0].path
        path.unlink()
        path.write_bytes(b"damaged")
        assert yard.collect(package) == [(file("a"), Origin.FETCHED)]

    def test_names_that_lead_elsewhere(self, yard: Yard) -> None:
        victim = yard.folder / "mine.whl"
        victim.write_text("mine")
        sha256 = "ab" * 32
        way = os.path.relpath(victim, yard.cache.root / "blobs" / sha256[:2] / sha256).replace("/", "%2F")
        entry = {"url": f"https://127.0.0.1:9/{way}", "name": file("a"), "hashes": {"sha256": sha256}}
        with pytest.raises(WheelError, match="is not a safe name"):
            yard.collect({"name": "a", "version": "1.0", "wheels": [entry]})
        assert victim.read_text() == "mine"

    def test_a_url_without_a_file(self, yard: Yard) -> None:
        entry = {"url": "https://user:secret@host/", "name": "a-1.0.tar.gz", "hashes": {"sha256": "ab" * 32}}
        with pytest.raises(DependencyError, match="https://host/ does not end in a file name"):
            yard.collect({"name": "a", "version": "1.0", "archive": {**entry}})


class TestBuilding:
    @pytest.mark.parametrize("kind", ["sdist", "archive"])
    def test_from_an_sdist_once(self, kind: str, yard: Yard) -> None:
        package = yard.sdist("a", kind)
        assert yard.collect(package) == [(file("a"), Origin.BUILT)]
        assert yard.collect(package) == [(file("a"), Origin.STORE)]
        assert len(yard.builder.trees) == 1
        assert "Building a 1.0" in yard.diary.said("step")

    def test_a_folder_is_built_where_it_lies_and_anew(self, yard: Yard) -> None:
        package = yard.tree("a")
        for _ in range(2):
            assert yard.collect(package) == [(file("a"), Origin.BUILT)]
        assert yard.builder.trees == [yard.folder / "a"] * 2
        assert yard.collect(package, offline=True) == [(file("a"), Origin.BUILT)]

    def test_a_folder_that_is_gone(self, yard: Yard) -> None:
        package = yard.tree("a")
        shutil.rmtree(yard.folder / "a")
        with pytest.raises(DependencyError, match=r"the lock names the folder .*/a, which is not there"):
            yard.collect(package)

    def test_from_a_repository(self, yard: Yard) -> None:
        def git(call: Call) -> str:
            if "clone" in call.command:
                folder = Path(call.command[-1])
                (folder / "sub").mkdir(parents=True)
                (folder / "sub" / "name").write_text("a")
            return ""

        yard.run = FakeRunner(git)
        vcs = {"type": "git", "url": "https://host/a.git", "commit-id": "12" * 20, "subdirectory": "sub"}
        package = {"name": "a", "vcs": vcs}
        assert yard.collect(package) == [(file("a"), Origin.BUILT)]
        assert yard.builder.trees[0].name == "sub"
        assert [call.command[1] for call in yard.run.calls[:2]] == ["ls-remote", "clone"]
        assert yard.collect(package) == [(file("a"), Origin.STORE)]
        elsewhere = {**vcs, "url": "https://elsewhere/a.git"}
        assert yard.collect({**package, "vcs": elsewhere}) == [(file("a"), Origin.BUILT)]

    def test_a_version_is_read_from_tags(self, yard: Yard) -> None:
        tags, fails = "", False

        def git(call: Call) -> str:
            if "clone" in call.command:
                folder = Path(call.command[-1])
                folder.mkdir(parents=True)
                (folder / "name").write_text("a")
            if fails:
                raise CommandError("git", returncode=128, output=[])
            return tags if "ls-remote" in call.command else ""

        yard.run = FakeRunner(git)
        package = {"name": "a", "vcs": {"type": "git", "url": "https://host/a.git", "commit-id": "12" * 20}}
        assert yard.collect(package) == [(file("a"), Origin.BUILT)]
        tags = f"{'12' * 20}\trefs/tags/v1.0\n"
        assert yard.collect(package) == [(file("a"), Origin.BUILT)]
        assert yard.collect(package) == yard.collect(package, offline=True) == [(file("a"), Origin.STORE)]
        fails = True
        assert yard.collect(package) == [(file("a"), Origin.STORE)]

    @pytest.mark.parametrize("commit", ["main", "v1.0", "12ab", "12" * 19 + "zz", "12" * 21])
    def test_a_commit_is_no_branch_and_no_tag(self, yard: Yard, commit: str) -> None:
        vcs = {"type": "git", "url": "https://host/a.git", "commit-id": commit}
        with pytest.raises(DependencyError, match=f"the lock names '{commit}' as the commit of a"):
            yard.collect({"name": "a", "vcs": vcs})
        assert yard.run.calls == []

    def test_several(self, yard: Yard) -> None:
        names = ["a", "b", "c"]
        found = yard.collect(*(yard.sdist(name) for name in names))
        assert found == [(file(name), Origin.BUILT) for name in names]
        assert {f"Building {name} 1.0" for name in names} < set(yard.diary.said("step"))
        assert yard.diary.said("advance")[-1].startswith("Fetching 3 of 3, ")

    @pytest.mark.parametrize(
        "change",
        [
            {"settings": IndexSettings(config_settings=("a=b",))},
            {"settings": IndexSettings(no_build_isolation=True)},
            {"host": target(id="cp311-manylinux_2_39_riscv64")},
            {"host": target(libc="glibc 2.99")},
        ],
    )
    def test_another_host_or_option_is_another_wheel(self, change: dict[str, Any], yard: Yard) -> None:
        package = yard.sdist("a")
        yard.collect(package)
        other = Yard(yard.folder, **change)
        assert other.collect(package) == [(file("a"), Origin.BUILT)]
        assert yard.collect(package) == [(file("a"), Origin.STORE)]

    @pytest.mark.parametrize(
        "name", ["CFLAGS", "CC", "SOURCE_DATE_EPOCH", "SETUPTOOLS_SCM_PRETEND_VERSION_FOR_A", "CMAKE_ARGS"]
    )
    def test_another_compiler_or_variable_of_a_backend_is_another_wheel(
        self, yard: Yard, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        package = yard.sdist("a")
        monkeypatch.delenv(name, raising=False)
        yard.collect(package)
        monkeypatch.setenv("NOTHING_OF_IT", "1")
        assert yard.collect(package) == [(file("a"), Origin.STORE)]
        monkeypatch.setenv(name, "1000000000")
        assert yard.collect(package) == [(file("a"), Origin.BUILT)]

    @pytest.mark.parametrize(
        ("compiler", "hint"), [(True, "install the compiler and the headers that it needs"), (False, "see above")]
    )
    def test_what_fails(self, yard: Yard, hint: str, *, compiler: bool) -> None:
        yard.builder.error = BuildError("it failed", hint="see above", output=["error: no compiler"])
        yard.builder.error.compiler = compiler
        with pytest.raises(DependencyError, match=r"a 1\.0 has no wheel for CPython .* and cannot be built") as caught:
            yard.collect(yard.sdist("a"))
        assert caught.value.output == ("error: no compiler",)
        assert caught.value.exit_code == 4
        assert caught.value.hint == f"choose a version that has a wheel, or {hint}"
        assert yard.cache.usage() == []

    def test_all_that_fails_for_another_target_is_told(self, tmp_path: Path) -> None:
        yard = Yard(tmp_path, target=target(id="cp311-musllinux_1_2_riscv64"))
        yard.builder.error = BuildError("it failed", hint="see above", output=["error: no compiler"])
        with pytest.raises(DependencyError, match="these have no wheel for CPython") as caught:
            yard.collect(yard.sdist("a"), yard.sdist("b"))
        assert caught.value.message.splitlines()[1:] == ["  a 1.0 cannot be built here", "  b 1.0 cannot be built here"]
        assert caught.value.output == ("error: no compiler",)

    def test_an_sdist_that_is_none(self, yard: Yard) -> None:
        path = yard.folder / "a-1.0.tar.gz"
        path.write_bytes(b"no archive")
        package = {"name": "a", "version": "1.0", "sdist": {"url": path.as_uri(), "hashes": hashes(path)}}
        with pytest.raises(DependencyError, match=r"a-1\.0\.tar\.gz cannot be unpacked"):
            yard.collect(package)

    def test_a_build_of_another_distribution_is_not_taken_from_the_store(self, yard: Yard) -> None:
        package = {"name": "a", "archive": yard.sdist("a")["sdist"]}
        yard.collect(package)
        assert yard.collect({**package, "name": "other"})[0][1] is Origin.BUILT


class TestOffline:
    def test_a_warm_store_is_enough(self, yard: Yard) -> None:
        packages = [yard.wheel("a"), yard.sdist("b")]
        yard.collect(*packages)
        assert yard.collect(*packages, offline=True) == [(file("a"), Origin.STORE), (file("b"), Origin.STORE)]

    def test_what_is_missing_is_told(self, yard: Yard) -> None:
        def remote(name: str, **entry: Any) -> dict[str, Any]:
            return {"name": name, "version": "1.0", **entry}

        away = {"hashes": {"sha256": "ab" * 32}}
        packages = [
            remote("a", wheels=[{"url": f"https://host/{file('a')}", **away}]),
            remote("b", sdist={"url": "https://host/b-1.0.tar.gz", **away}),
            {"name": "c", "vcs": {"type": "git", "url": "https://host/c", "commit-id": "12" * 20}},
        ]
        with pytest.raises(DependencyError, match=r"the wheel cache lacks a 1\.0, b 1\.0, c$") as caught:
            yard.collect(*packages, offline=True)
        assert "no-download" in str(caught.value.hint)

    def test_local_files_and_folders_are_no_download(self, yard: Yard) -> None:
        found = yard.collect(yard.wheel("a"), yard.tree("b"), yard.sdist("c"), offline=True)
        assert [origin for _file, origin in found] == [Origin.FETCHED, Origin.BUILT, Origin.BUILT]
