"""Which interpreter is meant, and what it says of itself."""

from __future__ import annotations

import json
import os
import platform
import re
import sys
from typing import TYPE_CHECKING, Any

import pytest
from packaging import tags as packaging_tags
from packaging.markers import Marker, default_environment

from platter_setuptools._in_process import interpreter
from platter_setuptools.errors import UsageError
from platter_setuptools.runtime.processes import Runner
from platter_setuptools.targets.find import find_interpreter, find_machines
from support import interpreters
from support.fakes import FakeRunner, failing

if TYPE_CHECKING:
    from pathlib import Path

    from platter_setuptools.targets.target import Interpreter

FACTS: dict[str, Any] = {**interpreter.describe(), "executable": "/opt/python"}


def found(tmp_path: Path, **changes: Any) -> Interpreter:
    """The target that an interpreter with these facts is."""
    path = tmp_path / "python"
    path.touch(mode=0o755)
    return find_interpreter(str(path), FakeRunner(lambda _call: json.dumps({**FACTS, **changes})))


class TestSeveral:
    def found(self, tmp_path: Path, *facts: dict[str, Any]) -> list[str]:
        """What the targets are called that interpreters with these facts are."""
        answers = {}
        for number, fact in enumerate(facts):
            path = tmp_path / f"python{number}"
            path.touch(mode=0o755)
            answers[str(path)] = json.dumps({**fact, "platform": "linux-x86_64", "executable": str(path)})
        run = FakeRunner(lambda call: answers[call.command[0]])
        return [str(one.target) for one in find_machines([*answers], [], run)]

    def test_in_their_order(self, tmp_path: Path) -> None:
        names = self.found(tmp_path, *map(interpreters.description, (13, 9, 10)))
        assert names == [f"CPython {version} on linux-x86_64" for version in ("3.13", "3.9", "3.10")]

    def test_each_once(self, tmp_path: Path) -> None:
        other = interpreters.description(11)
        other["markers"]["python_full_version"] = "3.11.99"
        assert self.found(tmp_path, interpreters.description(11), other) == ["CPython 3.11 on linux-x86_64"]

    def test_an_interpreter_builds_for_itself(self) -> None:
        ((target, host),) = find_machines([], [], FakeRunner())
        assert target is host

    def test_without_the_lock_of_the_interpreter(self, tmp_path: Path) -> None:
        names = self.found(tmp_path, interpreters.description(13), interpreters.description(13, abi="cp313t"))
        assert names == ["CPython 3.13 on linux-x86_64", "CPython 3.13t on linux-x86_64"]

    def test_as_a_marker(self, tmp_path: Path) -> None:
        target = found(tmp_path)
        marker = Marker(target.marker())
        assert marker.evaluate()
        assert all(marker.evaluate(dict(environment)) for environment in target.other_patches)
        assert not marker.evaluate({"python_version": "3.98"})
        assert not marker.evaluate({"sys_platform": "plan9"})


class TestOurOwn:
    def test_tags_are_those_of_packaging(self) -> None:
        target = find_interpreter(None, FakeRunner())
        assert list(target.tags) == list(packaging_tags.sys_tags())

    def test_markers_are_those_of_packaging(self) -> None:
        assert find_interpreter(None, FakeRunner()).environment == default_environment()

    def test_facts(self) -> None:
        target = find_interpreter(None, FakeRunner())
        assert str(target.executable) == sys.executable
        assert target.version == "{}.{}".format(*sys.version_info)
        assert target.full_version == platform.python_version()
        assert str(target).startswith(f"{platform.python_implementation()} {target.version} on ")
        assert target.id.startswith(f"{target.abi}-")
        assert not target.id.startswith(f"{target.abi}-linux_")

    def test_nothing_is_started(self) -> None:
        run = FakeRunner()
        find_interpreter(None, run)
        assert run.calls == []


