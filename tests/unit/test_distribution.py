"""What our own sdist and wheel hold, built from the sources by their backend in a process of its own."""

from __future__ import annotations

import configparser
import email.parser
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import platter_setuptools

ROOT = Path(__file__).parents[2]
STEM = f"platter_setuptools-{platter_setuptools.__version__}"
BUILD = """
import sys
from setuptools import build_meta
print(build_meta.build_sdist(sys.argv[1]))
"""
BUILD_WHEEL = BUILD.replace("build_sdist", "build_wheel")


def package_files() -> set[str]:
    """Every file of the package in the source tree."""
    folder = ROOT / "src"
    found = {
        path.relative_to(folder).as_posix() for path in (folder / "platter_setuptools").rglob("*") if path.is_file()
    }
    return {name for name in found if "__pycache__" not in name}


def build(code: str, tree: Path, into: Path) -> Path:
    command = [sys.executable, "-W", "ignore", "-c", code, str(into)]
    done = subprocess.run(command, cwd=tree, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return into / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    tree = folder / "tree"
    ignored = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist", "benchmarks", "tests")
    shutil.copytree(ROOT, tree, ignore=ignored)
    return build(BUILD, tree, folder)


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as pip makes it: from the sdist alone."""
    folder = tmp_path_factory.mktemp("wheel")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    return build(BUILD_WHEEL, folder / STEM, folder)


def test_sdist(sdist: Path) -> None:
    assert sdist.name == f"{STEM}.tar.gz"
    with tarfile.open(sdist) as archive:
        names = {name.removeprefix(f"{STEM}/") for name in archive.getnames()}
    assert {f"src/{name}" for name in package_files()} <= names
    assert {"PKG-INFO", "pyproject.toml", "setup.cfg", "setup.py", "README.md", "LICENSE"} <= names
    assert not [name for name in names if name.endswith(".pyc") or "__pycache__" in name]


def test_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    assert wheel.name == f"{STEM}-py3-none-any.whl"
    info = f"{STEM}.dist-info"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    of_info = {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "top_level.txt", "licenses/LICENSE"}
    assert names == package_files() | {f"{info}/{name}" for name in of_info}
    # What is not Python, and so easily left out.
    files = ("py.typed", "payload/install.sh", "inspect/page.html")
    assert {f"platter_setuptools/{file}" for file in files} <= names


def test_wheel_has_the_sources_as_they_are(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for name in package_files():
            assert archive.read(name) == (ROOT / "src" / name).read_bytes(), name


def test_entry_points(wheel: Path) -> None:
    parser = configparser.ConfigParser()
    with zipfile.ZipFile(wheel) as archive:
        parser.read_string(archive.read(f"{STEM}.dist-info/entry_points.txt").decode())
    assert {name: dict(parser[name]) for name in parser.sections()} == {
        "console_scripts": dict.fromkeys(
            ("platter", "platter-setuptools"), "platter_setuptools.cli.command_line:program"
        ),
        "distutils.commands": {"bdist_platter": "platter_setuptools.bdist_platter:bdist_platter"},
        "validate_pyproject.tool_schema": {"platter": "platter_setuptools.config.schema:tool_schema"},
        "setuptools.finalize_distribution_options": {"bdist_platter": "platter_setuptools.announce:announce"},
    }


def test_metadata(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read(f"{STEM}.dist-info/METADATA").decode()
    metadata = email.parser.Parser().parsestr(text)
    assert (metadata["Name"], metadata["Version"]) == ("platter-setuptools", platter_setuptools.__version__)
    assert metadata["License-Expression"] == "BSD-3-Clause"
    assert metadata["Requires-Python"] == ">=3.10"
    assert metadata.get_payload() == (ROOT / "README.md").read_text("utf-8")


def test_no_place_on_this_machine_is_told(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            assert str(ROOT).encode() not in archive.read(name), name
