"""Files that a release takes from another one: the same as from the bundle, whatever somebody did there."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import struct
import sys
from typing import TYPE_CHECKING, Any

import pytest

from platter_setuptools.payload.errors import BundleError
from platter_setuptools.payload.wheels import kept
from platter_setuptools.payload.wheels.released import Released
from support import handmade, shelf
from support.handmade import EXECUTABLE, Member

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.shelf import Release

TAG = sys.implementation.cache_tag
LONG = b"0123456789abcdef" * 20_000
INFO = "dep-1.0.dist-info"


@pytest.fixture
def wheels(tmp_path: Path) -> list[Path]:
    return [
        handmade.wheel(
            tmp_path,
            "dep",
            files={
                "dep/__init__.py": "",
                "dep/mod.py": "x = 1\n",
                "dep/data.bin": LONG,
                "dep/sub/deep.py": "y = 2\n",
                "top.py": "z = 3\n",
            },
            extra=[Member(name="dep/tool", content=b"\x7fELF", mode=EXECUTABLE)],
            scripts={"dep-script": "#!python\nprint()\n", "dep-binary": b"\x7fELF binary"},
            data={"share/dep.txt": "data"},
            headers={"dep.h": "header"},
            purelib={"dep_pure/pure.py": "p = 4\n"},
            entry_points="[console_scripts]\ndep = dep.mod:main\n",
        )
    ]


@pytest.fixture
def bundles(tmp_path: Path, wheels: list[Path]) -> list[handmade.Bundle]:
    empty = tmp_path / "no-bootstrap"
    empty.mkdir()
    return [shelf.bundle(tmp_path, version, wheels, bootstrap=empty) for version in ("1.0", "2.0")]


@pytest.fixture
def old(bundles: list[handmade.Bundle], tmp_path: Path) -> Release:
    return shelf.install(bundles[0], tmp_path / "versions" / "1.0")


@pytest.fixture
def expected(bundles: list[handmade.Bundle], tmp_path: Path) -> dict[str, Any]:
    """What the second release is like if it is unpacked from its bundle."""
    return shelf.install(bundles[1], tmp_path / "alone").files()


SHARED = {
    *("dep/mod.py", "dep/data.bin", "dep/sub/deep.py", "dep/tool"),
    *(f"dep/__pycache__/{name}.{TAG}.pyc" for name in ("__init__", "mod")),
    *(f"dep/sub/__pycache__/deep.{TAG}.pyc", f"__pycache__/top.{TAG}.pyc", f"dep_pure/__pycache__/pure.{TAG}.pyc"),
    *(f"{INFO}/METADATA", f"{INFO}/WHEEL", f"{INFO}/entry_points.txt"),
}


class Linking:
    """The next release, and how it compares."""

    def __init__(self, bundle: handmade.Bundle, old: Release, folder: Path, expected: dict[str, Any]) -> None:
        self.bundle, self.old, self.folder, self.expected = bundle, old, folder, expected

    def install(self, **options: Any) -> Release:
        new = shelf.install(self.bundle, self.folder, self.old, **options)
        assert new.files() == self.expected
        return new


@pytest.fixture
def linking(bundles: list[handmade.Bundle], old: Release, tmp_path: Path, expected: dict[str, Any]) -> Linking:
    return Linking(bundles[1], old, tmp_path / "versions" / "2.0", expected)


def in_site(names: set[str]) -> set[str]:
    return {f"{shelf.SITE}/{name}" for name in names}


class TestAsInstalled:
    def test_what_is_shared(self, linking: Linking) -> None:
        new = linking.install(mode="hardlink")
        assert new.shares(linking.old) == in_site(SHARED)
        assert new.unpacked.ways == {"hardlink": len(SHARED)}
        assert new.altered == 0

    def test_the_wheel_is_not_opened(self, linking: Linking, monkeypatch: pytest.MonkeyPatch) -> None:
        for path in (linking.bundle.data / "dep-1.0-py3-none-any.whl", *linking.bundle.data.glob("bytecode/dep*.zip")):
            path.write_bytes(b"damaged")
        linking.install(mode="hardlink")
        monkeypatch.setattr(os, "link", pytest.fail)
        shutil.rmtree(linking.folder)
        assert linking.install(mode="clone").shares(linking.old) == set()

    def test_the_third_takes_from_the_second(self, linking: Linking, bundles: list[handmade.Bundle]) -> None:
        new = linking.install(mode="hardlink")
        third = shelf.install(bundles[0], linking.folder.parent / "3", new, mode="hardlink")
        assert third.shares(linking.old) >= in_site(SHARED)
        assert third.files() == linking.old.files()

    def test_the_projects_own_wheel_is_not(self, linking: Linking, bundles: list[handmade.Bundle]) -> None:
        again = shelf.install(bundles[0], linking.folder, linking.old, mode="hardlink")
        assert again.shares(linking.old) == in_site(SHARED)
        shutil.rmtree(linking.folder)
        for path in bundles[0].data.glob("*.whl"):
            path.write_bytes(b"not to be opened")
        copied = shelf.install(bundles[0], linking.folder, linking.old, mode="hardlink", own=True)
        assert copied.shares(linking.old) == in_site(SHARED)
        assert copied.files() == linking.old.files()

    def test_no_two_names_of_a_release_are_one_file(self, tmp_path: Path) -> None:
        twin = handmade.wheel(tmp_path, "twin", files={"twin/a.txt": "same", "twin/b.txt": "same"})
        (tmp_path / "none").mkdir()
        made = shelf.bundle(tmp_path / "twins", "1.0", [twin], bootstrap=tmp_path / "none")
        base = shelf.install(made, tmp_path / "base")
        (base.site / "twin" / "b.txt").unlink()
        os.link(base.site / "twin" / "a.txt", base.site / "twin" / "b.txt")
        new = shelf.install(made, tmp_path / "next", base, mode="hardlink")
        assert not (new.site / "twin" / "a.txt").samefile(new.site / "twin" / "b.txt")
        assert (new.site / "twin" / "b.txt").read_text() == "same"


def edit(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda site: (site / name).write_bytes(content)


def swap(name: str, make: Callable[[Path], object]) -> Callable[[Path], object]:
    def change(site: Path) -> None:
        (site / name).unlink()
        make(site / name)

    return change


def behind_a_link(site: Path) -> None:
    (site / "dep" / "sub").rename(site.parent / "elsewhere")
    (site / "dep" / "sub").symlink_to(site.parent / "elsewhere")


def to_a_copy(site: Path) -> None:
    (site / "dep" / "mod.py").rename(site / "dep" / "other")
    (site / "dep" / "mod.py").symlink_to("other")


ALTERED: dict[str, tuple[Callable[[Path], object], int]] = {
    "another size": (edit("dep/mod.py", b"x = 1000\n"), 1),
    "the same size": (edit("dep/mod.py", b"x = 2\n"), 1),
    "long, at its end": (edit("dep/data.bin", LONG[:-1] + b"X"), 1),
    "of METADATA": (edit(f"{INFO}/METADATA", b"Name: dep\nVersion: 2.0\n"), 1),
    "bytecode": (edit(f"dep/__pycache__/mod.{TAG}.pyc", b"\0" * 16), 1),
    "a module of its own": (edit("top.py", b"z = 4\n"), 1),
    "gone": (swap("dep/mod.py", lambda _: None), 1),
    "a link": (swap("dep/mod.py", lambda path: path.symlink_to("/etc/passwd")), 1),
    "a link to what it was": (to_a_copy, 1),
    "a pipe": (swap("dep/mod.py", os.mkfifo), 1),
    "a folder": (swap("dep/mod.py", os.mkdir), 1),
    "a folder that is a link": (behind_a_link, 2),
    "scripts": (lambda site: (site.parents[2] / "bin" / "dep-binary").write_bytes(b"\x7fELF hacked"), 1),
    "data": (lambda site: (site.parents[2] / "share" / "dep.txt").write_bytes(b"atad"), 1),
    "headers": (lambda site: (site.parents[2] / "include" / "dep" / "dep.h").write_bytes(b"HEADER"), 1),
}


@pytest.mark.parametrize("mode", ["hardlink", "clone"])
@pytest.mark.parametrize("name", ALTERED)
def test_what_was_altered_comes_from_the_bundle(name: str, mode: str, linking: Linking) -> None:
    change, count = ALTERED[name]
    change(linking.old.site)
    new = linking.install(mode=mode)
    assert new.unpacked.altered == {str(linking.old.path): count}


ODD: dict[str, Callable[[Path], object]] = {
    "mode": lambda path: path.chmod(0o600),
    "executable": lambda path: path.chmod(0o755),
    "setuid": lambda path: path.chmod(0o4644),
    "for its group": lambda path: path.chmod(0o664),
    "for anybody": lambda path: path.chmod(0o666),
}
IF_ROOT: dict[str, Callable[[Path], object]] = {
    "owner": lambda path: os.chown(path, 12345, -1),
    "group": lambda path: os.chown(path, -1, 12345),
}


@pytest.mark.parametrize("name", [*ODD, *IF_ROOT])
def test_what_has_other_rights_is_copied(name: str, linking: Linking) -> None:
    if name in IF_ROOT and os.geteuid():
        pytest.skip("only root gives files away")
    path = linking.old.site / "dep" / "mod.py"
    (ODD | IF_ROOT)[name](path)
    before = path.stat()
    new = linking.install(mode="hardlink")
    assert new.shares(linking.old) == in_site(SHARED - {"dep/mod.py"})
    assert new.altered == 0
    after, copied = path.stat(), (new.site / "dep" / "mod.py").stat()
    assert (after.st_mode, after.st_uid, after.st_nlink) == (before.st_mode, before.st_uid, 1)
    assert copied.st_uid == os.geteuid()


def test_a_program_with_capabilities_is_copied(linking: Linking) -> None:
    path = linking.old.site / "dep" / "tool"
    capability = struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0)  # CAP_NET_BIND_SERVICE
    try:
        os.setxattr(path, "security.capability", capability)
    except OSError as error:
        pytest.skip(f"capabilities cannot be set: {error}")
    new = linking.install(mode="hardlink")
    assert new.shares(linking.old) == in_site(SHARED - {"dep/tool"})
    assert os.listxattr(new.site / "dep" / "tool") == []


def test_a_module_that_was_touched_gets_the_time_of_its_bytecode(linking: Linking) -> None:
    paths = [linking.old.site / name for name in ("dep/mod.py", "dep/__init__.py", "top.py", "dep_pure/pure.py")]
    for path in paths:
        os.utime(path, ns=(1, 1_700_000_000_123_456_789))
    new = linking.install(mode="hardlink")
    assert all(path.stat().st_mtime_ns == 1_700_000_000_123_456_789 for path in paths)
    assert new.shares(linking.old) == in_site(SHARED - {"dep/mod.py"})


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP])
def test_where_nothing_can_be_linked_it_is_copied(
    number: int, linking: Linking, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    new = linking.install(mode="hardlink")
    assert (new.shares(linking.old), dict(new.unpacked.ways), new.altered) == (set(), {}, 0)


class TestReflinks:
    @pytest.fixture
    def clones(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """A filesystem with reflinks."""
        made: list[int] = []

        def ioctl(new: int, request: int, old: int) -> int:
            assert request == 0x40049409
            made.append(new)
            return os.write(new, os.pread(old, 1 << 20, 0))

        monkeypatch.setattr(fcntl, "ioctl", ioctl)
        return made

    @pytest.mark.parametrize("mode", ["auto", "clone"])
    def test_they_come_first(self, mode: str, linking: Linking, clones: list[int]) -> None:
        new = linking.install(mode=mode)
        assert new.shares(linking.old) == set()
        assert new.unpacked.ways == {"clone": len(SHARED)}
        assert len(clones) == len(SHARED)

    def test_without_them_it_is_asked_once(self, linking: Linking, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = []

        def refuse(*words: int) -> None:
            asked.append(words)
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

        monkeypatch.setattr(fcntl, "ioctl", refuse)
        assert linking.install(mode="auto").unpacked.ways == {"hardlink": len(SHARED)}
        assert len(asked) == 1

    @pytest.mark.parametrize("number", [errno.EXDEV, errno.EINVAL, errno.EPERM])
    def test_what_has_none_is_linked(self, number: int, linking: Linking, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: int) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(fcntl, "ioctl", refuse)
        assert linking.install(mode="auto").unpacked.ways == {"hardlink": len(SHARED)}

    def test_one_that_changed_meanwhile(
        self, linking: Linking, clones: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        honest = fcntl.ioctl
        path = linking.old.site / "dep" / "mod.py"

        def late(new: int, request: int, old: int) -> int:
            if os.fstat(old).st_ino == path.stat().st_ino:
                path.write_bytes(b"x = 2\n")
            return honest(new, request, old)

        monkeypatch.setattr(fcntl, "ioctl", late)
        new = linking.install(mode="clone")
        assert new.altered == 1
        assert clones


def test_a_file_that_is_exchanged_between_hash_and_link(linking: Linking, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is linked is what is compared: the link comes first."""
    path, link = linking.old.site / "dep" / "mod.py", os.link

    def exchange(source: str, target: str, **options: Any) -> None:
        if source == "mod.py":
            path.unlink()
            path.write_bytes(b"x = 2\n")
        link(source, target, **options)

    monkeypatch.setattr(os, "link", exchange)
    new = linking.install(mode="hardlink")
    assert new.altered == 1


