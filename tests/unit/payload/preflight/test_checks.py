from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

import pytest

from platter_setuptools.payload import host, manifest
from platter_setuptools.payload.errors import DestinationError, HostError, PythonError
from platter_setuptools.payload.findings import Finding, report
from platter_setuptools.payload.install import install_state, removal
from platter_setuptools.payload.install.destination import Destination
from platter_setuptools.payload.install.install_state import State
from platter_setuptools.payload.preflight import checks
from platter_setuptools.payload.target import Target

if TYPE_CHECKING:
    from pathlib import Path

HERE = host.Host("cpython", (3, 11, 4), "cp311", False, False, "linux_x86_64", glibc=(2, 36))
TARGET = Target("cpython", "3.11", "cp311", "linux_x86_64", "cpython-311", "00000000", False, False)
PLAN = manifest.Manifest("app", "1.0", "linux-x86_64", ">=3.9", (TARGET,), (), 1000, 10)

UNFINISHED = install_state.Marker("unfinished", "b" * 64, "app", "1.0", "linux-x86_64", "3.11.4", created=True)


def look(
    plan: manifest.Manifest, here: host.Host, destination: Destination, bundle: str, *, force: bool
) -> list[Finding]:
    return checks.examine(plan, here, destination, bundle, state=destination.state(), force=force)


def examine(
    tmp_path: Path, plan: manifest.Manifest = PLAN, here: host.Host = HERE, name: str = "dst", *, force: bool = False
) -> list[Finding]:
    destination = Destination(str(tmp_path / name), "")
    return look(plan, here, destination, "/bundle", force=force)


def wheel(file: str, libc: str = "", libraries: tuple[str, ...] = ()) -> manifest.BundledWheel:
    return manifest.BundledWheel(file, "x", "1", "", 1, False, None, libc, libraries)


def test_nothing_found(tmp_path: Path) -> None:
    assert examine(tmp_path) == []
    assert not list(tmp_path.iterdir())


def test_findings_of_every_kind(tmp_path: Path) -> None:
    plan = PLAN._replace(
        installed_size=2**60,
        installed_files=2**50,
        wheels=tuple(wheel(f"a{n}-1-cp310-cp310-any.whl") for n in range(9)),
    )
    (tmp_path / "dst").touch()
    findings = examine(tmp_path, plan)
    kinds = [finding.kind for finding in findings]
    assert kinds.count(HostError) >= 10
    assert kinds[-1] is DestinationError
    error = report(findings, "app")
    assert isinstance(error, HostError)
    assert "wheel: 1 more do not fit" in error.message
    assert error.message.count("\n") == len(findings)


def test_python_decides_first(tmp_path: Path) -> None:
    (tmp_path / "dst").touch()
    findings = examine(tmp_path, here=HERE._replace(python=(3, 8, 1)))
    assert isinstance(report(findings, "app"), PythonError)


def test_a_debug_build_serves_the_ordinary_target(tmp_path: Path) -> None:
    assert examine(tmp_path, here=HERE._replace(debug=True, abi="cp311d")) == []


@pytest.mark.parametrize(
    ("target", "here", "text"),
    [
        ({}, {"python": (3, 12, 0)}, "expected 3.11, found 3.12.0"),
        ({}, {"implementation": "pypy"}, "expected cpython, found pypy"),
        ({}, {"free_threaded": True}, "expected with the GIL, found free-threaded"),
        ({"free_threaded": True}, {}, "expected free-threaded, found with the GIL"),
        ({"debug": True}, {}, "expected a debug build, found an ordinary one"),
    ],
)
def test_python_of_another_kind(tmp_path: Path, target: dict[str, Any], here: dict[str, Any], text: str) -> None:
    plan = PLAN._replace(targets=(TARGET._replace(**target),), requires_python=None)
    (finding,) = examine(tmp_path, plan, HERE._replace(**here))
    assert finding.kind is PythonError
    assert text in finding.text
    assert "-p" in finding.hint


