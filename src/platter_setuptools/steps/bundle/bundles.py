"""Finished bundles in a folder: which there are by their names, and which is the newest.

A bundle's name is that of a wheel with a platform for its tags (`yourapp-1.0-linux-x86_64.tar.gz`), before which the
Python may stand (`yourapp-1.0-cp311-linux-x86_64.tar.gz`). Sdists end alike, and old ones had dashes in their names; so
what is taken for a bundle is also opened.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from platter_setuptools.ground.errors import ArchiveError, UsageError
from platter_setuptools.ground.options import FORMATS
from platter_setuptools.payload import untrusted
from platter_setuptools.steps.bundle.entries import Kind, open_bundle
from platter_setuptools.steps.store import key_of

if TYPE_CHECKING:
    from pathlib import Path

    from packaging.utils import NormalizedName

    from platter_setuptools.steps.store import Store

# A member of every bundle, and among the first: they are sorted.
_SIGN = "PACKAGE"
_KIND = "bundle"  # of notes in the store: the Python that a bundle is for
_EARLY = 3
_INFO = "info.json"
_PYTHON = re.compile(r"cp\d+[a-z]*")  # an ABI tag of CPython (PEP 425)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    path: Path
    name: NormalizedName
    version: Version
    platform: str
    format: str
    python: str | None  # the ABI tag in its name, such as `cp311`; None for a name without one


def newest(
    folder: Path, *, name: str | None = None, platform: str | None = None, python: str | None = None, pre: bool = False
) -> Bundle:
    """Return the bundle with the highest version (PEP 440), of this name, platform and Python if they are given.

    `python` is a version or an ABI tag: `3.11` or `cp311`. A pre-release counts with `pre`, or where there is nothing
    else. Raises UsageError if there is no such bundle, or if there
    are several of that version for different projects, platforms or Pythons.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", hint="platter latest DIR looks for bundles in DIR")
    named = [bundle for bundle in map(by_name, sorted(folder.iterdir())) if bundle]
    if name is not None:
        named = [bundle for bundle in named if bundle.name == canonicalize_name(name)]
    if platform is not None:
        named = [bundle for bundle in named if bundle.platform == platform]
    found = list(filter(is_one, named))
    if python is not None:
        tag = python if _PYTHON.fullmatch(python) else f"cp{python.replace('.', '')}"
        found = [bundle for bundle in found if (bundle.python or python_of(bundle.path)) == tag]
    if not found:
        wanted = "".join([f" of {name}" if name else "", *(f" for {one}" for one in (platform, python) if one)])
        raise UsageError(f"there is no bundle{wanted} in {folder}", hint="platter build makes one")
    if len(names := sorted({bundle.name for bundle in found})) > 1:
        raise UsageError(f"{folder} holds bundles of {', '.join(names)}", hint="choose with --name")
    final = [bundle for bundle in found if not bundle.version.is_prerelease]
    version = max(bundle.version for bundle in (found if pre else final or found))
    found = [bundle for bundle in found if bundle.version == version]
    if len(platforms := sorted({bundle.platform for bundle in found})) > 1:
        raise UsageError(
            f"{folder} holds bundles of {names[0]} {version} for {', '.join(platforms)}", hint="choose with --platform"
        )
    if len(found) > 1 and any(bundle.python for bundle in found):
        pythons = sorted({bundle.python or python_of(bundle.path) for bundle in found})
        if len(pythons) > 1:
            raise UsageError(
                f"{folder} holds bundles of {names[0]} {version} for {', '.join(pythons)}", hint="choose with --python"
            )
    return min(found, key=lambda bundle: FORMATS.index(bundle.format))


def by_name(path: Path) -> Bundle | None:
    """What a file or folder says by its name, if that is a bundle's."""
    format_ = next((one for one in FORMATS if path.name.endswith(f".{one}")), "dir")
    if path.is_dir() != (format_ == "dir"):
        return None
    stem = path.name if format_ == "dir" else path.name.removesuffix(f".{format_}")
    name, _, rest = stem.partition("-")
    version, _, platform = rest.partition("-")
    first, _, others = platform.partition("-")
    python, platform = (first, others) if _PYTHON.fullmatch(first) else (None, platform)
    try:
        parsed = Version(version)
    except InvalidVersion:
        return None
    if not name or name.startswith(".") or not platform:
        return None
    return Bundle(
        path=path, name=canonicalize_name(name), version=parsed, platform=platform, format=format_, python=python
    )


def is_one(bundle: Bundle) -> bool:
    """Whether it holds what a bundle holds. ArchiveError if it cannot be read."""
    stem = bundle.path.name.removesuffix(f".{bundle.format}")
    with open_bundle(bundle.path) as entries:
        # Folders come first in an archive: the bundle's files begin where they end.
        files = (entry.name for entry in entries if entry.kind is Kind.FILE)
        return f"{stem}/{_SIGN}" in itertools.islice(files, _EARLY)


class ReplaceableCheck:
    """Refuse to replace anything but a bundle for the same Python, which an ABI tag names. Looks at each file once.

    A `store` remembers the bundles that were written: info.json is the last file of an archive.
    """

    def __init__(self, python: str, store: Store | None = None) -> None:
        self._python, self._store = python, store
        self._allowed: dict[Path, str] = {}  # with a digest of what stat says of it

    def __call__(self, path: Path) -> None:
        """Raise ArchiveError unless nothing is at this path, or a bundle that may be replaced."""
        identity = _identity(path)
        if identity is None or self._allowed.get(path) == identity:
            return  # where nothing can be found, whoever writes there is told why that fails
        try:
            present = (self._store and self._store.recall(_KIND, identity)) or python_of(path)
        except ArchiveError as error:
            if _identity(path) != identity:  # another build has replaced it meanwhile
                self(path)
                return
            raise ArchiveError(
                f"{path} is in the way, and is not a bundle: {error.message}",
                hint="move it away, or choose another folder with --output (--dist-dir for the command)",
            ) from error
        if present != self._python:
            raise ArchiveError(
                f"{path} is a bundle for {present}, which one for {self._python} would replace",
                hint="choose another folder with --output (--dist-dir for the command), or put the Python into the"
                " name with --name-with-python",
            )
        self._allowed[path] = identity

    def remember(self, path: Path) -> None:
        """Note that a bundle for this Python was written there."""
        if self._store and path.is_file() and (identity := _identity(path)):
            self._store.note(_KIND, identity, self._python)


def _identity(path: Path) -> str | None:
    """Return a digest of the path and of what changes with the file there; None if there is none."""
    try:
        found = path.lstat()
    except OSError:
        return None
    times = (found.st_mtime_ns, found.st_ctime_ns)
    return key_of(*map(str, (path.absolute(), found.st_dev, found.st_ino, found.st_size, *times)))


def python_of(path: Path) -> str:
    """Return the ABI tag of the Python that a bundle is for, as its info.json says. Raises ArchiveError without one."""
    with open_bundle(path) as entries:
        for entry in entries:
            if entry.name.partition("/")[2] == _INFO and entry.kind is Kind.FILE:
                with entry.open() as source:
                    text = source.read(untrusted.TEXT + 1)
                try:
                    about = untrusted.parse_json(untrusted.within(text, untrusted.TEXT))
                    return ".".join(sorted({target["abi"] for target in about["targets"]}))
                except (ValueError, LookupError, TypeError) as error:
                    raise ArchiveError(
                        f"{path}: {_INFO} does not name its Python", hint="platter verify tells what is wrong with it"
                    ) from error
    raise ArchiveError(f"{path} has no {_INFO}", hint="name a bundle that platter has built")
