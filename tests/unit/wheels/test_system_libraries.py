"""What compiled wheels need: of ELF files that are made here for the purpose."""

from __future__ import annotations

import struct
import sys
import sysconfig
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from platter_setuptools.errors import WheelError
from platter_setuptools.targets.description import from_name
from platter_setuptools.values import Origin
from platter_setuptools.wheel_cache import WheelCache
from platter_setuptools.wheels.analysis import Analyser, CompiledFiles
from platter_setuptools.wheels.metadata import open_wheel
from platter_setuptools.wheels.record_check import examine
from platter_setuptools.wheels.system_libraries import (
    Linkage,
    SystemLibraries,
    check_libc,
    find_system_libraries,
    warnings,
)
from support import handmade
from support.compiled import shared_object
from support.fakes import FakeRunner, target

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

HERE = sysconfig.get_platform()
LINUX = "cp311-cp311-linux_x86_64"
NOTHING = Linkage(glibc=None, needs=frozenset(), offers=frozenset())
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="ELF files are Linux's")


def elf(folder: Path, needs: Mapping[str, Sequence[str]], soname: str = "") -> bytes:
    return shared_object(folder / "object", needs, soname=soname)


def read_linkage(wheel: Path, platform: str = HERE) -> Linkage:
    reader = CompiledFiles(platform)
    examine(open_wheel(wheel, Origin.STORE), reader.watch)
    return reader.linkage


def linkage(folder: Path, files: Mapping[str, str | bytes]) -> Linkage:
    return read_linkage(handmade.wheel(folder, "tiny", files=files))


class TestReading:
    def test_the_newest_symbol_version_of_all_files(self, tmp_path: Path) -> None:
        one = elf(tmp_path, {"libc.so.6": ["GLIBC_2.2.5", "GLIBC_2.34", "GLIBC_2.9", "GLIBC_PRIVATE"]})
        two = elf(tmp_path, {"libm.so.6": ["GLIBC_2.35"], "libx.so.1": ["GLIBC_X_9.9", "XGLIBC_9.9"]})
        assert linkage(tmp_path, {"one.so": one}).glibc == (2, 34)
        found = linkage(tmp_path, {"one.so": one, "deep/two.so": two})
        assert found.glibc == (2, 35)
        assert found.needs == {"libc.so.6", "libm.so.6", "libx.so.1"}
        assert found.offers == {"one.so", "two.so"}

    def test_programs_count_as_well(self, tmp_path: Path) -> None:
        program = elf(tmp_path, {"libc.so.6": ["GLIBC_2.34"]})
        wheel = handmade.wheel(tmp_path, "tiny", scripts={"tool": program})
        assert read_linkage(wheel).glibc == (2, 34)

    def test_a_library_is_offered_by_its_file_name_and_its_soname(self, tmp_path: Path) -> None:
        assert linkage(tmp_path, {"a/libx.so": elf(tmp_path, {}, "libx.so.1")}).offers == {"libx.so", "libx.so.1"}

    def test_relative_relocations_need_a_loader_that_knows_them(self, tmp_path: Path) -> None:
        content = elf(tmp_path, {"libc.so.6": ["GLIBC_2.17", "GLIBC_ABI_DT_RELR"]})
        assert linkage(tmp_path, {"one.so": content}).glibc == (2, 36)

    def test_a_weak_need_is_none(self, tmp_path: Path) -> None:
        content = elf(tmp_path, {"libc.so.6": ["GLIBC_2.34", "GLIBC_2.17"]})
        strong, weak = (struct.pack("=IH", 0x069691B4, flags) for flags in (0, 2))  # the name's hash, then the flags
        assert content.count(strong) == 1
        assert linkage(tmp_path, {"one.so": content.replace(strong, weak)}).glibc == (2, 17)

    @pytest.mark.parametrize(("offset", "value"), [(4, 1), (5, 2), (18, 0xF3)], ids=["32 bits", "big-endian", "RISC-V"])
    def test_files_for_other_machines_are_data(self, tmp_path: Path, offset: int, value: int) -> None:
        content = bytearray(elf(tmp_path, {"libc.so.6": ["GLIBC_2.34"]}))
        assert content[offset] != value
        content[offset] = value
        assert linkage(tmp_path, {"one.so": bytes(content)}) == NOTHING

    def test_names_that_a_terminal_would_obey_are_escaped(self, tmp_path: Path) -> None:
        assert linkage(tmp_path, {"one.so": elf(tmp_path, {"lib\x1b[2J.so": []})}).needs == {r"lib\x1b[2J.so"}

    def test_what_is_no_elf_file(self, tmp_path: Path) -> None:
        files: dict[str, str | bytes] = {
            "a.so": b"",
            "b.so": b"\x7fEL",
            "c.so": b"\x7fELF",
            "d.so": "INPUT(-lc)",
            "e.so": b"\x7fELF" + b"\2" * 99,
        }
        assert linkage(tmp_path, files) == NOTHING

    def test_an_interpreter_that_is_no_elf_file(self, tmp_path: Path) -> None:
        wheel = handmade.wheel(tmp_path, "tiny", files={"one.so": elf(tmp_path, {"libc.so.6": ["GLIBC_2.34"]})})
        assert read_linkage(wheel, "linux-s390x") == NOTHING

    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_damaged_files_are_no_reason_to_fail(self, tmp_path: Path, data: st.DataObject) -> None:
        made = tmp_path / "made"
        if not made.exists():
            made.write_bytes(elf(tmp_path, {"libc.so.6": ["GLIBC_2.34"], "libx.so.1": []}))
        content = bytearray(made.read_bytes())
        (tables,) = struct.unpack_from("=Q", content, 40)  # where the section headers begin
        places = st.one_of(st.integers(0, 63), st.integers(tables, len(content) - 1), st.integers(0, len(content) - 1))
        for place, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=4)):
            content[place] = value
        content = content[: data.draw(st.integers(0, len(content)) | st.just(len(content)))]
        assert isinstance(linkage(tmp_path, {"one.so": bytes(content)}), Linkage)


