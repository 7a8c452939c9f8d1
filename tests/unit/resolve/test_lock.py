"""Locks: read at the border, with errors that name the key; what of them a target takes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from packaging.pylock import PackageDirectory, PackageSdist, PackageWheel

from platter_setuptools.errors import DependencyError, WheelError
from platter_setuptools.resolve.lock import Lock, join, parse_lock, read_lock
from platter_setuptools.targets.description import from_name
from support.fakes import target

if TYPE_CHECKING:
    from collections.abc import Sequence

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HASHES = {"sha256": "ab" * 32}


def lock(*packages: dict[str, Any], base: Path = Path("/base"), **more: Any) -> Lock:
    top = {name.replace("_", "-"): value for name, value in more.items()}
    data = {"lock-version": "1.0", "created-by": "test", "packages": list(packages), **top}
    return parse_lock(data, base=base, where="the lock")


def package(name: str, *wheels: str, sdist: str | None = None, **more: Any) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": name, "version": "1.0", **more}
    if wheels:
        entry["wheels"] = [{"url": f"https://host/{wheel}", "hashes": HASHES} for wheel in wheels]
    if sdist:
        entry["sdist"] = {"url": f"https://host/{sdist}", "hashes": HASHES}
    return entry


def chosen(made: Lock, extras: Sequence[str] = (), **environment: str) -> list[tuple[str, Any]]:
    return [(one.name, artifact) for one, artifact in made.select(target(environment=environment), extras)]


class TestSelect:
    def test_the_best_wheel_is_taken(self) -> None:
        best = str(target().tags[0])
        made = lock(package("a", "a-1.0-py3-none-any.whl", f"a-1.0-{best}.whl", sdist="a-1.0.tar.gz"))
        ((name, artifact),) = chosen(made)
        assert name == "a"
        assert isinstance(artifact, PackageWheel)
        assert str(artifact.url).endswith(f"{best}.whl")

    def test_else_the_sdist(self) -> None:
        ((_name, artifact),) = chosen(lock(package("a", "a-1.0-py2-none-any.whl", sdist="a-1.0.tar.gz")))
        assert isinstance(artifact, PackageSdist)

    def test_else_an_error(self) -> None:
        with pytest.raises(WheelError, match="the lock does not fit CPython") as caught:
            chosen(lock(package("a", "a-1.0-py2-none-any.whl")))
        assert caught.value.exit_code == 5

    def test_markers_are_the_targets(self) -> None:
        made = lock(
            package("a", "a-1.0-py3-none-any.whl", marker="sys_platform == 'win32'"),
            package("b", "b-1.0-py3-none-any.whl", marker="sys_platform == 'plan9'"),
        )
        assert [name for name, _ in chosen(made, sys_platform="plan9")] == ["b"]

    def test_requires_python_is_the_targets(self) -> None:
        made = lock(package("a", "a-1.0-py3-none-any.whl"), requires_python="==3.8.*")
        assert len(chosen(made, python_full_version="3.8.1", python_version="3.8")) == 1
        with pytest.raises(WheelError, match="does not fit"):
            chosen(made, python_full_version="3.9.1", python_version="3.9")

    def test_extras(self) -> None:
        made = lock(package("a", "a-1.0-py3-none-any.whl", marker="'fast' in extras"), extras=["fast"])
        assert chosen(made) == []
        assert len(chosen(made, ["fast"])) == 1

    def test_all_that_does_not_fit_is_listed(self) -> None:
        made = lock(
            package("a", "a-1.0-py3-none-win_amd64.whl"),
            package("b", "b-1.0-py3-none-any.whl"),
            package("c", "c-1.0-py3-none-any.whl", **{"requires-python": ">=99"}),
        )
        with pytest.raises(WheelError, match="the lock does not fit") as caught:
            chosen(made)
        first, second = caught.value.message.splitlines()[1:]
        assert "'c' 1.0" in first  # Requires-Python is looked at before wheels are
        assert "'a' 1.0" in second
        assert "packages[" not in caught.value.message

    def test_a_long_lock_of_which_nothing_fits(self) -> None:
        made = lock(*(package(f"p{number}", f"p{number}-1.0-py3-none-win_amd64.whl") for number in range(1_200)))
        with pytest.raises(WheelError, match="the lock does not fit") as caught:
            chosen(made)
        assert len(caught.value.message.splitlines()) == 1 + 1_200

    def test_a_lock_that_was_resolved_for_what_is_asked(self) -> None:
        made = lock(package("a", "a-1.0-py3-none-any.whl"))
        assert [one.name for one, _artifact in made.select(target(), ["Fast"], ["prod"])] == ["a"]

    def test_groups_and_the_lock_s_own_default_ones(self) -> None:
        entries = [
            package(name, f"{name}-1.0-py3-none-any.whl", marker=f"'{name}' in dependency_groups") for name in "abc"
        ]
        made = lock(*entries, dependency_groups=["a", "b", "c"], default_groups=["a"])
        assert [name for name, _artifact in chosen(made)] == ["a"]
        assert [one.name for one, _artifact in made.select(target(), groups=["b"])] == ["a", "b"]


class TestJoin:
    """One lock of those for several targets, and what it says of itself."""

    OLD = target(version="3.9", environment={"python_version": "3.9", "python_full_version": "3.9.18"})
    NEW = target(version="3.13", environment={"python_version": "3.13", "python_full_version": "3.13.2"})

    def joined(self, old: Sequence[dict[str, Any]], new: Sequence[dict[str, Any]]) -> Lock:
        of_each = [(self.OLD, lock(*old, requires_python=">=3.9")), (self.NEW, lock(*new, requires_python=">=3.13"))]
        return join(of_each, Path("/new"))

    def test_each_takes_what_it_took(self) -> None:
        common = package("b", "b-1.0-py3-none-any.whl")
        old = package("a", "a-1.0-py3-none-any.whl", version="1.0")
        new = package("a", "a-2.0-py3-none-any.whl", version="2.0")
        only = package("c", "c-1.0-py3-none-any.whl")
        made = self.joined([old, common], [common, new, only])
        assert [(one.name, str(one.version), one.marker and str(one.marker)) for one in made.pylock.packages] == [
            ("a", "1.0", 'python_version == "3.9"'),
            ("a", "2.0", 'python_version == "3.13"'),
            ("b", "1.0", None),
            ("c", "1.0", 'python_version == "3.13"'),
        ]
        assert str(made.pylock.requires_python) == ">=3.9"
        for one, expected in ((self.OLD, ["a 1.0", "b 1.0"]), (self.NEW, ["a 2.0", "b 1.0", "c 1.0"])):
            assert [f"{taken.name} {taken.version}" for taken, _ in made.select(one)] == expected

    def test_wheels_of_one_distribution_come_together(self) -> None:
        pure = "a-1.0-py3-none-any.whl"
        old = package("a", "a-1.0-cp39-cp39-linux_x86_64.whl", pure, sdist="a-1.0.tar.gz")
        new = package("a", "a-1.0-cp313-cp313-linux_x86_64.whl", pure, sdist="a-1.0.tar.gz")
        (entry,) = self.joined([old], [new]).pylock.packages
        assert entry.marker is None
        tags = [wheel.filename.split("-")[2] for wheel in entry.wheels or ()]
        assert tags == ["cp39", "py3", "cp313"]

    def test_a_wheel_for_one_and_a_source_for_the_other(self) -> None:
        made = self.joined([package("a", sdist="a-1.0.tar.gz")], [package("a", "a-1.0-py3-none-any.whl")])
        kinds = [type(artifact) for one in (self.OLD, self.NEW) for _, artifact in made.select(one)]
        assert kinds == [PackageSdist, PackageWheel]

    def test_it_is_for_them_and_no_others(self) -> None:
        made = self.joined([package("a", "a-1.0-py3-none-any.whl")], [])
        read = parse_lock(tomllib.loads(made.as_toml(Path("/new"))), base=Path("/new"), where="what was written")
        assert [len(list(read.select(one))) for one in (self.OLD, self.NEW)] == [1, 0]
        away = {**self.OLD.environment, "sys_platform": "plan9"}
        between = {**self.OLD.environment, "python_version": "3.10", "python_full_version": "3.10.1"}
        for environment in (away, between):
            with pytest.raises(WheelError, match="does not satisfy any of the environments"):
                list(read.select(target(version="3.10", environment=environment)))

    def test_targets_that_no_marker_tells_apart(self) -> None:
        free = target(**{field: getattr(self.NEW, field) for field in ("version", "environment")}, free_threaded=True)
        common = package("b", "b-1.0-py3-none-any.whl")
        of_each = [
            (one, lock(package("a", f"a-{version}-py3-none-any.whl", version=version), common))
            for one, version in ((self.NEW, "1.0"), (free, "2.0"))
        ]
        made = join(of_each, Path("/"))
        assert len(made.pylock.environments or ()) == 1
        with pytest.raises(WheelError, match=r"Multiple packages with the name 'a' are selected 2\.0 and 1\.0"):
            list(made.select(free))

    def test_paths_start_at_the_new_place(self) -> None:
        folder = {"name": "a", "directory": {"path": "../lib"}}
        of_each = [(one, lock(folder, base=Path(base))) for one, base in ((self.OLD, "/one/x"), (self.NEW, "/two/x"))]
        made = join(of_each, Path("/one"))
        ((_, first),) = made.select(self.OLD)
        ((_, second),) = made.select(self.NEW)
        assert isinstance(first, PackageDirectory)
        assert isinstance(second, PackageDirectory)
        assert [first.path, second.path] == ["lib", "../two/lib"]


class TestPlaces:
    def test_a_url_stays_as_it_is(self) -> None:
        ((_name, artifact),) = chosen(lock(package("a", "a-1.0-py3-none-any.whl")))
        assert lock().url_of(artifact) == "https://host/a-1.0-py3-none-any.whl"

    def test_a_path_starts_at_the_locks_folder(self, tmp_path: Path) -> None:
        entry = {"name": "a", "version": "1.0", "wheels": [{"path": "w x/a-1.0-py3-none-any.whl", "hashes": HASHES}]}
        made = lock(entry, base=tmp_path)
        ((_name, artifact),) = chosen(made)
        assert made.url_of(artifact) == f"{tmp_path.as_uri()}/w%20x/a-1.0-py3-none-any.whl"

    @pytest.mark.parametrize(
        ("written", "expected"),
        [
            ("../elsewhere", "/elsewhere"),
            ("lib", "/base/lib"),
            ("/srv/lib", "/srv/lib"),
            ("file:///srv/my%20lib", "/srv/my lib"),
        ],
    )
    def test_folders(self, written: str, expected: str) -> None:
        made = lock({"name": "a", "directory": {"path": written}})
        ((_name, artifact),) = chosen(made)
        assert isinstance(artifact, PackageDirectory)
        assert made.folder_of(artifact) == Path(expected)


class TestWriting:
    def test_paths_start_at_the_new_place(self) -> None:
        made = lock(
            {"name": "a", "directory": {"path": "../lib"}},
            {"name": "b", "directory": {"path": "file:///srv/my%20b"}},
            {"name": "c", "version": "1.0", "sdist": {"path": "c-1.0.tar.gz", "hashes": HASHES}},
            base=Path("/build/work"),
        )
        data = tomllib.loads(made.as_toml(Path("/build")))
        a, b, c = data["packages"]
        assert a["directory"]["path"] == "lib"
        assert b["directory"]["path"] == "../srv/my b"
        assert c["sdist"]["path"] == "work/c-1.0.tar.gz"
        assert parse_lock(data, base=Path("/build"), where="the new one").folder_of(
            PackageDirectory(path=b["directory"]["path"])
        ) == Path("/srv/my b")

    def test_no_password_is_written(self) -> None:
        wheel = {"url": "https://me:s3cr3t@host/a-1.0-py3-none-any.whl", "hashes": HASHES}
        made = lock(
            {"name": "a", "version": "1.0", "index": "https://me:s3cr3t@host/simple", "wheels": [wheel]},
            {"name": "b", "vcs": {"type": "git", "url": "ssh://git@host/b", "commit-id": "00"}},
        )
        text = made.as_toml(Path("/"))
        assert "s3cr3t" not in text
        assert "ssh://git@host/b" in text

    def test_limits(self) -> None:
        local = {"name": "a", "version": "1.0", "sdist": {"url": "file:///srv/a-1.0.tar.gz", "hashes": HASHES}}
        made = lock(
            local,
            package("b", "b-1.0-cp311-cp311-manylinux_2_17_x86_64.whl"),
            package("c", "c-1.0-cp311-cp311-manylinux_2_17_x86_64.whl", sdist="c-1.0.tar.gz"),
            package("d", "d-1.0-cp311-cp311-win_amd64.whl", marker="sys_platform == 'win32'"),
            package("e", "e-1.0-cp311-cp311-macosx_11_0_arm64.whl", marker="sys_platform == 'darwin'"),
            package("f", "f-1.0-py3-none-any.whl"),
        )
        here = ["a is a file of this machine: file:///srv/a-1.0.tar.gz"]
        assert list(made.limits(universal=False)) == here
        assert list(made.limits(universal=True)) == [*here, "b 1.0 has neither a wheel nor a source for macOS"]


class TestReading:
    def test_toml(self, tmp_path: Path) -> None:
        path = tmp_path / "pylock.toml"
        path.write_text('lock-version = "1.0"\ncreated-by = "test"\npackages = []\n')
        made = read_lock(path)
        assert (made.base, list(made.select(target()))) == (tmp_path, [])

    @pytest.mark.parametrize("content", [b"[", b"\xff\xfe", b"a = "])
    def test_not_toml(self, content: bytes, tmp_path: Path) -> None:
        path = tmp_path / "pylock.toml"
        path.write_bytes(content)
        with pytest.raises(DependencyError, match=r"pylock\.toml is not valid TOML"):
            read_lock(path)

    def test_unreadable(self, tmp_path: Path) -> None:
        (tmp_path / "pylock.toml").mkdir()
        with pytest.raises(DependencyError, match=r"pylock\.toml cannot be read: it is not a file"):
            read_lock(tmp_path / "pylock.toml")

    @pytest.mark.parametrize(
        ("entry", "where"),
        [
            ({"name": "A_b", "version": "1"}, r"packages\[0\]\.name"),
            ({"name": "a", "version": "one"}, r"packages\[0\]\.version"),
            (
                {"name": "a", "wheels": [{"url": "https://h/a-1-py3-none-any.whl", "hashes": {}}]},
                r"wheels\[0\]\.hashes",
            ),
            ({"name": "a", "wheels": [{"url": "https://h/a.whl"}]}, r"wheels\[0\]"),
            ({"name": "a", "marker": "nonsense"}, r"packages\[0\]\.marker"),
        ],
    )
    def test_errors_name_the_key(self, entry: dict[str, Any], where: str) -> None:
        with pytest.raises(DependencyError, match=f"(?s)the lock is not a valid lock.*{where}") as caught:
            lock(entry)
        assert caught.value.exit_code == 4
        assert ("without a hash" in str(caught.value.hint)) == ("wheels" in entry)

    def test_a_version_of_the_format_that_is_to_come(self) -> None:
        with pytest.raises(DependencyError, match=r"2\.0 is not supported"):
            parse_lock({"lock-version": "2.0", "created-by": "x", "packages": []}, base=Path(), where="it")

    def test_no_password_in_errors(self) -> None:
        with pytest.raises(DependencyError) as caught:
            lock({"name": "a", "marker": "https://user:secret@host/"})
        assert "secret" not in caught.value.message


def test_of_wheels_that_differ_in_their_build_tag_the_highest_is_taken(tmp_path: Path) -> None:
    names = [f"dep-1.0-{build}py3-none-any.whl" for build in ("", "2-", "10-", "1-")]
    wheels = [{"url": f"https://host/{name}", "hashes": {"sha256": "ab" * 32}} for name in names]
    data = {
        "lock-version": "1.0",
        "created-by": "test",
        "packages": [{"name": "dep", "version": "1.0", "wheels": wheels}],
    }
    ((_, artifact),) = parse_lock(data, base=tmp_path, where="it").select(target())
    assert isinstance(artifact, PackageWheel)
    assert artifact.filename == "dep-1.0-10-py3-none-any.whl"


def test_a_marker_that_is_not_known_of_the_target() -> None:
    server = from_name("cp312-manylinux_2_28_aarch64")
    made = lock(
        package("a", "a-1.0-py3-none-any.whl", marker="sys_platform == 'win32' and platform_release == '10'"),
        package("b", "b-1.0-py3-none-any.whl", marker="'x' in extras or sys_platform == 'linux'"),
    )
    assert [one.name for one, _ in made.select(server)] == ["b"]
    made = lock(package("a", "a-1.0-py3-none-any.whl", marker="platform_release >= '6'"))
    with pytest.raises(DependencyError, match=r"whether a 1\.0 is required cannot be said: platform_release"):
        list(made.select(server))