class TestAnother:
    def test_it_is_asked_in_isolation(self, tmp_path: Path) -> None:
        path = tmp_path / "python"
        path.touch(mode=0o755)
        run = FakeRunner(lambda _call: json.dumps(FACTS))
        find_interpreter(str(path), run)
        assert run.calls[0].command == (str(path), "-I", interpreter.__file__)

    def test_it_answers(self) -> None:
        assert find_interpreter(sys.executable, Runner()) == find_interpreter(None, FakeRunner())

    @pytest.mark.parametrize(
        ("minor", "abi", "first", "also"),
        [
            (9, "cp39", "cp39-cp39", "cp38-abi3"),
            (13, "cp313", "cp313-cp313", "cp313-abi3"),
            (13, "cp313t", "cp313-cp313t", "py3-none"),
            (11, "cp311d", "cp311-cp311d", "cp311-cp311"),
        ],
    )
    def test_other_versions_and_builds(self, minor: int, abi: str, first: str, also: str, tmp_path: Path) -> None:
        target = found(tmp_path, **interpreters.description(minor, abi=abi))
        prefixes = [f"{tag.interpreter}-{tag.abi}" for tag in target.tags]
        assert (target.abi, prefixes[0], target.id.partition("-")[0]) == (abi, first, abi)
        assert also in prefixes
        assert not any(tag.interpreter == "cp314" for tag in target.tags)

    def test_a_free_threaded_one_takes_no_ordinary_abi3(self, tmp_path: Path) -> None:
        target = found(tmp_path, **interpreters.description(13, abi="cp313t"))
        assert "abi3" not in {tag.abi for tag in target.tags}

    def test_libc(self, tmp_path: Path) -> None:
        assert found(tmp_path, libc="glibc 2.36").libc == "glibc 2.36"
        assert found(tmp_path, libc=None).libc is None

    def test_other_patches(self, tmp_path: Path) -> None:
        target = found(tmp_path, **interpreters.description(12))
        versions = [one["python_full_version"] for one in target.other_patches]
        assert versions == ["3.12.0", "3.12.999"]
        assert {one["sys_platform"] for one in target.other_patches} == {sys.platform}

    @pytest.mark.parametrize("version", ["3.12", "3.8", "3.13t"])
    def test_a_version_is_a_command(self, version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        command = tmp_path / f"python{version}"
        command.touch(mode=0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        run = FakeRunner(lambda _call: json.dumps(FACTS))
        find_interpreter(version, run)
        assert run.calls[0].command[0] == str(command)


class TestRefused:
    @pytest.mark.parametrize("python", ["no-such-python", "/no/such/python", "python3.99", "", "/"])
    def test_there_is_none(self, python: str) -> None:
        with pytest.raises(UsageError, match=re.escape(f"there is no interpreter {python}")) as caught:
            find_interpreter(python, failing())
        assert caught.value.exit_code == 2
        assert sys.executable in str(caught.value.hint)

    @pytest.mark.parametrize(
        "facts",
        [
            {"implementation": "cpython", "full_version": "3.7.17"},
            {"implementation": "cpython", "full_version": "3.4.10"},
            {"implementation": "pypy", "full_version": "3.11.13"},
        ],
    )
    def test_too_old_or_not_cpython(self, facts: dict[str, Any], tmp_path: Path) -> None:
        path = tmp_path / "python"
        path.touch(mode=0o755)
        with pytest.raises(UsageError, match="which is not supported") as caught:
            find_interpreter(str(path), FakeRunner(lambda _call: json.dumps({"executable": "/opt/python", **facts})))
        assert "3.8 or newer" in str(caught.value.hint)

    @pytest.mark.parametrize("answer", ["", "Python 3", "{"])
    def test_it_answers_nonsense(self, answer: str, tmp_path: Path) -> None:
        path = tmp_path / "python"
        path.touch(mode=0o755)
        with pytest.raises(UsageError, match="is not a working Python interpreter"):
            find_interpreter(str(path), FakeRunner(lambda _call: answer))

    def test_it_describes_itself_oddly(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="abi: expected another form"):
            found(tmp_path, abi="pypy39")

    def test_it_fails(self, tmp_path: Path) -> None:
        path = tmp_path / "python"
        path.touch(mode=0o755)
        with pytest.raises(UsageError, match="is not a working Python interpreter") as caught:
            find_interpreter(str(path), failing("error while loading shared libraries"))
        assert caught.value.output == ("error while loading shared libraries",)

    def test_it_is_no_program(self, tmp_path: Path) -> None:
        path = tmp_path / "python"
        path.write_bytes(b"\x00\x01 no program")
        path.chmod(0o755)
        with pytest.raises(UsageError, match="is not a working Python interpreter") as caught:
            find_interpreter(os.fspath(path), Runner())
        assert "Exec format error" in "\n".join(caught.value.output)
