"""Finished bundles in a folder: their names, and the newest.

A bundle's name is that of a wheel with a platform for its tags (`yourapp-1.0-linux-x86_64.tar.gz`), with
`name-with-python` also a Python (`yourapp-1.0-cp311-linux-x86_64.tar.gz`). Several of them are joined with dots. Sdists
have similar names, and old ones had dashes in them; so candidates are opened, too.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from platter_setuptools.config.options import FORMATS
from platter_setuptools.errors import ArchiveError, UsageError
from platter_setuptools.inspect.archive_reader import Kind, open_bundle, read_files
from platter_setuptools.payload import untrusted
from platter_setuptools.payload.errors import BundleError
from platter_setuptools.payload.table import Table
from platter_setuptools.wheel_cache import key_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from packaging.utils import NormalizedName

    from platter_setuptools.wheel_cache import WheelCache

# A member of every bundle, one of the first, since they are sorted.
_SIGN = "PACKAGE"
_KIND = "bundle"  # of notes in the wheel cache: what a bundle is for
_EARLY = 3
_INFO = "info.json"
THIN = "-thin"  # at the end of a thin bundle's name, before its format; its top folder is called as the full one's
_PYTHON = re.compile(r"cp\d+[a-z]*")  # an ABI tag of CPython (PEP 425)
_PYTHONS = re.compile(r"cp\d+[a-z]*(\.cp\d+[a-z]*)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    path: Path
    name: NormalizedName
    version: Version
    platform: str
    format: str
    python: str | None  # the ABI tags in its name, such as `cp311` or `cp311.cp313`; None for a name without one
    thin: bool

    def is_for(self, platform: str) -> bool:
        """Whether this is one of its platforms. Those of macOS have dots themselves: `macosx-11.0-arm64`."""
        return f".{platform}." in f".{self.platform}."

    def tags(self) -> str:
        """Return its ABI tags, from the name or info.json. Raise ArchiveError if neither has them."""
        return self.python or python_of(self.path)


def newest(
    folder: Path,
    *,
    name: str | None = None,
    platform: str | None = None,
    python: str | None = None,
    pre: bool = False,
    thin: bool = False,
) -> Bundle:
    """Return the bundle with the highest version (PEP 440), of this name, platform and Python if they are given.

    `python` is a version or an ABI tag: `3.11` or `cp311`. A pre-release counts with `pre`, or where there is nothing
    else. With `thin`, thin bundles are considered instead of full ones. Raises UsageError if there is no such bundle,
    or if there are several of that version for different projects, platforms or Pythons.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", hint="platter latest DIR looks for bundles in DIR")
    named = [bundle for bundle in map(by_name, sorted(folder.iterdir())) if bundle and bundle.thin is thin]
    if name is not None:
        named = [bundle for bundle in named if bundle.name == canonicalize_name(name)]
    if platform is not None:
        named = [bundle for bundle in named if bundle.is_for(platform)]
    found = list(filter(is_one, named))
    if python is not None:
        tag = python if _PYTHON.fullmatch(python) else f"cp{python.replace('.', '')}"
        found = [bundle for bundle in found if tag in bundle.tags().split(".")]
    if not found:
        wanted = "".join([f" of {name}" if name else "", *(f" for {one}" for one in (platform, python) if one)])
        kind, command = ("thin bundle", "thin") if thin else ("bundle", "build")
        raise UsageError(f"there is no {kind}{wanted} in {folder}", hint=f"platter {command} makes one")
    if len(names := sorted({bundle.name for bundle in found})) > 1:
        raise UsageError(f"{folder} holds bundles of {', '.join(names)}", hint="use --name")
    final = [bundle for bundle in found if not bundle.version.is_prerelease]
    version = max(bundle.version for bundle in (found if pre else final or found))
    found = [bundle for bundle in found if bundle.version == version]
    if len(platforms := sorted({bundle.platform for bundle in found})) > 1:
        raise UsageError(
            f"{folder} holds bundles of {names[0]} {version} for {', '.join(platforms)}",
            hint="use --platform",
        )
    if len(found) > 1 and any(bundle.python for bundle in found):
        pythons = sorted({bundle.tags() for bundle in found})
        if len(pythons) > 1:
            raise UsageError(
                f"{folder} holds bundles of {names[0]} {version} for {', '.join(pythons)}",
                hint="use --python",
            )
    return min(found, key=lambda bundle: FORMATS.index(bundle.format))


