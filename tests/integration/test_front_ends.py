"""The ways in, as a user takes them: `python setup.py bdist_platter`, `platter`, and `python -m platter_setuptools`."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tarfile
import textwrap
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from platter_setuptools.config.options import FORMATS, OPTIONS
from support import handmade, projects
from support.front_ends import WITH_PIP, info, listing, output, unpack, wheels

if TYPE_CHECKING:
    from support.front_ends import Yard

BUNDLE = "hello-1.0-" + handmade.running_target()["platform"].replace("_", "-", 1)


DOCS = Path(__file__).parents[2] / "docs"
MARKER = ".platter-release.json"  # says when it was installed
WHEEL = "hello-1.0-py3-none-any.whl"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that every front end builds by setuptools."""
    return projects.hello(tmp_path / "project", {"setup.py": projects.SETUP_PY})


def test_setuptools_knows_the_command(yard: Yard, project: Path) -> None:
    listed = yard.setup_py(project, "--help-commands").stdout
    assert any(line.split()[:1] == ["bdist_platter"] and "bundle" in line for line in listed.splitlines())


def test_the_command_explains_every_option(yard: Yard, project: Path) -> None:
    text = yard.setup_py(project, "bdist_platter", "--help").stdout
    words = " ".join(text.split())
    for option in OPTIONS:
        name = "dist-dir" if option.name == "output" else option.name
        assert f"--{name} " in words
        # What is explained differs from what `platter` says only in how to say several.
        assert option.help.replace(" (repeatable)", "")[:40] in words


def test_platter_explains_every_option(yard: Yard, project: Path) -> None:
    words = " ".join(yard.platter("build", "--help", cwd=project).stdout.split())
    for option in OPTIONS:
        assert f"--{option.name}" in words
        assert option.help[:40] in words


@pytest.mark.parametrize("words", [["platter"], ["-m", "platter_setuptools"]])
def test_version(yard: Yard, project: Path, words: list[str]) -> None:
    command = [Path(sys.executable).with_name("platter")] if words == ["platter"] else [sys.executable, *words]
    expected = f"platter-setuptools {version('platter-setuptools')}\n"
    assert yard.run(*command, "--version", cwd=project).stdout == expected


def test_platter_without_a_command_explains_itself(yard: Yard, project: Path) -> None:
    assert "usage: platter" in yard.platter(cwd=project, code=2).stderr


def test_a_fork_does_what_a_process_of_its_own_does(yard: Yard, project: Path) -> None:
    """Most tests run platter in forks (tests/support/forking.py)."""
    found = []
    for environ in ({}, {"PYTHONHASHSEED": "0"}):  # which no fork can have
        bundle = yard.build(project, **environ)
        done = yard.platter("build", "--requirements=none.txt", cwd=project, code=2, **environ)
        found.append((bundle, bundle.read_bytes(), done.returncode, done.stdout, done.stderr))
        bundle.unlink()
    assert found[0] == found[1]


def test_from_setup_py_to_a_running_program(yard: Yard, project: Path) -> None:
    done = yard.setup_py(project, "bdist_platter", code=0, **WITH_PIP)
    artifact = project / "dist" / f"{BUNDLE}.tar.gz"
    assert set((project / "dist").iterdir()) == {artifact, project / "dist" / WHEEL}
    assert str(artifact) in done.stderr
    assert hashlib.sha256(artifact.read_bytes()).hexdigest() in done.stderr
    app = yard.install(artifact)
    assert output(app / "bin" / "hello") == "hello from leaf 2.0"
    assert output(app / "bin" / "pip", "check") == "No broken requirements found."


def test_one_call_builds_the_wheel_once(yard: Yard, project: Path) -> None:
    done = yard.setup_py(project, "sdist", "bdist_wheel", "bdist_platter")
    assert (done.stdout + done.stderr).count("adding 'hello-1.0.dist-info/RECORD'") == 1
    names = {path.name for path in (project / "dist").iterdir()}
    assert names == {WHEEL, f"{BUNDLE}.tar.gz", "hello-1.0.tar.gz"}
    with tarfile.open(project / "dist" / f"{BUNDLE}.tar.gz") as archive:
        packed = archive.extractfile(f"{BUNDLE}/data/{WHEEL}")
        assert packed
        assert packed.read() == (project / "dist" / WHEEL).read_bytes()


def test_other_commands_may_come_after_it_and_latest_tells_what_is_ours(yard: Yard, project: Path) -> None:
    yard.setup_py(project, "-q", "bdist_platter", "sdist", "bdist", "--formats=zip")
    names = {path.name for path in (project / "dist").iterdir()}
    assert names == {WHEEL, f"{BUNDLE}.tar.gz", "hello-1.0.tar.gz", BUNDLE.replace("1.0-", "1.0.") + ".zip"}
    assert yard.platter("latest", cwd=project).stdout == f"{project}/dist/{BUNDLE}.tar.gz\n"


