"""The store: wheels, and what was derived from them, kept between builds under the hash of their content.

    blobs/ab/abcdef…/NAME    a file whose SHA-256 is abcdef…
    refs/KIND/KEY.json       the blob that was once made from KEY: a wheel built from a source, compiled bytecode

Builds share a store. Entries appear by rename, whole or not at all, and are hashed on the way out: what fails is
dropped and made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from platter_setuptools.ground.errors import PlatterError
from platter_setuptools.ground.files import place, sha256_of_file
from platter_setuptools.ground.temporary import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


_SHA256 = re.compile("[0-9a-f]{64}")


def default_location() -> Path:
    """The platform's cache folder for this user."""
    import platformdirs  # noqa: PLC0415 - not needed where a folder is given

    return platformdirs.user_cache_path("platter")


def sha256_of_blob(path: Path) -> str:
    """The SHA-256 of a file that the store has given out, by its place there."""
    return path.parent.name


def key_of(*parts: str) -> str:
    """A name for something that was made from `parts`: a hash that keeps them apart."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Store:
    """A folder of content-addressed files. It need not exist yet."""

    root: Path
    # What was found undamaged in this build, with its time of change: it is not hashed again.
    _known: dict[Path, int] = field(default_factory=dict, compare=False, repr=False)

    def find(self, sha256: str, name: str) -> Path | None:
        """The file of that name and hash, if the store has it undamaged."""
        # Both may come from a lock: what is damaged is removed, so nothing outside may be meant.
        if not _SHA256.fullmatch(sha256) or "/" in name:
            return None
        path = self._blob(sha256, name)
        try:
            changed = path.stat().st_mtime_ns
            if self._known.get(path) == changed or sha256_of_file(path)[0] == sha256:
                self._known[path] = changed
                return path
        except OSError:
            return None
        with contextlib.suppress(OSError):
            path.unlink()
        return None

    def add(self, source: Path, sha256: str) -> Path:
        """Keep a file whose SHA-256 is known; gives its place in the store. `source` must not be written to again."""
        path = self._blob(sha256, source.name)
        with self._writing(path):
            if self.find(sha256, source.name):
                return path
            with replacing(path) as temporary:
                place(source, temporary)
                temporary.chmod(0o644)
        return path

    def find_derived(self, kind: str, key: str, *, max_age: float | None = None) -> Path | None:
        """What `keep_derived` was told under this key, if the store still has it undamaged.

        What is older than `max_age`, in seconds, does not count.
        """
        try:
            ref = self._ref(kind, key)
            if max_age is not None and time.time() - ref.stat().st_mtime > max_age:
                return None
            entry = json.loads(ref.read_text("utf-8"))
            return self.find(entry["sha256"], entry["name"])
        except (OSError, ValueError, LookupError, TypeError):
            return None

    def keep_derived(self, kind: str, key: str, source: Path) -> Path:
        """Keep a file that was made from what `key` stands for; gives its place in the store."""
        sha256, _size = sha256_of_file(source)
        path = self.add(source, sha256)
        ref = self._ref(kind, key)
        with self._writing(ref), replacing(ref) as temporary:
            temporary.write_text(json.dumps({"name": source.name, "sha256": sha256}), "utf-8")
        return path

    def note(self, kind: str, key: str, value: object) -> None:
        """Keep a small value (JSON) under a key: a hint, which nobody may rely on."""
        ref = self._ref(kind, key)
        with self._writing(ref), replacing(ref) as temporary:
            temporary.write_text(json.dumps(value), "utf-8")

    def recall(self, kind: str, key: str) -> Any:
        """What was noted under the key; None if nothing, or nothing legible, was."""
        try:
            return json.loads(self._ref(kind, key).read_text("utf-8"))
        except (OSError, ValueError):
            return None

    def derived(self, kind: str) -> Iterator[Path]:
        """Where everything is, or was, that `keep_derived` was told of this kind."""
        for ref in self.root.glob(f"refs/{kind}/*.json"):
            with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
                entry = json.loads(ref.read_text("utf-8"))
                yield self._blob(entry["sha256"], entry["name"])

    def wheels(self) -> Iterator[Path]:
        """All wheels that the store has, the latest first, unverified."""
        found = self.root.glob("blobs/*/*/*.whl")
        return iter(sorted(found, key=lambda path: (path.stat().st_mtime, path.name), reverse=True))

    def clean(self) -> int:
        """Remove everything that is kept here, and nothing else; gives the number of files."""
        count = sum(path.is_file() for path in self.root.glob("blobs/*/*/*"))
        try:
            for part in ("blobs", "refs"):
                with contextlib.suppress(FileNotFoundError):
                    shutil.rmtree(self.root / part)
        except OSError as error:
            raise PlatterError(
                f"the wheel cache {self.root} cannot be emptied: {error.strerror or error}",
                hint="is it yours, and is no build using it just now?",
            ) from error
        return count

    def _blob(self, sha256: str, name: str) -> Path:
        return self.root / "blobs" / sha256[:2] / sha256 / name

    def _ref(self, kind: str, key: str) -> Path:
        return self.root / "refs" / kind / f"{key}.json"

    @contextlib.contextmanager
    def _writing(self, path: Path) -> Iterator[None]:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            yield
        except OSError as error:
            raise PlatterError(
                f"the wheel cache {self.root} cannot be written to: {error.strerror or error}",
                hint="choose another folder with wheel-cache, or do without one: no-wheel-cache",
            ) from error
