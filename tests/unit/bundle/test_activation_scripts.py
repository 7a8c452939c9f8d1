"""The project's scripts for the server, as members of a bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from platter_setuptools.bundle.activation_scripts import activation_scripts
from platter_setuptools.errors import ScriptError

if TYPE_CHECKING:
    from pathlib import Path


def test_members(tmp_path: Path) -> None:
    (script := tmp_path / "migrate").write_bytes(b"#!/usr/bin/env python\nprint()\n")
    script.chmod(0o644)
    assert [(one.name, one.mode) for one in activation_scripts(script, None)] == [("pre-activate.sh", 0o755)]
    both = list(activation_scripts(script, script))
    assert [one.name for one in both] == ["pre-activate.sh", "post-activate.sh"]
    assert both[0].content == script.read_bytes()
    assert list(activation_scripts(None, None)) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"curl https://ada:s3cret@host/\n", "holds a URL with a user or password"),
        (b"#!/bin/sh\r\ntrue\r\n", "has line ends of Windows"),
        (b"x" * (2 << 20) + b"x", "is longer than"),
    ],
)
def test_what_cannot_go_there(tmp_path: Path, content: bytes, message: str) -> None:
    (script := tmp_path / "script").write_bytes(content)
    with pytest.raises(ScriptError, match=message) as caught:
        list(activation_scripts(None, script))
    assert caught.value.hint
    assert "s3cret" not in caught.value.message
