"""What a project requires beside its wheel: requirements and constraints files, and dependency groups.

pip's own parser reads the files, and nothing else does.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from packaging.dependency_groups import resolve_dependency_groups
from packaging.errors import ExceptionGroup
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from platter_setuptools._in_process import requirements as foreign
from platter_setuptools.config.files import read_pyproject
from platter_setuptools.errors import CommandError, DependencyError, UsageError
from platter_setuptools.resolve.credentials import without_git_login
from platter_setuptools.runtime.files import absolute
from platter_setuptools.targets.markers import evaluate
from platter_setuptools.urls import redact
from platter_setuptools.wheel_cache import key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from packaging.utils import NormalizedName

    from platter_setuptools.resolve.indexes import IndexSettings
    from platter_setuptools.runtime.processes import Runner
    from platter_setuptools.targets.target import Interpreter, Target
    from platter_setuptools.wheel_cache import WheelCache

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
_KIND = "requirements"
_OLDEST_PIP = Version("24.1")  # whose parser keeps all that is asked of it


def installed_pip() -> Path | None:
    """Return the folder with the pip of the running interpreter; None if it has none, or one that is too old.

    It is compiled already: importing pip from its wheel takes half a second longer.
    """
    from importlib import metadata  # noqa: PLC0415 - most builds have no file for pip to read

    with contextlib.suppress(metadata.PackageNotFoundError, InvalidVersion):
        pip = metadata.distribution("pip")
        if Version(pip.version) >= _OLDEST_PIP:
            return Path(str(pip.locate_file("")))
    return None


def read_requirements(
    files: Sequence[Path],
    constraints: Sequence[str],
    *,
    pip: Callable[[], Path],
    target: Target,
    host: Interpreter,
    settings: IndexSettings,
    project: Path,
    run: Runner,
    cache: WheelCache,
    work: Path,
    offline: bool,
) -> Requirements:
    """Read files with the `pip` in a wheel or a folder; constraints are paths or URLs.

    Relative paths in them start at `project`. Files of plain requirements are read once: the wheel cache keeps what
    they say, so no pip is waited for. Raises DependencyError for what pip and uv would read differently, too.
    """
    if not files and not constraints:
        return NOTHING
    paths = [os.fspath(file) for file in files]
    key = _question(paths, constraints, target)
    with contextlib.suppress(LookupError, TypeError, ValueError, AttributeError):  # a note may hold anything
        if key:
            return Requirements(lines=tuple(_line(one, target) for one in cache.recall(_KIND, key)["plain"]))
    output = Path(tempfile.mkdtemp(prefix="requirements-", dir=work)) / "lines.json"
    asked = {
        "pip": os.fspath(pip()),
        "files": paths,
        "constraints": [*constraints],
        "options": [*_arguments(settings)],
        "offline": offline,
        "output": os.fspath(output),
    }
    try:
        # The options say what pip's configuration does.
        environ = {"PIP_CONFIG_FILE": os.devnull}
        run([host.executable, "-I", Path(foreign.__file__)], cwd=project, env=environ, stdin=json.dumps(asked))
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
    lines = tuple(_line(one, target) for one in answer["lines"])
    said = Requirements(require_hashes=answer["require_hashes"], lines=lines)
    # What is kept names no other file, path or secret, and was not written to meanwhile.
    plain = said.is_plain and answer["opened"] == [*paths, *constraints]
    if key and plain and key == _question(paths, constraints, target):
        cache.note(_KIND, key, {"plain": answer["lines"]})
    return said


def _question(files: Sequence[str], constraints: Sequence[str], target: Target) -> str | None:
    """Return a digest of all that the meaning of plain files depends on.

    None for what is read each time: URLs, and files with variables.
    """
    places = [*files, *constraints]
    try:
        # A pipe can be read only once.
        contents = [path.read_bytes() for place in places if (path := Path(place)).is_file()]
    except (OSError, ValueError):  # pip tells what is wrong with a file
        return None
    if len(contents) < len(places) or any(b"$" in content for content in contents):
        return None
    facts = [target.id, target.full_version, dict(target.environment), files, constraints]
    reader = Path(foreign.__file__).read_text("utf-8")
    return key_of(reader, json.dumps(facts, sort_keys=True), *(content.hex() for content in contents))


def _arguments(settings: IndexSettings) -> Iterator[str]:
    """Yield pip's arguments for connections: it reads no configuration."""
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


def _line(data: Mapping[str, Any], target: Target) -> Line:
    required, where = data["requirement"], redact(data["where"])
    return Line(**{**data, "where": where, "requirement": required and _required(target, where, **required)})


def _required(
    target: Target,
    where: str,
    *,
    name: str,
    extras: list[str],
    hashes: list[str],
    fragment: list[str],
    marker: str,
    **rest: Any,
) -> Required:
    wanted_by = f"{name or 'a URL'} ({where})"
    return Required(
        marker=marker,
        applies=not marker or evaluate(Marker(marker), {**target.environment, "extra": ""}, wanted_by),
        name=canonicalize_name(name),
        extras=tuple(extras),
        hashes=frozenset(hashes),
        fragment=frozenset(fragment),
        **rest,
    )


def read_groups(project: Path, names: Sequence[str]) -> tuple[Requirement, ...]:
    """Return what these dependency groups of the project (PEP 735) require. Raises UsageError."""
    if not names:
        return ()
    path = project / "pyproject.toml"
    groups = read_pyproject(project).get("dependency-groups", {})
    if not isinstance(groups, dict):
        raise UsageError(
            f"{path}: dependency-groups has to be a table",
            hint="write the groups below a line [dependency-groups] (PEP 735)",
        )
    try:
        return tuple(Requirement(line) for line in resolve_dependency_groups(groups, *names))
    except (ExceptionGroup, LookupError, TypeError, ValueError) as error:
        reasons = "; ".join(str(one.args[0] if one.args else one) for one in getattr(error, "exceptions", (error,)))
        raise UsageError(
            f"{path} [dependency-groups]: {reasons}",
            hint=f"it has: {', '.join(sorted(groups)) or 'none'}",
        ) from error
