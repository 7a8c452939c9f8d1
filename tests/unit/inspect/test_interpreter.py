"""The archive of an interpreter in a bundle, read as platter verify does."""

from __future__ import annotations

import hashlib
import io
import tarfile
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.errors import WheelError
from platter_setuptools.inspect.interpreter import read_interpreter

if TYPE_CHECKING:
    from pathlib import Path

NAME = "data/python/3.12.1-0123456789ab.tar.gz"
FILES = {"bin/python3.12": "program", "lib/os.py": "import sys\n"}


def archive(path: Path, files: dict[str, str], *more: tarfile.TarInfo, listed: dict[str, str] | None = None) -> Path:
    """Write an archive with a link, and with SHA256SUMS of all files, or of those that are `listed`."""
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in (listed or files).items()}
    digests["bin/python3"] = digests["bin/python3.12"]
    sums = "".join(f"{digests[name]}  {name}\n" for name in sorted(digests))
    with tarfile.open(path, "w:gz") as tar:
        for name, text in {**files, "SHA256SUMS": sums}.items():
            info = tarfile.TarInfo(f"python/{name}")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
        for one in (link("python/bin/python3", "python3.12"), *more):
            tar.addfile(one)
    return path


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_what_info_json_says(tmp_path: Path) -> None:
    path = archive(tmp_path / "python.tar.gz", FILES)
    found = read_interpreter(path, NAME)
    with tarfile.open(path) as tar:
        files = [one for one in tar if one.isreg()]
        content = tar.extractfile("python/SHA256SUMS")
        assert content
        assert found.record_sha256 == hashlib.sha256(content.read()).hexdigest()
    assert (found.installed_size, found.installed_files) == (sum(one.size for one in files), 4)


@pytest.mark.parametrize(
    ("files", "more", "listed", "said"),
    [
        ({**FILES, "lib/extra.py": ""}, [], FILES, "the SHA256SUMS in it is not that of its files"),
        (FILES, [], {**FILES, "lib/os.py": "import os\n"}, "the SHA256SUMS in it is not that of its files"),
        ({**FILES, "../out": ""}, [], FILES, "python/../out: the name could leave its folder"),
        (FILES, [link("other", "x")], None, "other: lies outside of the bundle's one folder"),
        (FILES, [link("python/lib/os.py", "x")], None, "python/lib/os.py: is in it twice"),
        (FILES, [link("python/hard", "python/lib/os.py", tarfile.LNKTYPE)], None, "is neither a file nor a folder"),
        (FILES, [link("python/bin/python3/x", "y")], None, "lies in what is no folder"),
    ],
)
def test_what_no_build_packs(
    tmp_path: Path, files: dict[str, str], more: list[tarfile.TarInfo], listed: dict[str, str] | None, said: str
) -> None:
    path = archive(tmp_path / "python.tar.gz", files, *more, listed=listed)
    with pytest.raises(WheelError, match=said) as caught:
        read_interpreter(path, NAME)
    assert caught.value.message.startswith(NAME)


def test_cut_off(tmp_path: Path) -> None:
    path = archive(tmp_path / "python.tar.gz", FILES)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(WheelError, match="cannot be read"):
        read_interpreter(path, NAME)
