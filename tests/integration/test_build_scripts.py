"""Build scripts: what they find, what they may add, and what of it arrives on the server."""

from __future__ import annotations

import shutil
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest

from support import projects
from support.front_ends import listing, output, unpack, wheels

if TYPE_CHECKING:
    from pathlib import Path

    from support.front_ends import Yard

# Says what it finds, in a file that the bundle brings along.
REPORT = """
    #!/bin/sh
    set -eu
    name=$(basename "$0")
    {
        for variable in HERE DATA_DIR SOURCE_DIR SCRATCHPAD INSTALL_SCRIPT VIRTUAL_ENV; do
            eval "echo $variable=\\$$variable"
        done
        echo PWD=$(pwd)
        echo python=$(command -v python)
        echo pip=$(command -v pip)
        echo prefix=$(python -c 'import sys; print(sys.prefix)')
        python -c 'import setuptools, wheel; print("tools=there")'
        echo source=$(cat "$SOURCE_DIR/marker.txt")
        touch "$SCRATCHPAD/litter" "$INSTALL_SCRIPT"
        echo lock=$(ls "$DATA_DIR" | grep -c pylock.toml)
        echo wheels=$(ls "$DATA_DIR" | grep -c '[.]whl$')
    } >"$DATA_DIR/$name.report"
"""


def report(bundle: Path, script: str) -> dict[str, str]:
    lines = (bundle / "data" / f"{script}.report").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


@pytest.mark.parametrize("front_end", ["command", "platter"])
def test_what_build_scripts_find(yard: Yard, tmp_path: Path, front_end: str) -> None:
    files = {
        "pre.sh": REPORT.replace("| grep -c pylock.toml", "| wc -l").replace("grep -c '[.]whl$'", "wc -l"),
        "post": REPORT,
        "marker.txt": "the source\n",
        "setup.py": projects.SETUP_PY,
        "pyproject.toml": '[tool.platter]\nprebuild-script = "pre.sh"\npostbuild-script = "post"\n',
    }
    project = projects.hello(tmp_path / "project", files)
    before = listing(project)
    artifact = yard.command(project) if front_end == "command" else yard.build(project)
    shutil.copytree(project / "dist", tmp_path / "kept", symlinks=True)
    shutil.rmtree(project / "dist")
    assert listing(project) == before
    bundle = unpack(tmp_path / "kept" / artifact.name, tmp_path / "unpacked")
    pre, post = report(bundle, "pre.sh"), report(bundle, "post")
    for found in (pre, post):
        assert found["PWD"] == found["HERE"]
        assert found["DATA_DIR"] == found["HERE"] + "/data"
        assert found["SOURCE_DIR"] == str(project)
        assert found["source"] == "the source"
        assert found["prefix"] == found["VIRTUAL_ENV"]
        assert found["python"] == found["VIRTUAL_ENV"] + "/bin/python"
        assert found["pip"] == found["VIRTUAL_ENV"] + "/bin/pip"
        assert found["tools"] == "there"
        assert not found["SCRATCHPAD"].startswith(found["HERE"] + "/")
        # All of it is thrown away afterwards.
        assert str(yard.scratch) in found["SCRATCHPAD"]
    assert pre["VIRTUAL_ENV"] == post["VIRTUAL_ENV"]
    assert (post["lock"], post["wheels"]) == ("1", "2")
    assert not (bundle / "post-install.sh").exists()


def test_no_script_no_virtual_environment(yard: Yard, tmp_path: Path) -> None:
    said = yard.setup_py(projects.hello(tmp_path / "project"), "bdist_platter").stderr
    assert "Making a virtual environment" not in said


# Needs sprout as soon as anybody reads it, and does not say so.
NEEDS_SPROUT = """
    import sprout
    from setuptools import setup

    setup(
        name="hello",
        version=sprout.VERSION,
        py_modules=["hello"],
        install_requires=["leaf"],
        entry_points={"console_scripts": ["hello = hello:main"]},
    )
"""


