"""Bytecode and the bootstrap: what is compiled, what comes from the store, what goes into the bundle."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from platter_setuptools import payload
from platter_setuptools.ground.errors import PlatterError
from platter_setuptools.ground.values import Origin, Wheel
from platter_setuptools.steps.bundle import bootstrap
from platter_setuptools.steps.foreign import compile as foreign
from platter_setuptools.steps.store import Store
from platter_setuptools.steps.wheels.bytecode import compile_archives, compile_wheels
from platter_setuptools.steps.wheels.wheelfile import open_wheel
from support import handmade
from support.fakes import Call, Diary, FakeRunner, failing, target

if TYPE_CHECKING:
    from platter_setuptools.steps.bundle.members import Member

HERE = target(cache_tag="cpython-311", magic="a70d0d0a")


def compiling(call: Call) -> str:
    """What foreign/compile.py does, with a lie for bytecode."""
    for job in json.loads(call.stdin)["jobs"]:
        with zipfile.ZipFile(job["wheel"]) as source, zipfile.ZipFile(job["output"], "w") as output:
            for name in source.namelist():
                if name.endswith(".py"):
                    output.writestr(f"{name[:-3]}.pyc", f"{job['unchecked']} {name}")
    return ""


def jobs(call: Call) -> list[str]:
    return [Path(job["wheel"]).name for job in json.loads(call.stdin)["jobs"]]


@pytest.fixture
def wheels(tmp_path: Path) -> list[Wheel]:
    return [open_wheel(handmade.wheel(tmp_path / "w", name), Origin.STORE) for name in ("a", "b")]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


class TestWheels:
    def test_compiled_once(self, wheels: list[Wheel], store: Store, tmp_path: Path) -> None:
        run, diary = FakeRunner(compiling), Diary()
        found = compile_wheels(wheels, HERE, store, run, diary, tmp_path)
        assert [bytecode.path.name for bytecode in found.values()] == [
            "a-1.0-py3-none-any.cpython-311.zip",
            "b-1.0-py3-none-any.cpython-311.zip",
        ]
        assert diary.said("step") == ["Compiling bytecode of 2 wheels for cpython-311"]
        again = compile_wheels(wheels, HERE, store, run, diary, tmp_path)
        assert again == found
        assert len(run.calls) == 1
        assert len(diary.entries) == 1

    def test_only_what_is_missing(self, wheels: list[Wheel], store: Store, tmp_path: Path) -> None:
        run = FakeRunner(compiling)
        compile_wheels(wheels[:1], HERE, store, run, Diary(), tmp_path)
        compile_wheels(wheels, HERE, store, run, Diary(), tmp_path)
        assert [jobs(call) for call in run.calls] == [["a-1.0-py3-none-any.whl"], ["b-1.0-py3-none-any.whl"]]

    def test_another_magic_number_is_another_bytecode(self, wheels: list[Wheel], store: Store, tmp_path: Path) -> None:
        run = FakeRunner(compiling)
        for one in (HERE, target(cache_tag="cpython-311", magic="ffff0d0a"), target(cache_tag="x", magic="a70d0d0a")):
            compile_wheels(wheels, one, store, run, Diary(), tmp_path)
        assert len(run.calls) == 3

    def test_no_wheels_no_process(self, store: Store, tmp_path: Path) -> None:
        run, diary = FakeRunner(compiling), Diary()
        assert compile_wheels([], HERE, store, run, diary, tmp_path) == {}
        assert (run.calls, diary.entries) == ([], [])

    def test_the_command(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PYTHONPATH", "/somewhere")
        monkeypatch.setenv("PYTHONDEVMODE", "1")
        run = FakeRunner()
        compile_archives({Path("/a.whl"): Path("/a.zip")}, HERE, run, unchecked=True)
        (call,) = run.calls
        assert call.command == (str(HERE.executable), "-s", "-B", foreign.__file__)
        assert {call.env["PYTHONPATH"], call.env["PYTHONDEVMODE"]} == {""}
        assert call.env["PYTHONHASHSEED"] == "0"
        request = json.loads(call.stdin)
        assert request["jobs"] == [{"wheel": "/a.whl", "output": "/a.zip", "unchecked": True}]
        assert request["processes"] >= 1

    def test_failure(self, wheels: list[Wheel], store: Store, tmp_path: Path) -> None:
        with pytest.raises(PlatterError, match=r"compiling bytecode with .* failed") as caught:
            compile_wheels(wheels, HERE, store, failing("Segmentation fault"), Diary(), tmp_path)
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
        self, virtualenv: list[Wheel], store: Store, run: FakeRunner, tmp_path: Path, *, with_bytecode: bool = True
    ) -> dict[str, Member]:
        made = bootstrap.members(virtualenv, HERE, store, run, tmp_path, with_bytecode=with_bytecode)
        return {member.name: member for member in made}

    def test_what_is_in_it(self, virtualenv: list[Wheel], store: Store, tmp_path: Path) -> None:
        members = self.members(virtualenv, store, FakeRunner(compiling), tmp_path)
        names = {name.removeprefix("data/bootstrap/") for name in members}
        modules = {path.stem for path in Path(payload.__file__).parent.glob("*.py")}
        assert {f"platter_payload/{name}.py" for name in modules} <= names
        assert {f"platter_payload/{name}.pyc" for name in modules} <= names
        assert {"virtualenv/__init__.py", "virtualenv/py.typed", "virtualenv-20.0.dist-info/METADATA"} <= names
        assert [name for name in names if name.endswith((".whl", ".exe", ".pyi", ".sh"))] == ["install.sh"]
        # Nobody changes the bootstrap on the server: its bytecode is not to be checked at each start.
        assert members["data/bootstrap/virtualenv/__init__.pyc"].content == b"True virtualenv/__init__.py"

    def test_modules_are_as_in_the_source_tree(self, virtualenv: list[Wheel], store: Store, tmp_path: Path) -> None:
        members = self.members(virtualenv, store, FakeRunner(compiling), tmp_path)
        for path in Path(payload.__file__).parent.glob("*.py"):
            assert members[f"data/bootstrap/platter_payload/{path.name}"].content == path.read_bytes()

    def test_without_bytecode(self, virtualenv: list[Wheel], store: Store, tmp_path: Path) -> None:
        run = FakeRunner(compiling)
        plain = self.members(virtualenv, store, run, tmp_path, with_bytecode=False)
        assert run.calls == []
        whole = self.members(virtualenv, store, run, tmp_path)
        assert {name for name in whole if not name.endswith(".pyc")} == set(plain)

    def test_from_the_store(self, virtualenv: list[Wheel], store: Store, tmp_path: Path) -> None:
        run = FakeRunner(compiling)
        first = self.members(virtualenv, store, run, tmp_path)
        assert self.members(virtualenv, store, run, tmp_path) == first
        assert len(run.calls) == 1

    def test_same_bytes_in_another_store(self, virtualenv: list[Wheel], store: Store, tmp_path: Path) -> None:
        first = self.members(virtualenv, store, FakeRunner(compiling), tmp_path)
        other = Store(tmp_path / "other")
        assert self.members(virtualenv, other, FakeRunner(compiling), tmp_path) == first
        digests = {hashlib.sha256(path.read_bytes()).digest() for path in tmp_path.glob("*/blobs/*/*/bootstrap")}
        assert len(digests) == 1

    def test_install_sh(self, virtualenv: list[Wheel], store: Store, tmp_path: Path) -> None:
        member = bootstrap.members(virtualenv, HERE, store, FakeRunner(compiling), tmp_path, with_bytecode=False)[0]
        assert (member.name, member.mode) == ("install.sh", 0o755)
        assert member.content
        assert member.content.startswith(b"#!/bin/sh\n")
