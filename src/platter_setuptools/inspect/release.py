"""An installed release: what its marker says, and which distributions are in it. None of its code is run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from packaging.metadata import parse_email
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from platter_setuptools.errors import BundleError
from platter_setuptools.payload import untrusted
from platter_setuptools.payload.install import install_state

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from packaging.metadata import RawMetadata

    from platter_setuptools.payload.install.install_state import Marker

_SYSTEM = "include-system-site-packages"
_TEXTS = ("METADATA", "PKG-INFO")  # in a .dist-info and an .egg-info; the latter may be the file itself


def is_release(path: Path) -> bool:
    return path.is_dir() and (path / install_state.FILE).exists()


def read_release(folder: Path) -> Marker:
    """Return the marker. Raises BundleError for a release that was not completed."""
    marker = install_state.read(str(folder))
    if marker is None or not marker.complete:
        raise BundleError(f"{folder} is not a complete release", hint="run its install.sh again, which repairs it")
    return marker


def metadata_folders(folder: Path, *kinds: str) -> Iterator[Path]:
    """Yield the metadata of each distribution, of these kinds: `dist-info`, `egg-info`."""
    seen = set()
    for kind in kinds:
        for info in sorted(folder.glob(f"lib*/python*/site-packages/*.{kind}")):
            if info.resolve() not in seen:  # lib64 may be a link to lib
                seen.add(info.resolve())
                yield info


def distributions(folder: Path) -> Iterator[RawMetadata]:
    """Yield the metadata of each distribution that importlib.metadata finds in a release.

    Raises BundleError for one that has no name or no version.
    """
    for info in metadata_folders(folder, "dist-info", "egg-info"):
        try:
            metadata, _ = parse_email(_text(info))
            _ = Version(metadata["version"]), canonicalize_name(metadata["name"], validate=True)
        except (OSError, ValueError, LookupError, InvalidVersion) as error:
            raise BundleError(
                f"{info} has no metadata that can be read: {error}", hint="ROOT/platter doctor reports more"
            ) from error
        yield metadata


def _text(info: Path) -> bytes:
    files = [info / name for name in _TEXTS] if info.is_dir() else [info]
    found = next((file for file in files if file.exists()), files[0])
    return untrusted.read_file(str(found), untrusted.METADATA, os.O_NOFOLLOW)


def uses_system_packages(folder: Path) -> bool:
    """Return whether the release's Python finds the packages of the server's Python, too."""
    try:
        lines = untrusted.read_file(str(folder / "pyvenv.cfg"), untrusted.METADATA).decode("utf-8", "replace")
    except (OSError, ValueError):
        return False
    settings = (line.partition("=") for line in lines.splitlines())
    return any((key.strip().lower(), value.strip().lower()) == (_SYSTEM, "true") for key, _, value in settings)
