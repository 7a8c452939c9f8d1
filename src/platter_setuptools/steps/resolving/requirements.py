"""Requirements and constraints files: what they say, by pip's own parser. Nothing else here reads these files."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import json
import os
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from platter_setuptools.ground.errors import CommandError, DependencyError
from platter_setuptools.ground.files import absolute
from platter_setuptools.ground.urls import redact
from platter_setuptools.steps.foreign import requirements as foreign
from platter_setuptools.steps.resolving.credentials import without_git_login
from platter_setuptools.steps.store import key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from packaging.utils import NormalizedName

    from platter_setuptools.ground.run import Runner
    from platter_setuptools.steps.resolving.indexes import IndexSettings
    from platter_setuptools.steps.store import Store
    from platter_setuptools.steps.target import Target

_WITH_USERINFO = re.compile(r"(?<![\w+.-])[\w+.-]{1,32}://[^/\s]+@\S+")
_INDEX = re.compile(r"^--(?:index-url|extra-index-url|find-links) ([^@\s]+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Required:
    """What a line requires. Hashes are `sha256:…`, in lower case; those of a direct URL's fragment stand apart."""

    name: str  # normalized, or "" for a bare URL or path
    url: str = field(repr=False)  # without its fragment; "" for what comes from an index
    hashable: bool  # no folder and no repository
    pinned: bool  # to one version, or one place
    applies: bool  # its marker fits the target
    folder: bool = False  # a source tree on this machine
    extras: tuple[str, ...] = ()
    marker: str = ""
    hashes: frozenset[str] = frozenset()
    fragment: frozenset[str] = frozenset()
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

    def write(self, path: Path, *, constraints: bool) -> None:
        """Write one file for a resolver, which only this user may read."""
        texts = [without_git_login(line.text) for line in self.lines if line.constraint == constraints]
        text = "".join(f"{text}\n" for text in texts)
        path.touch(mode=0o600)
        path.write_text(text, "utf-8")

    def with_wheel(self, tree: Path, line_for: Callable[[Sequence[str]], str]) -> Requirements:
        """Return what is said with a wheel in the place of the tree it was built from; `line_for` takes its extras."""
        lines = []
        for line in self.lines:
            wanted = line.requirement
            if wanted and wanted.folder and absolute(url2pathname(urlsplit(wanted.url).path), tree) == tree:
                marker = f" ; {wanted.marker}" if wanted.marker else ""
                line = dataclasses.replace(line, text=f"{line_for(wanted.extras)}{marker}")  # noqa: PLW2901
            lines.append(line)
        return dataclasses.replace(self, lines=tuple(lines))

    def config_settings(self, name: NormalizedName) -> Iterator[Mapping[str, str | list[str]]]:
        """What lines say about the builds of one distribution. Raises DependencyError for a line that names none."""
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

    def has(self, *, constraints: bool) -> bool:
        """Whether there are constraints, or else requirements."""
        return any(line.constraint == constraints for line in self.lines)

    def as_text(self) -> str:
        """What the files require, without constraints and passwords."""
        return "".join(f"{redact(line.shown)}\n" for line in self.lines if not line.constraint)

    def urls(self) -> Iterator[str]:
        """The URLs with a user or password in them, and those of indexes."""
        for line in self.lines:
            yield from _WITH_USERINFO.findall(line.text) + _INDEX.findall(line.text)


NOTHING = Requirements()
_KIND = "requirements"
_OLDEST_PIP = Version("24.1")  # whose parser keeps all that is asked of it


def installed_pip() -> Path | None:
    """The folder with the pip of the interpreter that runs this; None if it has none, or one that is too old.

    It is compiled already: to import pip from its wheel takes a second longer.
    """
    with contextlib.suppress(importlib.metadata.PackageNotFoundError, InvalidVersion):
        pip = importlib.metadata.distribution("pip")
        if Version(pip.version) >= _OLDEST_PIP:
            return Path(str(pip.locate_file("")))
    return None


