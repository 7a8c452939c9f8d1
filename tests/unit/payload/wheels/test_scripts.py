"""Script headers are judged by running them."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platter_setuptools.payload.errors import BundleError
from platter_setuptools.payload.wheels import scripts

if TYPE_CHECKING:
    from pathlib import Path

FOLDERS = [
    "plain",
    "with space",
    "tab\there",
    "quote's",
    "three'''quotes",
    '"double"',
    "$HOME $(touch pwned) `touch pwned`",
    "back\\slash\\x\\N",
    "ünïcödé",
    "-dash",
    "%s {} #!",
    "x" * 200,
    "y" * 60 + "/" + "z z" * 50,
    "'" * 7,
]


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("kind", ["generated", "rewritten"])
def test_starts_under_any_path(tmp_path: Path, folder: str, kind: str) -> None:
    place = tmp_path / folder
    place.mkdir(parents=True)
    (place / "python").symlink_to(sys.executable)
    (place / "told.py").write_text(
        "import sys\ndef main():\n    print(sys.argv[1:], ascii(sys.executable))\n    return 3\n"
    )
    if kind == "generated":
        content = scripts.generated(scripts.EntryPoint("told", "told", "main"), str(place / "python"))
    else:
        content = scripts.rewritten(b"#!python\nimport sys, told\nsys.exit(told.main())\n", str(place / "python"))
    script = place / "a script"
    script.write_bytes(content)
    script.chmod(0o755)
    environment = {"PYTHONPATH": str(place), "PATH": os.defpath, "PYTHONWARNINGS": "error"}
    done = subprocess.run(
        [script, "an argument", "$(x)"], check=False, capture_output=True, text=True, cwd=tmp_path, env=environment
    )
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout.strip() == f"['an argument', '$(x)'] {str(place / 'python')!a}"
    assert not (tmp_path / "pwned").exists()


@given(st.text(alphabet="'\\\"$` ax", max_size=30))
def test_header_is_python_without_warnings(name: str) -> None:
    content = scripts.header("/" + name + "x" * 130)
    compile(content + b"pass\n", "script", "exec")
    assert b"''''" not in content.split(b"\n", 2)[1]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"#!python\nx", b"#!/p\nx"),
        (b"#!pythonw\nx", b"#!/p\nx"),
        (b"#!python3\nx", b"#!/p\nx"),
        (b"#!python\r\nx", b"#!/p\nx"),
        (b"#!python -E -s\nx", b"#!/p -E -s\nx"),
        (b"#!python", b"#!/p\n"),
        (b"#!/usr/bin/python\nx", b"#!/usr/bin/python\nx"),
        (b"#!pythonic\nx", b"#!pythonic\nx"),
        (b"#!/bin/sh\n#!python\n", b"#!/bin/sh\n#!python\n"),
        (b"\x7fELF", b"\x7fELF"),
        (b"", b""),
    ],
)
def test_first_line(before: bytes, after: bytes) -> None:
    assert scripts.rewritten(before, "/p") == after


def test_coding_line_stays_within_the_first_two() -> None:
    content = scripts.rewritten("#!python\n# -*- coding: latin-1 -*-\nname = 'ü'\n".encode("latin-1"), "/" + "x" * 200)
    names: dict[str, object] = {}
    exec(compile(content, "script", "exec"), names)
    assert names["name"] == "ü"


def test_entry_points() -> None:
    text = (
        "[console_scripts]\none = a.b:c.d\n  two=a:b [extra, more]\n; note\n# note\n"
        "with space = a:b\n[gui_scripts]\nthree = a : b\n[other]\nfour = not looked at\n"
    )
    assert scripts.entry_points(text, "here") == (
        scripts.EntryPoint("one", "a.b", "c.d"),
        scripts.EntryPoint("two", "a", "b", ("extra", "more")),
        scripts.EntryPoint("with space", "a", "b"),
        scripts.EntryPoint("three", "a", "b"),
    )


@pytest.mark.parametrize(
    "line",
    [
        "x = a",
        "x = a:",
        "x = :b",
        "x",
        " = a:b",
        "../x = a:b",
        "/x = a:b",
        ".. = a:b",
        ". = a:b",
        "x = a;import os:b",
        "x = a:b();c",
        "x = a b:c",
        "x\x00 = a:b",
        "x\x1b = a:b",
        "x = a..b:c",
    ],
)
def test_entry_points_that_are_none(line: str) -> None:
    with pytest.raises(BundleError, match="here"):
        scripts.entry_points(f"[console_scripts]\n{line}\n", "here")


def test_pip_has_its_versioned_name() -> None:
    entries = (scripts.EntryPoint("pip", "a", "b"), scripts.EntryPoint("pip3", "a", "b"))
    assert [one.name for one in scripts.with_pip_names(entries, (3, 11))] == ["pip", "pip3", "pip3.11"]