def test_a_build_dependency_installed_by_a_script(yard: Yard, tmp_path: Path) -> None:
    files = {"setup.py": NEEDS_SPROUT, "pre.sh": "pip install --quiet --disable-pip-version-check sprout\n"}
    project = projects.hello(tmp_path / "project", files)
    assert "sprout" in yard.refuse(3, project)
    artifact = yard.build(project, "--prebuild-script=pre.sh", "--pip-option=--no-build-isolation")
    assert artifact.name.startswith("hello-3.7-")
    assert yard.say(artifact) == "hello from leaf 2.0"
    assert "sprout" not in wheels(artifact)


def test_build_scripts_are_run_as_the_kernel_would_where_they_may_not_run_themselves(
    yard: Yard, tmp_path: Path
) -> None:
    # Neither has its executable bit. The first says who runs it, the second is for `sh -e`: it stops at `false`.
    files = {
        "pre": f"#!{sys.executable} -I\nimport os, pathlib, sys\n"
        "pathlib.Path(os.environ['DATA_DIR'], 'python.txt').write_text(str(sys.flags.isolated))\n",
        "post": "echo $0 >$DATA_DIR/shell.txt\nfalse\n",
    }
    project = projects.hello(tmp_path / "project", files)
    said = yard.refuse(7, project, "--prebuild-script=pre", "--postbuild-script=post")
    assert f"the build script {project}/post failed: exit status 1" in said
    (project / "post").write_text("echo shell >$DATA_DIR/shell.txt\n")
    bundle = unpack(yard.build(project, "--prebuild-script=pre", "--postbuild-script=post"), tmp_path / "out")
    assert (bundle / "data" / "python.txt").read_text() == "1"
    assert (bundle / "data" / "shell.txt").read_text() == "shell\n"


MODULES = """
    mkdir -p "$DATA_DIR/node_modules/.bin" "$DATA_DIR/node_modules/tool/bin" "$DATA_DIR/empty"
    printf '#!/bin/sh\\necho the tool\\n' >"$DATA_DIR/node_modules/tool/bin/tool"
    chmod 755 "$DATA_DIR/node_modules/tool/bin/tool"
    echo text >"$DATA_DIR/node_modules/tool/read me"
    ln -s ../tool/bin/tool "$DATA_DIR/node_modules/.bin/tool"
    cat >>"$INSTALL_SCRIPT" <<'END'
    cp -R "$DATA_DIR/node_modules" "$VIRTUAL_ENV/node_modules"
    ln -s ../node_modules/.bin/tool "$VIRTUAL_ENV/bin/tool"
    pwd >"$VIRTUAL_ENV/where"
    echo "$HERE $DATA_DIR $VIRTUAL_ENV $(command -v python)" >"$VIRTUAL_ENV/what"
    END
"""


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
def test_data_with_links_and_an_install_script(yard: Yard, tmp_path: Path, kind: str) -> None:
    project = projects.hello(tmp_path / "project", {"post.sh": MODULES})
    artifact = yard.command(project, "--postbuild-script=post.sh", f"--format={kind}")
    app = yard.install(artifact)
    bundle = next(path for path in app.parent.iterdir() if path != app)
    assert output(app / "bin" / "tool") == "the tool"
    assert (app / "node_modules" / ".bin" / "tool").is_symlink()
    assert (app / "node_modules" / "tool" / "read me").read_text() == "text\n"
    assert (app / "where").read_text() == f"{bundle}\n"
    assert (app / "what").read_text() == f"{bundle} {bundle}/data {app} {app}/bin/python\n"
    assert (bundle / "data" / "empty").is_dir()


def test_a_pre_build_script_can_write_the_install_script_too(yard: Yard, tmp_path: Path) -> None:
    files = {
        "pre": 'echo \'echo first >>"$VIRTUAL_ENV/seen"\' >>"$INSTALL_SCRIPT"\n',
        "post": 'echo \'echo second >>"$VIRTUAL_ENV/seen"\' >>"$INSTALL_SCRIPT"\n',
    }
    project = projects.hello(tmp_path / "project", files)
    app = yard.install(yard.command(project, "--prebuild-script=pre", "--postbuild-script=post"))
    assert (app / "seen").read_text() == "first\nsecond\n"


