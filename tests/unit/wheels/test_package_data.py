"""Files that git tracks in a package, and that the wheel lacks: told of, or passed over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from platter_setuptools.wheels.package_data import forgotten, warn_of_forgotten
from support.fakes import Diary

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PLACES = ("site-packages/app/__init__.py", "site-packages/app/views.py", "bin/app")


def found(*files: str, root: str = "", there: Sequence[str] = ()) -> list[str]:
    tracked = ["pyproject.toml", f"{root}app/__init__.py", f"{root}app/views.py", *files]
    return forgotten(tracked, [*PLACES, *there])


@pytest.mark.parametrize("root", ["", "src/", "python/lib/"])
@pytest.mark.parametrize(
    "file",
    ["templates/base.html", "static/css/site.css", "schema.json", "data/raw", "static/robots.txt", "prompts/one.md"],
)
def test_what_is_missed(root: str, file: str) -> None:
    path = f"{root}app/{file}"
    assert found(path, root=root) == [path]
    assert found(path, root=root, there=[f"site-packages/app/{file}"]) == []


@pytest.mark.parametrize(
    "file",
    [
        "README.md",
        "docs/index.html",
        "templates/base.html",  # of no package
        "other/__init__.py",
        "other/templates/base.html",
        "app/README.rst",
        "app/notes.md",
        "app/.gitignore",
        "app/static/.gitkeep",
        "app/py.typed",
        "app/views.pyi",
        "app/fast.pyx",
        "app/fast.c",
        "app/include/fast.hpp",
        "app/static/site.scss",
        "app/static_src/site.svg",
        "app/src/tables.inc",
        "app/static/package-lock.json",
        "app/locale/de/LC_MESSAGES/app.po",
        "app/docs/index.html",
        "app/tests/data/one.json",
        "app/Makefile",
        "app/LICENSE-MIT",
        "app/old.py",
    ],
)
def test_what_is_passed_over(file: str) -> None:
    assert found(file) == []


def test_what_belongs_to_a_package_that_stays_out() -> None:
    assert found("app/checks/__init__.py", "app/checks/data.json") == []


def test_the_sources_are_where_most_modules_are() -> None:
    demo = ("examples/app/__init__.py", "examples/app/page.html")
    assert found(*demo, "app/page.html") == ["app/page.html"]


def test_what_is_installed_elsewhere() -> None:
    assert found("app/page.html", there=["share/app/page.html"]) == []


def test_a_wheel_of_single_modules() -> None:
    assert forgotten(["setup.py", "app.py", "page.html"], ["site-packages/app.py"]) == []


def project(folder: Path, *data: str, **files: str) -> list[str]:
    """A source tree with data in its package; gives what git tracks."""
    for name in data:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    for name, text in files.items():
        (folder / name.replace("_", ".", 1)).write_text(text)
    return ["app/__init__.py", "app/views.py", *data]


def warnings(folder: Path, tracked: Sequence[str]) -> list[str]:
    diary = Diary()
    warn_of_forgotten(folder, tracked, PLACES, diary)
    return diary.said("warn")


def test_a_few_are_named_and_the_rest_counted(tmp_path: Path) -> None:
    (line,) = warnings(tmp_path, project(tmp_path, *(f"app/static/{number}.css" for number in range(7))))
    assert line.startswith(
        "the wheel lacks 7 files that git tracks in its packages: app/static/0.css, app/static/1.css, app/static/2.css,"
        " app/static/3.css, app/static/4.css and 2 more: setuptools takes them if package-data"
    )


def test_other_backends(tmp_path: Path) -> None:
    text = '[build-system]\nrequires = ["poetry-core"]\nbuild-backend = "poetry.core.masonry.api"\n'
    (line,) = warnings(tmp_path, project(tmp_path, "app/page.html", pyproject_toml=text))
    assert line == (
        "the wheel lacks 1 file that git tracks in its packages: app/page.html: see what poetry says about files that"
        " are no modules, or let it exclude them"
    )


@pytest.mark.parametrize(
    "files",
    [
        {"pyproject_toml": '[tool.setuptools.exclude-package-data]\napp = ["*.html"]\n'},
        {"pyproject_toml": '[tool.setuptools.exclude-package-data]\n"*" = ["templates/*"]\n'},
        {"pyproject_toml": '[tool.hatch.build.targets.wheel]\nexclude = ["/app/templates"]\n'},
        {"pyproject_toml": '[tool.poetry]\nexclude = ["app/**/*.html"]\n'},
        {"pyproject_toml": '[tool.uv.build-backend]\nwheel-exclude = ["**/templates"]\n'},
        {"setup_cfg": "[options.exclude_package_data]\napp =\n    *.txt\n    *.html\n"},
        {"setup_py": "setup(exclude_package_data={'app': ['*.html']})"},
        {"MANIFEST_in": "exclude app/templates/page.html\n"},
        {"MANIFEST_in": "recursive-exclude app *.html\n"},
        {"MANIFEST_in": "global-exclude *.html\n"},
        {"MANIFEST_in": "prune app/templates\n"},
    ],
)
def test_what_the_project_excludes(tmp_path: Path, files: dict[str, str]) -> None:
    tracked = project(tmp_path, "app/templates/page.html", **files)
    assert warnings(tmp_path, tracked) == []
    for name in files:
        (tmp_path / name.replace("_", ".", 1)).unlink()
    assert len(warnings(tmp_path, tracked)) == 1


def test_files_that_are_gone_and_submodules(tmp_path: Path) -> None:
    tracked = project(tmp_path, "app/page.html")
    (tmp_path / "app" / "page.html").unlink()
    (tmp_path / "app" / "vendored").mkdir()
    assert warnings(tmp_path, [*tracked, "app/vendored"]) == []


def test_where_no_checkout_is(tmp_path: Path) -> None:
    diary = Diary()
    warn_of_forgotten(None, (), PLACES, diary)
    warn_of_forgotten(tmp_path, (), PLACES, diary)
    assert diary.entries == []
