"""Commands whose module is in the bundle, and commands that cannot start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from platter_setuptools.errors import WheelError
from platter_setuptools.values import Origin
from platter_setuptools.wheels.check import Asked, WheelWithMetadata
from platter_setuptools.wheels.entry_points import check_attributes, check_scripts
from platter_setuptools.wheels.metadata import describe, open_wheel
from platter_setuptools.wheels.record_check import examine
from support import handmade
from support.fakes import Diary

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def described(path: Path) -> WheelWithMetadata:
    wheel = open_wheel(path, Origin.PROJECT)
    return WheelWithMetadata(wheel=wheel, description=describe(wheel))


def app(folder: Path, reference: str, files: Mapping[str, str | bytes], *, kind: str = "console", **more: Any) -> Path:
    points = f"[{kind}_scripts]\nrun = {reference}\n"
    return handmade.wheel(folder, "app", files=files, entry_points=points, **more)


def told(project: Path, *others: Path, asked: Asked | None = None) -> tuple[list[str], list[str]]:
    """The commands that make the check fail, and the warnings."""
    diary, wheels = Diary(), [described(path) for path in (project, *others)]
    places = {one.wheel: examine(one.wheel) for one in wheels}
    try:
        check_scripts(wheels, wheels[:1], places, asked or Asked(), diary)
    except WheelError as error:
        return error.message.splitlines()[1:], diary.said("warn")
    return [], diary.said("warn")


@pytest.mark.parametrize(
    ("reference", "files"),
    [
        ("app:main", {"app.py": ""}),
        ("app:main", {"app/__init__.py": ""}),
        ("app.cli:main", {"app/__init__.py": "", "app/cli.py": ""}),
        ("app.cli:Main.run", {"app/cli.py": ""}),  # app is a namespace package
        ("app:cli.main", {"app/cli.py": ""}),
        ("app.fast:main", {"app/fast.cpython-311-x86_64-linux-gnu.so": b""}),
        ("app.fast:main", {"app/fast.abi3.so": b""}),
        ("app.fast:main", {"app/fast/__init__.cpython-311-x86_64-linux-gnu.so": b""}),
        ("app.old:main", {"app/old.pyc": b""}),
        ("json.tool:main", {"app.py": ""}),
        ("other.deep:main", {"app.py": ""}),
        ("app:main [extra]", {"app.py": ""}),
    ],
)
@pytest.mark.parametrize("kind", ["console", "gui"])
def test_commands_that_start(tmp_path: Path, reference: str, files: Mapping[str, str | bytes], kind: str) -> None:
    other = handmade.wheel(tmp_path, "other", files={"other/deep.py": ""})
    assert told(app(tmp_path, reference, files, kind=kind), other) == ([], [])


@pytest.mark.parametrize("kind", ["purelib", "platlib"])
def test_modules_below_data(tmp_path: Path, kind: str) -> None:
    project = app(tmp_path, "app.cli:main", {}, **{kind: {"app/cli.py": ""}})  # type: ignore[arg-type]
    assert told(project) == ([], [])


def test_a_data_file_in_a_folder_of_that_name_is_no_module(tmp_path: Path) -> None:
    project = app(tmp_path, "app:main", {}, data={"share/site-packages/app.py": ""})
    assert told(project)[0] == ["  run = app:main: no wheel of the bundle has app"]


@pytest.mark.parametrize(
    ("reference", "files", "meant"),
    [
        ("app.cil:main", {"app/cli.py": ""}, " (did you mean app.cli?)"),
        ("app.cli.deep:main", {"app/cli.py": ""}, " (did you mean app.cli?)"),
        ("gone:main", {"app/cli.py": ""}, ""),
        ("app:main", {"app/zzz.py": ""}, " (did you mean app.zzz?)"),  # a namespace package defines nothing
        ("app:zzz.main", {"app/deep/xyz.py": ""}, ""),
        ("app:main", {"app.txt": "", "src/app.py": ""}, " (did you mean src.app?)"),
        ("app:main", {"app/__pycache__/app.cpython-311.pyc": b""}, ""),
    ],
)
def test_commands_that_do_not(tmp_path: Path, reference: str, files: Mapping[str, str | bytes], meant: str) -> None:
    module = reference.partition(":")[0]
    (line,), warnings = told(app(tmp_path, reference, files))
    assert line.startswith(f"  run = {reference}: no wheel of the bundle has {module}")
    assert line.endswith(meant or module)
    assert warnings == []


def test_what_may_come_from_elsewhere_is_a_warning(tmp_path: Path) -> None:
    excluding = Asked(excluded=frozenset({described(handmade.wheel(tmp_path, "numpy")).wheel.name}))
    message = "run = numpy.cli:main: no wheel of the bundle has numpy.cli"
    project = app(tmp_path, "numpy.cli:main", {"app.py": ""})
    assert told(project) == ([f"  {message}"], [])
    assert told(project, asked=excluding) == ([], [message])
    # What was excluded does not put modules into our own package.
    ours = app(tmp_path / "ours", "app.cli:main", {"app/__init__.py": ""})
    assert told(ours, asked=excluding)[1] == []

    extra = app(tmp_path / "extra", "numpy.cli:main [cli]", {"app.py": ""})
    assert told(extra) == ([], [message])
    name = described(extra).wheel.name
    assert told(extra, asked=Asked(extras={name: frozenset({"CLI"})})) == ([f"  {message}"], [])

    path = app(tmp_path / "path", "numpy.cli:main", {"app.pth": "vendored\n"})
    assert told(path) == ([], [message])
    for harmless in ("distutils-precedence.pth", "app-nspkg.pth"):
        assert told(app(tmp_path / harmless, "numpy.cli:main", {harmless: ""}))[1] == []


def test_another_wheels_command_is_a_warning(tmp_path: Path) -> None:
    project = app(tmp_path, "app:main", {"app.py": ""})
    points = "[console_scripts]\nserve = gone:main\nmore = gone.more:main [more]\n"
    other = handmade.wheel(tmp_path, "other", entry_points=points)
    assert told(project, other) == (
        [],
        ["a command of other will not start: serve = gone:main: no wheel of the bundle has gone"],
    )


class TestAttributes:
    @pytest.mark.parametrize(
        "source",
        [
            "def main(): ...",
            "async def main(): ...",
            "class main: ...",
            "main = print",
            "main: object = print",
            "from os import main",
            "import os as main",
            "import main.deep",
            "try:\n    from os import path as main\nexcept ImportError:\n    main = None",
            "if (main := print): ...",
            "for main in (): ...",
            "def make():\n    global main\n    main = 1",
            "from os import *",
            "def __getattr__(name): ...",
            "globals()['main'] = print",
            "import sys\nsys.modules[__name__] = object()",
            "exec('main = 1')",
            "def later syntax(",
            "\0",
        ],
    )
    def test_defined_or_not_to_be_known(self, tmp_path: Path, source: str) -> None:
        diary = Diary()
        check_attributes(described(app(tmp_path, "app:main", {"app.py": source})), diary)
        assert diary.entries == []

    @pytest.mark.parametrize(
        ("files", "more"),
        [
            ({"app/__init__.py": "", "app/main.py": ""}, {}),
            ({"app/main.so": b"", "app/__init__.py": ""}, {}),
            ({"app.so": b""}, {}),
            ({}, {"purelib": {"app.py": "main = 1"}}),
        ],
    )
    def test_submodules_and_compiled_ones(
        self, tmp_path: Path, files: Mapping[str, str | bytes], more: Mapping[str, Mapping[str, str]]
    ) -> None:
        diary = Diary()
        check_attributes(described(app(tmp_path, "app:main", files, **more)), diary)  # type: ignore[arg-type]
        assert diary.entries == []

    @pytest.mark.parametrize("kind", ["files", "purelib"])
    def test_a_slip_of_the_pen(self, tmp_path: Path, kind: str) -> None:
        diary, modules = Diary(), {"app/cli.py": "def main(): ...\n"}
        more: dict[str, Any] = {"files": {}} | {kind: modules}
        project = app(tmp_path, "app.cli:mian.run", **more)
        check_attributes(described(project), diary)
        assert diary.said("warn") == ["run = app.cli:mian.run: app.cli does not seem to define it (did you mean main?)"]
