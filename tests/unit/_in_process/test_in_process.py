"""What runs under the target's interpreter: run here under every one that this machine has."""

from __future__ import annotations

import ast
import importlib.util
import json
import marshal
import os
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from platter_setuptools._in_process import compile as foreign
from platter_setuptools._in_process import interpreter
from platter_setuptools.payload.wheels import record
from support import handmade, interpreters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from _typeshed import ReadableBuffer

# Every kind of constant whose bytecode could depend on hashes, identities or what was compiled before.
MODULE = '''
"""A module with a docstring."""
import os, sys
NAMES = {"a", "b", "c", "sys", "path"}
def function(x: int = 3, *more: str) -> bool:
    return x in {"one", "two", "three", 4, 5.0, None} and os.path.join("a", *more) != f"{x!r:>10}"
class Class:
    attribute = ("tuple", b"bytes", 1 << 80, 1j, ..., frozenset({"x", "y", "z"}))
    def method(self):
        return [self.attribute for self in (lambda y: y)(range(10))]
'''


def compile_wheels(
    *wheels: Path, into: Path, python: str = sys.executable, check: str = "time", processes: int = 2
) -> dict[str, Path]:
    """Run the compiler as a build does; gives the output for each wheel."""
    into.mkdir(parents=True, exist_ok=True)
    jobs = [{"wheel": str(one), "output": str(into / f"{one.stem}.zip"), "check": check} for one in wheels]
    done = subprocess.run(
        [python, "-s", "-B", foreign.__file__],
        input=json.dumps({"processes": processes, "jobs": jobs}),
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": "0"},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return {one.stem: into / f"{one.stem}.zip" for one in wheels}


def wheel(folder: Path, name: str = "tiny", **files: str) -> Path:
    return handmade.wheel(folder, name, files={f"{one}.py": text for one, text in files.items()} or {"mod.py": MODULE})


def compiled(path: Path) -> Mapping[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name != foreign.RECORD}


def code_of(data: ReadableBuffer) -> Any:
    return marshal.loads(bytes(data)[16:])


TAG = sys.implementation.cache_tag


class TestInterpreter:
    @interpreters.each()
    def test_it_describes_itself(self, python: str) -> None:
        command = [python, "-I", interpreter.__file__]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        facts = json.loads(done.stdout)
        assert done.stderr == ""
        assert set(facts) == set(interpreter.describe())
        code = "import importlib.util, sys; print(importlib.util.MAGIC_NUMBER.hex(), '%d.%d' % sys.version_info[:2])"
        expected = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.split()
        assert [facts["magic"], facts["python"]] == expected
        assert facts["markers"]["python_version"] == facts["python"]

    def test_it_keeps_to_what_old_interpreters_understand(self) -> None:
        ast.parse(Path(interpreter.__file__).read_text(), feature_version=(3, 4))

    @pytest.mark.parametrize("facts", [{"version_info": (3, 7, 9)}, {"implementation": SimpleNamespace(name="pypy")}])
    def test_one_that_is_no_target(self, facts: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in facts.items():
            monkeypatch.setattr(sys, name, value)
        assert set(interpreter.describe()) == {"executable", "full_version", "implementation"}


class TestCompile:
    def test_names_are_those_below_site_packages(self, tmp_path: Path) -> None:
        path = handmade.wheel(
            tmp_path,
            files={"a.py": "", "pkg/__init__.py": "", "pkg/data.txt": "", "pkg/stub.pyi": ""},
            purelib={"pure/b.py": ""},
            platlib={"plat.py": ""},
            scripts={"run.py": "#!python\n"},
            data={"share/c.py": ""},
            headers={"d.py": ""},
        )
        outputs = compile_wheels(path, into=tmp_path / "out")
        names = ["__pycache__/a", "pkg/__pycache__/__init__", "__pycache__/plat", "pure/__pycache__/b"]
        assert set(compiled(outputs[path.stem])) == {f"{name}.{TAG}.pyc" for name in names}

    def test_the_stamp_is_the_members_time_as_utc_and_its_size(self, tmp_path: Path) -> None:
        path = wheel(tmp_path, mod="x = 1\n")
        ((_name, data),) = compiled(compile_wheels(path, into=tmp_path / "out")[path.stem]).items()
        assert data[:4] == importlib.util.MAGIC_NUMBER
        # handmade.TIME, 2024-02-29 12:34:56 UTC.
        assert struct.unpack("<3I", data[4:16]) == (0, 1709210096, 6)

    @interpreters.each()
    def test_its_record_comes_last_and_lists_the_rest(self, python: str, tmp_path: Path) -> None:
        path = handmade.wheel(tmp_path, files={"b.py": "", 'with, comma and "quotes".py': "x = 1\n", "a.txt": ""})
        output = compile_wheels(path, into=tmp_path / "out", python=python)[path.stem]
        with zipfile.ZipFile(output) as archive:
            assert archive.namelist()[-1] == foreign.RECORD
            rows = list(record.parse(archive.read(foreign.RECORD)).values())
        assert rows == [record.row(name, content) for name, content in compiled(output).items()]
        assert len(rows) == 2

    @pytest.mark.parametrize(("check", "flags"), [("never", 1), ("source", 3)])
    def test_the_hash_of_the_source(self, check: str, flags: int, tmp_path: Path) -> None:
        path = wheel(tmp_path, mod="x = 1\n")
        outputs = compile_wheels(path, into=tmp_path / "out", check=check)
        ((_name, data),) = compiled(outputs[path.stem]).items()
        assert data[4:16] == struct.pack("<I", flags) + importlib.util.source_hash(b"x = 1\n")

    @pytest.mark.parametrize(
        "text", ["def", "x = '\0'", "# coding: nonsense\n", "return 1", "x = " + "(" * 500 + ")" * 500, "\xff"]
    )
    def test_modules_that_do_not_compile_are_left_out(self, text: str, tmp_path: Path) -> None:
        files = {"bad.py": text.encode("latin-1"), "good.py": b"x = 1\n", "warns.py": b"x = '\\d' is 1\n"}
        path = handmade.wheel(tmp_path, files=files)
        names = set(compiled(compile_wheels(path, into=tmp_path / "out")[path.stem]))
        assert names == {f"__pycache__/{name}.{TAG}.pyc" for name in ("good", "warns")}

    def test_a_date_that_no_calendar_has(self, tmp_path: Path) -> None:
        extra = [handmade.Member(name="odd.py", content=b"x = 1\n", time=(2024, 0, 0, 0, 0, 0))]
        path = handmade.wheel(tmp_path, files={"good.py": ""}, extra=extra)
        names = set(compiled(compile_wheels(path, into=tmp_path / "out")[path.stem]))
        assert names == {f"__pycache__/good.{TAG}.pyc"}

    def test_encodings(self, tmp_path: Path) -> None:
        path = handmade.wheel(tmp_path, files={"mod.py": "# coding: latin-1\nx = '\xe9'\n".encode("latin-1")})
        ((_name, data),) = compiled(compile_wheels(path, into=tmp_path / "out")[path.stem]).items()
        assert "\xe9" in code_of(data).co_consts

    def test_no_place_or_user_is_recorded(self, tmp_path: Path) -> None:
        path = wheel(tmp_path)
        ((_name, data),) = compiled(compile_wheels(path, into=tmp_path / "out")[path.stem]).items()
        assert code_of(data).co_filename == "mod.py"
        assert os.fsencode(tmp_path) not in data

    @interpreters.each()
    def test_same_bytes_in_any_company(self, python: str, tmp_path: Path) -> None:
        first, second, third = (
            wheel(tmp_path / "w", name, mod=MODULE + f"\nOWN = {name!r}\n", other="import mod\n" * 9)
            for name in ("first", "second", "third")
        )
        together = compile_wheels(first, second, third, into=tmp_path / "a", python=python)
        again = compile_wheels(third, second, first, into=tmp_path / "b", python=python, processes=1)
        alone = compile_wheels(second, into=tmp_path / "c", python=python, processes=7)
        moved = wheel(tmp_path / "elsewhere", "second", mod=MODULE + "\nOWN = 'second'\n", other="import mod\n" * 9)
        from_elsewhere = compile_wheels(moved, into=tmp_path / "d", python=python)
        assert {name: path.read_bytes() for name, path in together.items()} == {
            name: path.read_bytes() for name, path in again.items()
        }
        bytes_of_second = together[second.stem].read_bytes()
        assert bytes_of_second == alone[second.stem].read_bytes() == from_elsewhere[second.stem].read_bytes()

    @interpreters.each()
    @pytest.mark.parametrize("check", ["time", "source", "never"])
    def test_import_uses_it(self, check: str, python: str, tmp_path: Path) -> None:
        path = handmade.wheel(tmp_path, files={"pkg/mod.py": "VALUE = 'from source'\n", "pkg/__init__.py": ""})
        output = compile_wheels(path, into=tmp_path / "out", python=python, check=check)[path.stem]
        site = tmp_path / "site"
        for archive in (path, output):
            with zipfile.ZipFile(archive) as opened:
                opened.extractall(site)
        for module in site.rglob("*.py"):
            os.utime(module, (1709210096, 1709210096))
        (cached,) = site.rglob("mod.*.pyc")
        # What the source does not say, import can only have from the bytecode.
        cached.write_bytes(cached.read_bytes().replace(b"from source", b"from stored"))
        code = "import sys; sys.path.insert(0, sys.argv[1]); import pkg.mod; print(pkg.mod.VALUE, pkg.mod.__cached__)"
        command = [python, "-I", "-B", "-W", "ignore", "-c", code, str(site)]
        before = cached.read_bytes()
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        assert done.stdout.split()[:2] == ["from", "stored"]
        assert cached.read_bytes() == before
        os.utime(site / "pkg" / "mod.py", (1, 1))
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        assert done.stdout.split()[1] == ("source" if check == "time" else "stored")
        (site / "pkg" / "mod.py").write_text("VALUE = 'from other'\n")
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        assert done.stdout.split()[1] == ("stored" if check == "never" else "other")

    @interpreters.each()
    def test_a_damaged_wheel_is_told(self, python: str, tmp_path: Path) -> None:
        (tmp_path / "bad.whl").write_bytes(b"no zip")
        good = wheel(tmp_path)
        jobs = [
            {"wheel": str(path), "output": str(tmp_path / f"{path.stem}.zip"), "check": "time"}
            for path in (tmp_path / "bad.whl", good)
        ]
        request = json.dumps({"processes": 2, "jobs": jobs})
        command = [python, "-s", "-B", foreign.__file__]
        done = subprocess.run(command, input=request, check=False, capture_output=True, text=True)
        assert done.returncode == 1
        assert "bad.whl" in done.stderr
        assert "not a zip file" in done.stderr
        assert (tmp_path / f"{good.stem}.zip").is_file()

    def test_in_this_process(self, tmp_path: Path) -> None:
        path = wheel(tmp_path)
        foreign.compile_wheel(str(path), str(tmp_path / "own.zip"), "time")
        elsewhere = compile_wheels(path, into=tmp_path / "out")[path.stem]
        own = {name: code_of(data) for name, data in compiled(tmp_path / "own.zip").items()}
        assert own == {name: code_of(data) for name, data in compiled(elsewhere).items()}