class Bench:
    """Makes wheels of ELF files, and asks what they need."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache = WheelCache(folder / "store")

    def needs(self, *paths: Path, platform: str = "linux-x86_64") -> dict[str, SystemLibraries]:
        wheels = [open_wheel(path, Origin.STORE) for path in paths]
        here = target(platform=platform)
        analyser = Analyser(target=here, cache=self.cache, run=FakeRunner())
        found = find_system_libraries({wheel: analyser.analyse(wheel).linkage for wheel in wheels}, here)
        self.warnings = list(warnings(found))
        return {wheel.name: needs for wheel, needs in found.items()}

    def wheel(self, name: str, needs: Mapping[str, Sequence[str]], *, tag: str = LINUX, file: str = "x.so") -> Path:
        return handmade.wheel(self.folder, name, files={file: elf(self.folder, needs)}, tag=tag)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


class TestNeeds:
    def test_libc_and_outside_libraries(self, bench: Bench) -> None:
        one = bench.wheel("one", {"libc.so.6": ["GLIBC_2.34"], "libpq.so.5": [], "ld-linux-x86-64.so.2": []})
        pure = handmade.wheel(bench.folder, "pure")
        found = bench.needs(one, pure)
        assert found["one"] == SystemLibraries(glibc=(2, 34), musl=False, libraries=("libpq.so.5",), gnu=True)
        assert found["one"].libc == "glibc 2.34"
        assert found["pure"] == SystemLibraries(glibc=None, musl=False, libraries=())
        assert found["pure"].libc is None
        assert bench.warnings == [f"one-1.0-{LINUX}.whl needs libraries that no wheel brings: libpq.so.5"]

    def test_libraries_of_the_bundle_are_not_outside(self, bench: Bench) -> None:
        user = bench.wheel("user", {"libown-1a2b.so.1": [], "libother.so.2": []}, file="user/x.so")
        bringer = bench.wheel("bringer", {}, file="user.libs/libown-1a2b.so.1")
        other = handmade.wheel(
            bench.folder, "other", files={"other/lib/libother.so": elf(bench.folder, {}, "libother.so.2")}, tag=LINUX
        )
        assert bench.needs(user, bringer, other)["user"].libraries == ()
        assert bench.warnings == []
        assert bench.needs(user, bringer)["user"].libraries == ("libother.so.2",)

    def test_musl(self, bench: Bench) -> None:
        found = bench.needs(bench.wheel("one", {"libc.musl-x86_64.so.1": []}))["one"]
        assert (found.libc, found.libraries) == ("musl", ())

    def test_what_every_system_has_is_noted_and_not_told(self, bench: Bench) -> None:
        found = bench.needs(bench.wheel("one", {"libstdc++.so.6": [], "libgcc_s.so.1": []}))["one"]
        assert found.libraries == ("libgcc_s.so.1", "libstdc++.so.6")
        assert bench.warnings == []

    def test_long_lists_are_cut(self, bench: Bench) -> None:
        bench.needs(bench.wheel("one", {f"lib{n}.so": [] for n in range(9)}))
        (warning,) = bench.warnings
        assert warning.endswith("lib3.so, lib4.so and 4 more")

    @pytest.mark.parametrize(
        ("tag", "warned"),
        [
            ("py3-none-manylinux_2_34_x86_64", False),
            ("py3-none-manylinux_2_33_x86_64", True),
            ("py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64", True),
            ("py3-none-manylinux1_x86_64", True),
            (LINUX, False),
        ],
    )
    def test_names_that_promise_too_much(self, bench: Bench, tag: str, warned: bool) -> None:
        bench.needs(bench.wheel("one", {"libc.so.6": ["GLIBC_2.34"]}, tag=tag))
        assert bench.warnings == [f"one-1.0-{tag}.whl needs glibc 2.34, which is newer than its name says"] * warned

    def test_a_wheel_is_read_once(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        path = bench.wheel("one", {"libc.so.6": ["GLIBC_2.34"], "libpq.so.5": []})
        first = bench.needs(path)
        monkeypatch.setitem(sys.modules, "platter_setuptools.wheels.elf", None)
        bench.cache = WheelCache(bench.folder / "store")
        assert bench.needs(path) == first
        with pytest.raises(ImportError):
            bench.needs(bench.wheel("one", {"libc.so.6": ["GLIBC_2.35"]}))

    def test_a_damaged_wheel(self, bench: Bench) -> None:
        content = elf(bench.folder, {"libc.so.6": ["GLIBC_2.34"]})
        stored = handmade.Member(name="x.so", content=content, compression=0)
        path = handmade.wheel(bench.folder, "one", files={}, extra=[stored], tag=LINUX)
        path.write_bytes(path.read_bytes().replace(content, content[:-1] + b"?"))
        with pytest.raises(WheelError, match=r"one-1\.0-.*\.whl: x\.so does not have the announced"):
            bench.needs(path)

    def test_only_for_linux(self, bench: Bench) -> None:
        assert bench.needs(bench.wheel("one", {"libpq.so.5": []}), platform="macosx-14.0-arm64") == {}


class TestAnotherLibc:
    """Of a target that is not this machine its libc is what servers have."""

    def check(self, path: Path, name: str) -> None:
        wheel = open_wheel(path, Origin.STORE)
        needs = find_system_libraries({wheel: read_linkage_of(path)}, from_name(name))
        check_libc(needs, from_name(name))
        here = target(libc="glibc 2.5")
        check_libc(find_system_libraries({wheel: read_linkage_of(path)}, here), here)  # a server may be newer

    @pytest.mark.parametrize(
        ("tag", "name", "fits"),
        [
            ("linux_x86_64", "cp312-manylinux_2_34_x86_64", True),
            ("linux_x86_64", "cp312-manylinux_2_28_x86_64", False),
            ("linux_x86_64", "cp312-musllinux_1_2_x86_64", False),
            ("manylinux_2_17_x86_64", "cp312-manylinux_2_28_x86_64", True),  # the build warns of such a promise
        ],
    )
    def test_glibc(self, bench: Bench, tag: str, name: str, *, fits: bool) -> None:
        path = bench.wheel("old", {"libc.so.6": ["GLIBC_2.34"]}, tag=f"cp312-cp312-{tag}")
        if fits:
            self.check(path, name)
            return
        with pytest.raises(WheelError, match=r"old-1\.0-.* needs glibc 2\.34") as caught:
            self.check(path, name)
        assert f"do not fit {name}, which has " in caught.value.message
        assert "compile them on such a system" in str(caught.value.hint)

    def test_musl(self, bench: Bench) -> None:
        path = bench.wheel("tiny", {"libc.musl-x86_64.so.1": []}, tag="cp312-cp312-linux_x86_64")
        self.check(path, "cp312-musllinux_1_2_x86_64")
        with pytest.raises(WheelError, match="needs musl"):
            self.check(path, "cp312-manylinux_2_28_x86_64")

    def test_glibc_without_a_version(self, bench: Bench) -> None:
        path = bench.wheel("tiny", {"libc.so.6": []}, tag="cp312-cp312-linux_x86_64")
        self.check(path, "cp312-manylinux_2_17_x86_64")
        with pytest.raises(WheelError, match="needs glibc"):
            self.check(path, "cp312-musllinux_1_2_x86_64")

    def test_libgcc_of_musl(self, bench: Bench) -> None:
        needs = {"libc.musl-x86_64.so.1": [], "libgcc_s.so.1": ["GLIBC_2.0"]}
        path = bench.wheel("tiny", needs, tag="cp312-cp312-linux_x86_64")
        self.check(path, "cp312-musllinux_1_2_x86_64")
        assert bench.needs(path)["tiny"].libc == "musl"


def read_linkage_of(path: Path) -> Linkage:
    return read_linkage(path, "linux-x86_64")