def test_a_thin_bundle_lacks_what_was_altered(linking: Linking) -> None:
    (linking.old.site / "dep" / "mod.py").write_bytes(b"x = 2\n")
    (linking.bundle.data / "dep-1.0-py3-none-any.whl").unlink()
    with pytest.raises(BundleError, match=r"dep-1\.0-py3-none-any\.whl is not in this thin bundle") as caught:
        linking.install(mode="hardlink")
    assert caught.value.hint == "send the full bundle"


def test_a_thin_bundle_takes_from_another_release_what_was_altered(
    linking: Linking, bundles: list[handmade.Bundle], tmp_path: Path
) -> None:
    older = shelf.install(bundles[0], tmp_path / "versions" / "0.9")
    (linking.old.site / "dep" / "mod.py").write_bytes(b"x = 2\n")
    for script in (linking.old.path / kept.FOLDER).glob("*.script"):
        script.unlink()
    (older.site / "dep" / "data.bin").unlink()
    (linking.bundle.data / "dep-1.0-py3-none-any.whl").unlink()
    new = shelf.install(linking.bundle, linking.folder, linking.old, older, mode="hardlink")
    assert (new.files(), new.altered) == (linking.expected, 1)
    (older.site / "dep" / "mod.py").unlink()
    with pytest.raises(BundleError, match=r"dep-1\.0-py3-none-any\.whl is not in this thin bundle"):
        shelf.install(linking.bundle, tmp_path / "again", linking.old, older, mode="hardlink")