def test_the_command_tells_setuptools_what_it_made(yard: Yard, project: Path) -> None:
    (project / "setup.py").write_text(
        textwrap.dedent(projects.SETUP_PY).replace("setup(\n", "made = setup(\n") + "print('MADE', made.dist_files)\n"
    )
    said = next(line for line in yard.setup_py(project, "bdist_platter").stdout.splitlines() if line.startswith("MADE"))
    assert f"('bdist_platter', 'any', '{project / 'dist' / BUNDLE}.tar.gz')" in said


def test_a_lone_command_leaves_the_source_tree_clean(yard: Yard, tmp_path: Path) -> None:
    project = projects.write(
        tmp_path / "project",
        {
            "setup.py": projects.EMPTY_SETUP_PY,
            "pyproject.toml": projects.PYPROJECT.replace('py-modules = ["hello"]', 'packages.find.where = ["src"]'),
            "src/hello/__init__.py": projects.HELLO,
        },
    )
    projects.commit(project)
    yard.setup_py(project, "bdist_platter")
    assert projects.git_status(project).splitlines() == [
        f"?? dist/{BUNDLE}.tar.gz",
        f"?? dist/{WHEEL}",
    ]


def test_platter_build_leaves_the_source_tree_clean(yard: Yard, project: Path) -> None:
    projects.commit(project)
    yard.build(project)
    assert projects.git_status(project).splitlines() == [f"?? dist/{BUNDLE}.tar.gz"]


@pytest.mark.parametrize("front_end", ["command", "platter"])
def test_egg_info_and_build_folders_that_were_there_stay_as_they_are(yard: Yard, project: Path, front_end: str) -> None:
    yard.setup_py(project, "-q", "egg_info")
    projects.write(project, {"build/lib/stale.py": "old = True\n"})
    before = {folder: listing(project / folder) for folder in ("hello.egg-info", "build")}
    assert before["hello.egg-info"]
    artifact = yard.command(project) if front_end == "command" else yard.build(project)
    after = {folder: listing(project / folder) for folder in ("hello.egg-info", "build")}
    assert after["build"] == before["build"]
    assert set(after["hello.egg-info"]) == set(before["hello.egg-info"])
    app = yard.install(artifact)
    assert not list(app.glob("lib/python*/site-packages/stale.py"))


@pytest.mark.parametrize("front_end", ["command", "platter"])
def test_package_data_that_only_an_unpacked_sdist_knows_of(yard: Yard, tmp_path: Path, front_end: str) -> None:
    # Made where version control told setuptools of page.html; here only SOURCES.txt does.
    setup = """
        from setuptools import setup

        setup(name="hello", version="1.0", packages=["hello"], include_package_data=True)
    """
    project = projects.write(
        tmp_path / "project",
        {
            "setup.py": setup,
            "hello/__init__.py": "",
            "hello/page.html": "<p>hello</p>\n",
            "hello.egg-info/SOURCES.txt": "setup.py\nhello/__init__.py\nhello/page.html\n",
            "hello.egg-info/PKG-INFO": "Metadata-Version: 2.1\nName: hello\nVersion: 1.0\n",
        },
    )
    artifact = yard.command(project) if front_end == "command" else yard.build(project)
    app = yard.install(artifact)
    (page,) = app.glob("lib/python*/site-packages/hello/page.html")
    assert page.read_text() == "<p>hello</p>\n"


def test_the_artifact_path_alone_is_on_stdout(yard: Yard, project: Path) -> None:
    done = yard.platter("build", cwd=project)
    assert done.stdout == f"{project}/dist/{BUNDLE}.tar.gz\n"
    assert "Resolving" in done.stderr