def read_requirements(
    files: Sequence[Path],
    constraints: Sequence[str],
    *,
    pip: Callable[[], Path],
    target: Target,
    settings: IndexSettings,
    project: Path,
    run: Runner,
    store: Store,
    work: Path,
    offline: bool,
) -> Requirements:
    """Read files, if there are any, with the `pip` in a wheel or a folder; constraints are paths or URLs.

    Relative paths in them count from `project`. Files of plain requirements are read once: the store notes what they
    say. Raises DependencyError for what cannot be read for sure.
    """
    if not files and not constraints:
        return NOTHING
    parser, places = pip(), [*map(os.fspath, files), *constraints]
    key = _question(parser, places, len(files), target)
    with contextlib.suppress(LookupError, TypeError, ValueError, AttributeError):  # a note may hold anything
        if key:
            return Requirements(lines=tuple(map(_line, store.recall(_KIND, key)["plain"])))
    output = Path(tempfile.mkdtemp(prefix="requirements-", dir=work)) / "lines.json"
    asked = {
        "pip": os.fspath(parser),
        "files": [os.fspath(file) for file in files],
        "constraints": list(constraints),
        "options": list(_arguments(settings)),
        "offline": offline,
        "output": os.fspath(output),
    }
    try:
        # What pip is configured to do stands in the options.
        environ = {"PIP_CONFIG_FILE": os.devnull}
        run([target.executable, "-I", Path(foreign.__file__)], cwd=project, env=environ, stdin=json.dumps(asked))
        answer = json.loads(output.read_text("utf-8"))
    except CommandError as error:
        raise DependencyError(
            "the requirements files cannot be read: pip's parser failed", hint="see above", output=error.output
        ) from error
    if "error" in answer:
        raise DependencyError(
            f"the requirements files cannot be read: {redact(answer['error'])}",
            hint="write them as pip's documentation says, one statement on a line",
        )
    said = Requirements(require_hashes=answer["require_hashes"], lines=tuple(map(_line, answer["lines"])))
    # What is noted names no other file, path or secret, and was not written to meanwhile.
    plain = said.is_plain and answer["opened"] == places
    if key and plain and key == _question(parser, places, len(files), target):
        store.note(_KIND, key, {"plain": answer["lines"]})
    return said


def _question(pip: Path, places: Sequence[str], count: int, target: Target) -> str | None:
    """Return a digest of all that the meaning of plain files depends on; the first `count` are of requirements.

    None for what is read each time: URLs, and files with variables.
    """
    try:
        # A pipe can be read only once.
        contents = [path.read_bytes() for place in places if (path := Path(place)).is_file()]
    except (OSError, ValueError):  # pip tells what is wrong with a file
        return None
    if len(contents) < len(places) or any(b"$" in content for content in contents):
        return None
    release = "" if pip.suffix == ".whl" else importlib.metadata.version("pip")
    reader = Path(foreign.__file__).read_text("utf-8")
    facts = (target.key, target.full_version, json.dumps(dict(target.environment), sort_keys=True))
    texts = (content.hex() for content in contents)
    return key_of(reader, os.fspath(pip), release, *facts, str(count), *places, *texts)


def _arguments(settings: IndexSettings) -> Iterator[str]:
    """What a pip that reads no configuration is to be told of connections."""
    for flag, value in (
        ("--index-url", settings.index_url),
        ("--keyring-provider", settings.keyring_provider),
        ("--cert", settings.cert),
        ("--client-cert", settings.client_cert),
        ("--proxy", settings.proxy),
        ("--timeout", settings.timeout),
        ("--retries", settings.retries),
    ):
        if value is not None:
            yield f"{flag}={value}"
    yield from (f"--extra-index-url={url}" for url in settings.extra_index_urls)
    yield from (f"--trusted-host={host}" for host in settings.trusted_hosts)


def _line(data: Mapping[str, Any]) -> Line:
    said = data["requirement"]
    return Line(
        where=redact(data["where"]),
        constraint=data["constraint"],
        text=data["text"],
        shown=data["shown"],
        requirement=None if said is None else _requirement(said),
    )


def _requirement(said: Mapping[str, Any]) -> Required:
    return Required(
        name=canonicalize_name(said["name"] or ""),
        url=said["url"] or "",
        folder=said["folder"],
        extras=tuple(said["extras"]),
        marker=said["marker"],
        hashable=not (said["folder"] or said["vcs"] or said["editable"]),
        pinned=said["pinned"],
        applies=said["applies"],
        hashes=_hashes(said["hashes"]),
        fragment=_hashes(said["fragment"]),
        config_settings=said["config_settings"],
    )


def _hashes(found: Mapping[str, Sequence[str]]) -> frozenset[str]:
    return frozenset(f"{kind}:{value}".lower() for kind, values in found.items() for value in values)
