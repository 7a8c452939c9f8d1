"""Build scripts: what they find around them, and what the bundle takes from them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.bundle.build_scripts import BuildScriptFolders
from platter_setuptools.bundle.members import Member, from_bytes, from_text
from platter_setuptools.errors import CommandError, ScriptError
from platter_setuptools.runtime.processes import Runner
from platter_setuptools.wheels.environments import Environment
from support.fakes import Call, FakeRunner, failing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def stage(tmp_path: Path, run: Runner) -> BuildScriptFolders:
    project = tmp_path / "project"
    project.mkdir()
    return BuildScriptFolders(
        here=tmp_path / "bundle", source=project, environment=Environment(tmp_path / "venv"), run=run
    )


def script(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "script"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_what_a_script_finds(tmp_path: Path) -> None:
    seen: list[Call] = []

    def look(call: Call) -> str:
        seen.append(call)
        for name in ("HERE", "DATA_DIR", "SOURCE_DIR", "SCRATCHPAD"):
            assert os.path.isdir(call.env[name])  # noqa: PTH112
        assert os.path.isfile(call.env["INSTALL_SCRIPT"])  # noqa: PTH113
        return ""

    here = stage(tmp_path, FakeRunner(look))
    here.run_script(script(tmp_path, "echo hello\n"))
    (call,) = seen
    assert call.command == ("sh", "-e", str(tmp_path / "script"))
    assert call.cwd == tmp_path / "bundle"
    assert call.env["HERE"] == str(tmp_path / "bundle")
    assert call.env["DATA_DIR"] == str(tmp_path / "bundle" / "data")
    assert call.env["SOURCE_DIR"] == str(tmp_path / "project")
    assert call.env["VIRTUAL_ENV"] == str(tmp_path / "venv")
    assert call.env["PATH"].split(os.pathsep)[0] == str(tmp_path / "venv" / "bin")
    assert call.env["PYTHONHOME"] == ""
    assert not os.path.exists(call.env["SCRATCHPAD"])  # noqa: PTH110


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("#!/bin/bash\n", ["/bin/bash"]),
        ("#! /usr/bin/env  python3\n", ["/usr/bin/env", "python3"]),
        ("#!/bin/sh -e -u\n", ["/bin/sh", "-e -u"]),
        ("#!/bin/sh", ["/bin/sh"]),
        ("", ["sh", "-e"]),
        ("# a comment\n", ["sh", "-e"]),
        (b"\xff\xfe", ["sh", "-e"]),
    ],
)
def test_the_interpreter_is_read_as_the_kernel_reads_it(text: str | bytes, command: list[str], tmp_path: Path) -> None:
    run = FakeRunner()
    path = script(tmp_path, text)
    stage(tmp_path, run).run_script(path)
    assert run.calls[0].command == (*command, str(path))


def test_a_failing_script(tmp_path: Path) -> None:
    here = stage(tmp_path, failing("npm: not found", returncode=127))
    with pytest.raises(ScriptError, match="exit status 127") as caught:
        here.run_script(script(tmp_path, ""))
    assert caught.value.exit_code == 7
    assert caught.value.output == ("npm: not found",)
    assert isinstance(caught.value.__cause__, CommandError)
    assert not (tmp_path / "bundle.scratchpad").exists()


def test_a_script_whose_interpreter_is_missing_is_a_script_that_failed(tmp_path: Path) -> None:
    here = stage(tmp_path, Runner())
    with pytest.raises(ScriptError) as caught:
        here.run_script(script(tmp_path, "#!/no/such/interpreter\n"))
    assert "/no/such/interpreter" in "\n".join([caught.value.message, *caught.value.output])


def writing(act: Callable[[Path], object], tmp_path: Path) -> BuildScriptFolders:
    """A stage whose next script does this in HERE."""

    def answer(call: Call) -> str:
        assert call.cwd is not None
        act(call.cwd)
        return ""

    return stage(tmp_path, FakeRunner(answer))


OURS = [
    from_text("info.json", "{}"),
    from_bytes("install.sh", b"#!/bin/sh\n", executable=True),
    from_text("data/a", "a"),
]


def test_what_a_script_adds_is_taken(tmp_path: Path) -> None:
    def act(here: Path) -> None:
        assert (here / "data" / "a").read_text() == "a"
        (here / "data" / "node").mkdir()
        (here / "data" / "node" / "tool").write_text("#!/bin/sh\n")
        (here / "data" / "node" / "tool").chmod(0o700)
        (here / "data" / "link").symlink_to("node/tool")
        (here / "data" / "empty").mkdir()
        (here / "README").write_text("hello")

    made = writing(act, tmp_path)
    made.place(OURS)
    made.run_script(script(tmp_path, ""))
    taken = {member.name: member for member in made.take(OURS)}
    assert set(taken) == {"data/node/tool", "data/link", "data/empty", "README"}
    assert taken["data/node/tool"].mode == 0o755
    assert taken["data/link"].link == "node/tool"


def test_the_install_script_becomes_post_install(tmp_path: Path) -> None:
    made = stage(tmp_path, FakeRunner(append))
    made.run_script(script(tmp_path, ""))
    made.run_script(script(tmp_path, ""))
    assert [one for one in made.take([]) if not one.is_folder] == [
        from_bytes("post-install.sh", b"echo done\necho done\n", executable=True)
    ]


def append(call: Call) -> str:
    with open(call.env["INSTALL_SCRIPT"], "a") as file:  # noqa: PTH123
        file.write("echo done\n")
    return ""


def test_scripts_that_add_nothing(tmp_path: Path) -> None:
    made = stage(tmp_path, FakeRunner())
    assert made.take([]) == []
    made.place(OURS)
    made.run_script(script(tmp_path, ""))
    assert made.take(OURS) == []


def test_a_script_may_take_away_its_copies(tmp_path: Path) -> None:
    made = writing(lambda here: (here / "data" / "a").unlink(), tmp_path)
    made.place(OURS)
    made.run_script(script(tmp_path, ""))
    assert [member for member in made.take(OURS) if not member.is_folder] == []


def relink(here: Path) -> None:
    (here / "data" / "a").unlink()
    (here / "data" / "a").symlink_to("../info.json")


@pytest.mark.parametrize(
    ("act", "name"),
    [
        (lambda here: (here / "data" / "a").write_text("b"), "data/a"),
        (lambda here: (here / "install.sh").write_text(""), "install.sh"),
        (lambda here: (here / "SHA256SUMS").write_text(""), "SHA256SUMS"),
        (lambda here: (here / "post-install.sh").write_text("mine"), "post-install.sh"),
        (relink, "data/a"),
    ],
)
def test_what_was_checked_is_fixed(act: Callable[[Path], object], name: str, tmp_path: Path) -> None:
    made = writing(act, tmp_path)
    made.place(OURS)
    made.run_script(script(tmp_path, ""))
    with pytest.raises(ScriptError, match=f"changed {name} "):
        made.take(OURS)


def test_a_folder_in_the_place_of_a_file_of_ours(tmp_path: Path) -> None:
    made = writing(lambda here: (here / "info.json" / "x").mkdir(parents=True), tmp_path)
    made.run_script(script(tmp_path, ""))
    with pytest.raises(ScriptError, match=r"info\.json"):
        made.take(OURS)


def test_a_file_in_the_place_of_a_folder_of_ours(tmp_path: Path) -> None:
    ours = [Member(name="data/bootstrap/x", content=b"", sha256="0" * 64)]
    made = writing(lambda here: (here / "data" / "bootstrap").touch(), tmp_path)
    made.run_script(script(tmp_path, ""))
    with pytest.raises(ScriptError, match="data/bootstrap"):
        made.take(ours)
