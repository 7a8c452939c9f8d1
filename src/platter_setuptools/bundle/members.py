"""Members: the files of a bundle before it is written, with their names and sources."""

from __future__ import annotations

import hashlib
import io
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from platter_setuptools.errors import ScriptError
from platter_setuptools.payload.install.activation_scripts import NAMES as SCRIPTS
from platter_setuptools.payload.untrusted import TEXT
from platter_setuptools.runtime.files import sha256_of_file
from platter_setuptools.urls import has_secret

if TYPE_CHECKING:
    from collections.abc import Iterator

_WITH_URLS = frozenset({"info.json", "post-install.sh", *SCRIPTS, "data/pylock.toml", "data/requirements.txt"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One file, link or folder of the bundle.

    `name` is relative to the bundle, with slashes. A file has its bytes in `content` or in the file `path`, and then
    their SHA-256; a symbolic link has its target in `link`; an empty folder has none of these. `packed` tells that
    the bytes are compressed already; `deflated` is what compressors.deflated made of them, if that was done ahead.
    """

    name: str
    content: bytes | None = None
    path: Path | None = None
    link: str | None = None
    sha256: str | None = None
    size: int = 0
    executable: bool = False
    packed: bool = False
    deflated: bytes | None = None

    @property
    def mode(self) -> int:
        return 0o755 if self.executable or self.is_folder else 0o644

    @property
    def is_folder(self) -> bool:
        return self.content is None and self.path is None and self.link is None

    def open(self) -> BinaryIO:
        if self.path is not None:
            return self.path.open("rb")
        return io.BytesIO(self.content or b"")

    def tells_secret(self) -> bool:
        """Whether this is one of the files that hold URLs, and one of those has a user or password in it.

        Raises ScriptError for one that is longer than a bundle may have it.
        """
        if self.is_folder or self.link is not None or not (self.name in _WITH_URLS or "direct_url.json" in self.name):
            return False
        with self.open() as content:
            text = content.read(TEXT + 1)
        if len(text) > TEXT:
            raise ScriptError(
                f"{self.name} is longer than {TEXT} bytes", hint="have the build script write less into it"
            )
        return has_secret(text.decode("utf-8", "replace"))


def from_bytes(name: str, content: bytes, *, executable: bool = False, deflated: bytes | None = None) -> Member:
    """A file with this content."""
    return Member(
        name=name,
        content=content,
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
        executable=executable,
        deflated=deflated,
    )


def from_text(name: str, text: str) -> Member:
    """A text file in UTF-8."""
    return from_bytes(name, text.encode())


def from_file(name: str, path: Path, *, sha256: str | None = None, packed: bool = False) -> Member:
    """A file on disk; it is hashed unless its SHA-256 is known."""
    status = path.stat()
    return Member(
        name=name,
        path=path,
        sha256=sha256 or sha256_of_file(path)[0],
        size=status.st_size,
        executable=bool(status.st_mode & stat.S_IXUSR),
        packed=packed,
    )


def from_folder(folder: Path) -> Iterator[Member]:
    """Everything in a folder that build scripts worked in. Raises ScriptError for what a bundle cannot carry."""
    for where, folders, files in os.walk(folder):
        for entry in sorted([*folders, *files]):
            path = Path(where, entry)
            inside = _checked_name(path.relative_to(folder).as_posix())
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                yield Member(name=inside, link=_checked_link(path, folder))
            elif stat.S_ISREG(mode):
                yield from_file(inside, path)
            elif stat.S_ISDIR(mode):
                if not any(path.iterdir()):
                    yield Member(name=inside)
            else:
                raise ScriptError(
                    f"a build script left {path.relative_to(folder)}, which is neither a file nor a folder",
                    hint="a bundle carries files, folders and links: remove it in the script",
                )


def _checked_name(name: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise ScriptError(
            f"a build script left {name!r}, whose name is not UTF-8",
            hint="not every format and server can hold such a name: rename it in the script",
        ) from error
    return name


def stays_within(link: Path, folder: Path) -> bool:
    """Whether a symbolic link is relative and leads to something in the folder, wherever that is moved."""
    target = os.readlink(link)  # noqa: PTH115 - as it is written, not made a Path of
    # Not Path.resolve, which stumbles over links that lead in a circle.
    inside = Path(os.path.realpath(link)).is_relative_to(os.path.realpath(folder))
    # Also by name alone: a link that leaves and comes back knows what our folder is called, and a server does not.
    named = os.path.normpath(os.path.join(link.relative_to(folder).parent, target))  # noqa: PTH118
    inside = inside and not f"{named}/".startswith("../")
    return inside and not os.path.isabs(target) and os.path.exists(link)  # noqa: PTH110, PTH117


def _checked_link(path: Path, folder: Path) -> str:
    target = os.readlink(path)  # noqa: PTH115 - as it is written
    if not stays_within(path, folder):
        raise ScriptError(
            f"a build script left the link {path.relative_to(folder)} -> {target}:"
            " it leads out of the bundle, or nowhere",
            hint="on the server it would lead elsewhere: link relatively to something in the bundle, or copy it",
        )
    return target
