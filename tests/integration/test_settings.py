"""Settings of uv and pip: each reaches what it concerns, and nothing else."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uv

from support import handmade, index, projects
from support.front_ends import info, wheels

if TYPE_CHECKING:
    from support.front_ends import Yard

# An sdist whose module tells what the build was told.
TOLD = """
    import os
    import alpha
    from setuptools import setup

    with open("told.py", "w") as file:
        file.write("VALUE = %r\\n" % os.environ["TOLD"])
    setup(name="told", version="1.0", py_modules=["told"])
"""


@pytest.fixture
def links(tmp_path: Path) -> Path:
    """Wheels that the index does not have."""
    for version in ("1.0", "2.0"):
        handmade.wheel(tmp_path / "links", "base", version)
    handmade.wheel(tmp_path / "links", "strict", requires=["base<2"])
    return tmp_path / "links"


def project(folder: Path, uv_table: str, *dependencies: str) -> Path:
    """A project with a `[tool.uv]`."""
    needs = ", ".join(f'"{one}"' for one in ("leaf", *dependencies))
    pyproject = projects.PYPROJECT.replace('"leaf"', needs).replace('"1.0"', '"1.0"\n    requires-python = ">=3.9"', 1)
    projects.write(folder, {"pyproject.toml": pyproject, "hello.py": projects.HELLO})
    with (folder / "pyproject.toml").open("a") as file:
        file.write(f"\n[tool.uv]\n{uv_table}\n")
    return folder


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('override-dependencies = "base>=2"', 'invalid type: string "base>=2", expected a sequence'),
        ("nonsense = 1", "unknown field `nonsense`"),
        ('required-version = ">=99"', "Required uv version `>=99`"),
    ],
)
def test_what_uv_would_pass_over(yard: Yard, text: str, words: str) -> None:
    """uv warns, and ignores the whole table: neither are its other settings in effect."""
    folder = project(yard.folder / "project", f'index-strategy = "first-index"\n{text}')
    said = yard.refuse(2, folder, "--quiet")
    assert words in said
    assert "uv cannot read its configuration" in said


class TestOverrides:
    def test_they_count_in_the_last_check_and_are_told(self, yard: Yard, links: Path) -> None:
        text = f'override-dependencies = ["base>=2"]\nfind-links = ["{links}"]\n'
        folder = project(yard.folder / "project", text, "base>=2", "strict")
        artifact = yard.build(folder, "--no-pip")
        assert info(artifact)["overrides"] == [{"of": None, "version": None, "name": "base", "instead": ["base>=2"]}]
        assert "is in order" in yard.platter("verify", artifact, cwd=folder).stderr
        told = yard.platter("inspect", artifact, cwd=folder).stdout
        assert "overrides  base>=2, not what any wheel requires of base" in told
        found = json.loads(yard.platter("inspect", "--json", artifact, cwd=folder).stdout)
        assert found["overrides"] == info(artifact)["overrides"]

        yard.run(
            uv.find_uv_bin(),
            "lock",
            "--quiet",
            "--python",
            sys.executable,
            cwd=folder,
            UV_DEFAULT_INDEX=yard.environ["PIP_INDEX_URL"],
        )
        locked = yard.build(folder, "--no-pip", "--lock=uv.lock", "--output=locked")
        assert wheels(locked) == wheels(artifact)
        # A lock remembers what it was made with, whatever the project says now.
        pyproject = folder / "pyproject.toml"
        pyproject.write_text(pyproject.read_text().replace("override-dependencies", "constraint-dependencies"))
        yard.build(folder, "--no-pip", "--lock=uv.lock", "--output=locked")

    def test_excluded_dependencies(self, yard: Yard, links: Path) -> None:
        text = f'exclude-dependencies = ["base"]\nfind-links = ["{links}"]\n'
        artifact = yard.build(project(yard.folder / "project", text, "strict"), "--no-pip")
        assert set(wheels(artifact)) == {"hello", "leaf", "strict"}
        yard.install(artifact)

    @pytest.mark.parametrize("variable", ["UV_OVERRIDE", "UV_EXCLUDE"])
    def test_in_files_that_variables_name(self, yard: Yard, links: Path, variable: str) -> None:
        folder = project(yard.folder / "project", f'find-links = ["{links}"]\n', "strict")
        (yard.folder / "said.txt").write_text("base>=2\n" if variable == "UV_OVERRIDE" else "base\n")
        artifact = yard.build(yard.folder, folder, "--no-pip", **{variable: "said.txt"})
        assert ("base" in wheels(artifact)) == (variable == "UV_OVERRIDE")
        assert [one["name"] for one in info(artifact)["overrides"]] == ["base"]


class TestTools:
    @pytest.mark.parametrize(
        "text",
        [
            'exclude-dependencies = ["filelock", "platformdirs"]\nresolution = "lowest"\nprerelease = "allow"',
            'constraint-dependencies = ["setuptools<60", "filelock<0.1"]\noverride-dependencies = ["platformdirs<0.1"]',
        ],
    )
    def test_a_projects_settings_are_not_theirs(self, yard: Yard, text: str) -> None:
        artifact = yard.build(project(yard.folder / "project", text), "--no-wheel-cache")
        assert yard.say(artifact).startswith("hello from leaf")

    def test_nor_are_variables(self, yard: Yard) -> None:
        folder = projects.hello(yard.folder / "project", {"limits.txt": "setuptools<60\nfilelock<0.1\n"})
        environ = {
            "UV_RESOLUTION": "lowest",
            "UV_CONSTRAINT": "project/limits.txt",
            "UV_PYTHON": "3.1",
            "UV_SYSTEM_PYTHON": "1",
            "PIP_NO_BINARY": "filelock",
            "PIP_CONSTRAINT": "project/limits.txt",
        }
        artifact = yard.build(yard.folder, "project", "--no-wheel-cache", f"--output={folder}/dist", **environ)
        assert yard.say(artifact).startswith("hello from leaf")


class TestBuilds:
    def test_uvs_settings_reach_them(self, yard: Yard) -> None:
        index.sdist(yard.folder / "sdists", "told", "1.0", {"setup.py": textwrap.dedent(TOLD)})
        text = f"""find-links = ["{yard.folder}/sdists"]
