"""The project's scripts for the server, which run around a switch: as members of the bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from platter_setuptools.bundle.members import from_bytes
from platter_setuptools.errors import ScriptError
from platter_setuptools.payload.install.activation_scripts import POST_ACTIVATE, PRE_ACTIVATE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from platter_setuptools.bundle.members import Member


def activation_scripts(pre_activate: Path | None, post_activate: Path | None) -> Iterator[Member]:
    """Yield a member for each script that there is. Raises ScriptError for one that must not, or cannot, run there."""
    for name, path in ((PRE_ACTIVATE, pre_activate), (POST_ACTIVATE, post_activate)):
        if path is None:
            continue
        member = from_bytes(name, path.read_bytes(), executable=True)
        if member.tells_secret():
            raise ScriptError(
                f"{path} holds a URL with a user or password in it",
                hint="everyone with the bundle could read it: put it into a file or a variable on the server",
            )
        if (member.content or b"").partition(b"\n")[0].endswith(b"\r"):
            raise ScriptError(
                f"{path} has line ends of Windows, with which it cannot run on the server",
                hint="convert it (dos2unix), and let git keep it so: *.sh text eol=lf in .gitattributes",
            )
        yield member
