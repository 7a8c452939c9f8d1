"""Requirements files with hashes: pip's hash-checking mode. What they pin is taken, and nothing is resolved.

The format is that of pip's documentation, "Requirements File Format". The resolvers read these files themselves; here
is read what decides whether they have to resolve, and which hashes an index may not change.
"""

from __future__ import annotations

import dataclasses
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from platter_setuptools.ground.errors import DependencyError, WheelError
from platter_setuptools.ground.urls import redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from packaging.pylock import Package

    from platter_setuptools.steps.resolving.lock import Lock

_COMMENT = re.compile(r"(^|\s+)#.*$")
_NESTED = re.compile(r"(?:-r|--requirement)[=\s]*(?P<path>\S.*)")
_CONSTRAINTS = re.compile(r"(?:-c|--constraint)[=\s]*(?P<path>\S.*)")
_HASH = re.compile(r"--hash[=\s]\s*(\w+:[0-9a-fA-F]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pins:
    """The hashes, as `sha256:…`, that each distribution may have; those of a bare URL or path stand under ""."""

    files: tuple[Path, ...]
    hashes: Mapping[str, frozenset[str]]

    def hold(self, lock: Lock) -> Lock:
        """The lock without the files that have another hash. Raises WheelError if a package has none left."""
        packages = [self._held(package) for package in lock.pylock.packages]
        lost = [f"{one.name} {one.version or ''}".strip() for one in packages if not _has_files(one)]
        if lost:
            raise WheelError(
                f"no file of {', '.join(lost)} has a hash that {_names(self.files)} allows",
                hint="the index offers other files than those that were pinned: find out why before you pin them anew",
            )
        return dataclasses.replace(lock, pylock=dataclasses.replace(lock.pylock, packages=packages))

    def _held(self, package: Package) -> Package:
        allowed = self.hashes.get(package.name, frozenset()) | self.hashes.get("", frozenset())

        def fits(hashes: Mapping[str, str]) -> bool:
            return any(f"{kind}:{value}".lower() in allowed for kind, value in hashes.items())

        return dataclasses.replace(
            package,
            vcs=None,
            directory=None,
            archive=package.archive if package.archive and fits(package.archive.hashes) else None,
            sdist=package.sdist if package.sdist and fits(package.sdist.hashes) else None,
            wheels=[wheel for wheel in package.wheels or () if fits(wheel.hashes)] or None,
        )


def read_pins(files: Sequence[Path], *, required: bool = False) -> Pins | None:
    """The hashes in requirements files and in those that they name; None if there are none and none is `required`.

    Raises DependencyError, with the list, if one requirement has hashes and another lacks them or a fixed version.
    """
    lines = [line for file in files for line in _logical_lines(file, ())]
    required = required or any(line == "--require-hashes" or _HASH.search(line) for line in lines)
    if not required:
        return None
    hashes: dict[str, frozenset[str]] = {}
    problems = []
    for line in lines:
        if line.startswith("-") and not line.startswith(("-e", "--editable")):
            continue
        text = re.split(r"\s+--?\w", line, maxsplit=1)[0]
        found = frozenset(one.lower() for one in _HASH.findall(line))
        name, pinned = _judged(text)
        if not found:
            problems.append(f"{redact(text)} has no hash")
        elif not pinned:
            problems.append(f"{redact(text)} is not pinned with ==")
        hashes[name] = hashes.get(name, frozenset()) | found
    if problems:
        raise DependencyError(
            f"{_names(files)}: where one requirement has a hash, all need one, and a fixed version:\n"
            + "\n".join(f"  {problem}" for problem in problems),
            hint="`uv pip compile --generate-hashes` and `pip-compile --generate-hashes` write such a file",
        )
    return Pins(files=tuple(files), hashes=hashes)


def flattened(file: Path) -> str:
    """The file's text with those that it includes in their place; constraints files are left out."""
    return "".join(f"{line}\n" for line in _flat(file, ()))


def _flat(file: Path, above: tuple[Path, ...]) -> Iterator[str]:
    for line in _read(file).splitlines():
        bare = _COMMENT.sub("", line).strip()
        if included := _included(bare, file, above):
            yield from _flat(included, (*above, file))
        elif not (_CONSTRAINTS.match(bare) and "://" not in bare):
            yield line


def _logical_lines(file: Path, above: tuple[Path, ...]) -> Iterator[str]:
    for line in re.sub(r"\\\r?\n", " ", _read(file)).splitlines():
        bare = _COMMENT.sub("", line).strip()
        if included := _included(bare, file, above):
            yield from _logical_lines(included, (*above, file))
        elif bare:
            yield bare


def _included(line: str, file: Path, above: tuple[Path, ...]) -> Path | None:
    """The local file that a line includes, unless it is being read already."""
    found = _NESTED.match(line)
    if not found or "://" in found["path"]:
        return None
    path = Path(os.path.normpath(file.parent / found["path"].strip("\"'")))
    return None if path in {file, *above} else path


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8", errors="replace")
    except OSError as error:
        raise DependencyError(
            f"{file} cannot be read: {error.strerror}", hint="a requirements file names it"
        ) from error


def _judged(text: str) -> tuple[str, bool]:
    """The name of a requirement, and whether it says exactly which version, or file, is meant."""
    try:
        requirement = Requirement(text)
    except InvalidRequirement:  # a URL or a path without a name; -e has no file with a hash
        return "", not text.startswith("-")
    fixed = [one for one in requirement.specifier if one.operator in {"==", "==="} and not one.version.endswith(".*")]
    return canonicalize_name(requirement.name), bool(fixed or requirement.url)


def _has_files(package: Package) -> bool:
    return bool(package.archive or package.sdist or package.wheels)


def _names(files: Iterable[Path]) -> str:
    return ", ".join(file.name for file in files) or "no requirements file"