def test_requires_python(tmp_path: Path) -> None:
    (finding,) = examine(tmp_path, PLAN._replace(requires_python=">=3.11.5"))
    assert (finding.kind, finding.text) == (PythonError, "Python: expected >=3.11.5, found 3.11.4")


def test_under_another_python_wheels_are_held_against_the_machine_only(tmp_path: Path) -> None:
    plan = PLAN._replace(
        wheels=(
            wheel("fits-1-cp311-cp311-linux_x86_64.whl", "glibc 2.36"),
            wheel("alien-1-cp311-cp311-win_amd64.whl"),
            wheel("newer-1-cp311-cp311-linux_x86_64.whl", "glibc 2.37"),
            wheel("pure-1-py3-none-any.whl"),
        )
    )
    python, *others = examine(tmp_path, plan, HERE._replace(python=(3, 12, 0), abi="cp312"))
    assert python.kind is PythonError
    assert [(finding.kind, finding.text.split("-")[0]) for finding in others] == [
        (HostError, "wheel: alien"),
        (HostError, "wheel: newer"),
    ]


COMPILED = "x-1-cp311-cp311-linux_x86_64.whl"
MANYLINUX = "x-1-cp311-cp311-manylinux_2_17_x86_64.whl"
MUSL = {"glibc": None, "musl": (1, 2)}


@pytest.mark.parametrize(
    ("file", "needs", "here", "expected"),
    [
        (COMPILED, "glibc 2.36", {}, "fits"),
        (COMPILED, "glibc 2.9", {}, "fits"),
        (COMPILED, "", {}, "fits"),
        (COMPILED, "glibc 2.37", {}, "expected glibc 2.37 or newer, found glibc 2.36"),
        (COMPILED, "glibc 2.17", MUSL, "expected glibc 2.17 or newer, found musl 1.2"),
        (COMPILED, "musl", MUSL, "fits"),
        (COMPILED, "musl", {}, "expected musl, found glibc 2.36"),
        (MANYLINUX, "glibc 2.37", {}, "warning"),
        ("x-1-py3-none-any.whl", "glibc 2.37", {}, "warning"),
        (MANYLINUX, "glibc 2.17", MUSL, "does not fit"),  # by its tag, and nothing is said twice
    ],
)
def test_libc(tmp_path: Path, file: str, needs: str, here: dict[str, Any], expected: str) -> None:
    findings = examine(tmp_path, PLAN._replace(wheels=(wheel(file, needs),)), HERE._replace(**here))
    if expected == "fits":
        assert findings == []
    else:
        (finding,) = findings
        assert finding.kind is (None if expected == "warning" else HostError)
        assert file in finding.text
        assert expected in finding.text or expected == "warning"


def test_libraries_that_the_system_lacks_are_a_warning(tmp_path: Path) -> None:
    several = tuple(f"libgone{n}.so.1" for n in range(10))
    plan = PLAN._replace(
        wheels=(wheel(COMPILED, libraries=("libgone.so.1", "libc.so.6")), wheel(MANYLINUX, libraries=several))
    )
    one, many = examine(tmp_path, plan, host.examine()._replace(python=HERE.python, abi=HERE.abi))
    assert one == Finding(None, f"wheel: {COMPILED} needs libgone.so.1, which this system's loader does not find")
    assert "libgone7.so.1 and 2 more" in many.text


def test_none_of_several_targets(tmp_path: Path) -> None:
    plan = PLAN._replace(targets=(TARGET._replace(python="3.9", abi="cp39"), TARGET))
    (finding,) = examine(tmp_path, plan)
    assert finding.kind is PythonError
    assert "this bundle is for cp39-linux_x86_64 and cp311-linux_x86_64" in finding.hint


class Disk:
    """What statvfs says, some of it changed."""

    def __init__(self, real: os.statvfs_result, **changes: int) -> None:
        self._real = real
        self.__dict__.update(changes)

    def __getattr__(self, name: str) -> int:
        return int(getattr(self._real, name))