def by_name(path: Path) -> Bundle | None:
    """Return what the name of a file or folder says, None if it is not a bundle's name."""
    format_ = next((one for one in FORMATS if path.name.endswith(f".{one}")), "dir")
    if path.is_dir() != (format_ == "dir"):
        return None
    stem = path.name if format_ == "dir" else path.name.removesuffix(f".{format_}")
    name, _, rest = stem.removesuffix(THIN).partition("-")
    version, _, platform = rest.partition("-")
    first, _, others = platform.partition("-")
    python, platform = (first, others) if _PYTHONS.fullmatch(first) else (None, platform)
    try:
        parsed = Version(version)
    except InvalidVersion:
        return None
    if not name or name.startswith(".") or not platform:
        return None
    return Bundle(
        path=path,
        name=canonicalize_name(name),
        version=parsed,
        platform=platform,
        format=format_,
        python=python,
        thin=stem.endswith(THIN),
    )


def is_one(bundle: Bundle) -> bool:
    """Whether it has the content of a bundle. Raises ArchiveError if it cannot be read."""
    stem = bundle.path.name.removesuffix(f".{bundle.format}")
    if bundle.format != "dir":
        stem = stem.removesuffix(THIN)
    with open_bundle(bundle.path) as entries:
        # Folders come first in an archive, then the bundle's files.
        files = (entry.name for entry in entries if entry.kind is Kind.FILE)
        return f"{stem}/{_SIGN}" in itertools.islice(files, _EARLY)


_ELSEWHERE = "choose another folder with --output (--dist-dir for the command)"
_MUSL = " musl"  # follows the ABI tag


class ReplaceableCheck:
    """Refuse to replace anything but a bundle for the same Pythons (ABI tags) and libc. Each file is read once.

    The wheel cache remembers the bundles that were written: info.json is the last file of an archive.
    """

    def __init__(self, targets: str, cache: WheelCache | None = None) -> None:
        """`targets` as targets_for returns them."""
        self._targets, self._cache = targets, cache
        self._allowed: dict[Path, str] = {}  # with a digest of its stat values

    def __call__(self, path: Path) -> None:
        """Raise ArchiveError unless nothing is at this path, or a bundle that may be replaced."""
        identity = _identity(path)
        if identity is None or self._allowed.get(path) == identity:
            return  # writing there reports the error
        try:
            present = (self._cache and self._cache.recall(_KIND, identity)) or targets_of(path)
        except ArchiveError as error:
            if _identity(path) != identity:  # another build has replaced it meanwhile
                self(path)
                return
            raise ArchiveError(
                f"{path} is in the way, and is not a bundle: {error.message}",
                hint=f"move it away, or {_ELSEWHERE}",
            ) from error
        if present != self._targets:
            other_libc = present.replace(_MUSL, "") == self._targets.replace(_MUSL, "")
            raise ArchiveError(
                f"{path} is a bundle for {present}, which one for {self._targets} would replace",
                hint=f"no name tells glibc and musl apart: {_ELSEWHERE}"
                if other_libc
                else f"{_ELSEWHERE}; or put the Python into the name with --name-with-python, if that is what differs",
            )
        self._allowed[path] = identity

    def remember(self, path: Path) -> None:
        """Record that a bundle for these targets was written there."""
        if self._cache and path.is_file() and (identity := _identity(path)):
            self._cache.note(_KIND, identity, self._targets)


def _identity(path: Path) -> str | None:
    """Return a digest of the path and its stat values; None if there is no file."""
    try:
        found = path.lstat()
    except OSError:
        return None
    times = (found.st_mtime_ns, found.st_ctime_ns)
    return key_of(*map(str, (path.absolute(), found.st_dev, found.st_ino, found.st_size, *times)))


def python_of(path: Path) -> str:
    """Return the ABI tags of the Pythons that a bundle is for, by its info.json. Raise ArchiveError without one."""
    return ".".join(sorted({abi for abi, _ in _targets(path)}))


def targets_for(targets: Iterable[tuple[str, str | None]]) -> str:
    """Return what tells bundles of one name apart, of the ABI tags and libcs of their targets: `cp311, cp313 musl`."""
    return ", ".join(sorted({abi + _MUSL if (libc or "").startswith("musl") else abi for abi, libc in targets}))


def targets_of(path: Path) -> str:
    """Return the same of a bundle, as its info.json says. Raise ArchiveError without one."""
    return targets_for(_targets(path))


def _targets(path: Path) -> list[tuple[str, str | None]]:
    """Return the ABI tag and the libc of each target."""
    text = read_files(path, [_INFO]).get(_INFO)
    if text is None:
        raise ArchiveError(f"{path} has no {_INFO}", hint="name a bundle that platter has built")
    try:
        about = Table(untrusted.parse_json(untrusted.within(text, untrusted.TEXT)), _INFO)
        return [(one.get("abi", str), one.optional("libc", str)) for one in about.tables("targets")]
    except (ValueError, BundleError) as error:
        raise ArchiveError(f"{path}: {_INFO} does not name its Python", hint="run platter verify") from error