def test_what_is_told_as_json_is_true(yard: Yard, project: Path) -> None:
    told: dict[str, Any] = {}
    for command in ("build", "latest", "verify"):
        operand = [told["build"]["path"]] if command == "verify" else []
        said = yard.platter(command, "--json", *operand, cwd=project).stdout
        told[command] = json.loads(said)
        jsonschema.validate(told[command], json.loads((DOCS / f"{command}.schema.json").read_text()))
    bundle = project / "dist" / f"{BUNDLE}.tar.gz"
    content = bundle.read_bytes()
    assert {one["path"] for one in told.values()} == {str(bundle)}
    assert (told["build"]["size"], told["build"]["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert sum(told["build"]["wheels"].values()) == told["verify"]["wheels"] == len(wheels(unpack(bundle, yard.folder)))


def test_quiet_says_nothing_but_the_path(yard: Yard, project: Path) -> None:
    done = yard.platter("build", "-q", cwd=project)
    assert done.stderr == ""
    assert done.stdout == f"{project}/dist/{BUNDLE}.tar.gz\n"


def test_verbose_shows_what_the_tools_say(yard: Yard, project: Path) -> None:
    assert "adding 'hello.py'" in yard.platter("build", "-v", cwd=project).stderr


def test_build_finds_the_closest_project_upwards(yard: Yard, project: Path) -> None:
    inside = project / "some" / "where"
    inside.mkdir(parents=True)
    assert yard.build(inside) == inside / "dist" / f"{BUNDLE}.tar.gz"


def test_build_takes_a_folder_and_an_output(yard: Yard, project: Path, tmp_path: Path) -> None:
    artifact = yard.build(tmp_path, "project", "--output", "new/folder")
    assert artifact == tmp_path / "new" / "folder" / f"{BUNDLE}.tar.gz"
    assert not (project / "dist").exists()
    assert not (tmp_path / "dist").exists()


def test_build_takes_a_finished_wheel_and_an_sdist(yard: Yard, project: Path, tmp_path: Path) -> None:
    yard.setup_py(project, "-q", "sdist", "bdist_wheel")
    before = listing(project)
    for number, file in enumerate([WHEEL, "hello-1.0.tar.gz"]):
        artifact = yard.build(tmp_path, project / "dist" / file, "--output", f"out{number}")
        assert yard.say(artifact, name=f"server{number}") == "hello from leaf 2.0"
    assert listing(project) == before


def test_build_uses_any_backend(yard: Yard, tmp_path: Path) -> None:
    pyproject = """
        [build-system]
        requires = ["tinybackend", "setuptools"]
        build-backend = "tinybackend"

        [tool.tiny]
        name = "hello"
        version = "1.0"
        requires = ["leaf<2"]
        entry_points = "[console_scripts]\\nhello = hello:main\\n"
    """
    project = projects.write(tmp_path / "project", {"pyproject.toml": pyproject, "hello.py": projects.HELLO})
    assert yard.say(yard.build(project)) == "hello from leaf 1.0"


def test_both_doors_make_the_same_bundle(yard: Yard, project: Path) -> None:
    command, platter = yard.command(project, **WITH_PIP), yard.build(project, "--output", "platter", **WITH_PIP)
    assert wheels(command) == {"hello": "1.0", "leaf": "2.0", "pip": wheels(platter)["pip"]}
    assert info(command) == info(platter)
    assert command.read_bytes() == platter.read_bytes()


def test_every_format_installs_the_same_tree(yard: Yard, project: Path, tmp_path: Path) -> None:
    yard.setup_py(project, "-q", "bdist_wheel")
    trees, apps = {}, {}
    for kind in FORMATS:
        artifact = yard.build(tmp_path, project / "dist" / WHEEL, "--format", kind, "--no-pip")
        assert artifact.name == (BUNDLE if kind == "dir" else f"{BUNDLE}.{kind}")
        bundle = unpack(artifact, yard.folder / kind)
        assert bundle.name == BUNDLE
        trees[kind] = {name: (mode, content) for name, (mode, _, content) in listing(bundle).items()}
    assert all(tree == trees["dir"] for tree in trees.values())
    assert trees["dir"]["install.sh"][0] == "-rwxr-xr-x"
    for kind in ("dir", "zip", "tar.zst"):
        app = yard.install(tmp_path / "dist" / (BUNDLE if kind == "dir" else f"{BUNDLE}.{kind}"))
        assert output(app / "bin" / "hello") == "hello from leaf 2.0"
        apps[kind] = {name: (mode, content) for name, (mode, _, content) in listing(app).items() if name != MARKER}
        shutil.rmtree(yard.folder / "server")
    assert apps["dir"] == apps["zip"] == apps["tar.zst"]


def test_clean_cache_empties_the_wheel_cache_and_nothing_else(yard: Yard, project: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    yard.build(project, "--wheel-cache", cache)
    assert list(cache.rglob("leaf-*.whl"))
    (cache / "mine.txt").write_text("a file of somebody's")
    done = yard.platter("clean-cache", cwd=project, PLATTER_BUILD_WHEEL_CACHE=str(cache))
    assert f"from {cache}" in done.stderr
    assert [path.name for path in cache.rglob("*")] == ["mine.txt"]
    yard.platter("clean-cache", "--wheel-cache", cache / "never made", cwd=project)


def test_the_default_cache_is_in_the_users_cache_folder(yard: Yard, project: Path) -> None:
    yard.build(project, PLATTER_BUILD_WHEEL_CACHE="", XDG_CACHE_HOME=str(yard.folder / "home" / "caches"))
    assert list((yard.folder / "home" / "caches" / "platter").rglob("leaf-*.whl"))
