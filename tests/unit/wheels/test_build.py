"""Building wheels and making environments: what the backend and the tools are asked for."""

from __future__ import annotations

import json
import os
import stat
import threading
import warnings
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest

from platter_setuptools.errors import CommandError, InterruptedBuildError, PlatterError
from platter_setuptools.runtime.concurrency import Background
from platter_setuptools.values import Origin
from platter_setuptools.wheels.build import BuildError, WheelBuilder
from platter_setuptools.wheels.build_settings import BuildSettings
from platter_setuptools.wheels.environments import Environment, Environments, install_wheels
from platter_setuptools.wheels.metadata import open_wheel
from support import handmade, projects
from support.fakes import Call, FakeRunner, failing, target

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from platter_setuptools.runtime.processes import Runner
    from platter_setuptools.values import Wheel

HERE = target()
PYPROJECT = '[build-system]\nrequires = ["backend>=1"]\nbuild-backend = "backend.api"\n'


@pytest.fixture(autouse=True)
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where builds that fail leave what they said."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "platter" / "log"


@pytest.fixture(autouse=True)
def same_warnings() -> Iterator[None]:
    """What a build does to the warning filters stays in its test."""
    with warnings.catch_warnings():
        yield


class Backend(FakeRunner):
    """Plays uv and the process that pypa/build talks to the backend in."""

    requires: tuple[str, ...] = ()
    asked: list[dict[str, Any]]  # what each hook was called with
    error: Exception | None = None
    git: Mapping[str, str] = MappingProxyType({})  # what git says, by its command

    def __init__(self) -> None:
        super().__init__()
        self.asked = []

    def __call__(self, command: Any, **more: Any) -> str:
        super().__call__(command, **more)
        call = self.calls[-1]
        if "_in_process" in " ".join(call.command):
            self.hook(call)
        return next((said for command, said in self.git.items() if command in call.command), "")

    def hook(self, call: Call) -> None:
        if self.error:
            raise self.error
        name, control = call.command[-2:]
        asked = json.loads(Path(control, "input.json").read_text())["kwargs"]
        self.asked.append(asked)
        assert call.cwd
        (call.cwd / "src" / "app.egg-info").mkdir(parents=True, exist_ok=True)
        if name == "build_wheel":
            made: object = handmade.wheel(Path(asked["wheel_directory"]), "app").name
        else:
            made = list(self.requires)
        Path(control, "output.json").write_text(json.dumps({"return_val": made, "unsupported": False}))

    @property
    def hooks(self) -> list[Call]:
        return [call for call in self.calls if "_in_process" in " ".join(call.command)]


def builder(tmp_path: Path, run: Runner, **more: Any) -> tuple[WheelBuilder, list[list[str]]]:
    """A builder, and what it asks to be installed."""
    wanted: list[list[str]] = []

    def wheels_for(requirements: Collection[str]) -> list[Wheel]:
        wanted.append(sorted(requirements))
        return [open_wheel(handmade.wheel(tmp_path / "links", "backend"), Origin.STORE)]

    folder = tmp_path / "work" / "env"
    environments = Environments(
        host=HERE,
        run=run,
        folder=folder,
        wheels_for=wheels_for,
        bytecode_for=lambda _wheels: [],
        background=Background(),
    )
    values: dict[str, Any] = {"shared": None, **more}
    (tmp_path / "work").mkdir(parents=True)
    return WheelBuilder(environments=environments, run=run, work=tmp_path / "work", **values), wanted


def tree(tmp_path: Path, pyproject: str = PYPROJECT) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(pyproject)
    return folder


