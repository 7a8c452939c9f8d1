"""Bundles through build frontends: by setuptools' own backend with one setting, and by our backend.

The frontends build without isolation: what they would install into it is in the environment that runs the tests.
"""

from __future__ import annotations

import email
import os
import re
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uv

from support import handmade, projects
from support.front_ends import info, listing, output, unpack, wheels

if TYPE_CHECKING:
    from support.front_ends import Done, Yard

BUNDLE = "hello-1.0-" + handmade.running_target()["platform"].replace("_", "-", 1)
WHEEL = "hello-1.0-py3-none-any.whl"
SDIST = "hello-1.0.tar.gz"
COMMAND = "-C--build-option=bdist_platter"
OURS = projects.PYPROJECT.replace("setuptools.build_meta", "platter_setuptools.build_meta").replace(
    '["setuptools"]', '["setuptools", "platter-setuptools"]'
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project on our backend, whose own files name a folder that no frontend knows of."""
    table = '\n    [tool.platter]\n    output = "elsewhere"\n'
    extras = '\n    [project.optional-dependencies]\n    a = ["alpha"]\n    b = ["beta"]\n'
    return projects.write(tmp_path / "project", {"pyproject.toml": OURS + extras + table, "hello.py": projects.HELLO})


class Frontends:
    """The frontends as somebody calls them in a project's folder."""

    def __init__(self, yard: Yard, tool_wheels: Path) -> None:
        self.yard = yard
        self.pip_wheel = max(tool_wheels.glob("pip-*.whl"))

    def build(self, project: Path, *words: str, code: int = 0, **environ: str) -> Done:
        command = (sys.executable, "-m", "build", "--no-isolation", *words)
        return self.yard.run(*command, cwd=project, code=code, **environ)

    def uv(self, project: Path, *words: str, code: int = 0, **environ: str) -> Done:
        command = (uv.find_uv_bin(), "build", "--no-build-isolation", "--python", sys.executable, *words)
        locks = self.yard.folder / "locks"  # uv leaves them in TMPDIR
        locks.mkdir(exist_ok=True)
        return self.yard.run(*command, cwd=project, code=code, TMPDIR=str(locks), **environ)

    def pip(
        self, project: Path, *words: str | Path, python: Path = Path(sys.executable), code: int = 0, **environ: str
    ) -> Done:
        command = (python, self.pip_wheel / "pip", *words, "--no-build-isolation", "--no-deps", "--no-index")
        return self.yard.run(*command, cwd=project, code=code, **environ)


@pytest.fixture
def frontends(yard: Yard, tool_wheels: Path) -> Frontends:
    return Frontends(yard, tool_wheels)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.name != ".gitignore"}


def contents(wheel: Path) -> dict[str, int]:
    """The names and checksums of what is in it."""
    with zipfile.ZipFile(wheel) as archive:
        return {member.filename: member.CRC for member in archive.infolist()}


def with_setuptools_backend(project: Path) -> None:
    path = project / "pyproject.toml"
    text = path.read_text().replace("platter_setuptools.build_meta", "setuptools.build_meta")
    path.write_text(text.replace('["setuptools", "platter-setuptools"]', '["setuptools"]'))


