"""What a project requires beside its wheel, as requirements and constraints files say it."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from platter_setuptools.errors import DependencyError
from platter_setuptools.resolve.credentials import without_git_login
from platter_setuptools.runtime.files import absolute
from platter_setuptools.urls import redact

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from packaging.utils import NormalizedName

_WITH_USERINFO = re.compile(r"(?<![\w+.-])[\w+.-]{1,32}://[^/\s]+@\S+")
_INDEX = re.compile(r"^--(?:index-url|extra-index-url|find-links) ([^@\s]+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Required:
    """The requirement of a line. Hashes are `sha256:…`, in lower case."""

    name: str  # normalized, or "" for a bare URL or path
    url: str = field(repr=False)  # without its fragment; "" for what comes from an index
    hashable: bool  # no folder and no repository
    pinned: bool  # to one version, or one place
    applies: bool  # its marker fits the target
    folder: bool = False  # a source tree on this machine
    extras: tuple[str, ...] = ()
    marker: str = ""
    hashes: frozenset[str] = frozenset()  # of --hash
    fragment: frozenset[str] = frozenset()  # the hash in a direct URL
    config_settings: Mapping[str, str | list[str]] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One statement of a file. `text` is as a resolver is to read it, `shown` as it stands in the file."""

    where: str  # "line 3 of more.txt"
    constraint: bool
    text: str = field(repr=False)
    shown: str = field(repr=False)
    requirement: Required | None = None  # None for options


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """All that some requirements and constraints files say, with the files that they name in their turn."""

    lines: tuple[Line, ...] = ()
    require_hashes: bool = False

    def write(self, path: Path, *, constraints: bool) -> list[Path]:
        """Write a file for a resolver, which only this user may read. Return its path; none if it would be empty."""
        texts = [without_git_login(line.text) for line in self.lines if line.constraint == constraints]
        if not texts:
            return []
        path.touch(mode=0o600)
        path.write_text("".join(f"{text}\n" for text in texts), "utf-8")
        return [path]

    def with_wheel(self, wheel: Path, name: str, tree: Path) -> Requirements:
        """Return these with a distribution's wheel instead of the tree that it was built from."""
        lines = []
        for line in self.lines:
            wanted = line.requirement
            if wanted and wanted.folder and absolute(url2pathname(urlsplit(wanted.url).path), tree) == tree:
                marker = f" ; {wanted.marker}" if wanted.marker else ""
                text = f"{requirement_line(wheel, name, wanted.extras)}{marker}"
                line = dataclasses.replace(line, text=text)  # noqa: PLW2901
            lines.append(line)
        return dataclasses.replace(self, lines=tuple(lines))

    def config_settings(self, name: NormalizedName) -> Iterator[Mapping[str, str | list[str]]]:
        """Yield the settings of builds of one distribution. Raises DependencyError for a line that names none."""
        for line in self.lines:
            wanted = line.requirement
            if wanted and wanted.config_settings and not wanted.name:
                raise DependencyError(
                    f"{line.where}: --config-settings for a distribution that the line does not name",
                    hint="write it as NAME @ URL",
                )
            if wanted and wanted.applies and wanted.name == name:
                yield wanted.config_settings

    @property
    def is_plain(self) -> bool:
        """Whether all are distributions of an index, without hashes and settings."""
        return not self.require_hashes and all(
            wanted and wanted.name and not (wanted.url or wanted.hashes or wanted.config_settings)
            for wanted in (line.requirement for line in self.lines)
        )

    def as_text(self) -> str:
        """Return what the files require, without constraints and passwords."""
        return "".join(f"{redact(line.shown)}\n" for line in self.lines if not line.constraint)

    def urls(self) -> Iterator[str]:
        """Yield the URLs with a user or password in them, and those of indexes."""
        for line in self.lines:
            yield from _WITH_USERINFO.findall(line.text) + _INDEX.findall(line.text)


def requirement_line(wheel: Path, name: str, extras: Sequence[str]) -> str:
    """Return the requirement for a local wheel and some of its extras."""
    return f"{name}[{','.join(extras)}] @ {wheel.as_uri()}" if extras else f"{name} @ {wheel.as_uri()}"


NOTHING = Requirements()
