"""Projects with one feature each: where the metadata stands, how the tree is laid out, what is depended on and how."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import handmade, projects
from support.front_ends import WITH_PIP, info, output, unpack, wheels
from support.index import sdist

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.front_ends import Yard
    from support.index import Index

SHORT = f"{sys.version_info[0]}.{sys.version_info[1]}"
SCRIPT = {"console_scripts": ["hello = hello:main"]}


def setup_py(**arguments: object) -> str:
    """A setup.py with these arguments and an entry point for `hello`."""
    given = {"name": "hello", "version": "1.0", "py_modules": ["hello"], "entry_points": SCRIPT, **arguments}
    return f"from setuptools import setup\n\nsetup(**{given!r})\n"


@pytest.mark.parametrize("front_end", ["command", "platter"])
@pytest.mark.parametrize(
    "files",
    [
        pytest.param({"setup.py": projects.SETUP_PY}, id="setup.py"),
        pytest.param({"setup.py": projects.EMPTY_SETUP_PY, "setup.cfg": projects.SETUP_CFG}, id="setup.cfg"),
        pytest.param({"setup.py": projects.EMPTY_SETUP_PY, "pyproject.toml": projects.PYPROJECT}, id="pyproject.toml"),
    ],
)
def test_metadata_may_stand_in_any_of_three_files(
    yard: Yard, tmp_path: Path, files: dict[str, str], front_end: str
) -> None:
    project = projects.write(tmp_path / "project", {**files, "hello.py": projects.HELLO})
    if front_end == "platter" and "setup.cfg" not in files and "pyproject.toml" in files:
        (project / "setup.py").unlink()  # not needed for this front end
    artifact = yard.command(project) if front_end == "command" else yard.build(project)
    assert yard.say(artifact) == "hello from leaf 2.0"


@pytest.mark.parametrize("layout", ["flat", "src"])
def test_layouts(yard: Yard, tmp_path: Path, layout: str) -> None:
    root = "" if layout == "flat" else "src/"
    project = projects.write(
        tmp_path / "project",
        {
            "setup.py": projects.EMPTY_SETUP_PY,
            # Without a word about packages: setuptools finds both layouts by itself.
            "pyproject.toml": projects.PYPROJECT.partition("[tool.setuptools]")[0],
            f"{root}hello/__init__.py": projects.HELLO,
            f"{root}hello/deep/er.py": "HERE = True\n",
        },
    )
    app = yard.install(yard.command(project))
    assert output(app / "bin" / "hello") == "hello from leaf 2.0"
    assert output(app / "bin" / "python", "-c", "import hello.deep.er; print(hello.deep.er.HERE)") == "True"


def test_namespace_packages(yard: Yard, tmp_path: Path) -> None:
    wheels_folder = tmp_path / "wheels"
    handmade.wheel(wheels_folder, "corp-second", files={"corp/second/__init__.py": "NAME = 'second'\n"})
    setup = setup_py(
        py_modules=[],
        packages=["corp.first"],
        install_requires=["corp-second"],
        entry_points={"console_scripts": ["hello = corp.first:main"]},
    )
    module = "import corp.second\n\n\ndef main():\n    print('first and', corp.second.NAME, len(corp.__path__))\n"
    project = projects.write(tmp_path / "project", {"setup.py": setup, "corp/first/__init__.py": module})
    artifact = yard.command(project, f"--pip-option=--find-links={wheels_folder}")
    assert yard.say(artifact) == "first and second 1"


def test_a_dependency_that_exists_only_as_an_sdist(yard: Yard, tmp_path: Path) -> None:
    module = "import sour\n\n\ndef main():\n    print(sour.which())\n"
    project = projects.hello(
        tmp_path / "project", {"setup.py": setup_py(install_requires=["sour"]), "hello.py": module}
    )
    artifact = yard.command(project)
    assert {"leaf": "2.0", "sour": "1.0"}.items() <= wheels(artifact).items()
    assert yard.say(artifact) == "sour with leaf 2.0"


@pytest.mark.parametrize("option", ["", "--pip-option=--no-binary=speck"])
def test_a_dependency_compiled_here(yard: Yard, tmp_path: Path, option: str) -> None:
    module = "import speck\n\n\ndef main():\n    print(speck.which())\n"
    project = projects.hello(
        tmp_path / "project", {"setup.py": setup_py(install_requires=["speck"]), "hello.py": module}
    )
    artifact = yard.command(project, *filter(None, [option]))
    assert yard.say(artifact) == ("compiled" if option else "from the wheel")


def test_a_project_with_a_c_extension(yard: Yard, tmp_path: Path) -> None:
    files = projects.c_extension("fast", setup=setup_py(py_modules=["hello"], ext_modules=[]))
    setup = files["setup.py"].replace("'ext_modules': []", "'ext_modules': [Extension('fast', ['fast.c'])]")
    setup = setup.replace("from setuptools import setup\n\nsetup", "setup", 1)
    module = "import fast\n\n\ndef main():\n    print(fast.which())\n"
    project = projects.write(tmp_path / "project", {**files, "setup.py": setup, "hello.py": module})
    artifact = yard.command(project)
    assert yard.say(artifact) == "compiled"
    assert info(artifact)["targets"][0]["abi"] == f"cp{SHORT.replace('.', '')}"


DIRECT = """
    from setuptools import setup

    setup(name="direct", version="0.7", py_modules=["direct"], install_requires=["leaf<2"])