class TestTheCommandAsABuildOption:
    def test_a_wheel(self, frontends: Frontends, yard: Yard, project: Path) -> None:
        with_setuptools_backend(project)
        done = frontends.build(project, "--wheel", COMMAND)
        assert names(project / "dist") == {WHEEL, f"{BUNDLE}.tar.gz"}
        assert f"{project}/dist/{BUNDLE}.tar.gz" in done.stderr
        bundle = unpack(project / "dist" / f"{BUNDLE}.tar.gz", yard.folder)
        assert (bundle / "data" / WHEEL).read_bytes() == (project / "dist" / WHEEL).read_bytes()
        assert yard.say(project / "dist" / f"{BUNDLE}.tar.gz") == "hello from leaf 2.0"

    def test_an_sdist_and_the_wheel_from_it(self, frontends: Frontends, project: Path) -> None:
        with_setuptools_backend(project)
        frontends.build(project, COMMAND, "-C--build-option=--format=zip", "--outdir", "out")
        assert names(project / "out") == {SDIST, WHEEL, f"{BUNDLE}.zip"}
        assert not (project / "elsewhere").exists()

    def test_a_folder_of_ones_own(self, frontends: Frontends, project: Path, tmp_path: Path) -> None:
        with_setuptools_backend(project)
        frontends.build(project, f"-C--build-option=bdist_platter --dist-dir={tmp_path / 'mine'}")
        assert names(tmp_path / "mine") == {f"{BUNDLE}.tar.gz"}
        frontends.build(project, COMMAND, PLATTER_BUILD_OUTPUT=str(tmp_path / "theirs"))
        assert names(tmp_path / "theirs") == {f"{BUNDLE}.tar.gz"}
        # The wheel is built in a copy of the project: so it would be lost there.
        done = frontends.build(project, COMMAND, PLATTER_BUILD_OUTPUT="lost", code=1)
        assert re.search("error: the build frontend deletes .*/lost", done.stdout + done.stderr)

    def test_pip_and_uv(self, frontends: Frontends, project: Path) -> None:
        with_setuptools_backend(project)
        frontends.pip(project, "wheel", ".", "--wheel-dir", "out", COMMAND)
        assert (names(project / "out"), names(project / "dist")) == ({WHEEL}, {f"{BUNDLE}.tar.gz"})
        frontends.uv(project, "--out-dir", "uv", COMMAND)
        assert names(project / "uv") == {SDIST, WHEEL, f"{BUNDLE}.tar.gz"}


