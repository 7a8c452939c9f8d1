"""The interpreter that goes into a bundle, with a script that poses as one: what is packed, and what is refused."""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import shutil
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from platter_setuptools._in_process import relocation
from platter_setuptools.bundle.interpreter import take_interpreter
from platter_setuptools.bundle.interpreter_check import check_machine, find_needs
from platter_setuptools.config.options import Options
from platter_setuptools.errors import UsageError
from platter_setuptools.runtime.processes import Runner
from platter_setuptools.runtime.progress import Progress
from platter_setuptools.wheel_cache import WheelCache
from platter_setuptools.wheels.system_libraries import SystemLibraries
from support import fakes, relocated
from support.compiled import shared_object
from support.relocated import MINOR, posing, write

if TYPE_CHECKING:
    from platter_setuptools.bundle.interpreter import BundledInterpreter

LIB = f"lib/{MINOR}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An interpreter as uv installs it: its sysconfig names the folder, and so does pip."""
    made = tmp_path / "given" / "cpython"
    return relocated.poser(made)


class Warnings(Progress):
    def __init__(self) -> None:
        super().__init__(io.StringIO())
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def take(
    named: Path,
    tmp_path: Path,
    progress: Progress | None = None,
    *,
    python: str | None = None,
    target: tuple[str, ...] = (),
    bytecode: bool = True,
) -> BundledInterpreter:
    work = tmp_path / f"work-{len(list(tmp_path.iterdir()))}"
    work.mkdir()
    named_python = (python,) if python else ()
    options = Options(output=tmp_path, with_python=named, python=named_python, target=target, no_bytecode=not bytecode)
    found = take_interpreter(options, WheelCache(work / "cache"), Runner(), progress or Warnings(), work)
    assert found
    return found


def members(interpreter: BundledInterpreter) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(interpreter.archive) as tar:
        return {one.name: one for one in tar}


def read(interpreter: BundledInterpreter, name: str) -> bytes:
    with tarfile.open(interpreter.archive) as tar:
        content = tar.extractfile(name)
        assert content
        return content.read()


