"""Read requirements and constraints files: pip's own parser does it, and nothing else."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.markers import Marker
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from platter_setuptools._in_process import requirements as foreign
from platter_setuptools.errors import CommandError, DependencyError
from platter_setuptools.resolve.requirements import NOTHING, Line, Required, Requirements
from platter_setuptools.targets.markers import evaluate
from platter_setuptools.urls import redact
from platter_setuptools.wheel_cache import key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from platter_setuptools.resolve.indexes import IndexSettings
    from platter_setuptools.runtime.processes import Runner
    from platter_setuptools.targets.target import Interpreter, Target
    from platter_setuptools.wheel_cache import WheelCache

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


@dataclass(frozen=True, slots=True, kw_only=True)
class RequirementsReader:
    """Reads files with the `pip` in a wheel or a folder, for the target. Relative paths in them start at `project`.

    Files of plain requirements are read once: the wheel cache keeps what they say, so no pip is waited for.
    """

    pip: Callable[[], Path]
    target: Target
    host: Interpreter
    settings: IndexSettings
    project: Path
    run: Runner
    cache: WheelCache
    work: Path
    offline: bool

    def __call__(self, files: Sequence[Path], constraints: Sequence[str]) -> Requirements:
        """Return what files, and constraints by paths or URLs, say.

        Raises DependencyError for what cannot be read, and for what pip and uv would read differently.
        """
        if not files and not constraints:
            return NOTHING
        paths = [os.fspath(file) for file in files]
        key = _question(paths, constraints, self.target)
        with contextlib.suppress(LookupError, TypeError, ValueError, AttributeError):  # a note may hold anything
            if key:
                return self._lines(self.cache.recall(_KIND, key)["plain"], require_hashes=False)
        answer = self._ask(paths, constraints)
        said = self._lines(answer["lines"], require_hashes=answer["require_hashes"])
        # What is kept names no other file, path or secret, and was not written to meanwhile.
        plain = said.is_plain and answer["opened"] == [*paths, *constraints]
        if key and plain and key == _question(paths, constraints, self.target):
            self.cache.note(_KIND, key, {"plain": answer["lines"]})
        return said

    def _ask(self, files: Sequence[str], constraints: Sequence[str]) -> dict[str, Any]:
        """Return what _in_process/requirements.py answers."""
        output = Path(tempfile.mkdtemp(prefix="requirements-", dir=self.work)) / "lines.json"
        asked = {
            "pip": os.fspath(self.pip()),
            "files": files,
            "constraints": [*constraints],
            "options": [*_arguments(self.settings)],
            "offline": self.offline,
            "output": os.fspath(output),
        }
        environ = {"PIP_CONFIG_FILE": os.devnull}  # the options say what pip's configuration does
        try:
            reader = Path(foreign.__file__)
            self.run([self.host.executable, "-I", reader], cwd=self.project, env=environ, stdin=json.dumps(asked))
            answer: dict[str, Any] = json.loads(output.read_text("utf-8"))
        except CommandError as error:
            raise DependencyError(
                "the requirements files cannot be read: pip's parser failed", hint="see above", output=error.output
            ) from error
        if "error" in answer:
            raise DependencyError(
                f"the requirements files cannot be read: {redact(answer['error'])}",
                hint="write them as pip's documentation says, one statement on a line",
            )
        return answer

    def _lines(self, lines: Sequence[Mapping[str, Any]], *, require_hashes: bool) -> Requirements:
        return Requirements(lines=tuple(_line(one, self.target) for one in lines), require_hashes=require_hashes)


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
