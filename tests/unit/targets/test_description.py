"""Targets that are described, by JSON or by a name: against packaging, and against what real interpreters say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from packaging import tags as reference

from platter_setuptools._in_process import interpreter
from platter_setuptools.errors import UsageError
from platter_setuptools.payload import describe
from platter_setuptools.runtime.processes import Runner
from platter_setuptools.targets import find
from platter_setuptools.targets.description import from_name, read_description
from platter_setuptools.targets.markers import Unknown
from support import interpreters
from support.fakes import FakeRunner

DOCS = Path(__file__).parents[3] / "docs"
SCHEMA = json.loads((DOCS / "target.schema.json").read_text())
HERE = describe.describe()


def expected(version: tuple[int, int], abi: str, platforms: list[str]) -> list[reference.Tag]:
    own = "cp{}{}".format(*version)
    return [*reference.cpython_tags(version, [abi], platforms), *reference.compatible_tags(version, own, platforms)]


class TestNames:
    @pytest.mark.parametrize(
        ("name", "same", "libc", "platform"),
        [
            ("cp312-manylinux_2_28_aarch64", "cp312-manylinux_2_28_aarch64", "glibc 2.28", "linux-aarch64"),
            ("cp39-manylinux2014_x86_64", "cp39-manylinux_2_17_x86_64", "glibc 2.17", "linux-x86_64"),
            ("cp313t-musllinux_1_2_x86_64", "cp313t-musllinux_1_2_x86_64", "musl 1.2", "linux-x86_64"),
            ("cp314-manylinux_2_39_riscv64", "cp314-manylinux_2_39_riscv64", "glibc 2.39", "linux-riscv64"),
            ("cp312-macosx_14_0_arm64", "cp312-macosx_14_0_arm64", None, "macosx-14.0-arm64"),
        ],
    )
    def test_what_a_name_says(self, name: str, same: str, libc: str | None, platform: str) -> None:
        target = from_name(name)
        assert (target.id, str(target), target.libc, target.platform) == (same, same, libc, platform)
        assert target.environment["platform_machine"] == platform.rpartition("-")[2]
        assert target.environment["python_version"] == target.version

    def test_tags_are_those_of_packaging(self) -> None:
        arm = [f"manylinux_2_{minor}_aarch64" for minor in range(20, 16, -1)]
        fitting = ["linux_aarch64", *arm, "manylinux2014_aarch64"]
        assert list(from_name("cp312-manylinux_2_20_aarch64").tags) == expected((3, 12), "cp312", fitting)
        musl = ["linux_x86_64", *(f"musllinux_1_{minor}_x86_64" for minor in (2, 1, 0))]
        assert list(from_name("cp313t-musllinux_1_2_x86_64").tags) == expected((3, 13), "cp313t", musl)

    @pytest.mark.parametrize("machine", ["arm64", "x86_64"])
    @pytest.mark.parametrize("version", [(10, 15), (11, 0), (14, 2), (26, 1)])
    def test_macos(self, version: tuple[int, int], machine: str) -> None:
        name = "cp312-macosx_{}_{}_".format(*version) + machine
        platforms = [*reference.mac_platforms(version, machine)]
        if platforms and not (machine == "arm64" and version < (11, 0)):
            assert list(from_name(name).tags) == expected((3, 12), "cp312", platforms)

    def test_legacy_names(self) -> None:
        assert from_name("cp312-manylinux2014_x86_64").tags == from_name("cp312-manylinux_2_17_x86_64").tags

    def test_a_native_name_is_as_good_as_the_interpreter(self) -> None:
        native = find.find_interpreter(None, FakeRunner())
        target = from_name(native.id)
        assert (target.tags, target.platform, target.libc) == (native.tags, native.platform, native.libc)
        unknown = {name for name, value in target.environment.items() if isinstance(value, Unknown)}
        assert unknown == {"platform_release", "platform_version"}
        patch = {"python_full_version", "implementation_version"}
        known = native.environment.keys() - unknown - patch
        assert {name: native.environment[name] for name in known} == {name: target.environment[name] for name in known}

    @pytest.mark.parametrize(
        ("name", "hint"),
        [
            ("cp312", "a name is a Python and a platform"),
            ("python3.12", "a name is a Python and a platform"),
            ("cp312-manylinux_2_28_amd64", "did you mean cp312-manylinux_2_28_x86_64?"),
            ("cp312-manylinux_2_28_arm64", "did you mean cp312-manylinux_2_28_aarch64?"),
            ("cp312-manylinux_2_28_aarch65", "name a 64-bit machine (x86_64, aarch64, "),
            ("cp312-manylinux_2_28_i686", "describe another one with ./install.sh --describe"),
            ("cp312-linux_aarch64", "cp312-manylinux_2_28_aarch64 or cp312-musllinux_1_2_aarch64"),
            ("cp312-win_amd64", "Linux and macOS"),
            ("cp312-musllinux_2_0_x86_64", "Linux and macOS"),
            ("cp312-manylinux2015_x86_64", "Linux and macOS"),
            ("cp312-manylinux_2_12_aarch64", "so old a system"),
            ("cp27-manylinux_2_28_x86_64", "a name is a Python and a platform"),
            ("cp37-manylinux_2_28_x86_64", "CPython 3.8 or newer"),
            ("cp398-manylinux_2_28_x86_64", "CPython 3.8 or newer"),
            ("cp312t-manylinux_2_28_x86_64", "since Python 3.13"),
        ],
    )
    def test_no_target(self, name: str, hint: str) -> None:
        with pytest.raises(UsageError, match=f"there is no target {name}") as caught:
            from_name(name)
        assert hint in str(caught.value.hint)
        assert caught.value.exit_code == 2


class TestDescriptions:
    def test_schema(self) -> None:
        jsonschema.Draft202012Validator.check_schema(SCHEMA)
        jsonschema.validate(HERE, SCHEMA)
        assert set(HERE) == set(SCHEMA["properties"])

    @interpreters.each()
    def test_tags_of_every_interpreter(self, python: str) -> None:
        """The payload's list, which servers print, and packaging's are one."""
        told = find.describe(python, Runner())
        jsonschema.validate(told, SCHEMA)
        code = (
            "import sys; sys.path[:0] = sys.argv[1:]; from payload import host, tags; h = host.examine();"
            " print(*tags.platforms(h))"
        )
        package = str(Path(describe.__file__).parents[1])
        platforms = subprocess.run(
            [python, "-B", "-c", code, package], check=True, capture_output=True, text=True, cwd="/"
        ).stdout.split()
        version = (3, int(told["python"].partition(".")[2]))
        assert told["tags"] == [str(tag) for tag in expected(version, told["abi"], platforms)]

    def test_both_sides_print_the_same(self) -> None:
        command = [sys.executable, "-I", interpreter.__file__]
        facts = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        assert list(facts)[2:] == list(HERE)
        assert describe.as_text(find.describe(None, FakeRunner())) == describe.as_text(HERE)
        assert {name: facts[name] for name in HERE} == HERE

    def test_read_from_a_file(self, tmp_path: Path) -> None:
        file = tmp_path / "server.json"
        file.write_text(describe.as_text(HERE))
        target = find.find_target(str(file))
        native = find.find_interpreter(None, FakeRunner())
        assert (target.tags, target.environment) == (native.tags, native.environment)

    def test_what_is_not_known_may_be_left_out(self) -> None:
        markers = {name: value for name, value in HERE["markers"].items() if name != "platform_release"}
        target = read_description({**HERE, "markers": markers}, "it")
        assert isinstance(target.environment["platform_release"], Unknown)
        assert not isinstance(target.environment["platform_version"], Unknown)

    @pytest.mark.parametrize(
        ("data", "told"),
        [
            ([], "not a JSON object"),
            ({}, "format: expected int"),
            ({**HERE, "format": 2}, "format: expected 1, found 2"),
            ({"name": "app", "format": 1, "targets": []}, "markers: expected dict"),
            ({**HERE, "tags": []}, "tags: expected wheel tags"),
            ({**HERE, "tags": ["py3"]}, "tags: expected wheel tags"),
            ({**HERE, "implementation": "pypy"}, "implementation: expected cpython"),
            ({**HERE, "python": "2.7"}, "python: expected another form"),
            ({**HERE, "python": "3.7"}, "python: expected 3.8 or newer, found '3.7'"),
            ({**HERE, "markers": {**HERE["markers"], "platform_machine": "x' or 'y"}}, "platform_machine"),
            ({**HERE, "markers": {**HERE["markers"], "sys_platform": None}}, "sys_platform: expected str"),
        ],
    )
    def test_of_another_schema(self, data: Any, told: str, tmp_path: Path) -> None:
        file = tmp_path / "server.json"
        file.write_text(json.dumps(data))
        with pytest.raises(UsageError, match=told) as caught:
            find.find_target(str(file))
        assert caught.value.message.startswith("server.json")
        assert "--describe" in str(caught.value.hint)

    @pytest.mark.parametrize(("text", "told"), [(None, "No such file"), ("{", "it is not JSON"), ("[" * 9999, "JSON")])
    def test_not_readable(self, text: str | None, told: str, tmp_path: Path) -> None:
        file = tmp_path / "server.json"
        if text:
            file.write_text(text)
        with pytest.raises(UsageError, match=told):
            find.find_target(str(file))


class TestHosts:
    def test_our_interpreter_builds(self) -> None:
        ((target, host),) = find.find_machines([], ["cp319-manylinux_2_28_aarch64"], FakeRunner())
        assert host == find.find_interpreter(None, FakeRunner())
        assert (target.magic, target.cache_tag) == (None, None)

    def test_one_of_the_same_version_compiles(self) -> None:
        ours = find.find_interpreter(None, FakeRunner())
        name = f"cp3{ours.version.partition('.')[2]}-manylinux_2_28_s390x"
        (machines,) = find.find_machines([], [name], FakeRunner())
        assert machines.target.magic == ours.magic
        assert machines.compiler == ours

    def test_one_with_other_bytecode_does_not(self, tmp_path: Path) -> None:
        file = tmp_path / "server.json"
        file.write_text(json.dumps({**HERE, "magic": "00112233"}))
        (machines,) = find.find_machines([], [str(file)], FakeRunner())
        assert machines.compiler is None

    def test_another_version_is_looked_for(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        interpreters.target(tmp_path / "python3.19", 19)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
        (machines,) = find.find_machines([], ["cp319-manylinux_2_28_aarch64"], Runner())
        assert machines.compiler is machines.host
        assert machines.host.executable == tmp_path / "python3.19"
        assert machines.target.magic == HERE["magic"]