def test_an_install_script_that_fails_leaves_nothing(yard: Yard, tmp_path: Path) -> None:
    project = projects.hello(tmp_path / "project", {"post": 'echo "echo broken; exit 9" >>"$INSTALL_SCRIPT"\n'})
    app = yard.install(yard.command(project, "--postbuild-script=post"), code=7)
    assert not app.exists()


@pytest.mark.parametrize(
    "script",
    [
        pytest.param('echo more >>"$HERE/data/pylock.toml"', id="the lock"),
        pytest.param('for wheel in "$DATA_DIR"/leaf-*.whl; do echo >>"$wheel"; done', id="a wheel"),
        pytest.param("echo 'exit 0' >install.sh", id="the installer"),
    ],
)
def test_what_was_checked_is_fixed(yard: Yard, tmp_path: Path, script: str) -> None:
    project = projects.hello(tmp_path / "project", {"post": script + "\n"})
    said = yard.refuse(7, project, "--postbuild-script=post")
    assert "a build script changed" in said


def test_the_environment_has_the_release_of_wheel_that_is_asked_for(yard: Yard, tmp_path: Path) -> None:
    wheel = version("wheel")
    project = projects.hello(
        tmp_path / "project", {"pre": 'python -c "import wheel; print(wheel.__version__)" >"$DATA_DIR/v"\n'}
    )
    bundle = unpack(yard.command(project, "--prebuild-script=pre", f"--wheel-version={wheel}"), tmp_path / "out")
    assert (bundle / "data" / "v").read_text() == f"{wheel}\n"


UGLIFY = """
    #!/bin/bash
    set -e
    npm install --silent --no-fund --no-audit --prefix "$DATA_DIR" uglify-js
    cat >>"$INSTALL_SCRIPT" <<'END'
    cp -R "$DATA_DIR/node_modules" "$VIRTUAL_ENV/node_modules"
    ln -s "$VIRTUAL_ENV/node_modules/uglify-js/bin/uglifyjs" "$VIRTUAL_ENV/bin/uglifyjs"
    END
"""


@pytest.mark.network
@pytest.mark.skipif(not shutil.which("npm"), reason="npm is not installed")
def test_uglify_js_as_platters_manual_has_it(network_yard: Yard, tmp_path: Path) -> None:
    setup = "from setuptools import setup\n\nsetup(name='hello', version='1.0', py_modules=['hello'])\n"
    project = projects.hello(tmp_path / "project", {"setup.py": setup, "uglify.sh": UGLIFY})
    artifact = network_yard.command(project, "--postbuild-script=uglify.sh")
    app = network_yard.install(artifact)
    source = projects.write(tmp_path, {"page.js": "function add(first, second) {\n  return first + second;\n}\n"})
    done = network_yard.run(app / "bin" / "uglifyjs", "--mangle", "--", source / "page.js", cwd=tmp_path)
    assert done.stdout.strip() == "function add(n,d){return n+d}"


@pytest.mark.parametrize("front_end", ["command", "platter", "backend"])
def test_the_wheel_is_built_after_the_prebuild_script(yard: Yard, tmp_path: Path, front_end: str) -> None:
    files = {
        "pyproject.toml": projects.PYPROJECT + '\n    [tool.platter]\n    prebuild-script = "pre.sh"\n',
        "setup.py": projects.EMPTY_SETUP_PY,
        "hello.py": "def main():\n    print('not yet')\n",
        "pre.sh": 'echo "def main(): print(\'written by the script\')" >"$SOURCE_DIR/hello.py"\n',
    }
    project = projects.write(tmp_path / "project", files)
    if front_end == "backend":
        path = project / "pyproject.toml"
        path.write_text(path.read_text().replace("setuptools.build_meta", "platter_setuptools.build_meta"))
        yard.run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "-Cplatter=true", cwd=project)
        (artifact,) = project.glob("dist/*linux*")
    else:
        artifact = yard.command(project) if front_end == "command" else yard.build(project)
    assert yard.say(artifact) == "written by the script"
    # Unless somebody wants the wheel first.
    said = yard.setup_py(project, "-q", "bdist_wheel", "bdist_platter").stderr
    assert "warning: bdist_wheel built the wheel before pre.sh runs" in said
