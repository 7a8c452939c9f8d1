"""The build backend with a main flow that makes nothing, and what it shares with the command: folders and settings."""

from __future__ import annotations

import os
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from setuptools import build_meta as setuptools_backend

from platter_setuptools import assemble as room
from platter_setuptools import build_meta
from platter_setuptools.config.config_settings import read_wish
from platter_setuptools.config.options import Options
from platter_setuptools.errors import UsageError, WheelError
from platter_setuptools.frontends import asked_folder, check_kept, output_beside, signals_as_exits
from platter_setuptools.runtime.reproducible import set_times
from platter_setuptools.runtime.signals import Stopped, note_written
from platter_setuptools.values import Artifact
from support import handmade
from support.fakes import Diary, choices, failing

if TYPE_CHECKING:
    from platter_setuptools.config.config_settings import Wish

BASE = Path("/base")

WHEEL = "app-1.0-py3-none-any.whl"


class TestSignals:
    @pytest.mark.parametrize(
        ("error", "code", "said"),
        [
            (KeyboardInterrupt(), 130, "error: interrupted: nothing was written\n"),
            (Stopped(15), 143, "error: stopped by SIGTERM: nothing was written\n"),
        ],
    )
    @pytest.mark.parametrize("setuptools", [False, True])
    def test_end_with_a_shells_code(
        self, error: KeyboardInterrupt, code: int, said: str, capsys: pytest.CaptureFixture[str], *, setuptools: bool
    ) -> None:
        def stop() -> None:
            try:
                raise error
            except KeyboardInterrupt:
                if setuptools:  # as distutils does
                    raise SystemExit("interrupted")  # noqa: B904
                raise

        with pytest.raises(SystemExit) as caught, signals_as_exits():
            stop()
        assert (caught.value.code, capsys.readouterr().err) == (code, said)

    def test_what_was_written_before_is_told(self, capsys: pytest.CaptureFixture[str]) -> None:
        def stop_after_writing() -> None:
            note_written(Path("/dist/app.zip"))
            raise KeyboardInterrupt

        with pytest.raises(SystemExit), signals_as_exits():
            stop_after_writing()
        assert capsys.readouterr().err == "error: interrupted: /dist/app.zip was written\n"
        with pytest.raises(SystemExit), signals_as_exits():
            raise Stopped(15)
        assert capsys.readouterr().err == "error: stopped by SIGTERM: nothing was written\n"

    def test_an_exit_of_another_cause_stays(self) -> None:
        with pytest.raises(SystemExit, match="3"), signals_as_exits():
            raise SystemExit(3)


class TestSettings:
    def read(self, environ: dict[str, str] | None = None, **settings: object) -> Wish:
        named = {key.replace("__", "."): value for key, value in settings.items()}
        return read_wish(named, environ or {}, BASE)

    @pytest.mark.parametrize("value", ["true", "1", "", None, True])
    def test_it_is_asked_for(self, value: object) -> None:
        wish = self.read(platter=value)
        assert (wish.bundle, wish.by_setting, wish.options) == (True, True, {})

    def test_it_is_not(self) -> None:
        wish = read_wish(None, {}, BASE)
        assert (wish.bundle, wish.by_setting, wish.options) == (False, False, {})
        assert not self.read({"PLATTER_BUILD": "0"}).bundle
        assert not self.read({"PLATTER_BUILD": "1"}, platter=False).bundle
        other = {"--build-option": ["bdist_platter"], "editable_mode": "strict", "plat.name": "x", "platform": "y"}
        assert self.read(None, **other) == wish

    def test_the_environment_asks(self) -> None:
        wish = self.read({"PLATTER_BUILD": "yes", "PLATTER_BUILD_FORMAT": "zip"})
        assert (wish.bundle, wish.by_setting, wish.options) == (True, False, {})

    def test_options(self) -> None:
        wish = self.read(platter__format="zip", platter__no_pip="", platter__extras=["a", "b"], platter__output="out")
        assert not wish.bundle
        assert choices(wish.options) == {
            "format": "zip",
            "no_pip": True,
            "extras": ("a", "b"),
            "output": BASE / "out",
        }

    @pytest.mark.parametrize(
        ("settings", "message", "hint"),
        [
            ({"platter.formt": "zip"}, "there is no option 'platter.formt'", "did you mean platter.format?"),
            ({"platter-format": "zip"}, "there is no 'platter-format'", "did you mean platter.format?"),
            ({"Platter": "true"}, "there is no 'Platter'", "did you mean platter?"),
            ({"plattr": "true"}, "there is no 'plattr'", "did you mean platter?"),
            ({"platter": "perhaps"}, "platter: expected yes or no, found 'perhaps'", "write yes or no"),
            ({"platter": ["1", "1"]}, "platter: expected yes or no, found 2 values", "give it once: -C platter=true"),
            ({"platter.format": ["zip", "tar"]}, "platter.format: expected one value, found 2", "give the option once"),
            ({"platter.format": ""}, "platter.format is empty", "give it a value, or leave the option out"),
            (
                {"platter.format": {"a": 1}},
                "platter.format: expected a string or a list of strings, found {'a': 1}",
                "give each value as text: -C KEY=VALUE",
            ),
            (
                {"platter.extras": ["a", 1]},
                "platter.extras: expected a string or a list of strings",
                "give each value as text: -C KEY=VALUE",
            ),
        ],
    )
    def test_wrong_ones(self, settings: dict[str, object], message: str, hint: str) -> None:
        with pytest.raises(UsageError) as caught:
            read_wish(settings, {}, BASE)
        assert message in caught.value.message
        assert caught.value.message.startswith("config settings")
        assert caught.value.hint == hint

    def test_a_wrong_variable(self) -> None:
        with pytest.raises(UsageError, match="the environment PLATTER_BUILD: expected yes or no, found 'perhaps'"):
            self.read({"PLATTER_BUILD": "perhaps"})


