"""The manifest: read back by the payload, by packaging and by sha256sum itself."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from packaging.pylock import Pylock

import platter_setuptools
from platter_setuptools.bundle.checksums import checksums
from platter_setuptools.bundle.joined import members_of
from platter_setuptools.bundle.manifest import Manifest, stem
from platter_setuptools.bundle.members import Member, from_text
from platter_setuptools.errors import WheelError
from platter_setuptools.payload import checksums as payload_checksums
from platter_setuptools.payload import manifest as payload_manifest
from platter_setuptools.values import Bytecode, Origin
from platter_setuptools.wheels.check import WheelWithMetadata
from platter_setuptools.wheels.metadata import describe, open_wheel
from platter_setuptools.wheels.system_libraries import SystemLibraries
from support import handmade
from support.archives import write_archive
from support.fakes import target

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from pathlib import Path

METADATA = "Metadata-Version: 2.1\nName: My.App\nVersion: 1!2.0+g12ab\nRequires-Python: >=3.9\n"


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """A project whose name and version are as awkward as they may be, one dependency, bytecode for the first."""
    info = "My.App-1!2.0+g12ab.dist-info/METADATA"
    extra = [handmade.Member(name=info, content=METADATA.encode())]
    paths = [
        handmade.wheel(tmp_path, "My.App", "1!2.0+g12ab", files={"my.py": "x = 1\n"}, extra=extra, drop=[info]),
        handmade.wheel(tmp_path, "zebra", "0.1"),
    ]
    # handmade drops by name, the honest one included: put ours back.
    with_metadata(paths[0], info)
    project, helper = (
        WheelWithMetadata(wheel=one, description=describe(one))
        for one in (open_wheel(path, Origin.STORE) for path in paths)
    )
    compiled = tmp_path / "compiled.zip"
    handmade.archive(compiled, [handmade.Member(name="__pycache__/my.cpython-311.pyc", content=b"x" * 99)])
    return Manifest(
        project=project,
        wheels=[project, helper],
        bytecode={project.wheel: Bytecode(path=compiled, sha256="c" * 64, size=99, record_sha256="d" * 64)},
        target=target(platform="linux-x86_64", version="3.11", cache_tag="cpython-311"),
    )


def with_metadata(path: Path, info: str) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(info, METADATA)


def text(manifest: Manifest, name: str) -> str:
    (member,) = [one for one in members_of([manifest]) if one.name == name]
    assert member.content is not None
    return member.content.decode()


class TestFacts:
    def test_stem(self, manifest: Manifest) -> None:
        assert stem(manifest.project.wheel, [manifest.target], with_python=False) == "My.App-1!2.0+g12ab-linux-x86_64"

    def test_one_line_each(self, manifest: Manifest) -> None:
        assert text(manifest, "PACKAGE") == "My.App\n"
        assert text(manifest, "VERSION") == "1!2.0+g12ab\n"
        assert text(manifest, "PLATFORM") == "linux-x86_64\n"

    def test_info(self, manifest: Manifest) -> None:
        info = json.loads(text(manifest, "info.json"))
        assert list(info)[:4] == ["name", "version", "platform", "ident"]
        project, helper = (described for described in manifest.wheels)
        expected = {
            "name": "My.App",
            "version": "1!2.0+g12ab",
            "platform": "linux-x86_64",
            "ident": "My.App-1!2.0+g12ab",
            "format": 1,
            "created_by": f"platter-setuptools {platter_setuptools.__version__}",
            "python": "3.11",
            "requires_python": ">=3.9",
            "installed_size": project.description.size + 99 + helper.description.size,
            "installed_files": project.description.files * 2 + helper.description.files,
        }
        assert {key: info[key] for key in expected} == expected
        assert [one["name"] for one in info["wheels"]] == ["zebra", "my-app"]  # the project's own comes last
        first, second = info["wheels"]
        record = "My.App-1!2.0+g12ab.dist-info/RECORD"
        assert second == {
            "file": "My.App-1!2.0+g12ab-py3-none-any.whl",
            "name": "my-app",
            "version": "1!2.0+g12ab",
            "sha256": project.wheel.sha256,
            "record_sha256": hashlib.sha256(zipfile.Path(project.wheel.path, record).read_bytes()).hexdigest(),
            "executables_sha256": hashlib.sha256(b"").hexdigest(),
            "size": project.wheel.path.stat().st_size,
            "installed_size": project.description.size + 99,
            "installed_files": project.description.files * 2,
            "requested": True,
            "bytecode": "bytecode/My.App-1!2.0+g12ab-py3-none-any.cpython-311.zip",
            "bytecode_record_sha256": "d" * 64,
        }
        assert (first["requested"], first["bytecode"]) == (False, None)

    def test_nothing_is_taken_from_releases_for_wheels_that_share_a_path(self, manifest: Manifest) -> None:
        other, ours = dataclasses.replace(manifest, contested={manifest.project.wheel}).info()["wheels"]
        assert (ours["record_sha256"], ours["bytecode_record_sha256"]) == (None, None)
        assert other == manifest.info()["wheels"][0]

    def test_what_releases_share(self, manifest: Manifest) -> None:
        """A bundle that shares nothing has the bytes that it always had."""
        assert "shared" not in manifest.info()
        info = dataclasses.replace(manifest, shared=("media/", "app.env")).info()
        assert info["shared"] == ["app.env", "media/"]
        assert payload_manifest.parse(info).shared == ("app.env", "media/")

    def test_the_payload_understands_it(self, manifest: Manifest) -> None:
        parsed = payload_manifest.parse(json.loads(text(manifest, "info.json")))
        assert parsed.title == "My.App 1!2.0+g12ab"
        assert [wheel.requested for wheel in parsed.wheels] == [False, True]
        (one,) = parsed.targets
        assert (one.platform, one.abi, one.magic) == ("linux_x86_64", manifest.target.abi, manifest.target.magic)

    def test_wheels_and_bytecode_are_members_that_are_packed(self, manifest: Manifest) -> None:
        packed = {one.name: one.sha256 for one in members_of([manifest]) if one.packed}
        assert set(packed) == {
            "data/My.App-1!2.0+g12ab-py3-none-any.whl",
            "data/zebra-0.1-py3-none-any.whl",
            "data/bytecode/My.App-1!2.0+g12ab-py3-none-any.cpython-311.zip",
        }
        assert packed["data/zebra-0.1-py3-none-any.whl"] == manifest.wheels[1].wheel.sha256

    def test_order_of_the_wheels_does_not_matter(self, manifest: Manifest) -> None:
        turned = dataclasses.replace(manifest, wheels=list(manifest.wheels)[::-1])
        assert turned.members() == manifest.members()

    def test_what_compiled_wheels_need(self, manifest: Manifest) -> None:
        project, helper = (described.wheel for described in manifest.wheels)
        needs = {
            project: SystemLibraries(glibc=(2, 34), musl=False, libraries=("libpq.so.5",)),
            helper: SystemLibraries(glibc=None, musl=False, libraries=()),
        }
        info = dataclasses.replace(manifest, needs=needs).info()
        assert [one.get("libc", "none") for one in info["wheels"]] == ["none", "glibc 2.34"]
        read = payload_manifest.parse(json.loads(json.dumps(info)))
        assert [one.libc for one in read.wheels] == ["", "glibc 2.34"]
        assert [one.libraries for one in read.wheels] == [(), ("libpq.so.5",)]

    def test_no_requires_python(self, manifest: Manifest) -> None:
        other = dataclasses.replace(manifest, project=manifest.wheels[1], bytecode={})
        assert other.info()["requires_python"] is None


class TestPylock:
    def test_is_a_valid_lock(self, manifest: Manifest) -> None:
        lock = Pylock.from_dict(tomllib.loads(text(manifest, "data/pylock.toml")))
        lock.validate()
        assert lock.to_dict() == manifest.pylock()

    def test_selects_the_very_wheels(self, manifest: Manifest) -> None:
        lock = Pylock.from_dict(manifest.pylock())
        environment: Any = {**manifest.target.environment, "python_full_version": "3.11.4", "python_version": "3.11"}
        chosen = [
            artifact.to_dict() if hasattr(artifact, "to_dict") else artifact
            for _package, artifact in lock.select(environment=environment, tags=manifest.target.tags)
        ]
        names = [getattr(artifact, "name", None) for artifact in chosen]
        assert names == ["zebra-0.1-py3-none-any.whl", "My.App-1!2.0+g12ab-py3-none-any.whl"]


ODD_NAMES = [
    "a",
    "data/sp ace",
    "data/new\nline",
    "data/back\\slash",
    "data/re\rturn",
    "data/ünï",
    "-dash",
    "\\n",
    "*x",
]


class TestChecksums:
    def bundle(self, members: list[Member], tmp_path: Path) -> Path:
        members = [*members, checksums(members)]
        path, _size, _sha256 = write_archive(members, "b", "dir", tmp_path / "out", 0)
        return path

    @pytest.fixture
    def members(self) -> list[Member]:
        return [
            *(from_text(name, name) for name in ODD_NAMES),
            Member(name="data/real/empty"),
            from_text("data/real/file", "x"),
            Member(name="data/to-folder", link="real"),
            Member(name="data/to-file", link="real/file"),
            Member(name="data/to-link", link="to-file"),
            Member(name="data/by-folder", link="to-folder/file"),
            Member(name="data/round", link="to-folder/../real/file"),
            Member(name="data/to-top", link=".."),
        ]

    def test_sha256sum_agrees(self, members: list[Member], tmp_path: Path) -> None:
        if shutil.which("sha256sum") is None:
            pytest.skip("needs sha256sum")
        path = self.bundle(members, tmp_path)
        command = ["sha256sum", "-c", "--strict", "SHA256SUMS"]
        done = subprocess.run(command, cwd=path, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.count(": OK") == len(ODD_NAMES) + 5
        (path / "data" / "sp ace").write_text("other")
        assert subprocess.run(command, cwd=path, check=False, capture_output=True).returncode == 1

    def test_the_payload_agrees(self, members: list[Member], tmp_path: Path) -> None:
        path = self.bundle(members, tmp_path)
        sums = payload_checksums.read(str(path))
        payload_checksums.verify(str(path), sums, frozenset())
        assert sums["data/by-folder"] == sums["data/real/file"]

    def test_folders_and_links_to_them_are_not_listed(self, members: list[Member]) -> None:
        content = checksums(members).content
        assert content is not None
        for name in (b"to-folder\n", b"to-top\n", b"empty\n"):
            assert name not in content

    def test_sorted_and_of_one_form(self) -> None:
        content = checksums([from_text("b", ""), from_text("a", "")]).content
        empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        assert content == f"{empty}  a\n{empty}  b\n".encode()

    @pytest.mark.parametrize("links", [{"a": "a"}, {"a": "b", "b": "a"}, {"a": "b/x", "b": "a"}])
    def test_circles(self, links: dict[str, str]) -> None:
        with pytest.raises(WheelError, match="circle"):
            checksums(Member(name=name, link=link) for name, link in links.items())