"""


def repository(folder: Path) -> str:
    source = projects.write(folder / "direct repository", {"setup.py": DIRECT, "direct.py": "NAME = 'direct'\n"})
    commit = projects.commit(source)
    return f"git+{source.as_uri()}@{commit}"


def wheel_file(folder: Path) -> str:
    wheel = handmade.wheel(
        folder / "direct", "direct", "0.7", files={"direct.py": "NAME = 'direct'\n"}, requires=["leaf<2"]
    )
    return wheel.as_uri()


def folder(folder: Path) -> str:
    return projects.write(folder / "direct", {"setup.py": DIRECT, "direct.py": "NAME = 'direct'\n"}).as_uri()


def archive(folder: Path) -> str:
    files = {"setup.py": DIRECT.replace("\n    ", "\n"), "direct.py": "NAME = 'direct'\n"}
    return sdist(folder / "direct", "direct", "0.7", files).as_uri()


@pytest.mark.parametrize(
    ("make_url", "resolver"),
    [
        *((make_url, "uv") for make_url in (repository, wheel_file, folder, archive)),
        (repository, "pip"),
        (folder, "pip"),
    ],
)
def test_dependencies_by_url(yard: Yard, tmp_path: Path, make_url: Callable[[Path], str], resolver: str) -> None:
    url = make_url(tmp_path)
    module = "import direct, leaf\n\n\ndef main():\n    print(direct.NAME, 'with', leaf.NAME)\n"
    setup = setup_py(install_requires=[f"direct @ {url}"])
    project = projects.hello(tmp_path / "project", {"setup.py": setup, "hello.py": module})
    artifact = yard.command(project, f"--resolver={resolver}")
    assert {"direct": "0.7", "leaf": "1.0"}.items() <= wheels(artifact).items()
    bundle = unpack(artifact, tmp_path / "unpacked")
    # Where something came from on this machine is nobody's business on the server.
    own = [path for path in bundle.glob("data/*") if path.is_file() and path.suffix != ".whl"]
    assert not any(str(tmp_path).encode() in path.read_bytes() for path in own)
    if resolver == "uv":
        assert yard.say(artifact) == "direct with leaf 1.0"


def test_extras_that_name_the_project_itself(yard: Yard, tmp_path: Path) -> None:
    extras = {"a": ["alpha"], "b": ["beta"], "all": ["Hello[a,b]"]}
    project = projects.hello(tmp_path / "project", {"setup.py": setup_py(extras_require=extras)})
    assert {*wheels(yard.command(project))} == {"hello"}
    assert {*wheels(yard.command(project, "--extras=b"))} == {"hello", "beta"}
    assert {*wheels(yard.command(project, "--extras=all"))} == {"hello", "alpha", "beta"}
    assert {*wheels(yard.build(project, "--extras", "a", "--extras=B"))} == {"hello", "alpha", "beta"}


def test_an_extra_that_does_not_exist(yard: Yard, tmp_path: Path) -> None:
    project = projects.hello(tmp_path / "project", {"setup.py": setup_py(extras_require={"tea": ["alpha"]})})
    said = yard.refuse(2, project, "--extras=coffee")
    assert "hello has no extra coffee" in said
    assert "tea" in said


@pytest.mark.parametrize(
    ("version", "normal"), [("1!2.0+g12ab", "1!2.0+g12ab"), ("2.0.0rc1", "2.0.0rc1"), ("2026.11.post3.dev1", None)]
)
def test_versions_of_every_kind(yard: Yard, tmp_path: Path, version: str, normal: str | None) -> None:
    module = "from importlib.metadata import version\n\n\ndef main():\n    print(version('hello'))\n"
    project = projects.hello(tmp_path / "project", {"setup.py": setup_py(version=version), "hello.py": module})
    artifact = yard.command(project)
    assert artifact.name.startswith(f"hello-{normal or version}-")
    assert (unpack(artifact, tmp_path / "unpacked") / "VERSION").read_text() == f"{normal or version}\n"
    assert yard.say(artifact) == (normal or version)


def test_a_name_with_dots_and_capitals(yard: Yard, tmp_path: Path) -> None:
    extras = {"more": ["alpha"], "all": ["zope.Hello-World[more]"]}
    setup = setup_py(name="Zope.Hello_World", install_requires=["leaf"], extras_require=extras)
    project = projects.hello(tmp_path / "project", {"setup.py": setup})
    artifact = yard.command(project, "--extras=all")
    assert artifact.name.startswith("zope_hello_world-1.0-")
    assert {*wheels(artifact)} == {"zope-hello-world", "leaf", "alpha"}
    assert yard.say(artifact) == "hello from leaf 2.0"


@pytest.mark.network
def test_a_version_from_setuptools_scm(network_yard: Yard, tmp_path: Path) -> None:
    pyproject = """
        [build-system]
        requires = ["setuptools>=77", "setuptools-scm>=8"]
        build-backend = "setuptools.build_meta"

        [project]
        name = "hello"
        dynamic = ["version"]
        scripts = { hello = "hello:main" }

        [tool.setuptools]
        py-modules = ["hello"]

        [tool.setuptools_scm]
    """
    module = "from importlib.metadata import version\n\n\ndef main():\n    print(version('hello'))\n"
    project = projects.write(tmp_path / "project", {"pyproject.toml": pyproject, "hello.py": module})
    projects.commit(project)
    subprocess.run(["git", "tag", "v3.4.5"], cwd=project, check=True)
    artifact = network_yard.build(project, "--output", tmp_path / "out")
    assert network_yard.say(artifact) == "3.4.5"
    assert projects.git_status(project) == ""


def other_interpreter() -> Path:
    """A Python of another minor version that the builder's tools run on, too."""
    names = [f"python3.{minor}" for minor in (13, 12, 10, 14) if minor != sys.version_info[1]]
    versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv", "versions")
    found = [path for name in names for path in sorted(versions.glob(f"*/bin/{name}"))]
    found += [Path(path) for path in map(shutil.which, names) if path]
    for candidate in found:
        words: list[str | Path] = [candidate, "-c", "import sys, zlib; print(sys.implementation.name)"]
        done = subprocess.run(words, check=False, capture_output=True, text=True)
        if done.stdout.strip() == "cpython":
            return candidate
    pytest.skip(f"there is none of {', '.join(names)} here, neither on PATH nor in {versions}")


