"""What uv is configured to do: where it is read, and which of it each run of uv is told."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import pytest
from packaging.utils import canonicalize_name

from platter_setuptools.errors import DependencyError, UsageError
from platter_setuptools.resolve.indexes import IndexSettings, for_builds, for_tools
from platter_setuptools.resolve.lock import parse_lock
from platter_setuptools.resolve.pip_config import read_settings
from platter_setuptools.resolve.uv import run_uv, without
from platter_setuptools.resolve.uv_config import UvConfig, read_config
from platter_setuptools.wheels.build_settings import BuildSettings, any_not_isolated, settings_of
from support.fakes import FakeRunner

if TYPE_CHECKING:
    from pathlib import Path

    from platter_setuptools.resolve.lock import Lock

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NAME = canonicalize_name("dep")


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path / "home"), "XDG_CONFIG_DIRS": str(tmp_path / "system")}


class TestReading:
    def test_lists_are_joined_and_the_project_comes_first(self, tmp_path: Path, environ: dict[str, str]) -> None:
        write(tmp_path / "a/pyproject.toml", '[tool.uv]\nno-binary-package = ["a"]\nresolution = "lowest"\n')
        write(
            tmp_path / "home/.config/uv/uv.toml",
            'no-binary-package = ["b"]\nresolution = "highest"\nprerelease = "allow"',
        )
        write(tmp_path / "system/uv/uv.toml", 'no-binary-package = ["c"]\nconfig-settings = {a = "1"}\n')
        assert read_config(tmp_path / "a", environ).table == {
            "no-binary-package": ["a", "b", "c"],
            "resolution": "lowest",
            "prerelease": "allow",
            "config-settings": {"a": "1"},
        }

    def test_uv_toml_counts_instead_of_pyproject_toml(self, tmp_path: Path, environ: dict[str, str]) -> None:
        write(tmp_path / "a/pyproject.toml", '[tool.uv]\nresolution = "lowest"\n')
        write(tmp_path / "a/uv.toml", 'prerelease = "allow"\n')
        assert read_config(tmp_path / "a", environ).table == {"prerelease": "allow"}

    def test_a_folder_above_counts(self, tmp_path: Path, environ: dict[str, str]) -> None:
        write(tmp_path / "a/uv.toml", 'prerelease = "allow"\n')
        write(tmp_path / "a/b/pyproject.toml", '[project]\nname = "b"\n')
        assert read_config(tmp_path / "a/b", environ).table == {"prerelease": "allow"}

    def test_of_a_workspace_the_root_counts(self, tmp_path: Path, environ: dict[str, str]) -> None:
        write(tmp_path / "pyproject.toml", '[tool.uv]\nresolution = "lowest"\nworkspace = {members = ["b"]}\n')
        write(tmp_path / "b/pyproject.toml", '[tool.uv]\nresolution = "highest"\n')
        assert read_config(tmp_path / "b", environ).option("resolution") == "lowest"

    def test_a_file_that_a_variable_names_stands_alone(self, tmp_path: Path, environ: dict[str, str]) -> None:
        write(tmp_path / "uv.toml", 'prerelease = "allow"\n')
        named = write(tmp_path / "other.toml", 'resolution = "lowest"\n')
        found = read_config(tmp_path, {**environ, "UV_CONFIG_FILE": str(named)})
        assert found.table == {"resolution": "lowest"}
        assert read_config(tmp_path, {**environ, "UV_NO_CONFIG": "1"}).table == {}

    def test_paths_start_where_their_file_is(self, tmp_path: Path, environ: dict[str, str]) -> None:
        text = (
            'find-links = ["fl", "https://host/x"]\nindex-url = "simple"\n[[index]]\nurl = "../i"\n[pip]\nfind-links'
            ' = ["p"]\n'
        )
        write(tmp_path / "a/uv.toml", text)
        assert read_config(tmp_path / "a", environ).table == {
            "find-links": [str(tmp_path / "a/fl"), "https://host/x"],
            "index-url": str(tmp_path / "a/simple"),
            "index": [{"url": str(tmp_path / "i")}],
            "pip": {"find-links": [str(tmp_path / "a/p")]},
        }

    def test_no_toml(self, tmp_path: Path, environ: dict[str, str]) -> None:
        write(tmp_path / "uv.toml", "=\n")
        with pytest.raises(UsageError, match=r"uv\.toml is not valid TOML"):
            read_config(tmp_path, environ)

    def test_a_byte_order_mark_is_named(self, tmp_path: Path, environ: dict[str, str]) -> None:
        (tmp_path / "uv.toml").write_bytes(b"\xef\xbb\xbfprerelease = 'allow'\n")
        with pytest.raises(UsageError, match="byte order mark"):
            read_config(tmp_path, environ)


TABLE: dict[str, Any] = {
    "index": [{"name": "own", "url": "https://own/simple", "exclude-newer": "2020-01-01"}],
    "keyring-provider": "subprocess",
    "no-binary-package": ["x"],
    "exclude-newer": "2020-01-01T00:00:00Z",
    "build-constraint-dependencies": ["setuptools<80"],
    "constraint-dependencies": ["setuptools<60"],
    "override-dependencies": ["filelock<1"],
    "exclude-dependencies": ["filelock"],
    "resolution": "lowest",
    "prerelease": "allow",
    "sources": {"x": {"path": "x"}},
    "pip": {"resolution": "lowest", "no-index": True, "no-binary": ["y"]},
}


class TestWhatIsTold:
    def test_tools_are_told_where_distributions_come_from(self) -> None:
        assert tomllib.loads(UvConfig(table=TABLE).toml(builds=False)) == {
            "index": [{"name": "own", "url": "https://own/simple"}],
            "keyring-provider": "subprocess",
            "pip": {"no-index": True},
        }

    def test_builds_are_told_what_uv_tells_them(self) -> None:
        found = tomllib.loads(UvConfig(table=TABLE).toml(builds=True))
        assert found["constraint-dependencies"] == found["build-constraint-dependencies"] == ["setuptools<80"]
        assert found["exclude-newer"] == "2020-01-01T00:00:00Z"
        assert found["pip"] == {"no-index": True, "no-binary": ["y"]}
        assert not {"resolution", "prerelease", "override-dependencies", "exclude-dependencies"} & set(found)

    def test_nothing_is_told_of_nothing(self) -> None:
        assert UvConfig().toml(builds=True) == UvConfig(table={"resolution": "lowest"}).toml(builds=False) == ""

    def test_variables(self) -> None:
        tools, builds = without(builds=False), without(builds=True)
        assert {"UV_RESOLUTION", "UV_OVERRIDE", "UV_CONSTRAINT", "UV_PRERELEASE", "UV_CONFIG_FILE"} <= set(builds)
        assert {"UV_EXCLUDE_NEWER", "UV_NO_BINARY", "UV_BUILD_CONSTRAINT"} <= set(tools) - set(builds)
        assert set(tools.values()) == {None}

    def test_pips_settings(self) -> None:
        options = ["--pre", "--no-binary=:all:", "-C", "a=b", "--no-build-isolation", "--uploaded-prior-to=2020-01-01"]
        settings = read_settings(["-i", "https://own", *options, "--platform=any"], environ={}, config_files=())
        assert for_tools(settings) == IndexSettings(index_url="https://own", pip_arguments=settings.pip_arguments)
        assert for_builds(settings).no_binary == (":all:",)
        assert not for_builds(settings).pre

    def test_paths_in_variables_start_in_the_working_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        here = tmp_path.resolve()
        monkeypatch.setenv("UV_CONSTRAINT", "a.txt /b.txt")
        monkeypatch.setenv("UV_FIND_LINKS", "my wheels,https://host/x")
        monkeypatch.setenv("UV_INDEX", "own=simple https://host/y")
        monkeypatch.setenv("UV_CACHE_DIR", "cache")
        environ: list[dict[str, str | None]] = []

        class Run(FakeRunner):
            def __call__(self, command: Any, **more: Any) -> str:
                environ.append(more["env"])
                return super().__call__(command, **more)

        run_uv(Run(), ["pip", "compile"], cwd=tmp_path / "project", env={"UV_OVERRIDE": None})
        (told,) = environ
        assert told["UV_CONSTRAINT"] == f"{here}/a.txt /b.txt"
        assert told["UV_FIND_LINKS"] == f"{here}/my wheels,https://host/x"
        assert told["UV_INDEX"] == f"own={here}/simple https://host/y"
        assert told["UV_CACHE_DIR"] == f"{here}/cache"
        assert told["UV_WORKING_DIR"] is told["UV_PYTHON"] is told["UV_OVERRIDE"] is None


class TestBuilds:
    def lock(self, tmp_path: Path) -> Lock:
        packages = [{"name": "numpy", "version": "1.26", "vcs": {"type": "git", "url": "https://h", "commit-id": "a"}}]
        data = {"lock-version": "1.0", "created-by": "test", "packages": packages}
        return parse_lock(data, base=tmp_path, where="the lock")

    def of(self, table: dict[str, Any], lock: Lock | None = None, **settings: Any) -> BuildSettings:
        return settings_of(NAME, IndexSettings(**settings), UvConfig(table=table), lock)

    def test_what_is_for_another_is_not_for_this(self) -> None:
        table = {
            "extra-build-dependencies": {"other": ["six"]},
            "extra-build-variables": {"other": {"A": "1"}},
            "config-settings-package": {"other": {"a": "b"}},
            "no-build-isolation-package": ["other"],
        }
        assert self.of(table) == BuildSettings()
        assert any_not_isolated(IndexSettings(), UvConfig(table=table))

    def test_what_is_for_this(self) -> None:
        table = {
            "extra-build-dependencies": {"Dep": ["six"]},
            "extra-build-variables": {"dep": {"A": "1"}},
            "config-settings": {"a": "2", "c": ["d"]},
            "config-settings-package": {"dep": {"a": "3"}},
            "no-build-isolation-package": ["dep"],
        }
        found = self.of(table, config_settings=("a=1",))
        assert found == BuildSettings(
            config_settings={"a": ["1", "2", "3"], "c": ["d"]},
            requires=("six",),
            variables={"A": "1"},
            isolated=False,
        )
        assert found.key != BuildSettings().key

    def test_pips_settings_repeat_keys_and_ours_are_not_for_dependencies(self) -> None:
        pairs = ("a=1", "platter=true", "b=2=3", "a=4", "platter.format=zip", "flag", "a=5")
        assert self.of({}, config_settings=pairs).config_settings == {"a": ["1", "4", "5"], "b": "2=3", "flag": ""}

    def test_the_version_in_the_bundle(self, tmp_path: Path) -> None:
        table = {"extra-build-dependencies": {"dep": [{"requirement": "NumPy[x]", "match-runtime": True}]}}
        assert self.of(table, self.lock(tmp_path)).requires == ("numpy[x]==1.26",)
        with pytest.raises(DependencyError, match=r"extra-build-dependencies of dep: match-runtime"):
            self.of(table)

    def test_no_requirement(self) -> None:
        with pytest.raises(DependencyError, match="'=' is not a requirement") as caught:
            self.of({"extra-build-dependencies": {"dep": ["="]}})
        assert caught.value.hint

    @pytest.mark.parametrize(("value", "isolated"), [("1", False), ("0", True), ("", True)])
    def test_the_variable(self, value: str, isolated: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("UV_NO_BUILD_ISOLATION", value)
        assert self.of({}).isolated is isolated


def test_without_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> str:
        raise FileNotFoundError(os.path.join("bin", "uv"))  # noqa: PTH118

    monkeypatch.setattr("uv.find_uv_bin", missing)
    with pytest.raises(UsageError, match="uv cannot be found") as caught:
        run_uv(FakeRunner(), ["venv"])
    assert caught.value.hint