class TestFolders:
    def test_setuptools_builds_below_the_one_that_is_asked_for(self) -> None:
        assert asked_folder(Path("/x/dist/.tmp-abc12345")) == Path("/x/dist")
        assert asked_folder(Path("/x/dist")) is None

    @pytest.mark.parametrize(
        "folder",
        [
            "/tmp/pip-wheel-0a_b1c2d",
            "/tmp/pip-ephem-wheel-cache-0a_b1c2d/wheels/7f/2d/f6/ac02bd9935bbd1/tmpp4ocwu7l",
            "/home/me/.cache/pip/wheels/7f/2d/f6/ac02bd9935bbd1/tmpp4ocwu7l",
        ],
    )
    def test_what_pip_throws_away_is_no_place_for_a_bundle(self, folder: str) -> None:
        assert choices(output_beside(Path(folder), BASE)) == {"output": BASE / "dist"}
        with pytest.raises(UsageError, match="deletes "):
            check_kept(Path(folder))

    @pytest.mark.parametrize(
        "folder", ["/tmp/build-via-sdist-0a_b1c2d/app-1.0/dist", "/tmp/pip-req-build-0a_b1c2d/x", "/c/.tmpaB3dE6/app"]
    )
    def test_copies_that_frontends_build_from(self, folder: str) -> None:
        with pytest.raises(UsageError) as caught:
            check_kept(Path(folder))
        assert "-C platter.output=/path" in str(caught.value.hint)

    @pytest.mark.parametrize(
        "folder", ["/srv/dist", "/home/me/pip-install-demo", "/tmp/x/.tmp", "/wheels/ab/cd/ef/tmp"]
    )
    def test_all_others_are_as_good_as_any(self, folder: str) -> None:
        check_kept(Path(folder))
        assert choices(output_beside(Path(folder), BASE)) == {"output": Path(folder)}