def test_space_and_inodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(os.statvfs(tmp_path), f_bavail=1, f_frsize=2**20, f_files=500, f_favail=73)
    monkeypatch.setattr(os, "statvfs", lambda _: disk)
    space, inodes = examine(tmp_path)
    assert (space.kind, inodes.kind) == (HostError, HostError)
    assert space.text == f"space: expected 4.0 MiB in {tmp_path}, found 1.0 MiB"
    assert inodes.text == f"inodes: expected 74 in {tmp_path}, found 73"
    vars(disk).update(f_bavail=5, f_files=0)  # some filesystems make inodes as they need them
    assert examine(tmp_path) == []


def test_an_unfinished_installation_makes_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dst" / "lib").mkdir(parents=True)
    (tmp_path / "dst" / "lib" / "large").write_bytes(b"x" * 2**22)
    disk = Disk(os.statvfs(tmp_path), f_bavail=1, f_frsize=2**20, f_files=500, f_favail=72)
    monkeypatch.setattr(os, "statvfs", lambda _: disk)
    assert len([one for one in examine(tmp_path) if one.kind is HostError]) == 2
    install_state.write(str(tmp_path / "dst"), UNFINISHED)
    assert examine(tmp_path) == []


def test_a_folder_that_is_not_ours_to_write_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)  # root may always
    (finding,) = examine(tmp_path)
    assert finding.kind is HostError
    assert f"{tmp_path} is not writable for user {os.geteuid()}" in finding.text


def test_names_that_differ_only_in_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = PLAN._replace(case_sensitive=True)
    assert examine(tmp_path, plan) == []

    def lexists(path: str) -> bool:  # as on a disk that does not keep them apart
        folder, name = os.path.split(path)
        return name.lower() in [one.name.lower() for one in os.scandir(folder)]

    monkeypatch.setattr(os.path, "lexists", lexists)
    (finding,) = examine(tmp_path, plan)
    assert (finding.kind, finding.text.partition(": ")[0]) == (HostError, "filesystem")
    assert examine(tmp_path) == []
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("flag", ["ST_RDONLY", "ST_NOEXEC"])
def test_mount_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flag: str) -> None:
    disk = Disk(os.statvfs(tmp_path), f_flag=getattr(os, flag))
    monkeypatch.setattr(os, "statvfs", lambda _: disk)
    (finding,) = examine(tmp_path)
    assert finding.kind is HostError
    assert "mounted" in finding.text


@pytest.mark.parametrize("name", ["a:b", "a\nb", "a\x7fb", "bad\udcffbyte", "x/" * 2000, "é" * 119])
def test_paths(tmp_path: Path, name: str) -> None:
    findings = examine(tmp_path, name=name)
    assert {finding.kind for finding in findings} == {DestinationError}
    str(report(findings, "app")).encode("utf-8", "surrogateescape")


def test_the_longest_name(tmp_path: Path) -> None:
    name = "x" * (255 - len("..platter-replaced"))
    assert examine(tmp_path, name=name) == []
    (finding,) = examine(tmp_path, name=name + "x")
    assert finding.text == "folder: expected a name of at most 237 bytes, found 238"
    (tmp_path / f".{name}.platter-replaced").touch()
    with pytest.raises(OSError, match="too long"):
        (tmp_path / f".{name}x.platter-replaced").touch()


def test_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (finding,) = examine(tmp_path, name="file/dst")
    assert finding.kind is DestinationError


def test_forced_over_what_holds_the_bundle(tmp_path: Path) -> None:
    (tmp_path / "dst" / "bundle").mkdir(parents=True)
    destination = Destination(str(tmp_path / "dst"), "")
    found = look(PLAN, HERE, destination, str(tmp_path / "dst" / "bundle"), force=True)
    assert [finding.kind for finding in found] == [DestinationError]
    system = Destination("/", "")
    found = look(PLAN, HERE, system, "/bundle", force=True)
    assert DestinationError in [finding.kind for finding in found]


