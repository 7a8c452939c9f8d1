"""Read requirements and constraints files: pip's own parser does it, and nothing else."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
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