class TestHooks:
    def test_all_but_two_are_setuptools_own(self) -> None:
        hooks = [name for name in setuptools_backend.__all__ if name.startswith(("build", "get", "prepare"))]
        own = {name for name in hooks if getattr(build_meta, name) is not getattr(setuptools_backend, name)}
        assert own == {"build_wheel", "get_requires_for_build_wheel"}
        assert len(hooks) >= 8
        in_tree: dict[str, Any] = {}
        exec("from platter_setuptools.build_meta import *", in_tree)
        assert in_tree["build_wheel"] is build_meta.build_wheel
        assert in_tree["build_sdist"] is setuptools_backend.build_sdist
        assert not hasattr(build_meta, "build_something_else")

    @pytest.fixture
    def project(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        for name in list(os.environ):
            if name.startswith(("PLATTER_", "SOURCE_DATE_EPOCH")):
                monkeypatch.delenv(name)
        folder = tmp_path / "project"
        folder.mkdir()
        monkeypatch.chdir(folder)
        return folder

    @pytest.fixture
    def asked(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        """What the main flow is called with, and what setuptools is: both make nothing."""
        asked: dict[str, Any] = {}

        def build_wheel(folder: Path, settings: Any, metadata: Any) -> str:
            asked.update(folder=folder, settings=settings, metadata=metadata, epoch=os.environ.get("SOURCE_DATE_EPOCH"))
            return handmade.wheel(Path(folder), "app").name

        def assemble(options: Options, *, source: Path, project_wheel: Any, **_more: Any) -> Artifact:
            context = SimpleNamespace(run=failing("no repository"), progress=Diary(), target="CPython 3.11")
            asked.update(options=options, source=source, wheel=project_wheel(context, None))
            if "error" in asked:
                raise asked["error"]
            return Artifact(path=options.output / "app.tar.gz", size=1, sha256=None, wheels={}, seconds=0.1)

        monkeypatch.setattr(setuptools_backend, "build_wheel", build_wheel)
        monkeypatch.setattr(room, "assemble", assemble)
        return asked

    def test_nobody_asks(self, project: Path, asked: dict[str, Any]) -> None:
        assert build_meta.build_wheel("out", {"x": "y"}, "metadata") == WHEEL
        assert asked == {"folder": "out", "settings": {"x": "y"}, "metadata": "metadata", "epoch": None}
        assert [path.name for path in project.iterdir()] == ["out"]

    def test_somebody_asks(self, project: Path, asked: dict[str, Any]) -> None:
        (project / "pyproject.toml").write_text("[tool.platter]\noutput = 'elsewhere'\nno-pip = true\nformat = 'tar'\n")
        (project / "setup.cfg").write_text("[bdist_platter]\nformat = zip\n")
        assert build_meta.build_wheel("out", {"platter": "true", "platter.python": "3.12"}) == WHEEL
        assert asked["options"] == Options(output=project / "out", python=("3.12",), format="zip", no_pip=True)
        assert (asked["source"], asked["wheel"]) == (project, project / "out" / WHEEL)
        assert asked["epoch"] is None
        assert "SOURCE_DATE_EPOCH" not in os.environ

    @pytest.mark.usefixtures("project")
    def test_errors_end_the_hook_without_a_traceback(
        self, asked: dict[str, Any], capsys: pytest.CaptureFixture[str]
    ) -> None:
        asked["error"] = WheelError("it failed", hint="do this", output=["last line"])
        with pytest.raises(SystemExit) as caught:
            build_meta.build_wheel("out", {"platter": "true"})
        assert caught.value.code == "error: it failed\n  hint: do this"
        assert "    last line\n" in capsys.readouterr().err
        assert "Traceback" not in capsys.readouterr().err
        with pytest.raises(SystemExit):
            build_meta.build_wheel("out", {"platter": "true", "platter.verbose": None})
        assert "Traceback" in capsys.readouterr().err

    @pytest.mark.usefixtures("project", "asked")
    @pytest.mark.parametrize(
        "hook", [build_meta.get_requires_for_build_wheel, lambda x: build_meta.build_wheel("o", x)]
    )
    def test_wrong_settings_are_told_at_once(self, hook: Any) -> None:
        with pytest.raises(SystemExit, match=r"error: config settings: there is no option 'platter\.formt'"):
            hook({"platter.formt": "zip"})

    def test_what_pip_builds_to_install(
        self, project: Path, asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        copy = project / "pip-install-0a_b1c2d" / "app"
        copy.mkdir(parents=True)
        monkeypatch.chdir(copy)
        monkeypatch.setenv("PLATTER_BUILD", "1")
        folder = str(project / "pip-wheel-0a_b1c2d")
        assert build_meta.build_wheel(folder) == WHEEL
        assert "options" not in asked
        assert "no bundle is built: the build frontend deletes" in capsys.readouterr().err
        with pytest.raises(SystemExit, match="the build frontend deletes"):
            build_meta.build_wheel(folder, {"platter": "true"})


class TestZipTimes:
    @pytest.mark.parametrize("epoch", [315532800, 1700000001, 4354819198])
    def test_all_members_have_one(self, epoch: int, tmp_path: Path) -> None:
        path = tmp_path / "x.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in ("a", "Ä long name/with a folder", "c"):
                member = zipfile.ZipInfo(name, (2020, 2, 3, 4, 5, 6))
                member.comment, member.extra = b"a comment", b"\x99\x99\x02\x00xy"
                archive.writestr(member, name * 100)
        path.chmod(0o640)
        set_times(path, epoch)
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
            assert [archive.read(name).decode() for name in archive.namelist()] == [n * 100 for n in archive.namelist()]
            when = time.gmtime(epoch - epoch % 2)[:6]
            assert {member.date_time for member in archive.infolist()} == {when}
        stamp = path.read_bytes()
        set_times(path, 1234567890)
        set_times(path, epoch)
        assert path.read_bytes() == stamp
        assert path.stat().st_mode & 0o777 == 0o640
