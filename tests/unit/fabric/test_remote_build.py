"""A bundle that is fetched from a build host: what it may replace."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, cast

import pytest

from platter_setuptools.bundle.members import from_text
from platter_setuptools.errors import ArchiveError
from platter_setuptools.fabric.remote_build import _fetch
from platter_setuptools.runtime.files import sha256_of_file
from support.archives import write_archive

if TYPE_CHECKING:
    from pathlib import Path

    from platter_setuptools.fabric.host import Host


class Here:
    """A host whose files are this machine's."""

    def get(self, path: str, part: Path) -> None:
        shutil.copy(path, part)


def fetch(folder: Path, targets: list[dict[str, str]]) -> Path:
    info = from_text("info.json", json.dumps({"targets": targets}))
    made = write_archive([info], "app-1.0-linux-x86_64", "tar.gz", folder / "built", 10**9)[0]
    return _fetch(cast("Host", Here()), f"{made}", sha256_of_file(made)[0], folder / "dist")


def test_one_for_the_same_targets_is_replaced(tmp_path: Path) -> None:
    musl, several = [{"abi": "cp311", "libc": "musl 1.2"}], [{"abi": "cp311"}, {"abi": "cp313"}]
    for targets in (musl, several):
        folder = tmp_path / f"{len(targets)}"
        assert fetch(folder, targets) == fetch(folder, targets)
    with pytest.raises(ArchiveError, match="is a bundle for cp311 musl, which one for cp311, cp313 would replace"):
        fetch(tmp_path / "1", several)
