"""install.sh as a process: the contract of design section 5, one exit code and one state of DST after the other."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from platter_setuptools.payload.install.install_lock import Lock
from support import handmade, interpreters, linked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MARKER = ".platter-release.json"
POST = 'set -u\nprintf "%s\\n" "$PWD" "$HERE" "$DATA_DIR" "$VIRTUAL_ENV" "$(command -v python)" >"$VIRTUAL_ENV/seen"\n'
# Runs the entry with a Python that lacks a module; other programs as they are.
LACKING = """\
#!/bin/sh
[ "$4" = -X ] || exec {python} "$@"
shift 5
exec {python} -I -S -B -c 'import sys
sys.modules["{module}"] = None
program = sys.argv[2]
del sys.argv[1:3]
exec(program)' "$@"
"""
# Makes a virtualenv with the modules alone that the payload has imported, or looks for.
ASKING = """
import sys
sys.path.insert(0, sys.argv[1])
from platter_payload import installation
from platter_payload.install import environment
assert environment.missing() == []
known = {name.split(".")[0] for name in sys.modules}
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name in sys.stdlib_module_names - known - set(sys.builtin_module_names):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Blocker())
environment.clean()
environment.create(sys.argv[2], sys.argv[1])
"""
RESOURCE = "import importlib.resources, greet\nprint(importlib.resources.files(greet))\n"


def wheels(folder: Path) -> list[Path]:
    return [
        handmade.wheel(
            folder,
            "greet",
            files={"greet/__init__.py": "def main():\n    print('hello from', __file__)\n", "greet/data.txt": "1"},
            entry_points="[console_scripts]\ngreet = greet:main\n",
            requires=["helper"],
        ),
        handmade.wheel(
            folder,
            "helper",
            files={"helper.py": "x = 1\n"},
            scripts={"helping": "#!python\nimport sys; print(sys.executable)\n"},
            data={"etc/helper.conf": "a = 1\n"},
            headers={"helper.h": "/* */\n"},
        ),
    ]


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> handmade.Bundle:
    folder = tmp_path_factory.mktemp("original")
    return handmade.bundle(folder, wheels(folder), bytecode=True)


@pytest.fixture
def made(original: handmade.Bundle, tmp_path: Path) -> handmade.Bundle:
    """A bundle of one's own, to be broken at will."""
    path = linked.copy(original.path, tmp_path / "a bundle" / original.path.name)
    return handmade.Bundle(path=path, info=json.loads(json.dumps(original.info)))


@pytest.fixture
def dst(tmp_path: Path) -> Path:
    return tmp_path / "releases" / "1.0"