def minor_of(interpreter: Path) -> str:
    found = re.search(r"python(3\.\d+)$", interpreter.name)
    assert found
    return found[1]


def test_another_interpreter(yard: Yard, tmp_path: Path) -> None:
    python = other_interpreter()
    other = minor_of(python)
    requires = [
        "speck",
        f"only-old; python_version == '{SHORT}'",
        f"only-new; python_version == '{other}'",
        "only-windows; sys_platform == 'win32'",
        "only-linux; sys_platform != 'win32'",
    ]
    module = "import speck, sys\n\n\ndef main():\n    print(speck.which(), '%d.%d' % sys.version_info[:2])\n"
    setup = setup_py(install_requires=requires, python_requires=f"=={other}.*")
    project = projects.hello(tmp_path / "project", {"setup.py": setup, "hello.py": module})
    # The name of an interpreter works as its path does.
    path = os.pathsep.join([str(python.parent), yard.environ["PATH"]])
    artifact = yard.build(project, "-p", other, "--pip-option=--no-binary=speck", PATH=path)
    names = {*wheels(artifact)}
    assert {"only-new", "only-linux"} <= names
    assert not names & {"only-old", "only-windows"}
    abi = f"cp{other.replace('.', '')}"
    (speck,) = (wheel["file"] for wheel in info(artifact)["wheels"] if wheel["name"] == "speck")
    assert f"-{abi}-{abi}-" in speck
    assert info(artifact)["python"] == other
    assert yard.say(artifact, python=python) == f"compiled {other}"


def test_markers_go_by_the_builder_where_it_is_the_target(yard: Yard, tmp_path: Path) -> None:
    requires = [f"only-old; python_version == '{SHORT}'", f"only-new; python_version != '{SHORT}'"]
    project = projects.hello(tmp_path / "project", {"setup.py": setup_py(install_requires=requires)})
    assert {*wheels(yard.command(project))} == {"hello", "only-old"}