@pytest.mark.parametrize("folder", ["/etc", "/usr", "/usr/lib", "/var/lib"])
def test_forced_over_the_system(folder: str) -> None:
    found = look(PLAN, HERE, Destination(folder, ""), "/bundle", force=True)
    assert f"folder: {folder} belongs to the system" in [one.text for one in found if one.kind is DestinationError]


def test_forced_over_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "homes" / "me").mkdir(parents=True)
    (tmp_path / "dst").mkdir()
    (tmp_path / "dst" / "thing").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "homes" / "me"))
    for name in ("homes", "homes/me"):
        (tmp_path / name / "thing").touch()
        (finding,) = examine(tmp_path, name=name, force=True)
        assert (finding.kind, finding.text) == (DestinationError, f"folder: {tmp_path / name} holds a home folder")
    assert examine(tmp_path, force=True) == []


@pytest.mark.parametrize(
    ("folder", "home"), [("/home/somebody", True), ("/home/somebody/app", False), ("/srv/app", False)]
)
def test_forced_over_a_home_of_somebody_else(folder: str, home: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Destination, "state", lambda _: State.FOREIGN)
    found = look(PLAN, HERE, Destination(folder, ""), "/bundle", force=True)
    assert (f"folder: {folder} holds a home folder" in [one.text for one in found]) is home


@pytest.mark.parametrize("part", ["sys.base_prefix", "base_interpreter", "os.__file__"])
def test_forced_over_the_interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    inside = str(tmp_path / "dst" / "python3")
    (tmp_path / "dst" / "python3").mkdir(parents=True)
    if part == "base_interpreter":
        monkeypatch.setattr(checks, part, lambda: inside)
    else:
        monkeypatch.setattr(part, inside)
    (finding,) = examine(tmp_path, force=True)
    assert finding.text == f"folder: {tmp_path / 'dst'} holds the Python that this installation is for"


@pytest.mark.parametrize("known", [True, False])
def test_a_filesystem_that_knows_nothing_of_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, known: bool
) -> None:
    """FUSE filesystems without statfs say 0 of everything, or fail."""

    def statvfs(_: str) -> os.statvfs_result:
        if known:
            return os.statvfs_result((4096, 0, 0, 0, 0, 0, 0, 0, 0, 0))
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(os, "statvfs", statvfs)
    assert examine(tmp_path) == []


def test_a_name_that_is_refused_comes_with_a_hint(tmp_path: Path) -> None:
    assert report(examine(tmp_path, name="a:b"), "app").hint == "choose a folder with another name"


@pytest.mark.parametrize(
    ("folder", "system"),
    [
        *((folder, True) for folder in ("/etc/ssh", "/var/lib/dpkg", "/usr/lib/x86_64-linux-gnu", "/boot/grub")),
        *((folder, True) for folder in ("/usr/local/bin", "/lib64", "/var/log/app", "/run/app", "/usr/share/app/x")),
        *((folder, system) for folder, system in (("/dev/net/app", True), ("/dev/shm/app", False))),
        *((folder, False) for folder in ("/usr/local/app", "/opt/app", "/var/www/app", "/srv/etc")),
    ],
)
def test_forced_below_the_system(folder: str, system: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"folder: {folder} belongs to the system"
    for state, refused in ((State.FOREIGN, system), (State.OTHER, False)):
        monkeypatch.setattr(Destination, "state", lambda _, state=state: state)
        found = look(PLAN, HERE, Destination(folder, ""), "/bundle", force=True)
        assert (text in [one.text for one in found]) is refused


def test_forced_over_what_is_mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dst" / "thing").mkdir(parents=True)
    monkeypatch.setattr(removal, "mounts", lambda path: [f"{path}/media"])
    (finding,) = examine(tmp_path, force=True)
    assert finding.kind is DestinationError
    assert finding.text == f"folder: {tmp_path}/dst holds what is mounted: {tmp_path}/dst/media"
