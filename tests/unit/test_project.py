"""The project that a command is for."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from platter_setuptools.bundle.members import from_text
from platter_setuptools.config.options import FORMATS
from platter_setuptools.errors import ProjectBuildError, UsageError
from platter_setuptools.project import Project, open_project
from platter_setuptools.runtime.processes import Runner
from platter_setuptools.wheels.build import BuildError
from platter_setuptools.wheels.build_settings import BuildSettings
from support import handmade
from support.archives import write_archive
from support.fakes import Diary


@pytest.mark.parametrize("name", ["pyproject.toml", "setup.py"])
def test_a_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    assert open_project(tmp_path, tmp_path / "scratch", Runner()) == Project(tmp_path)


def test_a_wheel(tmp_path: Path) -> None:
    wheel = handmade.wheel(tmp_path)
    project = open_project(wheel, tmp_path / "scratch", Runner())
    assert project == Project(tmp_path, finished=wheel)
    assert project.wheel(None, tmp_path) == wheel  # type: ignore[arg-type]
    assert project.tree is None


@pytest.mark.parametrize("kind", ["gztar", "zip", "bztar", "xztar"])
def test_an_sdist(kind: str, tmp_path: Path) -> None:
    (tmp_path / "app-1.0").mkdir()
    (tmp_path / "app-1.0" / "setup.py").touch()
    path = shutil.make_archive(str(tmp_path / "app-1.0"), kind, tmp_path, "app-1.0")
    project = open_project(Path(path), tmp_path / "scratch", Runner())
    assert project == Project(tmp_path / "scratch" / "app-1.0")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("missing", None, "does not exist"),
        ("text.txt", b"", "is neither a folder nor an sdist nor a wheel"),
        ("app-1.0.tar.gz", b"rubbish", "cannot be unpacked"),
        ("empty/", None, "is not a project"),
    ],
)
def test_what_is_none(name: str, content: bytes | None, reason: str, tmp_path: Path) -> None:
    if name.endswith("/"):
        (tmp_path / name).mkdir()
    elif content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=reason) as caught:
        open_project(tmp_path / name, tmp_path / "scratch", Runner())
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("format_", FORMATS)
def test_a_bundle_is_no_project(format_: str, tmp_path: Path) -> None:
    members = [from_text(name, "#!") for name in ("PACKAGE", "install.sh")]
    path = write_archive(members, "app-1.0-linux-x86_64", format_, tmp_path, 10**9)[0]
    with pytest.raises(UsageError, match="is a bundle already, not a project") as caught:
        open_project(path, tmp_path / "scratch", Runner())
    assert "install.sh" in (caught.value.hint or "")


def test_a_setup_cfg_alone_is_no_project(tmp_path: Path) -> None:
    (tmp_path / "setup.cfg").write_text("[metadata]\nname = app\n")
    with pytest.raises(UsageError, match="is not a project") as caught:
        open_project(tmp_path, tmp_path / "scratch", Runner())
    assert "setup.py" in (caught.value.hint or "")


def test_a_source_tree_is_built_by_its_backend(tmp_path: Path) -> None:
    class Builder:
        def build(self, source: Path, output: Path, settings: BuildSettings) -> Path:
            assert (source, settings.requires) == (tmp_path, ("my-app",))
            assert settings.variables == {"PYTHONDONTWRITEBYTECODE": "1", "X": "1"}
            return output / "app.whl"

    (tmp_path / "pyproject.toml").write_text('[project]\nname = "My_App"\n')
    context: Any = SimpleNamespace(
        builder=Builder(),
        progress=Diary(),
        host="CPython 3.11",
        dependencies=SimpleNamespace(build_settings=lambda name: BuildSettings(requires=(name,), variables={"X": "1"})),
    )
    assert Project(tmp_path).wheel(context, tmp_path / "out") == tmp_path / "out" / "app.whl"
    assert context.progress.said("step") == ["Building the project's wheel for CPython 3.11"]


@pytest.mark.parametrize(
    ("compiler", "hint"), [(True, "install the compiler and the headers"), (False, "see above; `python -m build")]
)
def test_a_backend_that_fails_is_the_projects_own_failure(tmp_path: Path, hint: str, *, compiler: bool) -> None:
    class Builder:
        def build(*_arguments: object) -> Path:
            error = BuildError("its build backend failed", hint="see above", output=["error: no"])
            error.compiler = compiler
            raise error

    context: Any = SimpleNamespace(
        builder=Builder(),
        progress=Diary(),
        host="CPython 3.11",
        dependencies=SimpleNamespace(build_settings=lambda _name: BuildSettings()),
    )
    with pytest.raises(ProjectBuildError, match="cannot be built: its build backend failed") as caught:
        Project(tmp_path).wheel(context, tmp_path)
    assert (caught.value.exit_code, caught.value.output) == (3, ("error: no",))
    assert str(caught.value.hint).startswith(hint)
