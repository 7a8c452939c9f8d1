from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from platter_setuptools.payload import host
from platter_setuptools.payload.errors import HostError, InstallError, Interrupted
from platter_setuptools.payload.install import final_check, install_state
from platter_setuptools.payload.preflight import health
from platter_setuptools.payload.wheels import contents
from support.interpreters import pretender

if TYPE_CHECKING:
    from pathlib import Path

HERE = host.examine()
NOTE = install_state.Marker(
    "complete",
    "b" * 64,
    "app",
    "1.0",
    "linux-x86_64",
    HERE.full_python,
    created=True,
    interpreter="/usr/bin/python3.11",
    abi=HERE.abi,
    libc=HERE.libc,
)


def release(folder: Path, note: install_state.Marker = NOTE, *, python: str | Path = sys.executable) -> str:
    """A folder as an installation leaves it, as far as this is concerned."""
    (folder / "bin").mkdir()
    (folder / "bin" / "python").symlink_to(python)
    install_state.write(str(folder), note)
    return str(folder)


def texts(folder: str) -> list[str]:
    findings = health.examine(folder)
    assert {finding.kind for finding in findings} <= {HostError}
    assert all("/usr/bin/python3.11" in finding.hint and "--force" in finding.hint for finding in findings)
    return [finding.text for finding in findings]


def test_as_on_its_first_day(tmp_path: Path) -> None:
    assert texts(release(tmp_path)) == []


def test_gone(tmp_path: Path) -> None:
    minor = "{}.{}".format(*HERE.python)
    assert texts(release(tmp_path, python="/nonexistent/python")) == [
        f"Python: expected {minor} at /usr/bin/python3.11, found nothing"
    ]


def test_another_minor(tmp_path: Path) -> None:
    newer = HERE._replace(python=(3, 99, 1), abi="cp399")
    (text,) = texts(release(tmp_path, python=pretender(tmp_path / "python", newer)))
    assert f"({HERE.abi}), found 3.99.1 (cp399)" in text


def test_a_later_patch_and_a_newer_libc_are_welcome(tmp_path: Path) -> None:
    newer = HERE._replace(python=(*HERE.python[:2], 99), glibc=(2, 99), musl=None)
    note = NOTE._replace(libc="glibc 2.36")
    assert texts(release(tmp_path, note, python=pretender(tmp_path / "python", newer))) == []


@pytest.mark.parametrize("found", [{"glibc": (2, 31), "musl": None}, {"glibc": None, "musl": (1, 2)}])
def test_another_libc(tmp_path: Path, found: dict[str, tuple[int, int] | None]) -> None:
    other = HERE._replace(glibc=found["glibc"], musl=found["musl"])
    (text,) = texts(release(tmp_path, NOTE._replace(libc="glibc 2.36"), python=pretender(tmp_path / "python", other)))
    assert text == f"libc: expected glibc 2.36 or newer, found {other.libc}"


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("#!/bin/sh\necho 'cannot open libpython' >&2; exit 127\n", "cannot open libpython"),
        ("#!/bin/sh\n", ""),
        ("#!/bin/sh\necho 3.7\n", "it prints something else"),
        ("", ""),
    ],
)
def test_one_that_does_not_run(tmp_path: Path, program: str, reason: str) -> None:
    path = tmp_path / "python"
    path.write_text(program)
    path.chmod(0o755)
    (text,) = texts(release(tmp_path, python=path))
    assert f"found one that does not run: {reason}" in text


def test_a_release_of_an_older_installer(tmp_path: Path) -> None:
    note = NOTE._replace(interpreter="", abi="", libc="")
    folder = release(tmp_path, note)
    assert health.examine(folder) == []
    (tmp_path / "bin" / "python").unlink()
    (finding,) = health.examine(folder)
    assert f"at {tmp_path}/bin/python, found nothing" in finding.text


def test_no_release(tmp_path: Path) -> None:
    (finding,) = health.examine(str(tmp_path))
    assert finding.kind is HostError


@pytest.fixture
def remembering(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A release that remembers what its Python was; its Python answers as then."""
    folder = release(tmp_path)
    known = [contents.Distribution("a", "1", "lib/a-1.dist-info", "")]
    contents.write(folder, contents.Contents(folder, os.__file__, ["_ssl"], known, {}))
    answer = final_check.Answer(os.path.realpath(folder), os.__file__, {"_ssl": "", "_lzma": "liblzma.so"}, [])
    monkeypatch.setattr(final_check, "ask", lambda _: answer)
    return folder


def test_what_is_remembered_is_as_it_was(remembering: str) -> None:
    assert texts(remembering) == []


@pytest.mark.parametrize(
    ("change", "stops", "text"),
    [
        ({"library": "/elsewhere/os.py"}, False, "expected the standard library"),
        ({"modules": {"_ssl": "libssl.so.3: no such file"}}, False, "_ssl cannot be imported: libssl.so.3"),
        ({"prefix": "/usr"}, True, "takes itself for that of /usr"),
    ],
)
def test_what_is_remembered_and_changed(
    remembering: str, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], *, stops: bool, text: str
) -> None:
    answer = final_check.ask("python")._replace(**change)
    monkeypatch.setattr(final_check, "ask", lambda _: answer)
    ((found, finding),) = health.judge(remembering)
    assert (found, text in finding.text) == (stops, True)


def test_one_that_cannot_answer_does_not_start(remembering: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: str) -> None:
        raise InstallError("no zlib", hint="")

    monkeypatch.setattr(final_check, "ask", fail)
    ((stops, finding),) = health.judge(remembering)
    assert (stops, finding.text) == (True, "Python: no zlib")


def test_a_signal_is_no_answer(remembering: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: str) -> None:
        raise Interrupted("interrupted by SIGHUP", number=1)

    monkeypatch.setattr(final_check, "ask", interrupt)
    with pytest.raises(Interrupted):
        health.judge(remembering)