class TestPacked:
    def test_what_it_holds(self, folder: Path, tmp_path: Path) -> None:
        found = take(folder, tmp_path)
        names = members(found)
        assert {f"python/bin/{MINOR}", f"python/{LIB}/LICENSE.txt", "python/bin/pydoc"} <= names.keys()
        assert not names.keys() & {"python/bin/pip", "python/bin/pip3"}  # they name the folder
        sysconfig = read(found, f"python/{LIB}/_sysconfigdata__linux.py").decode()
        assert (
            sysconfig
            == "build_time_vars = {'BINDIR': '/install/bin',\n 'LIBDIR': '/install/lib',\n 'prefix': '/install'}\n"
        )
        compiled = [name for name in names if name.endswith(".pyc")]
        tag = sys.implementation.cache_tag
        assert sorted(compiled) == [
            f"python/{LIB}/__pycache__/{one}.{tag}.pyc" for one in ("_sysconfigdata__linux", "os")
        ]
        sums = read(found, "python/SHA256SUMS")
        assert hashlib.sha256(sums).hexdigest() == found.facts.record_sha256
        for line in sums.decode().splitlines():
            digest, name = line.split("  ")
            assert hashlib.sha256(read(found, f"python/{name}")).hexdigest() == digest
        assert {(one.uid, one.uname, one.mtime) for one in names.values()} == {(0, "", 315532800)}
        assert {one.mode for one in names.values()} == {0o755, 0o644, 0o777}
        assert found.facts.licences == (f"{LIB}/LICENSE.txt",)

    def test_what_info_json_says(self, folder: Path, tmp_path: Path) -> None:
        found, version = take(folder, tmp_path), platform.python_version()
        info = found.info()
        assert list(info)[:3] == ["file", "machine", "loader"]
        assert info["sha256"] == hashlib.sha256(found.archive.read_bytes()).hexdigest()
        assert info["file"] == f"python/{version}-{info['sha256'][:12]}.tar.gz"
        assert (info["version"], info["size"]) == (version, found.archive.stat().st_size)
        files = [one for one in members(found).values() if one.isreg()]
        assert info["installed_size"] == sum(one.size for one in files)
        assert info["installed_files"] == len(files) + 1  # the link
        assert found.member().name == f"data/{info['file']}"

    def test_the_same_interpreter_gives_the_same_bytes(self, folder: Path, tmp_path: Path) -> None:
        other = tmp_path / "elsewhere"
        folder_as_tar(folder, tmp_path / "one.tar.gz")
        with tarfile.open(tmp_path / "one.tar.gz") as tar:
            tar.extractall(other, filter="data")
        for path in other.rglob("*.py"):
            os.utime(path, (1, 1))
        text = (other / "python" / LIB / "_sysconfigdata__linux.py").read_text()
        (other / "python" / LIB / "_sysconfigdata__linux.py").write_text(text.replace(f"{folder}", f"{other}/python"))
        assert len({take(one, tmp_path).facts.sha256 for one in (folder, other, other / "python")}) == 1

    def test_an_archive(self, folder: Path, tmp_path: Path) -> None:
        (folder / LIB / "_sysconfigdata__linux.py").write_text("")
        folder_as_tar(folder, tmp_path / "one.tar.gz")
        assert take(tmp_path / "one.tar.gz", tmp_path).facts == take(folder, tmp_path).facts

    def test_without_bytecode(self, folder: Path, tmp_path: Path) -> None:
        assert not [name for name in members(take(folder, tmp_path, bytecode=False)) if name.endswith(".pyc")]

    def test_it_is_packed_once(self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        work = tmp_path / "work"
        work.mkdir()
        cache = WheelCache(work / "cache")
        options = Options(output=tmp_path, with_python=folder)
        first = take_interpreter(options, cache, Runner(), Warnings(), work)
        monkeypatch.setattr("platter_setuptools.bundle.interpreter.stage_archive", None)
        second = take_interpreter(options, cache, Runner(), Warnings(), work)
        assert first
        assert second
        assert (first.facts, first.archive) == (second.facts, second.archive)

    def test_none_was_asked_for(self, tmp_path: Path) -> None:
        cache = WheelCache(tmp_path / "cache")
        assert take_interpreter(Options(output=tmp_path), cache, Runner(), Warnings(), tmp_path) is None


def folder_as_tar(folder: Path, path: Path) -> None:
    with tarfile.open(path, "w:gz") as tar:
        tar.add(folder, "python")


class TestRefused:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"pyvenv.cfg": "home = /usr/bin\n"}, "is a virtual environment"),
            ({f"bin/{MINOR}": posing(prefix="/usr/local")}, "a copy of it uses /usr/local, which is outside of it"),
            (
                {f"bin/{MINOR}": posing(build='{"LIBDIR": "/usr/local/lib", "BINDIR": "/install/bin"}')},
                "is not relocatable: its sysconfig has LIBDIR=/usr/local/lib, where",
            ),
            ({f"bin/{MINOR}": "#!/bin/sh\nexit 3\n"}, "is not relocatable: a copy of it does not start"),
            ({f"bin/{MINOR}": "#!/bin/sh\necho hello\n"}, "is not relocatable: a copy of it does not start"),
            (
                {f"bin/{MINOR}": posing(missing='{"zlib": "No module named zlib"}')},
                r"lacks modules that an installation needs: zlib \(No module named zlib\)",
            ),
            ({"bin/python3.7": posing()}, f"expected one program bin/python3.X in it, found {MINOR}, python3.7"),
        ],
    )
    def test_a_folder(self, folder: Path, tmp_path: Path, change: dict[str, str], message: str) -> None:
        for name, text in change.items():
            write(folder / name, text)
        with pytest.raises(UsageError, match=message) as caught:
            take(folder, tmp_path)
        assert caught.value.hint

    @pytest.mark.parametrize("target", ["/etc/passwd", "../../elsewhere", "nowhere", "../cpython/bin"])
    def test_a_link_out_of_it(self, folder: Path, tmp_path: Path, target: str) -> None:
        (tmp_path / "given" / "elsewhere").touch()
        (folder / "link").symlink_to(target)
        with pytest.raises(UsageError, match=f"link is a link to {target}, which leads out of it or nowhere"):
            take(folder, tmp_path)

    def test_a_pipe(self, folder: Path, tmp_path: Path) -> None:
        os.mkfifo(folder / "pipe")
        with pytest.raises(UsageError, match="pipe is neither a file, a folder nor a link"):
            take(folder, tmp_path)

    def test_too_much(self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("platter_setuptools.bundle.interpreter_source._LARGEST", 10)
        with pytest.raises(UsageError, match="it is not the folder of one interpreter"):
            take(folder, tmp_path)

    def test_what_does_not_fit_the_target(self, folder: Path, tmp_path: Path) -> None:
        facts = json.loads(Runner()([sys.executable, "-I", Path(relocation.__file__).with_name("interpreter.py")]))
        other = tmp_path / "other"
        other.write_text(f"#!/bin/sh\necho '{json.dumps({**facts, 'magic': '00'})}'\n")
        other.chmod(0o755)
        with pytest.raises(UsageError, match="and the bundle is for CPython"):
            take(folder, tmp_path, python=f"{other}")

    def test_a_target(self, folder: Path, tmp_path: Path) -> None:
        own = f"cp3{sys.version_info[1]}-manylinux_2_17_{platform.machine()}"
        assert take(folder, tmp_path, target=(own,)).target.version == f"3.{sys.version_info[1]}"
        with pytest.raises(UsageError, match="and the bundle is for cp38-manylinux_2_28_x86_64"):
            take(folder, tmp_path, target=("cp38-manylinux_2_28_x86_64",))
        with pytest.raises(UsageError, match="with-python is for one target, and the bundle is for 2"):
            take(folder, tmp_path, target=(own, "cp38-manylinux_2_28_x86_64"))

    @pytest.mark.parametrize("libc", ["glibc 2.40", "musl"])
    def test_another_libc(self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, libc: str) -> None:
        glibc = (2, 40) if libc != "musl" else None
        needs = SystemLibraries(glibc=glibc, musl=not glibc, libraries=("libmade.so.1",))
        monkeypatch.setattr("platter_setuptools.bundle.interpreter.find_needs", lambda *_: needs)
        progress = Warnings()
        assert take(folder, tmp_path, progress).info()["libc"] == libc
        assert progress.warnings == [f"{folder} needs libraries that it does not bring: libmade.so.1"]
        own = f"cp3{sys.version_info[1]}-manylinux_2_28_{platform.machine()}"
        with pytest.raises(UsageError, match=f"needs {libc}, and {own} has glibc 2.28"):
            take(folder, tmp_path, target=(own,))

    def test_nothing_there(self, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        (tmp_path / "note").write_text("hello")
        for name, message in (
            ("nowhere", "does not exist"),
            ("empty", "there is no bin in it"),
            ("note", "note cannot be unpacked: "),
        ):
            with pytest.raises(UsageError, match=message):
                take(tmp_path / name, tmp_path)

    @pytest.mark.parametrize(
        ("names", "message"),
        [
            (["python/../../out"], "bad.tar cannot be unpacked: .* outside the destination"),
            (["python/link>/tmp", "python/link/x"], "bad.tar cannot be unpacked: .* link to an absolute path"),
            (["x", "other/bin/x"], "there is no bin in it"),
            (["python/bin/x"], "expected one program bin/python3.X in it, found none"),
        ],
    )
    def test_an_archive(self, tmp_path: Path, names: list[str], message: str) -> None:
        with tarfile.open(tmp_path / "bad.tar", "w") as tar:
            for name, _, link in (one.partition(">") for one in names):
                info = tarfile.TarInfo(name)
                info.type, info.linkname = (tarfile.SYMTYPE, link) if link else (tarfile.REGTYPE, "")
                tar.addfile(info)
        with pytest.raises(UsageError, match=message):
            take(tmp_path / "bad.tar", tmp_path)
        assert not (tmp_path / "out").exists()

    def test_a_truncated_archive(self, folder: Path, tmp_path: Path) -> None:
        path = tmp_path / "one.tar.gz"
        folder_as_tar(folder, path)
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(UsageError, match="cannot be unpacked: "):
            take(path, tmp_path)

    def test_uv_has_none(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", f"{tmp_path}/none")
        with pytest.raises(UsageError, match=r"uv has no Python 3\.\d+ of its own") as caught:
            take(Path("uv"), tmp_path)
        assert "run `uv python install 3." in (caught.value.hint or "")


@pytest.mark.skipif(sys.platform != "linux", reason="ELF files are Linux's")
def test_another_machine(tmp_path: Path) -> None:
    content = bytearray(Path(sys.executable).resolve().read_bytes())
    content[18:20] = (0xF3).to_bytes(2, sys.byteorder)  # e_machine: RISC-V
    (tmp_path / "python3").write_bytes(content)
    with pytest.raises(UsageError, match="python is an interpreter for riscv, and this machine is"):
        check_machine(tmp_path / "python3", Path("python"))


@pytest.mark.skipif(sys.platform != "linux", reason="ELF files are Linux's")
class TestCompiledFiles:
    """Of a folder whose program is the running Python's, next to which compiled files are put."""

    def find(self, folder: Path, content: bytes) -> SystemLibraries | None:
        (folder / "lib" / "deep").mkdir(parents=True)
        (folder / "bin").mkdir()
        program = folder / "bin" / MINOR
        program.write_bytes(shared_object(folder / "object", {}))
        (folder / "lib" / "deep" / "made.so").write_bytes(content)
        shutil.rmtree(folder / "object")
        return find_needs(folder, program, fakes.target(), folder)

    @pytest.mark.parametrize("rpath", ["/opt/lib", "$ORIGIN/../../../lib", "lib", "$ORIGIN:/usr/lib"])
    def test_a_runpath_that_leads_out(self, tmp_path: Path, rpath: str) -> None:
        content = shared_object(tmp_path / "o", {"libx.so.1": []}, options=[f"-Wl,-rpath,{rpath}"])
        with pytest.raises(UsageError, match=r"is not relocatable: a RUNPATH is .* \(lib/deep/made.so\)"):
            self.find(tmp_path / "python", content)

    def test_a_runpath_within(self, tmp_path: Path) -> None:
        options = ["-Wl,-rpath,$ORIGIN/../../lib"]
        content = shared_object(tmp_path / "o", {"libx.so.1": [], "libc.so.6": ["GLIBC_2.17"]}, options=options)
        found = self.find(tmp_path / "python", content)
        assert found
        assert (found.libc, found.libraries) == ("glibc 2.17", ("libx.so.1",))
