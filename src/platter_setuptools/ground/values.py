"""The frozen values that flow through a build, from step to step."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from packaging.utils import NormalizedName
    from packaging.version import Version


class Origin(enum.Enum):
    """Where a wheel came from in this build."""

    PROJECT = "project"
    STORE = "store"
    FETCHED = "fetched"
    BUILT = "built"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """A wheel file that is at hand. Its name, version and hash are known; its path may lie in the store."""

    path: Path
    name: NormalizedName
    version: Version
    sha256: str  # hexadecimal
    size: int  # bytes
    origin: Origin

    @property
    def filename(self) -> str:
        return self.path.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Bytecode:
    """A zip file with a wheel's modules, compiled."""

    path: Path
    sha256: str  # hexadecimal
    size: int  # bytes, unpacked


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A finished bundle and what is told about it."""

    path: Path
    size: int  # bytes; of a folder, those of its files
    sha256: str | None  # None for a folder
    wheels: Mapping[Origin, int]
    seconds: float
