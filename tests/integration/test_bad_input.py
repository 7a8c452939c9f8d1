"""What goes wrong: an exit code, a message that says what to do, and nothing left behind.

`yard` sees that no temporary folder stays; `refuse` that dist is as it was, where an older bundle lies already.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from setuptools import Distribution
from setuptools.errors import BaseError

from platter_setuptools.bdist_platter import bdist_platter
from platter_setuptools.cli.command_line import main
from support import handmade, interpreters, projects
from support.front_ends import PLATTER, listing

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.front_ends import Yard
    from support.index import Index

PLATFORM = handmade.running_target()["platform"].replace("_", "-", 1)
BUNDLE = f"hello-1.0-{PLATFORM}"
BACKEND = """
    [build-system]
    requires = ["tinybackend"]
    build-backend = "tinybackend"

    [tool.tiny]
    name = "hello"
    version = "1.0"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that has been built before."""
    folder = projects.hello(tmp_path / "project")
    projects.older_bundle(folder / "dist", BUNDLE)
    return folder


def requiring(*requires: str, **more: object) -> str:
    given = {"name": "hello", "version": "1.0", "py_modules": ["hello"], "install_requires": list(requires), **more}
    return f"from setuptools import setup\n\nsetup(**{given!r})\n"


def refuse_command(yard: Yard, project: Path, *arguments: str | Path, **environ: str) -> str:
    """`python setup.py bdist_platter` that fails as setuptools' own commands do, and leaves the bundle in dist."""
    before = listing(project / "dist")
    done = yard.setup_py(project, "-q", "bdist_platter", *arguments, code=1, **environ)
    after = listing(project / "dist")
    assert {name: entry for name, entry in after.items() if not name.endswith(".whl")} == before
    assert "Traceback" not in done.stderr
    assert "\nerror: " in "\n" + done.stderr
    return done.stderr


def hint_in(said: str) -> bool:
    return re.search(r"^  hint: \S", said, re.MULTILINE) is not None


# No project


def test_no_project_anywhere(yard: Yard, tmp_path: Path) -> None:
    # pytest's folder lies below one that is nobody's project.
    said = yard.refuse(2, tmp_path)
    assert f"no project found: neither {tmp_path} nor a folder above it" in said
    assert "platter build PATH" in said


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("none", "does not exist"),
        ("folder", "is not a project: it has neither pyproject.toml nor setup.py"),
        ("notes.txt", "is neither a folder nor an sdist nor a wheel"),
        ("broken-1.0.tar.gz", "cannot be unpacked"),
        ("broken-1.0.zip", "cannot be unpacked"),
    ],
)
def test_what_is_no_project(yard: Yard, tmp_path: Path, path: str, message: str) -> None:
    (tmp_path / "folder").mkdir()
    projects.write(tmp_path, {"notes.txt": "notes\n", "broken-1.0.tar.gz": "broken\n", "broken-1.0.zip": "broken\n"})
    said = yard.refuse(2, tmp_path, path)
    assert path in said
    assert message in said


def test_a_wheel_that_is_none(yard: Yard, tmp_path: Path) -> None:
    projects.write(tmp_path, {"hello-1.0-py3-none-any.whl": "broken\n"})
    said = yard.refuse(5, tmp_path, "hello-1.0-py3-none-any.whl")
    assert "hello-1.0-py3-none-any.whl" in said


# The project's own build


def test_a_setup_py_that_raises(yard: Yard, project: Path) -> None:
    projects.write(project, {"setup.py": "raise RuntimeError('the moon is full')\n"})
    said = yard.refuse(3, project)
    assert "    RuntimeError: the moon is full\n" in said
    assert f"platter: error: the wheel of {project} cannot be built" in said
    assert hint_in(said)


def test_a_setup_py_that_builds_no_wheel(yard: Yard, project: Path) -> None:
    setup = """
        from setuptools import Command, setup


        class Nothing(Command):
            user_options = []
            dist_dir = None
            initialize_options = finalize_options = run = lambda self: None


        setup(name="hello", version="1.0", cmdclass={"bdist_wheel": Nothing})
    """
    projects.write(project, {"setup.py": setup})
    assert "bdist_wheel built no wheel" in refuse_command(yard, project)


