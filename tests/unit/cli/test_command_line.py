"""The command line, with a main flow that makes nothing: what it is asked for, and what becomes of its errors."""

from __future__ import annotations

import json
import os
import runpy
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

import platter_setuptools
from platter_setuptools import assemble as main_flow
from platter_setuptools.cli import command_line
from platter_setuptools.config.options import OPTIONS, Kind, Options
from platter_setuptools.errors import (
    ArchiveError,
    DependencyError,
    InterruptedBuildError,
    PlatterError,
    ProjectBuildError,
    ScriptError,
    UsageError,
    WheelError,
)
from platter_setuptools.runtime.signals import Stopped
from platter_setuptools.values import Artifact
from support import handmade

if TYPE_CHECKING:
    from collections.abc import Callable


class MainFlow:
    """Stands where `assemble` does, and keeps what it is asked for."""

    def __init__(self) -> None:
        self.options: Options | None = None
        self.source: Path | None = None
        self.error: BaseException | None = None

    def __call__(self, options: Options, *, source: Path, **_more: Any) -> Artifact:
        self.options, self.source = options, source
        if self.error:
            raise self.error
        return Artifact(path=options.output / "app.tar.gz", size=1, sha256=None, wheels={}, seconds=0.1)


@pytest.fixture
def assembled(monkeypatch: pytest.MonkeyPatch) -> MainFlow:
    for name in list(os.environ):
        if name.startswith("PLATTER_"):
            monkeypatch.delenv(name)
    stub = MainFlow()
    monkeypatch.setattr(main_flow, "assemble", stub)
    return stub


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    (folder / "src" / "deep").mkdir(parents=True)
    (folder / "pyproject.toml").write_text("[project]\nname = 'app'\n")
    monkeypatch.chdir(folder)
    return folder


def as_json(capsys: pytest.CaptureFixture[str], command: str, *words: str) -> dict[str, Any]:
    """Run a command with --json; return its result, which follows the schema."""
    assert command_line.main([command, "--json", *words]) == 0
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    docs = Path(__file__).parents[3] / "docs"
    jsonschema.validate(result, json.loads((docs / f"{command}.schema.json").read_text()))
    return result