[tool.uv.extra-build-dependencies]
told = ["alpha"]
[tool.uv.extra-build-variables]
told = {{TOLD = "one"}}"""
        folder = project(yard.folder / "project", text, "told")
        (folder / "hello.py").write_text("import told\n\n\ndef main():\n    print(told.VALUE)\n")
        assert yard.say(yard.build(folder)) == "one"
        # Another setting is another wheel: nothing is taken from the wheel cache.
        pyproject = folder / "pyproject.toml"
        pyproject.write_text(pyproject.read_text().replace('"one"', '"two"'))
        assert yard.say(yard.build(folder), name="again") == "two"

    def test_constraints_of_builds(self, yard: Yard) -> None:
        text = 'build-constraint-dependencies = ["setuptools<1"]'
        assert "setuptools" in yard.refuse(4, project(yard.folder / "project", text))


class TestPaths:
    def test_they_start_where_they_are_said(self, yard: Yard, links: Path) -> None:
        folder = project(yard.folder / "project", "", "strict")
        shutil.copytree(links, folder / "vendor")
        with (folder / "pyproject.toml").open("a") as file:
            file.write('\n[tool.platter]\npip-option = ["--find-links=vendor"]\n')
        elsewhere = yard.folder / "elsewhere"
        elsewhere.mkdir()
        assert "strict" in wheels(yard.build(elsewhere, folder, "--no-pip"))
        (folder / "vendor").rename(elsewhere / "vendor")
        assert "strict" in wheels(yard.build(elsewhere, folder, "--no-pip", "--pip-option=--find-links=vendor"))
        yard.refuse(4, elsewhere, folder)
        assert "strict" in wheels(yard.build(elsewhere, folder, "--no-pip", PIP_FIND_LINKS="vendor"))

    @pytest.mark.parametrize("resolver", ["uv", "pip"])
    def test_caches_of_the_tools_are_not_in_the_project(self, yard: Yard, resolver: str) -> None:
        folder = projects.hello(yard.folder / "project", {"setup.py": projects.SETUP_PY})
        environ = {"UV_CACHE_DIR": "uv-cache", "PIP_CACHE_DIR": "pip-cache"}
        yard.build(yard.folder, "project", f"--output={yard.folder}/out", f"--resolver={resolver}", **environ)
        assert sorted(one.name for one in folder.iterdir()) == ["hello.py", "setup.py"]


# An in-tree backend that writes into the tree as setuptools before 66 does, whatever it is asked for.
LITTERING = """
    from pathlib import Path
    from setuptools import build_meta

    def _litter():
        folder = Path("old.egg-info")
        folder.mkdir(exist_ok=True)
        (folder / "PKG-INFO").touch()

    def get_requires_for_build_wheel(config_settings=None):
        _litter()
        return []

    def prepare_metadata_for_build_wheel(folder, config_settings=None):
        _litter()
        return build_meta.prepare_metadata_for_build_wheel(folder, config_settings)

    def build_wheel(folder, config_settings=None, metadata_directory=None):
        _litter()
        return build_meta.build_wheel(folder, config_settings, metadata_directory)