class TestOurBackend:
    def test_nobody_asks(self, frontends: Frontends, project: Path, tmp_path: Path) -> None:
        frontends.build(project, "-Cquiet=true", "-C--global-option=--no-user-cfg", "-Cplatter.format=zip")
        assert names(project / "dist") == {SDIST, WHEEL}
        ours = contents(project / "dist" / WHEEL)
        with_setuptools_backend(project)
        frontends.build(project, "--wheel")
        assert ours == contents(project / "dist" / WHEEL)
        assert not list(tmp_path.rglob(f"{BUNDLE}*"))

    @pytest.mark.parametrize("words", [[], ["--editable"]])
    def test_pip_installs(self, frontends: Frontends, project: Path, tmp_path: Path, words: list[str]) -> None:
        frontends.yard.run(sys.executable, "-m", "virtualenv", "--no-seed", "-q", tmp_path / "env", cwd=tmp_path)
        python = tmp_path / "env" / "bin" / "python"
        # The environment has no setuptools of its own.
        path = os.pathsep.join(part for part in sys.path if "site-packages" in part or part.endswith("src"))
        settings = ["-C--build-option=--quiet", "-Cother.key=1", "-Cplatter.format=zip"]
        frontends.pip(project, "install", *settings, *words, ".", python=python, PYTHONPATH=path)
        assert output(python, "-c", "import importlib.metadata as m; print(m.version('hello'))") == "1.0"
        assert not list(tmp_path.rglob(f"{BUNDLE}*"))

    @pytest.mark.parametrize(
        ("words", "environ", "name"),
        [
            (["-Cplatter=true"], {}, f"{BUNDLE}.tar.gz"),
            (["-Cplatter", "-Cplatter.format=zip"], {}, f"{BUNDLE}.zip"),
            (["-Cplatter.format=tar"], {"PLATTER_BUILD": "1", "PLATTER_BUILD_FORMAT": "zip"}, f"{BUNDLE}.tar"),
            ([], {"PLATTER_BUILD": "yes", "PLATTER_BUILD_FORMAT": "dir"}, BUNDLE),
            (["-Cplatter=no"], {"PLATTER_BUILD": "1"}, None),
        ],
    )
    def test_somebody_asks(
        self, frontends: Frontends, project: Path, words: list[str], environ: dict[str, str], name: str | None
    ) -> None:
        done = frontends.build(project, "--wheel", *words, code=0, **environ)
        assert names(project / "dist") == {WHEEL, name} - {None}
        assert (f"{project}/dist/{BUNDLE}" in done.stderr) == (name is not None)

    def test_a_key_that_comes_twice_is_a_list(self, frontends: Frontends, project: Path) -> None:
        settings = ["-Cplatter=true", "-Cplatter.extras=a", "-Cplatter.extras=b", "-Cplatter.no-pip"]
        frontends.build(project, "--wheel", *settings)
        assert {*wheels(project / "dist" / f"{BUNDLE}.tar.gz")} == {"hello", "leaf", "alpha", "beta"}

    def test_uv(self, frontends: Frontends, yard: Yard, project: Path) -> None:
        frontends.uv(project, "-Cplatter=true", "-Cplatter.extras=a", "-Cplatter.extras=b", "-Cplatter.no-pip=1")
        assert names(project / "dist") == {SDIST, WHEEL, f"{BUNDLE}.tar.gz"}
        assert {*wheels(project / "dist" / f"{BUNDLE}.tar.gz")} == {"hello", "leaf", "alpha", "beta"}
        assert yard.say(project / "dist" / f"{BUNDLE}.tar.gz") == "hello from leaf 2.0"

    def test_pip_wheel(self, frontends: Frontends, project: Path, tmp_path: Path) -> None:
        # pip takes the wheel away from where it had it built, and the rest of that folder is gone.
        frontends.pip(project, "wheel", ".", "--wheel-dir", "out", "-Cplatter=true")
        assert (names(project / "out"), names(project / "dist")) == ({WHEEL}, {f"{BUNDLE}.tar.gz"})
        mine = f"-Cplatter.output={tmp_path / 'mine'}"
        frontends.pip(project, "wheel", ".", "--wheel-dir", "out", "-Cplatter=true", mine)
        assert names(tmp_path / "mine") == {f"{BUNDLE}.tar.gz"}

    def test_pip_and_an_sdist(self, frontends: Frontends, project: Path, tmp_path: Path) -> None:
        frontends.build(project, "--sdist")
        sdist, out = project / "dist" / SDIST, tmp_path / "out"
        done = frontends.pip(tmp_path, "wheel", sdist, "--wheel-dir", out, "-Cplatter=true", code=1)
        assert "error: the build frontend deletes" in done.stdout + done.stderr
        assert "-C platter.output=/path" in done.stdout + done.stderr
        # What the environment asks for was not meant for everything that pip builds.
        frontends.pip(tmp_path, "wheel", sdist, "--wheel-dir", out, PLATTER_BUILD="1")
        assert names(out) == {WHEEL}
        frontends.pip(tmp_path, "wheel", sdist, "--wheel-dir", out, "-Cplatter=true", f"-Cplatter.output={out}")
        assert names(out) == {WHEEL, f"{BUNDLE}.tar.gz"}

    @pytest.mark.parametrize(
        ("settings", "words"),
        [
            (["-Cplatter.formt=zip"], ["there is no option 'platter.formt'", "did you mean platter.format?"]),
            (["-Cplatter=true", "-Cplatter.format=rar"], ["config settings platter.format: 'rar' is not a format"]),
            (["-Cplater=true"], ["there is no 'plater'", "did you mean platter?"]),
        ],
    )
    def test_wrong_settings(self, frontends: Frontends, project: Path, settings: list[str], words: list[str]) -> None:
        done = frontends.build(project, "--wheel", *settings, code=1)
        said = done.stdout + done.stderr
        assert all(word in said for word in words), said
        assert "Traceback" not in said
        assert not (project / "dist").exists() or names(project / "dist") == set()

    def test_a_dependency_that_cannot_be_had(self, frontends: Frontends, project: Path) -> None:
        path = project / "pyproject.toml"
        path.write_text(path.read_text().replace('"leaf"', '"missing"'))
        done = frontends.build(project, "--wheel", "-Cplatter=true", code=1)
        assert "error: the dependencies cannot be resolved: missing was not found\n  hint: " in done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        assert names(project / "dist") <= {WHEEL}
        done = frontends.build(project, "--wheel", "-Cplatter=true", "-Cplatter.verbose", code=1)
        assert "Traceback" in done.stderr

    def test_files_are_read_as_behind_the_other_doors(self, frontends: Frontends, project: Path) -> None:
        projects.write(project, {"setup.cfg": "[bdist_platter]\nformat = tar\nno-pip = yes\n"})
        frontends.build(project, "--wheel", "-Cplatter=true", PLATTER_BUILD_FORMAT="tar.xz")
        assert names(project / "dist") == {WHEEL, f"{BUNDLE}.tar.xz"}
        assert {*wheels(project / "dist" / f"{BUNDLE}.tar.xz")} == {"hello", "leaf"}