class TestConfig:
    @pytest.mark.usefixtures("assembled")
    def test_json(self, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
        options = ["--extras=one,two", "--no-pip", "--pip-option=--index-url=https://me:secret@host/"]
        result = as_json(capsys, "config", *options)
        assert list(result) == [option.name for option in OPTIONS]
        assert result["extras"] == {"value": ["one", "two"], "place": "the command line --extras"}
        assert result["no-pip"]["value"] is True
        assert result["output"] == {"value": f"{project / 'dist'}", "place": "default"}
        assert result["lock"] == {"value": None, "place": "not set"}
        assert "secret" not in str(result)

    @pytest.mark.usefixtures("assembled", "project")
    def test_json_of_a_contradiction_is_nothing(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert command_line.main(["config", "--json", "--quiet", "--verbose"]) == 2
        assert capsys.readouterr().out == ""


class TestBuild:
    def test_nothing_but_the_path_on_stdout(
        self, assembled: MainFlow, project: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert command_line.main(["build"]) == 0
        assert capsys.readouterr() == (f"{project / 'dist' / 'app.tar.gz'}\n", "")
        assert assembled.options == Options(output=project / "dist")
        assert assembled.source == project

    @pytest.mark.usefixtures("assembled")
    def test_json(self, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
        result = as_json(capsys, "build")
        assert (result["path"], result["sha256"]) == (f"{project / 'dist' / 'app.tar.gz'}", None)
        assert result["wheels"] == {"project": 0, "store": 0, "fetched": 0, "built": 0}

    @pytest.mark.usefixtures("project")
    def test_json_of_a_failure_is_nothing(self, assembled: MainFlow, capsys: pytest.CaptureFixture[str]) -> None:
        assembled.error = WheelError("a wheel does not fit", hint="build it again")
        assert command_line.main(["build", "--json"]) == 5
        output, errors = capsys.readouterr()
        assert output == ""
        assert "a wheel does not fit" in errors

    def test_the_closest_project_is_found(
        self, assembled: MainFlow, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(project / "src" / "deep")
        assert command_line.main(["build"]) == 0
        assert assembled.source == project
        assert assembled.options
        assert assembled.options.output == project / "src" / "deep" / "dist"

    def test_every_option(self, assembled: MainFlow, project: Path) -> None:
        for name in ("r.txt", "c.txt", "pre", "post", "r 2.txt"):
            (project / name).touch()
        words = [
            *("-o", "out", "-p", "3.12", "--format", "zip", "-r", "r.txt", "--extras", "a,b", "--extra", "c"),
            *("-c", "c.txt", "--resolver", "pip", "--pip-option=--pre", "--pip-option=--no-binary=x"),
            *("--virtualenv-version", "20.1", "--wheel-version", ">=1", "--prebuild-script", "pre"),
            *(
                "--postbuild-script",
                "post",
                "--wheel-cache",
                "cache",
                "--no-download",
                "--no-bytecode",
                "--no-pip",
                "-q",
            ),
        ]
        assert command_line.main(["build", ".", *words, "-r", "r 2.txt"]) == 0
        assert assembled.options == Options(
            output=project / "out",
            python=("3.12",),
            format="zip",
            requirements=(project / "r.txt", project / "r 2.txt"),
            extras=("a", "b", "c"),
            constraints=(project / "c.txt",),
            resolver="pip",
            pip_option=("--pre", "--no-binary=x"),
            pip_option_base=project,
            virtualenv_version="20.1",
            wheel_version=">=1",
            prebuild_script=project / "pre",
            postbuild_script=project / "post",
            wheel_cache=project / "cache",
            no_download=True,
            no_bytecode=True,
            no_pip=True,
            quiet=True,
        )

    def test_precedence(self, assembled: MainFlow, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (project / "pyproject.toml").write_text(
            "[tool.platter]\npython = 'toml'\nformat = 'zip'\nextras = ['toml']\nresolver = 'pip'\n"
        )
        (project / "setup.cfg").write_text("[bdist_platter]\npython = cfg\nformat = tar\nextras = cfg\n")
        monkeypatch.setenv("PLATTER_BUILD_PYTHON", "environment")
        monkeypatch.setenv("PLATTER_BUILD_FORMAT", "tar.xz")
        assert command_line.main(["build", "-p", "line"]) == 0
        options = assembled.options
        assert options
        assert (options.python, options.format, options.extras, options.resolver) == (
            ("line",),
            "tar.xz",
            ("cfg",),
            "pip",
        )

    def test_a_finished_wheel(self, assembled: MainFlow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        wheel = handmade.wheel(tmp_path / "wheels", "app")
        monkeypatch.chdir(tmp_path)
        (tmp_path / "wheels" / "pyproject.toml").write_text("[tool.platter]\nformat = 'zip'\n")
        assert command_line.main(["build", str(wheel.relative_to(tmp_path))]) == 0
        assert assembled.source == wheel.parent
        assert assembled.options
        assert assembled.options.format == "tar.gz"

    def test_no_project(self, assembled: MainFlow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        assert not any((folder / "setup.py").exists() for folder in tmp_path.parents)
        assert command_line.main(["build"]) == 2
        assert assembled.options is None

    def test_a_setup_cfg_alone_does_not_end_the_search(
        self, assembled: MainFlow, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (project / "src" / "setup.cfg").write_text("[flake8]\n")
        monkeypatch.chdir(project / "src")
        assert command_line.main(["build"]) == 0
        assert assembled.source == project


class TestErrors:
    @pytest.mark.parametrize(
        ("kind", "code"),
        [
            (PlatterError, 1),
            (UsageError, 2),
            (ProjectBuildError, 3),
            (DependencyError, 4),
            (WheelError, 5),
            (ArchiveError, 6),
            (ScriptError, 7),
            (InterruptedBuildError, 1),
        ],
    )
    @pytest.mark.parametrize("verbose", [True, False])
    @pytest.mark.usefixtures("project")
    def test_each_has_its_exit_code(
        self,
        kind: type[PlatterError],
        code: int,
        verbose: bool,
        assembled: MainFlow,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        assembled.error = kind("it failed", hint="do this", output=["last line"])
        assert command_line.main(["build", *(["-v"] if verbose else [])]) == code
        out, err = capsys.readouterr()
        assert out == ""
        assert err.endswith("    last line\nplatter: error: it failed\n  hint: do this\n")
        assert ("Traceback" in err) == verbose

    def test_without_hint_and_output(self, capsys: pytest.CaptureFixture[str]) -> None:
        command_line._report(PlatterError("it failed"))
        assert capsys.readouterr().err == "platter: error: it failed\n"

    @pytest.mark.usefixtures("project")
    def test_ctrl_c(self, assembled: MainFlow, capsys: pytest.CaptureFixture[str]) -> None:
        assembled.error = KeyboardInterrupt()
        assert command_line.main(["build"]) == 128 + signal.SIGINT
        assert "interrupted" in capsys.readouterr().err

    @pytest.mark.parametrize("words", [["bake"], ["build", "--no-such"], ["build", "a", "b"], ["build", "-p"]])
    def test_usage(self, words: list[str]) -> None:
        with pytest.raises(SystemExit) as caught:
            command_line.main(words)
        assert caught.value.code == 2

    @pytest.mark.parametrize("word", ["--no", "--form=zip", "--verb"])
    def test_there_are_no_abbreviations(self, word: str) -> None:
        with pytest.raises(SystemExit) as caught:
            command_line.main(["build", word])
        assert caught.value.code == 2

    @pytest.mark.parametrize("words", [[], ["cache"]])
    def test_without_a_command_the_help_is_printed(self, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        assert command_line.main(words) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("usage: platter")
        assert "positional arguments" in err

    @pytest.mark.parametrize(
        ("words", "hint"),
        [
            (["bild"], "did you mean build?"),
            (["cache", "prun"], "did you mean prune?"),
            (["build", "--pyton=3.12"], "did you mean --python?"),
            (["build", "--form", "zip"], "did you mean --format?"),
            (["rollback"], "rollback is a command of ROOT/platter, on the server"),
            (["list"], "list is a command of ROOT/platter, on the server"),
            (["deploy"], "deploy is a task for Fabric (docs/automation.md)"),
            (["xyzzy"], "platter --help lists the commands"),
            (["build", "a", "b"], "platter build --help lists the options"),
        ],
    )
    def test_each_has_a_hint(self, words: list[str], hint: str, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as caught:
            command_line.main(words)
        assert caught.value.code == 2
        assert capsys.readouterr().err.endswith(f"\n  hint: {hint}\n")

    @pytest.mark.usefixtures("project")
    def test_quiet_contradicts_verbose(self, assembled: MainFlow, capsys: pytest.CaptureFixture[str]) -> None:
        assert command_line.main(["build", "--quiet", "--verbose"]) == 2
        assert "quiet and verbose contradict each other" in capsys.readouterr().err
        assert assembled.options is None

    @pytest.mark.usefixtures("project")
    def test_a_signal_is_told_by_the_exit_code(self, assembled: MainFlow) -> None:
        assembled.error = Stopped(signal.SIGTERM)
        assert command_line.main(["build"]) == 128 + signal.SIGTERM


class TestHelp:
    def test_every_option_is_explained(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as caught:
            command_line.main(["build", "--help"])
        assert caught.value.code == 0
        text = " ".join(capsys.readouterr().out.split())
        for option in OPTIONS:
            assert f"--{option.name}" in text
            assert " ".join(option.help.split()) in text or "-" in option.help

    @pytest.mark.parametrize(
        "run",
        [lambda: command_line.main(["--version"]), lambda: runpy.run_module("platter_setuptools", run_name="__main__")],
    )
    def test_version(
        self, run: Callable[[], object], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "argv", ["platter", "--version"])
        with pytest.raises(SystemExit) as caught:
            run()
        assert caught.value.code == 0
        assert capsys.readouterr().out == f"platter-setuptools {platter_setuptools.__version__}\n"

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
    @pytest.mark.parametrize("words", [["--version"], ["--help"], ["cache", "--help"], ["completion", "bash"], ["man"]])
    def test_output_that_takes_nothing(
        self, words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with Path("/dev/full").open("w") as full:
            monkeypatch.setattr(sys, "stdout", full)
            assert command_line.main(words) == 1
        assert "standard output cannot be written to" in capsys.readouterr().err

    def test_flags_take_no_value(self) -> None:
        for option in OPTIONS:
            if option.kind is Kind.FLAG:
                with pytest.raises(SystemExit):
                    command_line.main(["build", f"--{option.name}=yes"])


class TestCleanCache:
    def test_it_empties_the_named_one(
        self, assembled: MainFlow, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert assembled.options is None
        blob = tmp_path / "cache" / "blobs" / "ab" / "abc" / "x.whl"
        blob.parent.mkdir(parents=True)
        blob.touch()
        assert command_line.main(["clean-cache", "--wheel-cache", str(tmp_path / "cache")]) == 0
        assert not blob.exists()
        assert capsys.readouterr() == ("", f"removed 1 files from {tmp_path / 'cache'}\n")
        monkeypatch.setenv("PLATTER_BUILD_WHEEL_CACHE", str(tmp_path / "other"))
        assert command_line.main(["clean-cache"]) == 0
        assert "removed 0 files" in capsys.readouterr().err


def test_a_working_folder_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert command_line.main(["config"]) == UsageError.exit_code
    assert "the working folder is not there any more" in capsys.readouterr().err


def test_what_the_system_refuses_is_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command_line.main(["config", f"{tmp_path}/{'long' * 1000}"]) == PlatterError.exit_code
    assert "File name too long" in capsys.readouterr().err


class TestThin:
    @pytest.fixture
    def bundle(self, tmp_path: Path) -> Path:
        return handmade.bundle(tmp_path / "bundles", [handmade.wheel(tmp_path, "app")], bytecode=True).path

    def test_its_path_is_printed(self, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert command_line.main(["thin", str(bundle), "--base", str(bundle), "--output", str(tmp_path)]) == 0
        said = capsys.readouterr()
        assert said.out == f"{tmp_path / bundle.name}-thin\n"
        assert "0 of 1 wheels" in said.err

    @pytest.mark.parametrize(
        ("words", "reason"),
        [
            ([], "it is not known what the server has"),
            (["--have", "."], "cannot be read: Is a directory"),
            (["--have", "nowhere"], "nowhere does not exist"),
            (["--base", "nowhere"], "nowhere does not exist"),
        ],
    )
    def test_wrong_usage(self, bundle: Path, words: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert command_line.main(["thin", str(bundle), *words]) == 2
        assert reason in capsys.readouterr().err
        assert [path.name for path in bundle.parent.iterdir() if "-thin" in path.name] == []
