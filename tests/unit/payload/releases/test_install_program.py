"""ROOT/platter: the shell script that looks for a Python, and the archive behind it."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from platter_setuptools.payload.errors import InstallError
from platter_setuptools.payload.install import disk
from platter_setuptools.payload.releases.install_program import version_of
from support import roots

# Starts a Python without the module json; `-c` works.
LACKING = """\
#!/bin/sh
[ "$1" = -E ] && exec {python} "$@"
while case $1 in -X) shift 2 ;; -*) shift ;; *) false ;; esac; do :; done
exec {python} -I -S -B -c 'import runpy, sys
sys.modules["json"] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")' "$@"
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """The program of a root with one release; the Python that installed it is gone, and so is the release's own."""
    root = roots.make(tmp_path, "1.0")
    (Path(root.folder("1.0")) / "bin" / "python").unlink()
    path = roots.leave_program(root)
    first, rest = path.read_bytes().split(b"for python in '", 1)
    path.write_bytes(first + b"for python in '/gone/python'" + rest.split(b"'", 1)[1])
    return path


def script(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)
    return folder


def listed(program: Path, path: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", program, "list"], check=False, capture_output=True, text=True, cwd=cwd, env={"PATH": path}
    )


def test_a_crippled_python_is_passed_over(program: Path, tmp_path: Path) -> None:
    crippled = script(
        tmp_path / "crippled",
        "python3",
        f"""[ "$4" = -c ] && exec {sys.executable} "$@"; echo "No module named 'json'" >&2; exit 1""",
    )
    (whole := tmp_path / "whole").mkdir()
    (whole / "python3.11").symlink_to(sys.executable)
    done = listed(program, f"{crippled}:{whole}", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("1.0")


def test_the_python_that_installed_it_is_crippled_now(program: Path, tmp_path: Path) -> None:
    """It is passed over, whatever it lacks, and nothing of that reaches what is started."""
    lacking = tmp_path / "lacking"
    lacking.write_text(LACKING.format(python=sys.executable))
    lacking.chmod(0o755)
    program.write_bytes(program.read_bytes().replace(b"'/gone/python'", b"'" + os.fsencode(lacking) + b"'", 1))
    (whole := tmp_path / "whole").mkdir()
    (whole / "python3.11").symlink_to(sys.executable)
    done = listed(program, str(whole), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("1.0")
    (whole / "python3.11").unlink()
    assert "all of its standard library" in listed(program, "/nowhere", tmp_path).stderr
    (whole / "python3").symlink_to(lacking)  # another one that lacks a part: the two do not start each other for ever
    assert "all of its standard library" in listed(program, str(whole), tmp_path).stderr


def test_no_python_is_whole(program: Path, tmp_path: Path) -> None:
    done = listed(program, str(script(tmp_path / "crippled", "python3", "exit 1")), tmp_path)
    assert done.returncode == 3
    assert "all of its standard library" in done.stderr
    assert "hint: " in done.stderr


@pytest.mark.parametrize("first", [".", "", "here"])
def test_nothing_in_the_current_folder_is_run(program: Path, tmp_path: Path, first: str) -> None:
    script(tmp_path, "python3", ": >ran")
    script(tmp_path / "here", "python3", ": >ran")
    (whole := tmp_path / "whole").mkdir()
    (whole / "python3").symlink_to(sys.executable)
    assert listed(program, f"{first}:{whole}", tmp_path).returncode == 0
    listed(program, first, tmp_path)  # with no other folder in PATH, either
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "here" / "ran").exists()


def test_the_archive_does_not_count_from_the_script(program: Path, tmp_path: Path) -> None:
    """So whoever edits the script, such as the path of its Python, does not break what is behind it."""
    program.write_bytes(program.read_bytes().replace(b"'/gone/python'", b"'" + os.fsencode(sys.executable) + b"'", 1))
    assert listed(program, "/nowhere", tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["-h"], 0, "usage: platter COMMAND"),
        (["rollback", "-h"], 0, "usage: platter COMMAND"),
        (["-V"], 0, "platter 0.1"),
        (["--version"], 0, "platter 0.1"),
        ([], 2, "usage: platter COMMAND"),
        (["rolback"], 2, "hint: did you mean rollback?"),
        (["list", "--jso"], 2, "hint: did you mean --json?"),
    ],
)
def test_habits_of_a_command_line(tmp_path: Path, words: list[str], code: int, said: str) -> None:
    path = roots.leave_program(roots.make(tmp_path, "1.0"))
    done = subprocess.run([path, *words], check=False, capture_output=True, text=True)
    assert done.returncode == code
    assert said in done.stdout + done.stderr


def test_what_stands_in_its_place_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "platter"
    os.mkfifo(path)
    assert version_of(str(path)) is None


def test_a_list_loads_no_more_than_it_needs(tmp_path: Path) -> None:
    """These three take longer than the rest of it."""
    path = roots.leave_program(roots.make(tmp_path, "1.0"))
    words: list[str | Path] = [sys.executable, "-I", "-S", "-B", "-X", "importtime", path, "list"]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "payload.releases.root" in loaded
    assert not loaded & {"subprocess", "csv", "platform", "payload.releases.switch"}


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """The program that is there stays and serves; without one a root is of no use."""
    root = roots.make(tmp_path, "1.0")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as context:
        context.setattr(disk, "sync", full)
        with pytest.raises(InstallError, match="platter cannot be written: No space left on device"):
            roots.leave_program(root)
    path = roots.leave_program(root)
    before = path.read_bytes()
    monkeypatch.setattr(disk, "sync", full)
    roots.leave_program(root)
    assert path.read_bytes() == before
    assert "platter cannot be written: No space left on device" in capfd.readouterr().err
    assert sorted(one.name for one in Path(root.path).iterdir()) == ["platter", "versions"]