def test_every_door_makes_the_same_bundle(frontends: Frontends, yard: Yard, project: Path, tmp_path: Path) -> None:
    (project / "setup.py").write_text(projects.EMPTY_SETUP_PY)

    def made(folder: str) -> bytes:
        return (project / folder / f"{BUNDLE}.tar.gz").read_bytes()

    frontends.build(project, "-Cplatter=true", "--outdir", "backend")
    with_setuptools_backend(project)
    frontends.build(project, COMMAND, "--outdir", "option")
    frontends.uv(project, "--wheel", COMMAND, "--out-dir", "uv")
    yard.build(project, "--output", "platter")
    yard.setup_py(project, "-q", "bdist_platter", "--dist-dir=alone")
    yard.setup_py(project, "-q", "sdist", "bdist_wheel", "bdist_platter", "--dist-dir=together")
    yard.setup_py(project, "-q", "bdist", "--formats=platter", "--dist-dir=bdist", PLATTER_BUILD_OUTPUT="bdist")
    yard.build(tmp_path, project / "option" / WHEEL, "--output", project / "wheel")
    assert info(unpack(project / "alone" / f"{BUNDLE}.tar.gz", tmp_path))["name"] == "hello"
    for folder in ("backend", "option", "uv", "platter", "together", "bdist", "wheel"):
        assert made(folder) == made("alone"), folder


class TestBdist:
    @pytest.fixture
    def project(self, tmp_path: Path) -> Path:
        return projects.hello(tmp_path / "hello")

    def test_the_format_is_listed(self, yard: Yard, project: Path) -> None:
        said = yard.setup_py(project, "bdist", "--help-formats").stdout
        assert re.search(r"--formats=platter +self-installing bundle", said)

    def test_the_format_is_built(self, yard: Yard, project: Path) -> None:
        projects.write(project, {"setup.cfg": "[bdist_platter]\nno-pip = yes\nformat = tar\n"})
        yard.setup_py(project, "-q", "bdist", "--formats=zip,platter", "--dist-dir=out")
        assert names(project / "out") == {WHEEL, f"{BUNDLE}.tar", BUNDLE.replace("1.0-", "1.0.") + ".zip"}
        assert {*wheels(project / "out" / f"{BUNDLE}.tar")} == {"hello", "leaf"}

    def test_other_formats_load_nothing_of_ours(self, yard: Yard, project: Path) -> None:
        (project / "setup.py").write_text(
            (project / "setup.py").read_text()
            + "import sys\nprint('LOADED', sorted(name for name in sys.modules if name.startswith('platter_')))\n"
        )
        # No fork has a hash seed of its own: so this is an interpreter that has loaded nothing yet.
        said = yard.setup_py(project, "-q", "bdist_wheel", code=0, PYTHONHASHSEED="0").stdout
        assert "LOADED ['platter_setuptools', 'platter_setuptools.announce']" in said

    def test_aliases(self, yard: Yard, project: Path) -> None:
        projects.write(project, {"setup.cfg": "[aliases]\nrelease = sdist bdist_wheel bdist_platter\n"})
        yard.setup_py(project, "-q", "release")
        assert names(project / "dist") == {SDIST, WHEEL, f"{BUNDLE}.tar.gz"}
        before = listing(project / "dist")
        yard.setup_py(project, "alias", "ship", "bdist_platter", "--format=zip")
        yard.setup_py(project, "-q", "ship")
        assert names(project / "dist") == {SDIST, WHEEL, f"{BUNDLE}.tar.gz", f"{BUNDLE}.zip"}
        assert listing(project / "dist")[f"{BUNDLE}.tar.gz"] == before[f"{BUNDLE}.tar.gz"]


def test_metadata_is_prepared_as_by_setuptools(project: Path, tmp_path: Path, yard: Yard) -> None:
    code = "import sys, platter_setuptools.build_meta as b; b.prepare_metadata_for_build_wheel(*sys.argv[1:])"
    yard.run(sys.executable, "-W", "ignore", "-c", code, tmp_path, cwd=project)
    metadata = email.message_from_bytes((tmp_path / "hello-1.0.dist-info" / "METADATA").read_bytes())
    assert (metadata["Name"], metadata["Requires-Dist"]) == ("hello", "leaf")
