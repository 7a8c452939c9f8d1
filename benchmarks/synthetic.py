"""Wheels that are made here: many tiny ones, and a huge one."""

from __future__ import annotations

import base64
import hashlib
import random
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_TIME = (2024, 2, 29, 12, 0, 0)
_PIECE = 1 << 20


def tiny_wheels(folder: Path, count: int) -> list[str]:
    """Write `count` wheels of some modules each; gives the names of the distributions."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"tiny-{number:03}" for number in range(count)]
    for name in names:
        package = name.replace("-", "_")
        functions = "\n\n".join(f"def answer_{n}(question):\n    return (question, {n})" for n in range(20))
        files = {
            f"{package}/__init__.py": f"from {package}.answers import answer_0\n",
            f"{package}/answers.py": functions + "\n",
            f"{package}/data.json": '{"name": "' + name + '"}\n',
        }
        with _Wheel(folder, name) as wheel:
            for path, content in files.items():
                wheel.add(path, content.encode())
    return names


def huge_wheel(folder: Path, name: str, size: int) -> Path:
    """Write a wheel of about `size` bytes: a stored member of three quarters, a deflated one of one.

    Their bytes are random, so that nothing gets smaller on the way. A finished one is left as it is.
    """
    path = folder / f"{name}-1.0-py3-none-any.whl"
    if path.exists() and abs(path.stat().st_size - size) < size // 10:
        return path
    folder.mkdir(parents=True, exist_ok=True)
    pieces = size // _PIECE
    with _Wheel(folder, name) as wheel:
        wheel.add(f"{name}/__init__.py", b"")
        wheel.add_random(f"{name}/stored.bin", pieces * 3 // 4, zipfile.ZIP_STORED)
        wheel.add_random(f"{name}/deflated.bin", pieces // 4, zipfile.ZIP_DEFLATED)
    return path


class _Wheel:
    """A wheel that is being written: what is added is recorded, and the metadata comes last."""

    def __init__(self, folder: Path, name: str) -> None:
        self._stem, self._name = f"{name.replace('-', '_')}-1.0", name
        self._path = folder / f"{self._stem}-py3-none-any.whl"
        self._part = self._path.with_suffix(".part")
        self._archive = zipfile.ZipFile(self._part, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        self._rows: list[str] = []

    def __enter__(self) -> _Wheel:  # noqa: PYI034 - Self came with Python 3.11
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        info = f"{self._stem}.dist-info"
        self.add(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {self._name}\nVersion: 1.0\n".encode())
        self.add(f"{info}/WHEEL", b"Wheel-Version: 1.0\nGenerator: bench\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        record = "".join([*self._rows, f"{info}/RECORD,,\n"])
        self._archive.writestr(_entry(f"{info}/RECORD"), record)
        self._archive.close()
        if kind is None:
            self._part.rename(self._path)

    def add(self, path: str, content: bytes) -> None:
        self._archive.writestr(_entry(path), content)
        self._record(path, hashlib.sha256(content), len(content))

    def add_random(self, path: str, pieces: int, method: int) -> None:
        digest, numbers = hashlib.sha256(), random.Random(path)  # noqa: S311 - not for secrets
        # Longer than deflate looks back: the same piece again is as good as a new one.
        piece = numbers.randbytes(_PIECE)
        with self._archive.open(_entry(path, method), "w", force_zip64=True) as member:
            for _ in range(pieces):
                digest.update(piece)
                member.write(piece)
        self._record(path, digest, pieces * _PIECE)

    def _record(self, path: str, digest: hashlib._Hash, size: int) -> None:
        encoded = base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()
        self._rows.append(f"{path},sha256={encoded},{size}\n")


def _entry(path: str, method: int = zipfile.ZIP_DEFLATED) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(path, _TIME)
    entry.compress_type = method
    entry.external_attr = 0o100644 << 16
    return entry