def test_what_else_a_wheel_can_hold(yard: Yard, tmp_path: Path) -> None:
    setup = setup_py(
        install_requires=["leaf"],
        scripts=["bin/hello-script"],
        data_files=[("etc/hello", ["hello.conf"])],
        headers=["hello.h"],
    )
    files = {
        "setup.py": setup,
        "bin/hello-script": "#!/usr/bin/env python\nimport sys\nprint('script', sys.prefix)\n",
        "hello.conf": "a = 1\n",
        "hello.h": "/* */\n",
    }
    project = projects.hello(tmp_path / "project", files)
    app = yard.install(yard.command(project, f"--requirements={_requirements(tmp_path)}", **WITH_PIP))
    assert output(app / "bin" / "hello-script") == f"script {app}"
    assert (app / "etc" / "hello" / "hello.conf").read_text() == "a = 1\n"
    assert list(app.glob("include/**/hello.h"))
    listed = output(app / "bin" / "pip", "list", "--format=freeze", "--disable-pip-version-check").splitlines()
    assert {line.partition("==")[0] for line in listed} == {"hello", "leaf", "branch", "pip"}
    output(app / "bin" / "pip", "uninstall", "--yes", "hello", "branch")
    assert not (app / "bin" / "hello").exists()
    assert not (app / "etc" / "hello" / "hello.conf").exists()


def test_no_pip_leaves_pip_out(yard: Yard, tmp_path: Path) -> None:
    app = yard.install(yard.command(projects.hello(tmp_path / "project"), "--no-pip", **WITH_PIP))
    assert output(app / "bin" / "hello") == "hello from leaf 2.0"
    assert not list(app.glob("bin/pip*"))
    assert not list(app.glob("lib/python*/site-packages/pip"))


def test_no_bytecode_leaves_it_out(yard: Yard, tmp_path: Path) -> None:
    project = projects.hello(tmp_path / "project")
    with_it, without = yard.command(project), yard.build(project, "--no-bytecode", "--output", tmp_path / "out")
    assert without.stat().st_size < with_it.stat().st_size
    assert not list((unpack(without, tmp_path / "unpacked") / "data").rglob("*.pyc"))
    app = yard.install(without)
    assert not list(app.glob("lib/**/hello*.pyc"))
    assert output(app / "bin" / "hello") == "hello from leaf 2.0"
    assert list(yard.install(without, "--compile", name="compiling").glob("lib/**/hello*.pyc"))


def test_requirements_and_constraints(yard: Yard, tmp_path: Path) -> None:
    project = projects.hello(tmp_path / "project")
    constraints = projects.write(tmp_path, {"limits.txt": "leaf<2\nsetuptools<1000\n"}) / "limits.txt"
    artifact = yard.command(project, f"--requirements={_requirements(tmp_path)}", f"--constraints={constraints}")
    assert {"leaf": "1.0", "branch": "1.0"}.items() <= wheels(artifact).items()
    text = (unpack(artifact, tmp_path / "unpacked") / "data" / "requirements.txt").read_text()
    assert text == "branch\n"


def test_a_lock_decides(yard: Yard, tmp_path: Path, index: Index, shelf: Path) -> None:
    name = "leaf-1.0-py3-none-any.whl"
    digest = hashlib.sha256((shelf / name).read_bytes()).hexdigest()
    url = index.url.replace("/simple/", f"/files/{name}")
    lock = f"""
        lock-version = "1.0"
        created-by = "somebody"

        [[packages]]
        name = "leaf"
        version = "1.0"
        wheels = [{{ name = "{name}", url = "{url}", hashes = {{ sha256 = "{digest}" }} }}]
    """
    project = projects.hello(tmp_path / "project", {"pylock.toml": lock})
    assert yard.say(yard.build(project, "--lock=pylock.toml")) == "hello from leaf 1.0"
    projects.write(project, {"pylock.toml": lock.replace(digest, "0" * 64)})
    said = yard.refuse(5, project, "--lock=pylock.toml")
    assert f"{name} from " in said
    assert "does not match the lock's SHA-256" in said
    projects.write(project, {"pylock.toml": lock, "setup.py": setup_py(install_requires=["leaf", "alpha"])})
    assert "hello 1.0 requires alpha, which is missing" in yard.refuse(5, project, "--lock=pylock.toml")
    assert "contradicts" in yard.refuse(2, project, "--lock=pylock.toml", f"-r{_requirements(tmp_path)}")


def _requirements(folder: Path) -> Path:
    return projects.write(folder, {"more.txt": "branch\n"}) / "more.txt"
