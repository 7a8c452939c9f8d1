"""The target: which interpreter is meant, and what it says of itself."""

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

from platter_setuptools.ground.errors import UsageError
from platter_setuptools.ground.run import Processes
from platter_setuptools.steps.foreign import interpreter
from platter_setuptools.steps.store import Store
from platter_setuptools.steps.target import Target, find_target, find_targets
from support.fakes import FakeRunner, failing

if TYPE_CHECKING:
    from pathlib import Path

FACTS: dict[str, Any] = {**interpreter.describe(), "executable": "/opt/python"}


def found(tmp_path: Path, **changes: Any) -> Target:
    """The target that an interpreter with these facts is."""
    path = tmp_path / "python"
    path.touch(mode=0o755)
    return find_target(str(path), FakeRunner(lambda _call: json.dumps({**FACTS, **changes})))


class TestSeveral:
    def found(self, tmp_path: Path, *changes: dict[str, Any]) -> list[str]:
        """What the targets are called that interpreters with these facts are."""
        facts = {}
        for number, change in enumerate(changes):
            path = tmp_path / f"python{number}"
            path.touch(mode=0o755)
            facts[str(path)] = json.dumps({**FACTS, "platform": "linux-x86_64", **change})
        return [str(target) for _, target in find_targets(facts, FakeRunner(lambda call: facts[call.command[0]]))]

    def test_the_lowest_comes_first(self, tmp_path: Path) -> None:
        names = self.found(tmp_path, {"version": "3.13"}, {"version": "3.9"}, {"version": "3.10"})
        assert names == [f"CPython {version} on linux-x86_64" for version in ("3.9", "3.10", "3.13")]

    def test_each_once(self, tmp_path: Path) -> None:
        first = {"version": "3.11", "full_version": "3.11.2"}
        second = {"version": "3.11", "full_version": "3.11.7", "executable": "/usr/bin/python3"}
        assert self.found(tmp_path, first, second) == ["CPython 3.11 on linux-x86_64"]

    def test_by_the_first_name(self) -> None:
        assert [name for name, _ in find_targets([None, sys.executable], Processes())] == [None]

    def test_without_the_lock_of_the_interpreter(self, tmp_path: Path) -> None:
        names = self.found(tmp_path, {"version": "3.13"}, {"version": "3.13", "free_threaded": True})
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
        target = find_target(None, FakeRunner())
        assert list(target.tags) == list(packaging_tags.sys_tags())

    def test_markers_are_those_of_packaging(self) -> None:
        assert find_target(None, FakeRunner()).environment == default_environment()

    def test_facts(self) -> None:
        target = find_target(None, FakeRunner())
        assert str(target.executable) == sys.executable
        assert target.version == "{}.{}".format(*sys.version_info)
        assert target.full_version == platform.python_version()
        assert str(target).startswith(f"{platform.python_implementation()} {target.version} on ")

    def test_nothing_is_started(self) -> None:
        run = FakeRunner()
        find_target(None, run)
        assert run.calls == []