def test_a_backend_that_fails(yard: Yard, project: Path) -> None:
    projects.write(project, {"pyproject.toml": BACKEND + '    fail = "no steam"\n'})
    said = yard.refuse(3, project)
    assert "    no steam\n" in said
    assert "its build backend failed" in said
    assert hint_in(said)


@pytest.mark.parametrize(
    ("pyproject", "code", "message"),
    [
        ('[build-system]\nrequires = []\nbuild-backend = "nowhere"\n', 3, "nowhere"),
        ('[build-system]\nbuild-backend = "nowhere"\n', 3, "pyproject.toml cannot be used"),
        ('[build-system]\nrequires = ["no-such-thing"]\nbuild-backend = "nowhere"\n', 4, "no-such-thing was not found"),
        ("[build-system\n", 2, "is not valid TOML"),
    ],
)
def test_a_pyproject_that_does_not_work(yard: Yard, project: Path, pyproject: str, code: int, message: str) -> None:
    (project / "pyproject.toml").write_text(pyproject)
    assert message in yard.refuse(code, project)


def test_a_build_dependency_that_nobody_has(yard: Yard, project: Path) -> None:
    projects.write(project, {"pyproject.toml": BACKEND.replace('"tinybackend"]', '"tinybackend", "leaf>77"]')})
    said = yard.refuse(4, project)
    assert "leaf" in said
    assert hint_in(said)


# Dependencies


@pytest.mark.parametrize(
    ("requires", "name", "resolver"),
    [
        (["no-such-thing"], "no-such-thing", "uv"),
        (["leaf>=3"], "leaf", "uv"),
        (["leaf>1", "branch"], "leaf", "uv"),
        (["leaf>1", "branch"], "leaf", "pip"),
    ],
)
def test_requirements_that_nobody_can_meet(
    yard: Yard, project: Path, requires: list[str], name: str, resolver: str
) -> None:
    projects.write(project, {"setup.py": requiring(*requires)})
    said = yard.refuse(4, project, "--resolver", resolver)
    assert "the dependencies cannot be resolved" in said
    assert any(name in line for line in said.splitlines() if line.startswith("    ")), said
    assert hint_in(said)
    if name not in requires:
        assert "the dependencies cannot be resolved" in refuse_command(yard, project, "--resolver", resolver)


@pytest.mark.parametrize("resolver", ["uv", "pip"])
def test_an_sdist_that_does_not_compile(yard: Yard, project: Path, resolver: str) -> None:
    projects.write(project, {"setup.py": requiring("crooked")})
    said = yard.refuse(4, project, "--resolver", resolver)
    assert re.search("^    .*#error this does not compile", said, re.MULTILINE)
    assert "crooked 1.0 has no wheel for" in said
    assert "hint: choose a version that has a wheel, or install the compiler" in said
    if resolver == "uv":
        assert "#error this does not compile" in refuse_command(yard, project)


@pytest.mark.parametrize("file", ["leaf-2.0-py3-none-any.whl", "sour-1.0.tar.gz"])
def test_an_index_that_lies_about_a_hash(
    yard: Yard,
    tmp_path: Path,
    own_caches: dict[str, str],
    project: Path,
    open_index: Callable[[], Index],
    file: str,
) -> None:
    index = open_index()
    index.lies.add(file)
    projects.write(project, {"setup.py": requiring("leaf", "sour")})
    environ = {"PIP_INDEX_URL": index.url, **own_caches}
    said = yard.refuse(5 if file.endswith(".whl") else 4, project, **environ)
    assert re.search(r"hash|sha-?256", said, re.IGNORECASE)
    assert file in said or "sour" in said
    assert not [path for path in (tmp_path / "wheels").rglob("*") if path.name == file]


# Interpreters


