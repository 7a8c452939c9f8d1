"""What install.sh finds out before it touches anything, on systems that really are older, smaller or different."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING

import pytest

from support.compiled import shared_object
from support.projects import write

from .roots import NOBODY, ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Bundle, NewServer
    from .roots import Server

pytestmark = [pytest.mark.servers, pytest.mark.network]

HOME = "/srv/app"
RELEASE = f"{HOME}/versions/1.0"

PYPROJECT = """
    [build-system]
    requires = ["setuptools"]
    build-backend = "setuptools.build_meta"
"""
SETUP_PY = """
    from setuptools import Extension, setup

    spring = Extension("spring", ["spring.c"], extra_link_args=["-Wl,--no-as-needed", "LIBRARY"])
    setup(
        name="NAME", version="1.0", ext_modules=[spring], py_modules=["main"],
        entry_points={"console_scripts": ["app = main:main"]},
    )
"""
MAIN = """
    def main():
        import spring

        print("spring is at", spring.find())
"""
# dlsym is among the symbols that moved into libc itself, and thereby got a new version, in glibc 2.34.
SPRING_C = """
    #define _GNU_SOURCE
    #include <Python.h>
    #include <dlfcn.h>

    static PyObject *find(PyObject *self, PyObject *unused) {
        return PyBool_FromLong(FOUND);
    }
    static PyMethodDef methods[] = {{"find", find, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL}};
    static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "spring", NULL, -1, methods};

    PyMODINIT_FUNC PyInit_spring(void) {
        return PyModule_Create(&module);
    }
"""


def project(folder: Path, name: str, *, found: str, library: str) -> Path:
    """An application with a module in C, linked with a library that here is made up."""
    files = {
        "pyproject.toml": PYPROJECT,
        "setup.py": SETUP_PY.replace("NAME", name).replace("LIBRARY", library),
        "main.py": MAIN,
        "spring.c": SPRING_C.replace("FOUND", found),
    }
    shared_object(folder / "made", {}, soname=library)
    write(folder / name, files)
    (folder / "made" / "made.so").rename(folder / name / library)
    return folder / name


@pytest.fixture
def needy(tmp_path: Path) -> Path:
    """Needs the glibc of this machine, and a library that no server has."""
    name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "none 0").partition(" ")
    if name != "glibc" or tuple(map(int, version.split("."))) < (2, 34):
        pytest.skip("needs a glibc of 2.34 or newer to compile with")
    return project(tmp_path, "needy", found='dlsym(RTLD_DEFAULT, "puts") != NULL', library="libwell.so.7")


@pytest.fixture
def modest(tmp_path: Path) -> Path:
    """Needs what every glibc has, and a library that the servers have."""
    return project(tmp_path, "modest", found="1", library="libz.so.1")


def test_a_wheel_compiled_for_a_newer_glibc_is_refused(needy: Path, server: NewServer, bundle: Bundle) -> None:
    debian = server("bullseye")
    unpacked = debian.unpack(bundle(needy, "3.9"), HOME, user=NOBODY)
    run = debian.run("./install.sh", RELEASE, user=NOBODY, cwd=unpacked)
    assert run.returncode == 5, run.stderr
    wheel = "wheel: needy-1.0-cp39-cp39-linux_x86_64.whl"
    assert f"{wheel}: expected glibc 2.34 or newer, found glibc 2.31" in run.stderr
    assert f"{wheel} needs libwell.so.7, which this system's loader does not find" in run.stderr
    assert "hint: build the bundle on a system with glibc 2.31" in run.stderr
    assert debian.check_run("ls", HOME).split() == [unpacked.rpartition("/")[2]]


def test_where_glibc_is_new_enough_it_is_accepted_with_a_warning(
    needy: Path, server: NewServer, bundle: Bundle
) -> None:
    debian = server("bookworm")
    unpacked = debian.unpack(bundle(needy, "3.11"), HOME, user=NOBODY)
    run = debian.run("./install.sh", RELEASE, user=NOBODY, cwd=unpacked)
    assert run.returncode == 0, run.stderr
    assert run.stderr.startswith("warning: wheel: needy-1.0-cp311-cp311-linux_x86_64.whl needs libwell.so.7,")
    assert "libwell.so.7: cannot open" in debian.run(f"{RELEASE}/bin/app", user=NOBODY).stderr  # as foretold


def test_a_wheel_compiled_here_runs_on_an_older_system_if_it_can(
    modest: Path, server: NewServer, bundle: Bundle
) -> None:
    debian = server("bullseye")
    unpacked = debian.unpack(bundle(modest, "3.9"), HOME, user=NOBODY)
    run = debian.run("./install.sh", RELEASE, user=NOBODY, cwd=unpacked)
    assert (run.returncode, run.stderr) == (0, "")
    assert debian.check_run(f"{RELEASE}/bin/app", user=NOBODY) == "spring is at True\n"


@pytest.mark.parametrize(
    ("options", "findings"),
    [
        ("size=1m,nr_inodes=20,noexec", ["space: expected", "inodes: expected", "mounted noexec"]),
        ("ro", ["mounted read-only"]),
    ],
)
def test_filesystems(options: str, findings: list[str], modest: Path, server: NewServer, bundle: Bundle) -> None:
    debian = server("bullseye")
    unpacked = debian.unpack(bundle(modest, "3.9"), HOME, user=ROOT)
    mount = f"mount -t tmpfs -o {options} tmpfs /mnt && exec ./install.sh --check /mnt/versions/1.0"
    run = debian.run("sh", "-c", mount, user=ROOT, cwd=unpacked)
    assert run.returncode == 5, run.stderr
    listed = [line for line in run.stderr.splitlines() if line.startswith("  ")]
    assert len(listed) == len(findings)
    for finding in findings:
        assert finding in run.stderr


def test_somebody_elses_folder(modest: Path, server: NewServer, bundle: Bundle) -> None:
    debian = server("bullseye")
    unpacked = debian.unpack(bundle(modest, "3.9"), HOME, user=ROOT)
    run = debian.run("./install.sh", "/srv/new/app", user=NOBODY, cwd=unpacked)
    assert run.returncode == 5
    assert f"permission: /srv is not writable for user {NOBODY}" in run.stderr


def test_a_server_whose_system_is_upgraded(modest: Path, server: NewServer, bundle: Bundle) -> None:
    older, newer = server("bullseye"), server("bookworm")
    unpacked = older.unpack(bundle(modest, "3.9"), HOME, user=ROOT)
    older.check_run("./install.sh", RELEASE, cwd=unpacked)
    older.check_run("./install.sh", "--check", RELEASE, cwd=unpacked)
    move(HOME, older, newer)

    run = newer.run("./install.sh", "--check", RELEASE, cwd=unpacked)
    assert run.returncode == 5, run.stderr
    assert "Python: expected 3.9 at /usr/bin/python3.9, found nothing" in run.stderr
    assert "put Python 3.9 back at /usr/bin/python3.9" in run.stderr
    run = newer.run("./install.sh", f"{HOME}/versions/2.0", cwd=unpacked)
    assert run.returncode == 3, run.stderr
    assert "Python: expected 3.9, found 3.11" in run.stderr


def move(folder: str, source: Server, destination: Server) -> None:
    packed = source.check_run("sh", "-c", f"tar -cz {folder} 2>/dev/null | base64")
    destination.check_run("tar", "-xz", "-C", "/", stdin=base64.b64decode(packed))