class TestAnother:
    def test_it_is_asked_in_isolation(self, tmp_path: Path) -> None:
        path = tmp_path / "python"
        path.touch(mode=0o755)
        run = FakeRunner(lambda _call: json.dumps(FACTS))
        find_target(str(path), run)
        assert run.calls[0].command == (str(path), "-I", interpreter.__file__)

    def test_it_answers(self) -> None:
        assert find_target(sys.executable, Processes()) == find_target(None, FakeRunner())

    def test_it_is_asked_once(self, tmp_path: Path) -> None:
        path, store = tmp_path / "python", Store(tmp_path / "store")
        path.write_bytes(b"\x7fELF")
        path.chmod(0o755)
        run = FakeRunner(lambda _call: json.dumps(FACTS))
        first = find_target(str(path), run, store)
        assert find_target(str(path), run, store) == first
        assert len(run.calls) == 1
        os.utime(path, (1, 1))
        find_target(str(path), run, store)
        assert len(run.calls) == 2

    def test_a_script_is_asked_each_time(self, tmp_path: Path) -> None:
        path, store = tmp_path / "python", Store(tmp_path / "store")
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
        run = FakeRunner(lambda _call: json.dumps(FACTS))
        for _ in range(2):
            find_target(str(path), run, store)
        assert len(run.calls) == 2

    def test_what_was_noted_is_not_relied_on(self, tmp_path: Path) -> None:
        path, store = tmp_path / "python", Store(tmp_path / "store")
        path.write_bytes(b"\x7fELF")
        path.chmod(0o755)
        run = FakeRunner(lambda _call: json.dumps(FACTS))
        first = find_target(str(path), run, store)
        (note,) = (tmp_path / "store" / "refs" / "interpreter").iterdir()
        for text in ("7", "{}", "[]", '{"version": 3}', "nonsense"):
            note.write_text(text)
            assert find_target(str(path), run, store) == first

    @pytest.mark.parametrize(
        ("facts", "abi", "first", "also", "key"),
        [
            ({"version": "3.9"}, "cp39", "cp39-cp39", "cp38-abi3", "cp39-cp39-linux-x86_64"),
            ({"version": "3.13"}, "cp313", "cp313-cp313", "cp313-abi3", "cp313-cp313-linux-x86_64"),
            (
                {"version": "3.13", "free_threaded": True},
                "cp313t",
                "cp313-cp313t",
                "py3-none",
                "cp313-cp313t-linux-x86_64",
            ),
            ({"version": "3.11", "debug": True}, "cp311d", "cp311-cp311d", "cp311-cp311", "cp311-cp311d-linux-x86_64"),
        ],
    )
    def test_other_versions_and_builds(
        self, facts: dict[str, Any], abi: str, first: str, also: str, key: str, tmp_path: Path
    ) -> None:
        target = found(tmp_path, platform="linux-x86_64", **facts)
        prefixes = [f"{tag.interpreter}-{tag.abi}" for tag in target.tags]
        assert (target.abi, prefixes[0], target.key) == (abi, first, key)
        assert also in prefixes
        assert not any(tag.interpreter == "cp314" for tag in target.tags)

    def test_a_free_threaded_one_takes_no_ordinary_abi3(self, tmp_path: Path) -> None:
        target = found(tmp_path, version="3.13", free_threaded=True)
        assert "abi3" not in {tag.abi for tag in target.tags}

    def test_libc(self, tmp_path: Path) -> None:
        assert found(tmp_path, libc=["glibc", "2.36"]).libc == ("glibc", "2.36")
        assert found(tmp_path, libc=None).libc is None

    def test_other_patches(self, tmp_path: Path) -> None:
        target = found(tmp_path, version="3.12", full_version="3.12.4")
        versions = [one["python_full_version"] for one in target.other_patches]
        assert versions == ["3.12.0", "3.12.999"]
        assert {one["sys_platform"] for one in target.other_patches} == {sys.platform}

    @pytest.mark.parametrize("version", ["3.12", "3.8", "3.13t"])
    def test_a_version_is_a_command(self, version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        command = tmp_path / f"python{version}"
        command.touch(mode=0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        run = FakeRunner(lambda _call: json.dumps(FACTS))
        find_target(version, run)
        assert run.calls[0].command[0] == str(command)


class TestRefused:
    @pytest.mark.parametrize("python", ["no-such-python", "/no/such/python", "python3.99", "", "/"])
    def test_there_is_none(self, python: str) -> None:
        with pytest.raises(UsageError, match=re.escape(f"there is no interpreter {python}")) as caught:
            find_target(python, failing())
        assert caught.value.exit_code == 2
        assert sys.executable in str(caught.value.hint)

    @pytest.mark.parametrize(
        "facts",
        [
            {"version": "3.7", "full_version": "3.7.17"},
            {"version": "2.7", "full_version": "2.7.18"},
            {"implementation": "pypy"},
        ],
    )
    def test_too_old_or_not_cpython(self, facts: dict[str, Any], tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="we cannot build for it") as caught:
            found(tmp_path, **facts)
        assert "3.8 or newer" in str(caught.value.hint)

    @pytest.mark.parametrize("answer", ["", "Python 3", "{"])
    def test_it_answers_nonsense(self, answer: str, tmp_path: Path) -> None:
        path = tmp_path / "python"
        path.touch(mode=0o755)
        with pytest.raises(UsageError, match="is not a Python interpreter that works"):
            find_target(str(path), FakeRunner(lambda _call: answer))

    def test_it_fails(self, tmp_path: Path) -> None:
        path = tmp_path / "python"
        path.touch(mode=0o755)
        with pytest.raises(UsageError, match="is not a Python interpreter that works") as caught:
            find_target(str(path), failing("error while loading shared libraries"))
        assert caught.value.output == ("error while loading shared libraries",)

    def test_it_is_no_program(self, tmp_path: Path) -> None:
        path = tmp_path / "python"
        path.write_bytes(b"\x00\x01 no program")
        path.chmod(0o755)
        with pytest.raises(UsageError, match="is not a Python interpreter that works") as caught:
            find_target(os.fspath(path), Processes())
        assert "Exec format error" in "\n".join(caught.value.output)
