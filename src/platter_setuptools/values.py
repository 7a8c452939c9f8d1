"""The frozen values that the steps of a build pass on."""

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
    """The origin of a wheel in this build."""

    PROJECT = "project"
    STORE = "store"
    FETCHED = "fetched"
    BUILT = "built"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """A local wheel file; its path may be in the wheel cache."""

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
    size: int  # bytes, unpacked, without the RECORD
    record_sha256: str = ""  # of the RECORD in it


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A finished bundle, and what a build reports about it."""

    path: Path
    size: int  # bytes; of a folder, the sum of its files
    sha256: str | None  # None for a folder
    wheels: Mapping[Origin, int]
    seconds: float