"""


@pytest.mark.parametrize("resolver", ["uv", "pip"])
def test_metadata_of_a_path_dependency_leaves_nothing_in_its_tree(yard: Yard, resolver: str) -> None:
    old = yard.folder / "old"
    build_system = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    setup_py = "from setuptools import setup\nsetup(name='old', version='1.0', py_modules=['old'])\n"
    files = {"pyproject.toml": build_system, "setup.py": setup_py, "backend.py": LITTERING, "old.py": ""}
    projects.write(old, files)
    folder = project(yard.folder / "project", "", f"old @ {old.as_uri()}")
    assert "old" in wheels(yard.build(folder, "--no-pip", f"--resolver={resolver}"))
    assert sorted(path.name for path in old.iterdir()) == sorted(files)


def test_clones_of_pip_are_not_in_the_project(yard: Yard) -> None:
    other = projects.write(yard.folder / "other", {"setup.py": projects.SETUP_PY.replace("hello", "other")})
    (other / "other.py").write_text("")
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", other)
    for words in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "one"]):
        yard.run(*git, *words, cwd=other)
    files = {"setup.py": projects.SETUP_PY, "r.txt": f"-e git+file://{other}@main#egg=other\n"}
    folder = projects.hello(yard.folder / "project", files)
    artifact = yard.build(folder, "--resolver=pip", "-r", "r.txt", PIP_REQUIRE_VIRTUALENV="1", PIP_USER="1")
    assert "other" in wheels(artifact)
    assert sorted(one.name for one in folder.iterdir()) == ["dist", "hello.py", "r.txt", "setup.py"]


def test_an_sdist_lacks_the_workspace_that_its_sources_name(yard: Yard) -> None:
    pyproject = textwrap.dedent(projects.PYPROJECT).replace('"leaf"', '"leaf", "alpha", "beta"')
    pyproject += '[tool.uv]\nworkspace = {members = ["packages/*"]}\n'
    pyproject += '[tool.uv.sources]\nalpha = {workspace = true}\nbeta = {path = "../beta"}\n'
    files = {"pyproject.toml": pyproject, "hello.py": projects.HELLO}
    sdist = index.sdist(yard.folder / "sdists", "hello", "1.0", files)
    done = yard.platter("build", sdist, "--no-pip", cwd=yard.folder)
    assert "[tool.uv.sources] says where alpha, beta is, which the sdist lacks" in done.stderr
    assert set(wheels(Path(done.stdout.strip()))) == {"hello", "leaf", "alpha", "beta"}


class TestTheProjectItself:
    @pytest.mark.parametrize("resolver", ["uv", "pip"])
    def test_in_a_requirements_file(self, yard: Yard, resolver: str) -> None:
        folder = project(yard.folder / "project", "")
        with (folder / "pyproject.toml").open("a") as file:
            file.write('\n[project.optional-dependencies]\nx = ["alpha"]\ny = ["beta"]\n')
        url = folder.as_uri()
        lines = ["-e .", f"hello @ {url}", "-e .[x]", f'hello[y] @ {url} ; os_name == "posix"', ".", "hello @ file:."]
        (folder / "r.txt").write_text("".join(f"{line}\n" for line in lines))
        artifact = yard.build(yard.folder, folder, "-r", folder / "r.txt", f"--resolver={resolver}", "--no-pip")
        assert set(wheels(artifact)) == {"hello", "leaf", "alpha", "beta"}
        assert sorted(one.name for one in folder.iterdir()) == ["hello.py", "pyproject.toml", "r.txt"]

    def test_settings_of_one_requirement_reach_its_build(self, yard: Yard) -> None:
        backend = textwrap.dedent("""
            from setuptools import build_meta as meta
            from setuptools.build_meta import *

            def build_wheel(folder, config_settings=None, metadata_directory=None):
                open("told.py", "w").write("VALUE = %r" % sorted((config_settings or {}).items()))
                return meta.build_wheel(folder, None, metadata_directory)
        """)
        pyproject = textwrap.dedent("""
            [build-system]
            requires = ["setuptools"]
            build-backend = "backend"
            backend-path = ["."]
            [project]
            name = "told"
            version = "1.0"
            [tool.setuptools]
            py-modules = ["told"]
        """)
        files = {"pyproject.toml": pyproject, "backend.py": backend, "told.py": ""}
        sdists = index.sdist(yard.folder / "sdists", "told", "1.0", files).parent
        text = f'-f {sdists}\ntold --config-settings="a=b" --config-settings=a=c\nleaf\n'
        app = "import told\n\n\ndef main():\n    print(told.VALUE)\n"
        folder = projects.hello(yard.folder / "project", {"r.txt": text, "hello.py": app})
        assert yard.say(yard.build(folder, "-r", "r.txt", "--resolver=pip")) == "[('a', ['b', 'c'])]"
        assert "--config-settings=a=b" in yard.refuse(4, folder, "-r", "r.txt")
