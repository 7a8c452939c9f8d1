"""Finished bundles in a folder: which there are by their names, and which is the newest.

A bundle's name is that of a wheel with a platform for its tags (`yourapp-1.0-linux-x86_64.tar.gz`). Sdists end alike,
and old ones had dashes in their names; so what is taken for a bundle is also opened.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from platter_setuptools.ground.errors import UsageError
from platter_setuptools.ground.options import FORMATS
from platter_setuptools.steps.bundle.entries import Kind, open_bundle

if TYPE_CHECKING:
    from pathlib import Path

    from packaging.utils import NormalizedName

# A member of every bundle, and among the first: they are sorted.
_SIGN = "PACKAGE"
_EARLY = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    path: Path
    name: NormalizedName
    version: Version
    platform: str
    format: str


def newest(folder: Path, *, name: str | None = None, platform: str | None = None) -> Bundle:
    """The bundle with the highest version (PEP 440), of this name and platform if they are given.

    Raises UsageError if there is none, or if bundles of several projects or platforms have a claim.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", hint="platter latest DIR looks for bundles in DIR")
    named = [bundle for bundle in map(by_name, sorted(folder.iterdir())) if bundle]
    if name is not None:
        named = [bundle for bundle in named if bundle.name == canonicalize_name(name)]
    if platform is not None:
        named = [bundle for bundle in named if bundle.platform == platform]
    found = list(filter(is_one, named))
    if not found:
        wanted = "".join([f" of {name}" if name else "", f" for {platform}" if platform else ""])
        raise UsageError(f"there is no bundle{wanted} in {folder}", hint="platter build makes one")
    if len(names := sorted({bundle.name for bundle in found})) > 1:
        raise UsageError(f"{folder} holds bundles of {', '.join(names)}", hint="choose with --name")
    version = max(bundle.version for bundle in found)
    found = [bundle for bundle in found if bundle.version == version]
    if len(platforms := sorted({bundle.platform for bundle in found})) > 1:
        raise UsageError(
            f"{folder} holds bundles of {names[0]} {version} for {', '.join(platforms)}", hint="choose with --platform"
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
    try:
        parsed = Version(version)
    except InvalidVersion:
        return None
    if not name or name.startswith(".") or not platform:
        return None
    return Bundle(path=path, name=canonicalize_name(name), version=parsed, platform=platform, format=format_)


def is_one(bundle: Bundle) -> bool:
    """Whether it holds what a bundle holds. ArchiveError if it cannot be read."""
    stem = bundle.path.name.removesuffix(f".{bundle.format}")
    with open_bundle(bundle.path) as entries:
        # Folders come first in an archive: the bundle's files begin where they end.
        files = (entry.name for entry in entries if entry.kind is Kind.FILE)
        return f"{stem}/{_SIGN}" in itertools.islice(files, _EARLY)