def test_an_interpreter_that_does_not_exist(yard: Yard, project: Path) -> None:
    for name in ("python3.99", "3.99", "/nowhere/python"):
        said = yard.refuse(2, project, "-p", name)
        assert "there is no interpreter" in said
        assert name in said
        assert hint_in(said)
    assert "there is no interpreter" in refuse_command(yard, project, "--python=3.99")


def test_what_is_no_interpreter(yard: Yard, project: Path) -> None:
    said = yard.refuse(2, project, "-p", shutil.which("true") or "/bin/true")
    assert "is not a working Python interpreter" in said
    assert hint_in(said)


def test_an_interpreter_that_is_too_old(yard: Yard, tmp_path: Path, project: Path) -> None:
    # Says of itself what Python 3.7 would say.
    old = tmp_path / "python3.7"
    facts = {"executable": str(old), "full_version": "3.7.17", "implementation": "cpython"}
    old.write_text(f"#!/bin/sh\necho {shlex.quote(json.dumps(facts))}\n")
    old.chmod(0o755)
    said = yard.refuse(2, project, "-p", old)
    assert "which is not supported" in said
    assert "CPython 3.8 or newer" in said


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.7"])
def test_really_old_interpreters(yard: Yard, project: Path, version: str) -> None:
    found = sorted(Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv").glob(f"versions/{version}*/bin/python"))
    if not found:
        pytest.skip(f"there is no Python {version} among pyenv's versions")
    said = yard.refuse(2, project, "-p", found[0])
    assert str(found[0]) in said
    assert "CPython 3.8 or newer" in said


def test_an_interpreter_that_the_project_rules_out(yard: Yard, project: Path) -> None:
    projects.write(project, {"setup.py": requiring(python_requires=">=3.99")})
    for said in (yard.refuse(5, project), refuse_command(yard, project)):
        assert "hello 1.0 requires Python >=3.99" in said
        assert "choose another interpreter with -p" in said


def test_a_wheel_for_another_platform(yard: Yard, tmp_path: Path) -> None:
    wheel = handmade.wheel(tmp_path, "hello", tag="cp27-cp27m-win32")
    said = yard.refuse(5, tmp_path, wheel)
    assert "hello-1.0-cp27-cp27m-win32.whl does not fit CPython" in said
    assert hint_in(said)


def test_a_c_extension_built_by_the_command_for_another_interpreter(yard: Yard, tmp_path: Path, project: Path) -> None:
    other = interpreters.target(tmp_path / "other-python", 9)
    projects.write(project, projects.c_extension("hello"))
    said = refuse_command(yard, project, f"--python={other}")
    assert re.search(r"hello-1\.0-cp\d+-cp\d+-.*\.whl does not fit CPython", said)
    assert "build it with the interpreter that the bundle is for" in said


# The output


def test_an_output_folder_that_cannot_be_one(yard: Yard, tmp_path: Path, project: Path) -> None:
    (tmp_path / "file").write_text("in the way\n")
    said = yard.refuse(6, project, "--output", tmp_path / "file")
    assert f"nothing can be written to {tmp_path}/file: {tmp_path}/file is no folder" in said
    assert "Building" not in said
    assert hint_in(said)
    assert "--dist-dir" in refuse_command(yard, project, f"--dist-dir={tmp_path}/file/dist")
    assert (tmp_path / "file").read_text() == "in the way\n"


def test_a_folder_of_somebody_elses_is_not_replaced(yard: Yard, tmp_path: Path, project: Path) -> None:
    mine = projects.write(tmp_path / "out" / BUNDLE, {"thesis.txt": "all of it\n"})
    said = yard.refuse(6, project, "--output", tmp_path / "out", "--format=dir")
    assert "is in the way, and is not a bundle" in said
    mine.rename(tmp_path / "out" / f"{BUNDLE}.zip")
    said = yard.refuse(6, project, "--output", tmp_path / "out", "--format=zip")
    assert "is in the way, and is not a bundle" in said
    assert [path.name for path in (tmp_path / "out").rglob("*")] == [f"{BUNDLE}.zip", "thesis.txt"]


@pytest.mark.parametrize("kind", ["tar.gz", "zip", "dir"])
def test_a_full_disk(yard: Yard, tmp_path: Path, project: Path, kind: str) -> None:
    full = tmp_path / "full"
    full.mkdir()
    mount = f"mount -t tmpfs -o size=300k tmpfs {shlex.quote(str(full))}"
    if subprocess.run(["unshare", "--mount", "sh", "-c", mount], check=False, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    build = f"{mount} && echo older >{full}/older && {PLATTER} build --output {full} --format {kind}"
    script = f"{build}; code=$?; ls -A {full}; cat {full}/older; exit $code"
    done = yard.run("unshare", "--mount", "sh", "-c", script, cwd=project, code=6)
    assert done.stdout == "older\nolder\n"
    assert "cannot be written: No space left on device" in done.stderr
    assert "make room there" in done.stderr


# Build scripts


@pytest.mark.parametrize(
    ("stage", "script"),
    [
        ("prebuild", "echo the last words >&2\nexit 3\n"),
        ("postbuild", "#!/nowhere/to/be/found\n"),
        ("postbuild", "kill -9 $$\n"),
    ],
)
def test_a_build_script_that_fails(yard: Yard, project: Path, stage: str, script: str) -> None:
    projects.write(project, {"script": script})
    said = yard.refuse(7, project, f"--{stage}-script=script")
    assert str(project / "script") in said
    if "echo" in script:
        assert "    the last words\n" in said
        assert f"the build script {project}/script failed: exit status 3" in said
        assert str(project / "script") in refuse_command(yard, project, f"--{stage}-script=script")
    assert hint_in(said)


def test_a_build_script_that_is_a_folder(yard: Yard, project: Path) -> None:
    (project / "scripts").mkdir()
    assert "scripts is not a file" in yard.refuse(2, project, "--prebuild-script=scripts")


# Interrupts

SLEEP = "echo $$ >$MARK.new; mv $MARK.new $MARK; sleep 100\n"
SLEEPING_SETUP = """
    import os, sys, time

    if "bdist_wheel" in sys.argv or "bdist_platter" in sys.argv:
        with open(os.environ["MARK"] + ".new", "w") as file:
            file.write(str(os.getpid()))
        os.rename(file.name, os.environ["MARK"])
        time.sleep(100)

    from setuptools import setup

    setup(name="NAME", version="1.0")
"""


def interrupt(
    yard: Yard, project: Path, command: list[str | Path], ready: Callable[[], bool], number: int, **environ: str
) -> tuple[int, str, str]:
    """Start a build in a process group of its own, and signal that when `ready`, as a terminal's Ctrl-C does."""
    process = subprocess.Popen(
        command,
        cwd=project,
        env={**yard.environ, **environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 60
        while not ready() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        if process.poll() is None:
            os.killpg(process.pid, number)
        out, err = process.communicate(timeout=90)
    finally:
        process.kill()
    return process.returncode, out, err


def is_gone(pid: int) -> bool:
    for _ in range(50):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        # A zombie whom nobody waits for is gone, too: init may be slow to.
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize(
    ("front_end", "number", "moment"),
    [
        ("command", signal.SIGINT, "pre-build script"),
        ("command", signal.SIGINT, "dependency"),
        ("command", signal.SIGTERM, "post-build script"),
        ("platter", signal.SIGINT, "pre-build script"),
        ("platter", signal.SIGINT, "project"),
        ("platter", signal.SIGTERM, "project"),
        ("platter", signal.SIGTERM, "dependency"),
        ("platter", signal.SIGINT, "post-build script"),
        ("backend", signal.SIGINT, "project"),
        ("backend", signal.SIGTERM, "dependency"),
    ],
)
def test_an_interrupt_leaves_nothing(
    yard: Yard, tmp_path: Path, project: Path, front_end: str, number: int, moment: str
) -> None:
    mark = tmp_path / "mark"
    arguments: list[str | Path] = []
    if moment.endswith("script"):
        projects.write(project, {"script": SLEEP})
        arguments = [f"--{moment.replace('-build ', 'build-')}=script"]
    elif moment == "project":
        projects.write(project, {"setup.py": SLEEPING_SETUP.replace("NAME", "hello")})
    else:
        slow = projects.write(tmp_path / "slow", {"setup.py": SLEEPING_SETUP.replace("NAME", "slow")})
        projects.write(project, {"setup.py": requiring(f"slow @ {slow.as_uri()}")})
    before = listing(project / "dist")
    hook = "from platter_setuptools.build_meta import build_wheel; build_wheel('dist', {'platter': 'true'})"
    commands: dict[str, list[str | Path]] = {
        "platter": [PLATTER, "build"],
        "command": [sys.executable, "setup.py", "bdist_platter"],
        "backend": [sys.executable, "-c", hook],
    }
    code, out, err = interrupt(yard, project, [*commands[front_end], *arguments], mark.exists, number, MARK=str(mark))
    assert mark.exists(), err
    assert code == (-number if front_end == "platter" else 128 + number)  # a shell has 130 and 143 for both
    assert {name: entry for name, entry in listing(project / "dist").items() if not name.endswith(".whl")} == before
    assert not list(yard.scratch.iterdir())
    assert is_gone(int(mark.read_text()))
    assert "Traceback" not in err
    assert re.search("interrupted|stopped by SIGTERM", err)
    if front_end == "platter":
        assert out == ""


def test_an_interrupt_while_fetching(
    yard: Yard, tmp_path: Path, own_caches: dict[str, str], project: Path, open_index: Callable[[], Index]
) -> None:
    index = open_index()
    index.slow.add("leaf-2.0-py3-none-any.whl")
    code, out, err = interrupt(
        yard,
        project,
        [PLATTER, "build"],
        index.slow_reached.is_set,
        signal.SIGINT,
        PIP_INDEX_URL=index.url,
        **own_caches,
    )
    assert (code, out) == (-signal.SIGINT, "")
    assert index.slow_reached.is_set(), err
    assert "Traceback" not in err
    assert "interrupted" in err
    assert not list((tmp_path / "wheels").rglob("leaf*"))
    # The caches are good for another try.
    index.slow.clear()
    yard.build(project, PIP_INDEX_URL=index.url, **own_caches)


@pytest.mark.parametrize("delay", [0.0, 0.2, 0.4, 0.6, 0.9])
def test_an_interrupt_at_any_time(yard: Yard, project: Path, delay: float) -> None:
    before = (project / "dist" / f"{BUNDLE}.tar.gz").read_bytes()
    begin: list[float] = []

    def ready() -> bool:
        # As soon as a build has a folder of its own it has begun.
        if not begin and list(yard.scratch.iterdir()):
            begin.append(time.monotonic())
        return bool(begin) and time.monotonic() - begin[0] >= delay

    code, out, err = interrupt(yard, project, [PLATTER, "build"], ready, signal.SIGINT)
    assert "Traceback" not in err, err
    bundle = project / "dist" / f"{BUNDLE}.tar.gz"
    assert list((project / "dist").iterdir()) == [bundle]
    if code == 0:
        assert bundle.read_bytes() != before
        assert out == f"{bundle}\n"
    else:
        assert (code, out) == (-signal.SIGINT, "")
        # At the very end the bundle may be there already, and is whole then.
        if bundle.read_bytes() != before:
            handmade_check = subprocess.run(["tar", "-tzf", bundle], check=False, capture_output=True)
            assert handmade_check.returncode == 0


# Windows


def test_windows_is_told_at_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("os.name", "nt")
        code = main(["build"])
    assert code == 2
    said = capsys.readouterr().err
    assert "cannot be built on Windows" in said
    assert "WSL" in said
    command = bdist_platter(Distribution({"name": "hello"}))
    with monkeypatch.context() as patch:
        patch.setattr("os.name", "nt")
        with pytest.raises(BaseError, match="cannot be built on Windows"):
            command.finalize_options()