def changing(monkeypatch: pytest.MonkeyPatch, change: Callable[[bytes], bytes]) -> None:
    """Let a bundle that is hostile itself vouch for another RECORD of the wheel."""

    def hostile(self: Released, *words: Any, **options: Any) -> None:
        provider = words[2]
        if b"METADATA" in provider.record:
            words = (*words[:2], provider._replace(record=change(provider.record)), *words[3:])
        honest(self, *words, **options)

    honest = Released.__init__
    monkeypatch.setattr(Released, "__init__", hostile)


@pytest.mark.parametrize("size", ["", "-1", "abcdefgh", "9" * 5000])
def test_a_record_without_a_size(size: str, linking: Linking, monkeypatch: pytest.MonkeyPatch) -> None:
    changing(monkeypatch, lambda record: record.replace(b",%d\n" % len(LONG), b",%s\n" % size.encode()))
    new = shelf.install(linking.bundle, linking.folder, linking.old, mode="hardlink")
    assert new.shares(linking.old) == in_site(SHARED - {"dep/data.bin"})
    assert (new.site / "dep" / "data.bin").read_bytes() == LONG


@pytest.mark.parametrize("content", [b"\xff,,\n", b"a" * 200_000 + b",,\n"])
def test_a_record_that_is_none(content: bytes, linking: Linking, monkeypatch: pytest.MonkeyPatch) -> None:
    changing(monkeypatch, lambda record: record + content)
    with pytest.raises(BundleError, match="its RECORD cannot be read"):
        linking.install(mode="hardlink")


@pytest.mark.parametrize("name", ["../evil.py", "/etc/evil.py", "dep/../../evil.py", "dep//evil.py", "dep\\evil.py"])
def test_a_record_that_leaves_its_folder(name: str, linking: Linking, monkeypatch: pytest.MonkeyPatch) -> None:
    changing(monkeypatch, lambda record: record.replace(b"dep/mod.py", name.encode()))
    with pytest.raises(BundleError, match="could leave its folder"):
        linking.install(mode="hardlink")