class TestBuild:
    def test_in_isolation(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
        monkeypatch.delenv("DIST_EXTRA_CONFIG", raising=False)
        run = Backend()
        run.requires = ("more",)
        made, wanted = builder(tmp_path, run)
        source = tree(tmp_path)
        path = made.build(source, tmp_path / "out")
        assert path == tmp_path / "out" / "app-1.0-py3-none-any.whl"
        assert wanted == [["backend>=1"], ["backend>=1", "more"]]
        environments = [call for call in run.calls if "venv" in call.command]
        assert [call.after("--python") for call in environments] == [[str(HERE.executable)]] * 2
        assert [call.command[-2] for call in run.hooks] == ["get_requires_for_build_wheel", "build_wheel"]
        for call, environment in zip(run.hooks, environments, strict=True):
            assert call.command[0] == str(Path(environment.command[-1]) / "bin" / "python")
            assert call.cwd == source
            assert "SOURCE_DATE_EPOCH" not in call.env  # the user says nothing, and git knows no commit
            assert call.env["CPPFLAGS"].endswith(f" -fdebug-prefix-map={source}=.")
            assert Path(call.env["DIST_EXTRA_CONFIG"]).is_relative_to(tmp_path / "work")
            assert call.env["PATH"].startswith(str(Path(environment.command[-1]) / "bin"))
        assert sorted(one.name for one in source.iterdir()) == ["pyproject.toml", "src"]
        assert list((source / "src").iterdir()) == []

    def test_the_time_of_a_commit_is_told_to_backends(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
        run = Backend()
        run.git = {
            "ls-files": "pyproject.toml\n",
            "describe": f"{'ab' * 20}\n",
            "rev-list": f"1700000000 {'ab' * 20}\n",
        }
        made, _wanted = builder(tmp_path, run)
        source = tree(tmp_path)
        path = made.build(source, tmp_path / "out")
        assert {call.env["SOURCE_DATE_EPOCH"] for call in run.hooks} == {"1700000000"}
        with zipfile.ZipFile(path) as archive:  # which is not the time that the files bear
            assert {one.date_time for one in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        made.build(source, tmp_path / "out", BuildSettings(variables={"SOURCE_DATE_EPOCH": "5"}))
        assert run.hooks[-1].env["SOURCE_DATE_EPOCH"] == "5"
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "1600000000")
        made.build(source, tmp_path / "out")
        assert run.hooks[-1].env["SOURCE_DATE_EPOCH"] == "1600000000"

    def test_builds_that_require_the_same_share_an_environment(self, tmp_path: Path) -> None:
        run = Backend()
        made, wanted = builder(tmp_path, run)
        folders = [tmp_path / f"{number}" for number in range(4)]
        for folder in folders:
            folder.mkdir()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda folder: made.build(tree(folder), folder / "out"), folders))
        assert wanted == [["backend>=1"]]
        assert len({call.command[0] for call in run.hooks}) == 1

    def test_egg_info_that_was_there_stays(self, tmp_path: Path) -> None:
        made, _wanted = builder(tmp_path, Backend())
        source = tree(tmp_path)
        (source / "src" / "app.egg-info").mkdir(parents=True)
        made.build(source, tmp_path / "out")
        assert (source / "src" / "app.egg-info").is_dir()

    def test_without_isolation(self, tmp_path: Path) -> None:
        run = Backend()
        run.requires = ("more",)
        made, wanted = builder(tmp_path, run, shared=lambda: Environment(tmp_path / "shared"))
        made.build(tree(tmp_path), tmp_path / "out", BuildSettings(isolated=False))
        assert wanted == []
        assert [call.command[-2] for call in run.hooks] == ["build_wheel"]
        assert run.hooks[0].command[0] == str(tmp_path / "shared" / "bin" / "python")

    def test_what_the_user_says(self, tmp_path: Path) -> None:
        run = Backend()
        run.requires = ("more",)
        made, wanted = builder(tmp_path, run)
        settings = BuildSettings(
            config_settings={"a": "b"}, requires=("six",), variables={"SETTING": "1", "CPPFLAGS": "-DX"}
        )
        made.build(tree(tmp_path), tmp_path / "out", settings)
        assert wanted == [["backend>=1", "six"], ["backend>=1", "more", "six"]]
        assert [one["config_settings"] for one in run.asked] == [{"a": "b"}] * 2
        for call in run.hooks:
            assert call.env["SETTING"] == "1"
            assert call.env["CPPFLAGS"].startswith("-DX -fdebug")

    def test_nothing_required_nothing_installed(self, tmp_path: Path) -> None:
        made, wanted = builder(tmp_path, Backend())
        pyproject = '[build-system]\nrequires = []\nbuild-backend = "api"\nbackend-path = ["."]\n'
        source = tree(tmp_path, pyproject)
        (source / "api.py").touch()
        made.build(source, tmp_path / "out")
        assert wanted == []

    def test_the_users_own_extra_configuration(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        mine = tmp_path / "mine.cfg"
        mine.write_text("[build]\nbuild_base = %(there)s\n[build_ext]\nDefine = X\n")
        monkeypatch.setenv("DIST_EXTRA_CONFIG", str(mine))
        read: list[str] = []

        class Reader(Backend):
            def hook(self, call: Call) -> None:
                read.append(Path(call.env["DIST_EXTRA_CONFIG"]).read_text())
                super().hook(call)

        builder(tmp_path, Reader())[0].build(tree(tmp_path), tmp_path / "out")
        assert "build_base = %(there)s\n" in read[-1]
        assert "[build_ext]\ndefine = X\n" in read[-1]
        assert "egg_base = " in read[-1]
        mine.write_text("this is none")
        run = Backend()
        builder(tmp_path / "again", run)[0].build(tmp_path / "tree", tmp_path / "out")
        assert {call.env["DIST_EXTRA_CONFIG"] for call in run.hooks} == {str(mine)}

    def test_an_egg_info_of_the_users_counts_and_stays_as_it_is(self, tmp_path: Path) -> None:
        made, _wanted = builder(tmp_path, run := Backend())
        source = tree(tmp_path)
        projects.write(source, {"src/app.egg-info/SOURCES.txt": "src/app/data.txt\n"})
        made.build(source, tmp_path / "out")
        config = Path(run.hooks[-1].env["DIST_EXTRA_CONFIG"])
        assert (config.parent / "egg-info" / "app.egg-info" / "SOURCES.txt").read_text() == "src/app/data.txt\n"


class TestFailure:
    def fail(self, tmp_path: Path, run: Runner, pyproject: str = PYPROJECT) -> BuildError:
        with pytest.raises(BuildError) as caught:
            builder(tmp_path, run)[0].build(tree(tmp_path, pyproject), tmp_path / "out")
        return caught.value

    def test_the_backend(self, tmp_path: Path, logs: Path) -> None:
        run = Backend()
        run.error = CommandError(
            "failed", returncode=1, output=["error: no compiler"], said=["cc x.c", "error: no compiler", "much more"]
        )
        error = self.fail(tmp_path, run)
        log = logs / "tree.log"
        assert error.message == f"its build backend failed; all that it said is in {log}"
        assert error.output == ("error: no compiler",)
        assert log.read_text() == "cc x.c\nerror: no compiler\nmuch more\n"
        assert stat.S_IMODE(log.stat().st_mode) == 0o600
        run.error = None
        (tmp_path / "again").mkdir()
        builder(tmp_path / "again", run)[0].build(tmp_path / "tree", tmp_path / "out")
        assert not log.exists()

    def test_nowhere_to_keep_what_was_said(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_STATE_HOME", os.devnull)
        run = Backend()
        run.error = CommandError("failed", returncode=1, output=["error: no compiler"])
        assert self.fail(tmp_path, run).message == "its build backend failed"

    def test_the_backend_without_a_word(self, tmp_path: Path) -> None:
        run = Backend()
        run.error = CommandError("ended with exit status 3", returncode=3, output=[])
        assert "exit status 3" in self.fail(tmp_path, run).message

    def test_the_environment(self, tmp_path: Path) -> None:
        error = self.fail(tmp_path, failing("uv says no"))
        assert error.message.startswith("its build environment cannot be made")
        assert error.output == ("uv says no",)

    @pytest.mark.parametrize(
        "pyproject", ["[build-system", "[build-system]\n", '[build-system]\nrequires = "x"\n', "build-system = 1\n"]
    )
    def test_the_configuration(self, pyproject: str, tmp_path: Path) -> None:
        assert "its pyproject.toml cannot be used" in self.fail(tmp_path, Backend(), pyproject).message

    def test_an_interruption_is_no_failure_of_the_backend(self, tmp_path: Path) -> None:
        run = Backend()
        run.error = InterruptedBuildError("stopped")
        with pytest.raises(InterruptedBuildError):
            builder(tmp_path, run)[0].build(tree(tmp_path), tmp_path / "out")


def environments(
    folder: Path, run: Runner, wheels: list[Wheel], bytecode_for: Callable[[Sequence[Wheel]], list[Path]]
) -> Environments:
    return Environments(
        host=HERE,
        run=run,
        folder=folder,
        wheels_for=lambda _requirements: wheels,
        bytecode_for=bytecode_for,
        background=Background(),
    )


class TestEnvironments:
    def test_active(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "/usr/bin")
        one = Environment(tmp_path)
        assert one.make_extra_environ() == {
            "VIRTUAL_ENV": str(tmp_path),
            "PATH": f"{tmp_path}/bin{os.pathsep}/usr/bin",
        }
        monkeypatch.delenv("PATH")
        assert one.make_extra_environ()["PATH"].startswith(f"{tmp_path}/bin{os.pathsep}")

    def test_requirements_are_resolved_while_it_is_made(self, tmp_path: Path) -> None:
        asked = threading.Event()

        def answer(call: Call) -> str:
            assert "venv" not in call.command or asked.wait(30)
            return ""

        def wheels_for(_requirements: Collection[str]) -> list[Wheel]:
            asked.set()
            return []

        run, background = FakeRunner(answer), Background()
        made = Environments(
            host=HERE,
            run=run,
            folder=tmp_path,
            wheels_for=wheels_for,
            bytecode_for=lambda _wheels: [],
            background=background,
        )
        made.having(["backend"])
        assert ["venv" in call.command for call in run.calls] == [True, False]

    def test_what_was_used_before_comes_with_its_bytecode(self, tmp_path: Path) -> None:
        old = open_wheel(handmade.wheel(tmp_path, "old"), Origin.STORE)
        new = open_wheel(handmade.wheel(tmp_path, "new"), Origin.FETCHED)
        with zipfile.ZipFile(tmp_path / "bytecode.zip", "w") as archive:
            archive.writestr("pkg/__pycache__/mod.pyc", "code")
            archive.writestr("RECORD", "")

        def answer(call: Call) -> str:
            if "venv" in call.command:
                Path(call.command[-1], "lib", "python3.11", "site-packages").mkdir(parents=True)
            return ""

        def bytecode_for(wheels: Sequence[Wheel]) -> list[Path]:
            assert wheels == [old]
            return [tmp_path / "bytecode.zip"]

        made = environments(tmp_path, FakeRunner(answer), [old, new], bytecode_for).having(["backend"])
        (path,) = (path for path in made.folder.rglob("*") if path.is_file())
        assert path == made.folder / "lib/python3.11/site-packages/pkg/__pycache__/mod.pyc"

    def test_bytecode_beside_what_uv_installs(self, tmp_path: Path) -> None:
        packages = tmp_path / "lib" / "python3.11" / "site-packages"
        (packages / "pkg" / "__pycache__").mkdir(parents=True)
        cached = tmp_path / "in uv's cache"
        cached.write_text("of the wheel")
        (packages / "pkg/__pycache__/own.pyc").hardlink_to(cached)
        with zipfile.ZipFile(tmp_path / "bytecode.zip", "w") as archive:
            for name in ("pkg/__pycache__/own.pyc", "pkg/__pycache__/mod.pyc", "../../../../outside.pyc"):
                archive.writestr(name, "code")
        Environment(tmp_path).add_bytecode([tmp_path / "bytecode.zip"])
        assert cached.read_text() == "of the wheel"
        assert (packages / "pkg/__pycache__/mod.pyc").read_text() == "code"
        assert not list(tmp_path.parent.glob("outside.pyc"))

    def test_a_build_needs_no_bytecode(self, tmp_path: Path) -> None:
        def bytecode_for(_wheels: Sequence[Wheel]) -> list[Path]:
            raise PlatterError("compiling failed", hint="do without")

        made = environments(tmp_path, FakeRunner(), [], bytecode_for).having(["backend"])
        assert not list(made.folder.rglob("*.pyc"))

    def test_installing_needs_no_network(self, tmp_path: Path) -> None:
        run = FakeRunner()
        wheel = open_wheel(handmade.wheel(tmp_path), Origin.STORE)
        install_wheels(Environment(tmp_path), [wheel], run)
        (call,) = run.calls
        assert {"--offline", "--no-index", "--no-deps", "--no-config"} <= set(call.command)
        assert call.command[-2:] == ("--", f"tiny @ {wheel.path.as_uri()}")
