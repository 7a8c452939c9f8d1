"""The setuptools command, with a main flow that makes nothing."""

from __future__ import annotations

import os
import zipfile
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.dist import Distribution
from setuptools.errors import BaseError

from platter_setuptools import assemble as room
from platter_setuptools.announce import announce
from platter_setuptools.bdist_platter import bdist_platter
from platter_setuptools.config.options import OPTIONS, Options
from platter_setuptools.errors import UsageError, WheelError
from platter_setuptools.values import Artifact
from support.fakes import Diary

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.startswith(("PLATTER_", "DISTUTILS_", "DIST_EXTRA_CONFIG")):
            monkeypatch.delenv(name)
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(tmp_path))  # no ~/.pydistutils.cfg
    return folder


def command(*words: str, **attributes: Any) -> bdist_platter:
    """The command as `python setup.py WORDS` would have it, finalized."""
    distribution = Distribution({"name": "app", "cmdclass": {"bdist_platter": bdist_platter}, **attributes})
    distribution.script_name = "setup.py"
    distribution.parse_config_files()
    distribution.script_args = list(words)
    distribution.parse_command_line()  # type: ignore[no-untyped-call]
    made = distribution.get_command_obj("bdist_platter")
    made.ensure_finalized()
    assert isinstance(made, bdist_platter)
    return made


def options(*words: str) -> Options:
    return command(*(words if "bdist_platter" in words else ("bdist_platter", *words))).options


class TestOptions:
    def test_none(self, project: Path) -> None:
        assert options() == Options(output=project / "dist")

    def test_the_command_line(self, project: Path) -> None:
        for name in ("r.txt", "pre"):
            (project / name).touch()
        words = "--dist-dir=out -p 3.12 --format=zip -r r.txt --extras=a,b --pip-option=--pre --no-pip"
        assert options(*words.split(), "--prebuild-script=pre") == Options(
            output=project / "out",
            python=("3.12",),
            format="zip",
            requirements=(project / "r.txt",),
            extras=("a", "b"),
            pip_option=("--pre",),
            pip_option_base=project,
            no_pip=True,
            prebuild_script=project / "pre",
        )

    @pytest.mark.parametrize("words", [["--extra=a", "--extras=b,c"], ["--extra", "a,b,c"]])
    @pytest.mark.usefixtures("project")
    def test_extra_is_extras(self, words: list[str]) -> None:
        assert sorted(options(*words).extras) == ["a", "b", "c"]

    @pytest.mark.parametrize(
        ("given", "meant"), [("--out=x", "output"), ("--no-pi", "no-pip"), ("--form=zip", "format")]
    )
    @pytest.mark.usefixtures("project")
    def test_a_part_of_a_name_is_none(self, given: str, meant: str) -> None:
        with pytest.raises(
            BaseError, match=rf"there is no option {given.partition('=')[0]}\n  hint: did you mean --{meant}\?"
        ):
            options(given)

    @pytest.mark.usefixtures("project")
    def test_other_commands_have_options_of_their_own(self) -> None:
        assert options("bdist_platter", "--format=zip", "sdist", "--format=gztar").format == "zip"

    @pytest.mark.parametrize("dash", ["-", "_"])
    def test_setup_cfg(self, dash: str, project: Path) -> None:
        text = f"[bdist_platter]\ndist{dash}dir = out\nwheel{dash}cache = cache\nno{dash}pip = on\nformat = zip\n"
        (project / "setup.cfg").write_text(text)
        found = options("--format=tar")
        assert found == Options(output=project / "out", wheel_cache=project / "cache", no_pip=True, format="tar")

    def test_precedence(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (project / "pyproject.toml").write_text(
            "[tool.platter]\npython = 'toml'\nformat = 'zip'\nextras = ['toml']\nresolver = 'pip'\n"
        )
        (project / "setup.cfg").write_text("[bdist_platter]\npython = cfg\nformat = tar\nextras = cfg\n")
        monkeypatch.setenv("PLATTER_BUILD_PYTHON", "environment")
        monkeypatch.setenv("PLATTER_BUILD_FORMAT", "tar.xz")
        found = options("-p", "line")
        assert (found.python, found.format, found.extras, found.resolver) == (("line",), "tar.xz", ("cfg",), "pip")

    @pytest.mark.parametrize(
        ("words", "quiet", "verbose"),
        [
            (["bdist_platter"], False, False),
            (["-q", "bdist_platter"], True, False),
            (["-v", "bdist_platter"], False, True),
            (["bdist_platter", "--quiet"], True, False),
            (["bdist_platter", "--verbose"], False, True),
            (["bdist_platter", "-vv"], False, True),
        ],
    )
    @pytest.mark.usefixtures("project")
    def test_setup_pys_own_verbosity(self, words: list[str], quiet: bool, verbose: bool) -> None:
        found = options(*words)
        assert (found.quiet, found.verbose) == (quiet, verbose)

    @pytest.mark.parametrize(
        ("words", "output"),
        [
            (["bdist_wheel", "--dist-dir=w", "bdist_platter"], "w"),
            (["bdist", "--dist-dir=b", "bdist_platter"], "b"),
            (["bdist_wheel", "--dist-dir=out/.tmp-abc", "bdist_platter"], "out"),
            (["bdist_wheel", "--dist-dir=w", "bdist_platter", "--dist-dir=p"], "p"),
        ],
    )
    def test_the_bundle_goes_where_the_wheel_goes(self, words: list[str], output: str, project: Path) -> None:
        assert options(*words).output == project / output

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["--format=rar"], "'rar' is not a format"),
            (["--no-download", "--no-wheel-cache"], "contradict each other"),
            (["--prebuild-script=nowhere"], "does not exist"),
        ],
    )
    @pytest.mark.usefixtures("project")
    def test_errors_are_setuptools_own(self, words: list[str], message: str) -> None:
        with pytest.raises(BaseError, match=message) as caught:
            options(*words)
        assert isinstance(caught.value.__cause__, UsageError)

    def test_every_option_is_explained(self) -> None:
        rows = {name.rstrip("="): text for name, _short, text in bdist_platter.user_options}
        assert {"dist-dir" if option.name == "output" else option.name for option in OPTIONS} <= set(rows)
        assert all(rows.values())


