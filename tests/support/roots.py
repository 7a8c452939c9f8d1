"""Roots with releases that were installed in no time: a marker, a module, and the running interpreter."""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path
from typing import Any

from platter_setuptools.payload.install import install_state
from platter_setuptools.payload.releases import install_program
from platter_setuptools.payload.releases.commands import Commands
from platter_setuptools.payload.releases.root import Root
from platter_setuptools.payload.terminal import Terminal

PYTHON = platform.python_version()
NONE = Commands({})


def make(folder: Path, *versions: str) -> Root:
    """A root with these releases, the oldest first; none of them is active."""
    root = Root(str(folder / "root"), Terminal("platter"))
    Path(root.versions).mkdir(parents=True)
    for number, version in enumerate(versions):
        release(root, version, when=f"2026-01-01T00:00:{number:02}.000Z")
    return root


def release(root: Root, version: str, *, when: str = "2026-02-01T00:00:00.000Z", state: str = "complete") -> Path:
    folder = Path(root.folder(version))
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(sys.executable)
    note = install_state.Marker(state, version * 8, "app", version, "linux-x86_64", PYTHON, created=True, when=when)
    install_state.write(str(folder), note)
    return folder


def leave_program(root: Root) -> Path:
    install_program.leave(root, "platter-setuptools 0.1")
    return Path(root.path, install_program.NAME)


def current(root: Root) -> str:
    return str(Path(root.current).readlink())


def lines(root: Root) -> list[dict[str, Any]]:
    """The journal, without the times and the users."""
    found = [json.loads(line) for line in Path(root.journal.path).read_text().splitlines()]
    return [{key: one[key] for key in ("what", "from", "to", "result")} for one in found]


def changes(root: Root) -> list[str]:
    """The journal in short, such as `activate 1.0 1.1 done`."""
    return ["{what} {from} {to} {result}".format(**line).replace("None", "-") for line in lines(root)]
