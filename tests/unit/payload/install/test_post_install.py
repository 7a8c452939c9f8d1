from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from platter_setuptools.payload import process
from platter_setuptools.payload.errors import HookError, InstallError, PythonError
from platter_setuptools.payload.install import final_check, post_install


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("echo\n", ["/bin/sh", "-e"]),
        ("", ["/bin/sh", "-e"]),
        ("#!\n", ["/bin/sh", "-e"]),
        ("#!/bin/sh\n", ["/bin/sh"]),
        ("#! /bin/bash -eu -x \n", ["/bin/bash", "-eu -x"]),
        ("#!/usr/bin/env python3", ["/usr/bin/env", "python3"]),
    ],
)
def test_command(tmp_path: Path, line: str, expected: list[str]) -> None:
    script = tmp_path / "post-install.sh"
    script.write_text(line)
    assert process.words_of(str(script)) == [*expected, str(script)]


SETTING = post_install.Setting({"PATH": "/bin:/usr/bin"}, "/srv/app", "1.0", 60)


def test_environment() -> None:
    before = {"PYTHONHOME": "x", "A": "1", "PATH": "/bin"}
    assert post_install.environment(SETTING._replace(environment=before), "/b", "/v") == {
        "A": "1",
        "PATH": "/v/bin:/bin",
        "HERE": "/b",
        "DATA_DIR": "/b/data",
        "VIRTUAL_ENV": "/v",
        "PLATTER_ROOT": "/srv/app",
        "PLATTER_VERSION": "1.0",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    nothing = SETTING._replace(environment={}, root="")
    assert post_install.environment(nothing, "/b", "/v")["PLATTER_ROOT"] == ""
    assert post_install.environment(nothing, "/b", "/v")["PATH"].startswith("/v/bin:")


def test_failures(tmp_path: Path) -> None:
    script = tmp_path / "post-install.sh"
    for text, message in (
        ("exit 3\n", "exited with status 3"),
        ("kill -15 $$\n", "SIGTERM"),
        ("#!/no/such\n", "cannot start"),
    ):
        script.write_text(text)
        with pytest.raises(HookError, match=message):
            post_install.run(str(tmp_path), {}, str(tmp_path), SETTING)


def program(tmp_path: Path, text: str) -> str:
    path = tmp_path / "python"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def answering(tmp_path: Path, rows: str, library: str = os.__file__) -> str:
    """An interpreter that gives this answer, after a line of a wrapper's own."""
    answer = f"platter-answer\\n{tmp_path}\\n{library}\\n{rows}platter-answer\\n"
    return program(tmp_path, f"echo Company Python; printf '\\n{answer}'")


def test_inspection_wants_the_standard_library_that_the_preflight_saw(tmp_path: Path) -> None:
    with pytest.raises(PythonError, match=r"expected the standard library .*, found /elsewhere"):
        final_check.inspect(answering(tmp_path, "", "/elsewhere/os.py"), [], os.__file__)


def test_inspection_happens_as_a_service_would_start_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/lib")
    python = program(tmp_path, '[ -n "$LD_LIBRARY_PATH" ] || { echo no libpython >&2; exit 127; }')
    with pytest.raises(PythonError, match="no libpython") as caught:
        final_check.inspect(python, [], os.__file__)
    assert "LD_LIBRARY_PATH" in caught.value.hint


def test_inspection_wants_the_modules_that_this_process_can_import(tmp_path: Path) -> None:
    with pytest.raises(PythonError, match=r"the module _bz2 cannot be imported: libbz2\.so"):
        final_check.inspect(answering(tmp_path, r"-_bz2\tlibbz2.so: gone\n"), [], os.__file__)
    answer = final_check.inspect(answering(tmp_path, r"-_not_here\tgone\n+_ssl\n"), [], os.__file__)
    assert answer.modules == {"_not_here": "gone", "_ssl": ""}


def test_inspection_compares(tmp_path: Path) -> None:
    python = answering(tmp_path, r"=A.b\t1\ta\n=c\t2\tc\n")
    final_check.inspect(python, [("a-B", "1"), ("c", "2")], os.__file__)
    with pytest.raises(InstallError, match=r"missing c 3; unexpected c 2"):
        final_check.inspect(python, [("a-b", "1"), ("c", "3")], os.__file__)
    with pytest.raises(InstallError, match="unexpected c 2"):
        final_check.inspect(python, [("a-b", "1")], os.__file__)


@pytest.mark.parametrize(
    ("text", "message"),
    [("echo nonsense", "something else"), ("echo broken >&2; exit 3", r"status 3\): broken"), ("exit 1", "status 1")],
)
def test_inspection_of_a_broken_interpreter(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InstallError, match=message):
        final_check.inspect(program(tmp_path, text), [], os.__file__)


def test_inspection_without_interpreter() -> None:
    with pytest.raises(InstallError, match="does not start"):
        final_check.inspect("/no/such/python", [], os.__file__)


def test_inspection_of_this_interpreter() -> None:
    with pytest.raises(InstallError, match=r"unexpected .*pytest"):
        final_check.inspect(sys.executable, [], os.__file__)


def test_inspection_runs_no_pth_file(tmp_path: Path) -> None:
    """A dependency brings lines of code in a .pth file, and a sitecustomize."""
    packages = tmp_path / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    (packages / "a-1.dist-info").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(Path(sys.executable).resolve())
    (tmp_path / "pyvenv.cfg").write_text(f"home = {Path(sys.executable).resolve().parent}\n")
    (packages / "a-1.dist-info" / "METADATA").write_text("Name: a\nVersion: 1\n")
    ran = f"open({str(tmp_path / 'ran')!r}, 'w')"
    (packages / "evil.pth").write_text(f"import sys; {ran}\n")
    (packages / "sitecustomize.py").write_text(ran)
    final_check.inspect(str(tmp_path / "bin" / "python"), [("a", "1")], os.__file__)
    assert not (tmp_path / "ran").exists()


def test_the_shell_is_the_systems(tmp_path: Path) -> None:
    """Not a program of that name from the release, whose folder comes first in PATH."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "sh").write_text("#!/bin/false\n")
    (tmp_path / "bin" / "sh").chmod(0o755)
    (tmp_path / post_install.FILE).write_text("touch ran\n")
    post_install.run(str(tmp_path), {}, str(tmp_path), SETTING)
    assert (tmp_path / "ran").exists()


def test_what_takes_too_long(tmp_path: Path) -> None:
    (tmp_path / post_install.FILE).write_text("sleep 60\n")
    with pytest.raises(HookError, match=r"was still running after 0\.1 s, and was ended") as caught:
        post_install.run(str(tmp_path), {}, str(tmp_path), SETTING._replace(limit=0.1))
    assert "--command-timeout" in caught.value.hint
    assert "removed again" in caught.value.hint


def test_modules_of_the_bundle_leave_no_bytecode(tmp_path: Path) -> None:
    (tmp_path / "helper.py").touch()
    for options in ("", "-I"):
        (tmp_path / post_install.FILE).write_text(
            f"{sys.executable} {options} -c 'import sys; sys.path.insert(0, \".\"); import helper'\n"
        )
        post_install.run(str(tmp_path), {"helper.py": "", post_install.FILE: ""}, str(tmp_path), SETTING)
        assert not (tmp_path / "__pycache__").exists()