class TestRun:
    def run(self, monkeypatch: pytest.MonkeyPatch, error: BaseException | None, *words: str) -> Mapping[str, Any]:
        asked: dict[str, Any] = {}

        def assemble(options: Options, **more: Any) -> Artifact:
            asked.update(more, options=options)
            if error:
                raise error
            return Artifact(path=options.output / "app.tar.gz", size=1, sha256=None, wheels={}, seconds=0.1)

        monkeypatch.setattr(room, "assemble", assemble)
        made = command("bdist_platter", *words)
        made.run()
        return {**asked, "files": made.distribution.dist_files}

    def test_what_was_made_is_told(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        found = self.run(monkeypatch, None)
        assert found["files"] == [("bdist_platter", "any", str(project / "dist" / "app.tar.gz"))]
        assert found["source"] == project

    @pytest.mark.usefixtures("project")
    def test_errors_become_setuptools_own(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(BaseError) as caught:
            self.run(monkeypatch, WheelError("it failed", hint="do this", output=["last line"]))
        assert str(caught.value) == "it failed\n  hint: do this"
        assert capsys.readouterr().err == "    last line\n"

    @pytest.mark.usefixtures("project")
    def test_verbose_shows_the_traceback(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(BaseError):
            self.run(monkeypatch, WheelError("it failed"), "--verbose")
        assert "Traceback" in capsys.readouterr().err

    @pytest.mark.usefixtures("project")
    def test_other_errors_are_left_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(ZeroDivisionError):
            self.run(monkeypatch, ZeroDivisionError())


class TestProjectWheel:
    """The front end's own part: the wheel of the project, built in this very process."""

    def wheel(self, project: Path, monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[Path, bdist_platter]:
        (project / "app.py").write_text("x = 1\n")
        work = project.parent / "work"
        work.mkdir()
        found: list[Path] = []
        checkout = SimpleNamespace(commit_time=None)
        tools = {"work": work, "checkout": checkout, "progress": Diary(), "target": "CPython 3.11"}

        def assemble(options: Options, *, project_wheel: Any, **_more: Any) -> Artifact:
            found.append(project_wheel(SimpleNamespace(**tools), work))
            return Artifact(path=options.output / "app.tar.gz", size=1, sha256=None, wheels={}, seconds=0.1)

        monkeypatch.setattr(room, "assemble", assemble)
        made = command(*(words or ("bdist_platter",)), version="1.0", py_modules=["app"])
        for word in words[:-1]:
            made.distribution.run_command(word)
        made.run()
        return found[0], made

    def test_it_is_built(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
        wheel, made = self.wheel(project, monkeypatch)
        assert wheel == project / "dist" / "app-1.0-py3-none-any.whl"
        with zipfile.ZipFile(wheel) as archive:
            assert {one.date_time for one in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
            assert "app.py" in archive.namelist()
        assert sorted(path.name for path in project.iterdir()) == ["app.py", "dist"]
        assert [kind for kind, _python, _file in made.distribution.dist_files] == ["bdist_wheel", "bdist_platter"]
        assert "SOURCE_DATE_EPOCH" not in os.environ

    @pytest.mark.filterwarnings("ignore:(?s).*setup.py install is deprecated")
    def test_the_one_that_is_there_is_taken(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        wheel, made = self.wheel(project, monkeypatch, "bdist_wheel", "bdist_platter")
        assert wheel == project / "dist" / "app-1.0-py3-none-any.whl"
        assert [kind for kind, _python, _file in made.distribution.dist_files] == ["bdist_wheel", "bdist_platter"]

    def test_the_users_time_counts_and_stays(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
        wheel, _made = self.wheel(project, monkeypatch)
        with zipfile.ZipFile(wheel) as archive:
            assert {one.date_time[0] for one in archive.infolist()} == {2001}
        assert os.environ["SOURCE_DATE_EPOCH"] == "1000000000"

    def test_an_egg_info_that_was_there_is_left_alone(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (project / "app.egg-info").mkdir()
        (project / "app.egg-info" / "SOURCES.txt").write_text("mine\n")
        self.wheel(project, monkeypatch)
        assert (project / "app.egg-info" / "SOURCES.txt").read_text() == "mine\n"

    def test_a_bdist_wheel_of_the_projects_own_that_tells_the_full_path(
        self, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = bdist_wheel.run

        def run(self: bdist_wheel) -> None:
            real(self)
            kind, python, file = self.distribution.dist_files.pop()
            self.distribution.dist_files.append((kind, python, os.fspath(project / file)))

        monkeypatch.setattr(bdist_wheel, "run", run)
        (project / "setup.cfg").write_text("[bdist_wheel]\ndist_dir = out\n")
        wheel, _made = self.wheel(project, monkeypatch)
        assert wheel == project / "out" / "app-1.0-py3-none-any.whl"
        assert wheel.is_file()

    def test_a_bdist_wheel_that_builds_none(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Distribution, "run_command", lambda *_arguments: None)
        with pytest.raises(BaseError, match="bdist_wheel built no wheel"):
            self.wheel(project, monkeypatch)


class TestAnnounce:
    @pytest.fixture
    def bdist(self) -> Any:
        from distutils.command.bdist import bdist  # noqa: PLC0415 - setuptools', not the one of old Pythons

        return bdist

    def test_the_format_is_announced_once(self, bdist: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bdist, "format_commands", {"zip": ("bdist_dumb", "ZIP file")})
        monkeypatch.setattr(bdist, "no_format_option", ("bdist_rpm",))
        for _ in range(2):
            announce(None)
        assert [*bdist.format_commands] == ["zip", "platter"]
        assert bdist.no_format_option == ("bdist_rpm", "bdist_platter")

    def test_the_distutils_of_old_pythons_is_left_alone(self, bdist: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bdist, "format_commands", ["zip"])
        announce(None)
        assert bdist.format_commands == ["zip"]
