"""Bytecode and the bootstrap: what is compiled, what comes from the store, what goes into the bundle."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from platter_setuptools import payload
from platter_setuptools._in_process import compile as foreign
from platter_setuptools.bundle import bootstrap
from platter_setuptools.errors import PlatterError
from platter_setuptools.values import Origin, Wheel
from platter_setuptools.wheel_cache import WheelCache
from platter_setuptools.wheels.bytecode import compile_archives, compile_for_builds, compile_modules, compile_wheels
from platter_setuptools.wheels.metadata import open_wheel
from support import handmade
from support.fakes import Call, Diary, FakeRunner, failing, target

if TYPE_CHECKING:
    from platter_setuptools.bundle.members import Member

HERE = target(cache_tag="cpython-311", magic="a70d0d0a")


def compiling(call: Call) -> str:
    """What foreign/compile.py does, with a lie for bytecode."""
    for job in json.loads(call.stdin)["jobs"]:
        with zipfile.ZipFile(job["wheel"]) as source, zipfile.ZipFile(job["output"], "w") as output:
            for name in source.namelist():
                if name.endswith(".py"):
                    output.writestr(f"{name[:-3]}.pyc", f"{job['check']} {name}")
            output.writestr("RECORD", f"the record of {Path(job['wheel']).name}")
    return ""


def jobs(call: Call) -> list[str]:
    return [Path(job["wheel"]).name for job in json.loads(call.stdin)["jobs"]]


@pytest.fixture
def wheels(tmp_path: Path) -> list[Wheel]:
    return [open_wheel(handmade.wheel(tmp_path / "w", name), Origin.STORE) for name in ("a", "b")]


@pytest.fixture
def cache(tmp_path: Path) -> WheelCache:
    return WheelCache(tmp_path / "store")


class TestWheels:
    def test_compiled_once(self, wheels: list[Wheel], cache: WheelCache, tmp_path: Path) -> None:
        run, diary = FakeRunner(compiling), Diary()
        found = compile_wheels(wheels, HERE, cache, run, diary, tmp_path)
        assert [bytecode.path.name for bytecode in found.values()] == [
            "a-1.0-py3-none-any.cpython-311.zip",
            "b-1.0-py3-none-any.cpython-311.zip",
        ]
        assert [(one.size, one.record_sha256) for one in found.values()] == [
            (len("time a.py"), hashlib.sha256(f"the record of {name}-1.0-py3-none-any.whl".encode()).hexdigest())
            for name in ("a", "b")
        ]
        assert diary.said("step") == ["Compiling bytecode of 2 wheels for cpython-311"]
        again = compile_wheels(wheels, HERE, cache, run, diary, tmp_path)
        assert again == found
        assert len(run.calls) == 1
        assert len(diary.entries) == 1

    def test_only_what_is_missing(self, wheels: list[Wheel], cache: WheelCache, tmp_path: Path) -> None:
        run = FakeRunner(compiling)
        compile_wheels(wheels[:1], HERE, cache, run, Diary(), tmp_path)
        compile_wheels(wheels, HERE, cache, run, Diary(), tmp_path)
        assert [jobs(call) for call in run.calls] == [["a-1.0-py3-none-any.whl"], ["b-1.0-py3-none-any.whl"]]

    def test_another_magic_number_is_another_bytecode(
        self, wheels: list[Wheel], cache: WheelCache, tmp_path: Path
    ) -> None:
        run = FakeRunner(compiling)
        for one in (HERE, target(cache_tag="cpython-311", magic="ffff0d0a"), target(cache_tag="x", magic="a70d0d0a")):
            compile_wheels(wheels, one, cache, run, Diary(), tmp_path)
        assert len(run.calls) == 3

    def test_no_wheels_no_process(self, cache: WheelCache, tmp_path: Path) -> None:
        run, diary = FakeRunner(compiling), Diary()
        assert compile_wheels([], HERE, cache, run, diary, tmp_path) == {}
        assert (run.calls, diary.entries) == ([], [])

    def test_the_command(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PYTHONPATH", "/somewhere")
        monkeypatch.setenv("PYTHONDEVMODE", "1")
        run = FakeRunner()
        compile_archives({Path("/a.whl"): Path("/a.zip")}, HERE, run, check="never")
        (call,) = run.calls
        assert call.command == (str(HERE.executable), "-s", "-B", foreign.__file__)
        assert {call.env["PYTHONPATH"], call.env["PYTHONDEVMODE"]} == {""}
        assert call.env["PYTHONHASHSEED"] == "0"
        request = json.loads(call.stdin)
        assert request["jobs"] == [{"wheel": "/a.whl", "output": "/a.zip", "check": "never"}]
        assert request["processes"] >= 1

    def test_modules_of_no_wheel(self, tmp_path: Path) -> None:
        run, files = FakeRunner(compiling), {f"{name}.py": b"x = 1\n" for name in "dbca"} | {"data.txt": b"no module"}
        compiled = compile_modules(files, HERE, run, tmp_path, check="never")
        assert compiled == {f"{name}.pyc": f"never {name}.py".encode() for name in "abcd"}
        assert list(compiled) == sorted(compiled)
        assert [len(jobs(call)) for call in run.calls] == [2]

    def test_those_for_builds_are_kept_apart(self, wheels: list[Wheel], cache: WheelCache, tmp_path: Path) -> None:
        run = FakeRunner(compiling)
        compile_wheels(wheels, HERE, cache, run, Diary(), tmp_path)
        (first, _second) = found = compile_for_builds(wheels, HERE, cache, run, tmp_path)
        with zipfile.ZipFile(first) as archive:
            assert archive.read("a.pyc") == b"source a.py"
        assert compile_for_builds(wheels, HERE, cache, run, tmp_path) == found
        assert len(run.calls) == 2

    def test_large_wheels_are_not_compiled_for_builds(
        self, wheels: list[Wheel], cache: WheelCache, tmp_path: Path
    ) -> None:
        large = [dataclasses.replace(wheel, size=5 << 20) for wheel in wheels]
        assert compile_for_builds(large, HERE, cache, FakeRunner(compiling), tmp_path) == []

    def test_failure(self, wheels: list[Wheel], cache: WheelCache, tmp_path: Path) -> None:
        with pytest.raises(PlatterError, match=r"compiling bytecode with .* failed") as caught:
            compile_wheels(wheels, HERE, cache, failing("Segmentation fault"), Diary(), tmp_path)
        assert caught.value.output == ("Segmentation fault",)
        assert "no-bytecode" in str(caught.value.hint)


class TestBootstrap:
    @pytest.fixture
    def virtualenv(self, tmp_path: Path) -> list[Wheel]:
        path = handmade.wheel(
            tmp_path / "v",
            "virtualenv",
            "20.0",
            files={
                "virtualenv/__init__.py": "",
                "virtualenv/py.typed": "",
                "virtualenv/stub.pyi": "",
                "virtualenv/seed/wheels/embed/pip-24-py3-none-any.whl": "big",
                "virtualenv/seed/wheels/embed/__init__.py": "",
                "distlib/t32.exe": "windows",
            },
        )
        return [open_wheel(path, Origin.STORE)]

    def members(
        self, virtualenv: list[Wheel], cache: WheelCache, run: FakeRunner, tmp_path: Path, *, with_bytecode: bool = True
    ) -> dict[str, Member]:
        made = bootstrap.members(virtualenv, [HERE] if with_bytecode else [], cache, run, tmp_path)
        return {member.name: member for member in made}

    def test_what_is_in_it(self, virtualenv: list[Wheel], cache: WheelCache, tmp_path: Path) -> None:
        members = self.members(virtualenv, cache, FakeRunner(compiling), tmp_path)
        names = {name.removeprefix("data/bootstrap/") for name in members}
        assert "RECORD" not in names
        folder = Path(payload.__file__).parent
        modules = {path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.py")}
        assert {f"platter_payload/{name}.py" for name in modules} <= names
        assert {f"platter_payload/{name}.pyc" for name in modules} <= names
        assert {"virtualenv/__init__.py", "virtualenv/py.typed", "virtualenv-20.0.dist-info/METADATA"} <= names
        assert [name for name in names if name.endswith((".whl", ".exe", ".pyi", ".sh"))] == ["install.sh"]
        # Nobody changes the bootstrap on the server: its bytecode is not to be checked at each start.
        assert members["data/bootstrap/virtualenv/__init__.pyc"].content == b"never virtualenv/__init__.py"

    def test_modules_are_as_in_the_source_tree(
        self, virtualenv: list[Wheel], cache: WheelCache, tmp_path: Path
    ) -> None:
        members = self.members(virtualenv, cache, FakeRunner(compiling), tmp_path)
        folder = Path(payload.__file__).parent
        for path in folder.rglob("*.py"):
            name = path.relative_to(folder).as_posix()
            assert members[f"data/bootstrap/platter_payload/{name}"].content == path.read_bytes()

    def test_without_bytecode(self, virtualenv: list[Wheel], cache: WheelCache, tmp_path: Path) -> None:
        run = FakeRunner(compiling)
        plain = self.members(virtualenv, cache, run, tmp_path, with_bytecode=False)
        assert run.calls == []
        whole = self.members(virtualenv, cache, run, tmp_path)
        assert {name for name in whole if not name.endswith(".pyc")} == set(plain)

    def test_from_the_store(self, virtualenv: list[Wheel], cache: WheelCache, tmp_path: Path) -> None:
        run = FakeRunner(compiling)
        first = self.members(virtualenv, cache, run, tmp_path)
        assert self.members(virtualenv, cache, run, tmp_path) == first
        assert len(run.calls) == 1

    def test_same_bytes_in_another_store(self, virtualenv: list[Wheel], cache: WheelCache, tmp_path: Path) -> None:
        first = self.members(virtualenv, cache, FakeRunner(compiling), tmp_path)
        other = WheelCache(tmp_path / "other")
        assert self.members(virtualenv, other, FakeRunner(compiling), tmp_path) == first
        digests = {hashlib.sha256(path.read_bytes()).digest() for path in tmp_path.glob("*/blobs/*/*/bootstrap")}
        assert len(digests) == 1

    def test_install_sh(self, virtualenv: list[Wheel], cache: WheelCache, tmp_path: Path) -> None:
        member = bootstrap.members(virtualenv, [], cache, FakeRunner(compiling), tmp_path)[0]
        assert (member.name, member.mode) == ("install.sh", 0o755)
        assert member.content
        assert member.content.startswith(b"#!/bin/sh\n")