def tree(folder: Path) -> dict[str, str]:
    """All that is below a folder, for comparing before and after."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content = "" if stat.S_ISDIR(status.st_mode) else str(status.st_size)
        found[str(path.relative_to(folder))] = f"{stat.filemode(status.st_mode)} {content}"
    return found


def python(*words: str | Path) -> str:
    """What it prints, in an environment that knows nothing of the tests."""
    return subprocess.run(words, check=True, capture_output=True, text=True, env={"PATH": os.defpath}).stdout


def refused(done: subprocess.CompletedProcess[str], code: int) -> str:
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("install.sh: ")
    return done.stderr


def installed(done: subprocess.CompletedProcess[str], dst: Path) -> None:
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads((dst / MARKER).read_text())["state"] == "complete"
    assert python(dst / "bin" / "greet").startswith("hello from ")
    leftovers = [path.name for path in dst.parent.iterdir() if ".platter" in path.name]
    assert leftovers == []
    assert not (dst / ".platter-work").exists()


def test_installs(made: handmade.Bundle, dst: Path) -> None:
    done = handmade.run(made, dst)
    installed(done, dst)
    assert done.stdout.splitlines()[0] == f"Installing greet 1.0 into {dst}"
    assert done.stdout.splitlines()[-1].startswith("Installed greet 1.0: 2 packages, ")
    assert python(dst / "bin" / "helping").strip() == str(dst / "bin" / "python")
    assert (dst / "etc" / "helper.conf").read_text() == "a = 1\n"
    minor = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    assert (dst / "include" / "site" / minor / "helper" / "helper.h").exists()
    packages = dst / "lib" / minor / "site-packages"
    assert (packages / "greet-1.0.dist-info" / "INSTALLER").read_text() == "platter\n"
    assert (packages / "greet-1.0.dist-info" / "REQUESTED").read_text() == ""
    assert not (packages / "helper-1.0.dist-info" / "REQUESTED").exists()
    assert not (dst / "CACHEDIR.TAG").exists()


def test_bytecode_is_valid(made: handmade.Bundle, dst: Path) -> None:
    installed(handmade.run(made, dst), dst)
    code = "import importlib.util as u, sys; print(u.find_spec('helper').cached)"
    cached = Path(python(dst / "bin" / "python", "-I", "-c", code).strip())
    assert cached.exists()
    shown = subprocess.run(
        [dst / "bin" / "python", "-I", "-v", "-c", "import helper"], check=True, capture_output=True, text=True
    ).stderr
    assert f"matches {cached.parent.parent / 'helper.py'}" in shown


def test_bytecode_for_another_magic_number_is_left_out(made: handmade.Bundle, dst: Path) -> None:
    made.info["targets"][0]["magic"] = "00000d0a"
    made.seal()
    installed(handmade.run(made, dst), dst)
    assert not [path for path in dst.rglob("helper.*.pyc") if path.parent.name == "__pycache__"]


def test_pip_works_inside(tmp_path: Path, dst: Path) -> None:
    made = handmade.bundle(tmp_path / "with pip", [*wheels(tmp_path), handmade.pip_wheel(tmp_path)], bytecode=True)
    installed(handmade.run(made, dst), dst)
    pip = dst / "bin" / "pip"
    listed = python(pip, "--disable-pip-version-check", "list", "--format=freeze").splitlines()
    assert [line for line in listed if not line.startswith("pip==")] == ["greet==1.0", "helper==1.0"]
    assert python(pip, "check").startswith("No broken requirements")
    before = set(tree(dst))
    python(pip, "uninstall", "-y", "helper")
    gone = {path for path in before - set(tree(dst)) if not path.startswith("lib/")}
    assert {"bin/helping", "etc/helper.conf"} <= gone
    assert not list(dst.rglob("helper*.py*"))


# Exit codes


def test_usage(made: handmade.Bundle, dst: Path) -> None:
    for words in ([], [dst, dst], ["--unknown", dst], [""], ["-p"], ["--python=", dst]):
        done = subprocess.run(
            ["sh", made.script, *words], check=False, capture_output=True, text=True, env=with_python()
        )
        refused(done, 2)
    assert not dst.parent.exists()


def with_python(**more: str) -> dict[str, str]:
    """An environment where `pythonX.Y` is the interpreter that runs the tests."""
    return {"PATH": f"{Path(sys.executable).parent}:{os.defpath}", **more}


def test_help_and_version_need_no_python(made: handmade.Bundle) -> None:
    done = handmade.run(made, "--help", shell=[shutil.which("sh") or "sh"], python=False, env={})
    assert (done.returncode, done.stderr) == (0, "")
    assert "--force" in done.stdout
    done = handmade.run(made, "--version", python=False)
    assert (done.returncode, done.stdout) == (0, "greet 1.0\n")


def test_no_fitting_python(made: handmade.Bundle, dst: Path) -> None:
    made.info["python"] = made.info["targets"][0]["python"] = "3.99"
    made.seal()
    text = refused(handmade.run(made, dst, python=False), 3)
    assert "python3.99" in text
    assert "-p" in text
    assert "Python 3.99" in refused(handmade.run(made, dst), 3)
    assert "could not be run" in refused(handmade.run(made, "-p", "/nonexistent", dst, python=False), 3)
    assert not dst.parent.exists()


def test_why_no_python_starts_is_told_without_any_program(made: handmade.Bundle, dst: Path, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    python = programs / f"python{made.info['python']}"
    python.write_text("#!/bin/sh\necho libpython is gone >&2; exit 127\n")
    python.chmod(0o755)
    words: list[str | Path] = ["/bin/sh", made.script, dst]
    done = subprocess.run(words, check=False, capture_output=True, text=True, env={"PATH": str(programs)}, timeout=60)
    assert done.returncode == 3
    assert "libpython is gone" in done.stderr
    assert "not found" not in done.stderr


def test_a_python_that_lacks_what_virtualenv_needs(made: handmade.Bundle, dst: Path, tmp_path: Path) -> None:
    """The check says what the installation would."""
    python = tmp_path / "lacking"
    python.write_text(LACKING.format(python=sys.executable, module="xmlrpc"))
    python.chmod(0o755)
    for words in (["--check"], []):
        done = handmade.run(made, "-p", python, *words, dst, python=False)
        assert (done.returncode, "lacks a part of the standard library" in done.stderr) == (3, True)
        assert "xmlrpc" in done.stderr
        assert not dst.parent.exists()


def test_what_virtualenv_needs_is_known(made: handmade.Bundle, tmp_path: Path) -> None:
    """It makes a virtualenv where nothing can be imported but what the check looks for."""
    words = [sys.executable, "-I", "-S", "-B", "-c", ASKING, str(made.data / "bootstrap"), str(tmp_path / "made")]
    (tmp_path / "made").mkdir()
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "made" / "bin" / "python").exists()


def test_no_fitting_python_hides_nothing_else(made: handmade.Bundle, dst: Path) -> None:
    made.info["python"] = made.info["targets"][0]["python"] = "3.99"
    made.claim(size=2**50, files=1)
    made.seal()
    text = refused(handmade.run(made, f"{dst}:x"), 3)
    for part in (f"Python: expected 3.99, found {sys.version_info[0]}.", "space: expected", "which PATH cannot hold"):
        assert part in text
    assert not dst.parent.exists()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"free_threaded": True}, "free-threaded"),
        ({"debug": True}, "debug"),
        ({"implementation": "pypy"}, "expected pypy, found cpython"),
        ({"python": "3.99"}, "expected 3.99"),
    ],
)
def test_python_of_another_kind(made: handmade.Bundle, dst: Path, change: dict[str, Any], text: str) -> None:
    made.info["targets"][0].update(change)
    made.info["python"] = made.info["targets"][0]["python"]
    made.seal()
    assert text in refused(handmade.run(made, "--check", dst), 3)
    assert not dst.parent.exists()


def test_requires_python(made: handmade.Bundle, dst: Path) -> None:
    made.info["requires_python"] = ">=3.99"
    made.seal()
    assert "expected >=3.99" in refused(handmade.run(made, dst), 3)


def test_all_findings_in_one_list(tmp_path: Path, dst: Path) -> None:
    foreign = handmade.wheel(tmp_path / "w", "alien", tag="cp311-cp311-win_amd64")
    newer = handmade.wheel(tmp_path / "w", "newer", tag="py3-none-manylinux_2_99_x86_64")
    made = handmade.bundle(tmp_path, [foreign, newer])
    made.claim(size=2**50, files=2**40)
    made.seal()
    text = refused(handmade.run(made, dst), 5)
    for part in ("alien-1.0-cp311-cp311-win_amd64.whl", "newer-1.0", "space: expected"):
        assert part in text
    assert not dst.parent.exists()


def test_what_compiled_wheels_need(tmp_path: Path, dst: Path) -> None:
    tag = f"cp3{sys.version_info[1]}-cp3{sys.version_info[1]}-linux_{os.uname().machine}"
    made = handmade.bundle(tmp_path, [*wheels(tmp_path), handmade.wheel(tmp_path, "compiled", tag=tag)])
    entry = made.info["wheels"][-1]
    entry["libraries"] = ["libgone.so.1"]
    made.seal()
    done = handmade.run(made, "--check", dst)
    assert done.returncode == 0
    assert (
        done.stderr == f"warning: wheel: {entry['file']} needs libgone.so.1, which this system's loader does not find\n"
    )
    assert handmade.run(made, "--quiet", "--check", dst).stderr == ""
    entry["libc"] = "glibc 2.99"
    made.seal()
    assert f"wheel: {entry['file']}: expected glibc 2.99 or newer, found" in handmade.run(made, dst).stderr
    assert handmade.run(made, dst).returncode == 5
    assert not dst.parent.exists()


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink()
    path.write_bytes(data)


def cut(path: Path) -> None:
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[: len(data) // 2])


@pytest.mark.parametrize(
    "name",
    [
        "PACKAGE",
        "data/helper-1.0-py3-none-any.whl",
        f"data/bytecode/helper-1.0-py3-none-any.{sys.implementation.cache_tag}.zip",
        "data/bootstrap/virtualenv/__init__.py",
        "data/bootstrap/platter_payload/wheels/wheel.py",
        "data/bootstrap/platter_payload/errors.py",
        f"data/bootstrap/platter_payload/__pycache__/errors.{sys.implementation.cache_tag}.pyc",
        "info.json",
        "data/pylock.toml",
    ],
)
@pytest.mark.parametrize("damage", [flip, os.unlink, cut], ids=["flip", "miss", "cut"])
def test_damaged(made: handmade.Bundle, dst: Path, name: str, damage: Callable[[Path], None]) -> None:
    damage(made.path / name)
    assert Path(name).name in refused(handmade.run(made, dst), 4)
    assert not dst.parent.exists()
    assert refused(handmade.run(made, "--check", dst), 4)


@pytest.mark.parametrize("name", ["extra", "data/extra.whl", "data/bootstrap/sitecustomize.py"])
def test_extra_file(made: handmade.Bundle, dst: Path, name: str) -> None:
    (made.path / name).touch()
    assert name in refused(handmade.run(made, dst), 4)
    assert not dst.parent.exists()


@pytest.mark.parametrize(
    "member",
    [
        handmade.Member(name="../../../../../escaped"),
        handmade.Member(name="/tmp/escaped"),
        handmade.Member(name="link", content=b"/etc", mode=stat.S_IFLNK | 0o777),
        handmade.Member(name="evil-1.0.data/scripts/python", content=b"#!/bin/sh\n"),
        handmade.Member(name="evil-1.0.data/data/pyvenv.cfg", content=b"home = /"),
        handmade.Member(name="evil-1.0.data/unheard/of", content=b""),
        handmade.Member(name="evil-1.0.data/purelib/evil.py", content=b""),
        handmade.Member(name="evil.py/below", content=b""),
    ],
    ids=lambda member: member.name,
)
def test_hostile_wheel(tmp_path: Path, dst: Path, member: handmade.Member) -> None:
    evil = handmade.wheel(tmp_path / "w", "evil", extra=[member])
    made = handmade.bundle(tmp_path, [handmade.wheel(tmp_path / "w", "good"), evil])
    interpreter = Path(os.path.realpath(sys.executable)).stat()
    assert "evil" in refused(handmade.run(made, dst), 4)
    assert not dst.parent.exists()
    assert Path(os.path.realpath(sys.executable)).stat() == interpreter


# The states of DST


def test_empty_folder_keeps_being_itself(made: handmade.Bundle, dst: Path) -> None:
    dst.mkdir(parents=True)
    inode = dst.stat().st_ino
    installed(handmade.run(made, dst), dst)
    assert dst.stat().st_ino == inode


def test_twice(made: handmade.Bundle, dst: Path) -> None:
    installed(handmade.run(made, dst), dst)
    before = tree(dst)
    done = handmade.run(made, dst)
    assert (done.returncode, done.stdout) == (0, f"greet 1.0 is installed in {dst} already.\n")
    done = handmade.run(made, "--check", f"{dst}/")
    assert done.returncode == 0
    assert tree(dst) == before


def test_what_a_run_killed_in_its_last_moments_left_is_cleared(made: handmade.Bundle, dst: Path) -> None:
    """Marked complete, but the lock file and what --force replaced are still there."""
    installed(handmade.run(made, dst), dst)
    for part in ("replaced", "trash"):
        (dst.parent / f".{dst.name}.platter-{part}" / "old").mkdir(parents=True)
    (dst.parent / f".{dst.name}.platter-lock").touch()
    before = tree(dst)
    assert handmade.run(made, "--check", dst).returncode == 0
    assert len(list(dst.parent.iterdir())) == 4  # looking changes nothing
    done = handmade.run(made, dst)
    assert (done.returncode, done.stdout) == (0, f"greet 1.0 is installed in {dst} already.\n")
    assert [path.name for path in dst.parent.iterdir()] == [dst.name]
    assert tree(dst) == before


def test_a_complete_installation_whose_lock_is_held_is_left_alone(made: handmade.Bundle, dst: Path) -> None:
    installed(handmade.run(made, dst), dst)
    lock = Lock(str(dst))
    lock.acquire()
    try:
        done = handmade.run(made, dst)
        assert (done.returncode, done.stdout) == (0, f"greet 1.0 is installed in {dst} already.\n")
        assert Path(lock.file).exists()
    finally:
        lock.release()
    assert [path.name for path in dst.parent.iterdir()] == [dst.name]


@pytest.fixture
def another_python() -> str:
    """An interpreter of another minor version, as a server has it after an upgrade."""
    found = [
        python for minor in interpreters.MINORS if minor != sys.version_info[1] and (python := interpreters.find(minor))
    ]
    if not found:
        pytest.skip("needs another Python")
    return found[0]


def test_an_installed_release_is_judged_by_its_own_python(
    made: handmade.Bundle, dst: Path, another_python: str
) -> None:
    installed(handmade.run(made, dst), dst)
    judged = handmade.run(made, "-p", another_python, "--check", dst, python=False)
    assert (judged.returncode, judged.stderr) == (0, "")
    assert judged.stdout == f"greet 1.0 is installed in {dst} already.\n"

    (dst / "bin" / "python").unlink()
    (dst / "bin" / "python").symlink_to(another_python)
    before = tree(dst)
    for words in (["--check"], []):
        text = refused(handmade.run(made, *words, "-p", another_python, dst, python=False), 5)
        assert f"greet 1.0 in {dst} cannot run any more" in text
        assert f"Python: expected {sys.version_info[0]}.{sys.version_info[1]} at " in text
        assert "--force" in text
    assert tree(dst) == before
    installed(handmade.run(made, "--force", dst), dst)  # as the hint says
    assert handmade.run(made, "--check", dst).returncode == 0


def test_an_installed_release_whose_python_is_gone(made: handmade.Bundle, dst: Path) -> None:
    installed(handmade.run(made, dst), dst)
    (dst / "bin" / "python").unlink()
    (dst / "bin" / "python").symlink_to("/nonexistent/python")
    assert "found nothing" in refused(handmade.run(made, "--check", dst), 5)


@pytest.mark.parametrize("kind", ["file", "folder", "dangling link", "other release"])
def test_in_the_way(made: handmade.Bundle, dst: Path, kind: str) -> None:
    dst.parent.mkdir()
    if kind == "file":
        dst.write_text("precious")
    elif kind == "folder":
        dst.mkdir()
        (dst / "precious").touch()
    elif kind == "dangling link":
        dst.symlink_to("nowhere")
    else:
        installed(handmade.run(made, dst), dst)
        made.info["version"] = "2.0"
        made.seal()
    before = tree(dst.parent)
    assert str(dst) in refused(handmade.run(made, dst), 6)
    assert tree(dst.parent) == before
    if kind != "dangling link":
        installed(handmade.run(made, "--force", dst), dst)


def test_force_gives_back_what_it_replaces_after_a_failure(made: handmade.Bundle, dst: Path) -> None:
    dst.mkdir(parents=True)
    (dst / "precious").write_text("x")
    (made.path / "post-install.sh").write_text("exit 1\n")
    made.seal()
    before = tree(dst.parent)
    refused(handmade.run(made, "--force", dst), 7)
    assert tree(dst.parent) == before


def test_link_to_a_folder_stands_for_the_folder(made: handmade.Bundle, dst: Path, tmp_path: Path) -> None:
    dst.mkdir(parents=True)
    link = tmp_path / "current"
    link.symlink_to(dst)
    installed(handmade.run(made, link), dst)
    assert link.is_symlink()
    assert (dst / "bin" / "greet").read_text().splitlines()[0] == f"#!{dst}/bin/python"
    refused(handmade.run(made, "--force", link), 6)


def test_not_into_the_bundle_and_not_over_it(made: handmade.Bundle) -> None:
    refused(handmade.run(made, made.path / "venv"), 6)
    refused(handmade.run(made, "--force", made.path.parent), 6)
    assert made.script.exists()


def test_relative(made: handmade.Bundle, tmp_path: Path) -> None:
    shell = shutil.which("sh") or ""
    done = subprocess.run(
        [shell, "install.sh", "-p", sys.executable, "../../x/"],
        check=False,
        capture_output=True,
        text=True,
        cwd=made.path,
        env={"CDPATH": str(tmp_path), "PATH": os.defpath},
    )
    installed(done, tmp_path / "x")


def test_called_in_other_ways(made: handmade.Bundle, tmp_path: Path) -> None:
    link = tmp_path / "links" / "install"
    link.parent.mkdir()
    link.symlink_to("../hop")
    (tmp_path / "hop").symlink_to(made.script)
    for number, (words, folder) in enumerate(
        [(["./install.sh"], made.path), ([str(made.script)], tmp_path), ([str(link)], tmp_path), (["./hop"], tmp_path)]
    ):
        dst = tmp_path / f"way{number}"
        done = subprocess.run(
            [*words, "-p", sys.executable, dst], check=False, capture_output=True, text=True, cwd=folder
        )
        installed(done, dst)


def test_check_touches_nothing(made: handmade.Bundle, dst: Path, tmp_path: Path) -> None:
    before = tree(tmp_path)
    done = handmade.run(made, "--check", dst)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"greet 1.0 can be installed into {dst}.\n"
    assert tree(tmp_path) == before


def test_quiet(made: handmade.Bundle, dst: Path) -> None:
    done = handmade.run(made, "-q", dst)
    installed(done, dst)
    assert done.stdout == ""


# post-install.sh


def hooked(made: handmade.Bundle, text: str, mode: int = 0o755) -> None:
    (made.path / "post-install.sh").write_text(text)
    (made.path / "post-install.sh").chmod(mode)
    made.seal()


def test_post_install(made: handmade.Bundle, dst: Path) -> None:
    hooked(made, POST)
    done = handmade.run(made, dst, env={**os.environ, "PYTHONHOME": "/nonexistent", "PYTHONPATH": ""})
    installed(done, dst)
    here = str(made.path)
    assert (dst / "seen").read_text().splitlines() == [here, here, f"{here}/data", str(dst), f"{dst}/bin/python"]


def test_post_install_by_its_own_line(made: handmade.Bundle, dst: Path) -> None:
    hooked(
        made,
        "#!/usr/bin/env python\nimport os, sys\nopen(sys.prefix + '/seen', 'w').write(os.environ['HERE'])\n",
        0o644,
    )
    installed(handmade.run(made, dst), dst)
    assert (dst / "seen").read_text() == str(made.path)


@pytest.mark.parametrize("text", ["false\ntrue\n", "exit 9\n", "kill -9 $$\n", "#!/nonexistent\n"])
def test_post_install_fails(made: handmade.Bundle, dst: Path, text: str) -> None:
    hooked(made, text)
    assert "post-install.sh" in refused(handmade.run(made, dst), 7)
    assert not dst.parent.exists()


def test_locked_folders_are_removed_as_well(made: handmade.Bundle, dst: Path) -> None:
    hooked(made, 'mkdir -p "$VIRTUAL_ENV/a/b" && touch "$VIRTUAL_ENV/a/b/c" && chmod 0 "$VIRTUAL_ENV/a/b"; exit 1\n')
    refused(handmade.run(made, dst), 7)
    assert not dst.parent.exists()


# The environment


def test_pyproject_beside_dst_attracts_no_file(made: handmade.Bundle, dst: Path) -> None:
    dst.parent.mkdir()
    (dst.parent / "pyproject.toml").touch()
    installed(handmade.run(made, dst), dst)
    assert sorted(path.name for path in dst.parent.iterdir()) == [dst.name, "pyproject.toml"]


def test_does_not_depend_on_the_virtualenv_that_it_was_started_from(made: handmade.Bundle, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    installed(handmade.run(made, first), first)
    installed(handmade.run(made, "-p", first / "bin" / "python", second, python=False), second)
    shutil.rmtree(first)
    assert python(second / "bin" / "greet").startswith("hello from ")
    installed(handmade.run(made, "--force", "-p", second / "bin" / "python", second, python=False), second)


# Interruptions


@pytest.fixture
def slow(made: handmade.Bundle) -> Iterator[handmade.Bundle]:
    """A bundle whose installation stops near its end, until it is told to go on."""
    hooked(made, 'touch "$VIRTUAL_ENV/reached"; while [ ! -e "$HERE/../go" ]; do sleep 0.05; done\n')
    yield made
    (made.path.parent / "go").touch()


def start(made: handmade.Bundle, *words: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["sh", made.script, "-p", sys.executable, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def until(path: Path) -> None:
    for _ in range(400):
        if path.exists():
            return
        time.sleep(0.05)
    raise AssertionError(f"{path} never came")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_clean_up(slow: handmade.Bundle, dst: Path, number: signal.Signals) -> None:
    running = start(slow, dst)
    until(dst / "reached")
    running.send_signal(number)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == -number
    assert number.name in errors
    assert not dst.parent.exists()


def test_two_at_once(slow: handmade.Bundle, dst: Path) -> None:
    running = start(slow, dst)
    until(dst / "reached")
    assert "another installation" in refused(handmade.run(slow, dst), 6)
    (slow.path.parent / "go").touch()
    running.communicate(timeout=60)
    assert running.returncode == 0
    assert handmade.run(slow, dst).returncode == 0


def test_killed_while_it_replaces(slow: handmade.Bundle, dst: Path) -> None:
    dst.mkdir(parents=True)
    (dst / "precious").write_text("x")
    running = start(slow, "--force", dst)
    until(dst / "reached")
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate()
    refused(handmade.run(slow, dst), 6)
    assert tree(dst.parent) == {dst.name: "drwxr-xr-x ", f"{dst.name}/precious": "-rw-r--r-- 1"}
    (slow.path.parent / "go").touch()
    installed(handmade.run(slow, "--force", dst), dst)


# Two wheels that own one file


def test_the_later_of_two_wheels_wins_every_time(tmp_path: Path) -> None:
    first = handmade.wheel(tmp_path / "w", "first", files={"shared/__init__.py": "who = 'first'\n", "shared/a.py": ""})
    later = handmade.wheel(tmp_path / "w", "later", files={"shared/__init__.py": "who = 'later'\n", "shared/b.py": ""})
    for number, order in enumerate([[first, later], [later, first]] * 3):
        made = handmade.bundle(tmp_path / str(number), order, bytecode=True)
        dst = tmp_path / f"dst{number}"
        assert handmade.run(made, dst).returncode == 0
        code = "import shared, shared.a, shared.b; print(shared.who)"
        assert python(dst / "bin" / "python", "-I", "-c", code).strip() == order[1].name.split("-")[0]
