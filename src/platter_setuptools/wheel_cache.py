"""The wheel cache: wheels, and what was derived from them, kept between builds under their hashes.

    blobs/ab/abcdef…/NAME    a file whose SHA-256 is abcdef…
    refs/KIND/KEY.json       the blob that was made from KEY: a wheel built from a source, compiled bytecode

Builds share a wheel cache. Entries are renamed into place when complete, and hashed when they are used: a damaged one
is dropped and made again. Nothing is removed while a build runs.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import stat
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from platter_setuptools.errors import PlatterError, UsageError
from platter_setuptools.runtime.files import link_or_copy, obstacle, sha256_of_file
from platter_setuptools.runtime.temporary import replacing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


_SHA256 = re.compile("[0-9a-f]{64}")


def default_location() -> Path:
    """Return this user's cache folder on the platform. Raise UsageError if none is writable."""
    import platformdirs  # noqa: PLC0415 - not needed where a folder is given

    try:
        location = platformdirs.user_cache_path("platter").expanduser()  # as its older releases leave it to us
        reason = obstacle(location)
    except RuntimeError:  # as in a container: a user without a name, and no HOME
        location, reason = None, "this user has no home"
    if location is None or reason:
        raise UsageError(
            f"there is no place for the wheel cache: {reason}",
            hint="set HOME, or XDG_CACHE_HOME, to a folder that can be written: the tools that we start need one, too",
        )
    return location


def sha256_of_blob(path: Path) -> str:
    """Return the SHA-256 of a file in the wheel cache, from its path."""
    return path.parent.name


def key_of(*parts: str) -> str:
    """Return a key for something that was made from `parts`: a hash that distinguishes them."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


_OPEN = 0o755


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A file of the wheel cache; `used` is when it was last read or written (as time.time)."""

    path: Path
    size: int  # bytes
    used: float


@dataclass(frozen=True, slots=True)
class WheelCache:
    """A folder of content-addressed files. It may not exist yet."""

    root: Path
    tell: Callable[[str], object] = field(default=lambda _text: None, compare=False, repr=False)  # why it waits
    # The files that were found undamaged in this build, with their times of change: they are not hashed again.
    _known: dict[Path, int] = field(default_factory=dict, compare=False, repr=False)

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Hold the wheel cache during a build: `clean` and `prune` wait for its end, and it for theirs."""
        with contextlib.suppress(OSError):  # what cannot be written to cannot be cleared either
            self._make()
        with self._locked(alone=False):
            yield

    def find(self, sha256: str, name: str) -> Path | None:
        """Return the file with that hash and name, if the wheel cache has it undamaged. Remove a damaged one."""
        # Both may come from a lock, and must not lead out of the wheel cache.
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
        """Keep a file whose SHA-256 is known and return its path. `source` must not be written to again."""
        path = self._blob(sha256, source.name)
        with self._writing(path):
            if self.find(sha256, source.name):
                return path
            with replacing(path) as temporary:
                link_or_copy(source, temporary)
                temporary.chmod(0o644)
        return path

    def find_derived(self, kind: str, key: str) -> Path | None:
        """Return what `keep_derived` stored under this key, if the wheel cache has it undamaged."""
        entry = _entry(self._ref(kind, key))
        return self.find(*entry) if entry else None

    def keep_derived(self, kind: str, key: str, source: Path) -> Path:
        """Keep a file that was made from what `key` stands for. Return its path in the wheel cache."""
        sha256, _size = sha256_of_file(source)
        path = self.add(source, sha256)
        ref = self._ref(kind, key)
        with self._writing(ref), replacing(ref) as temporary:
            temporary.write_text(json.dumps({"name": source.name, "sha256": sha256}), "utf-8")
        return path

    def note(self, kind: str, key: str, value: object) -> None:
        """Keep a small value (JSON) under a key, if the wheel cache can be written to."""
        ref = self._ref(kind, key)
        with contextlib.suppress(PlatterError), self._writing(ref), replacing(ref) as temporary:
            temporary.write_text(json.dumps({"value": value, "check": key_of(json.dumps(value))}), "utf-8")

    def recall(self, kind: str, key: str) -> Any:
        """Return what was noted under the key; None if nothing was, or it is damaged."""
        try:
            note = json.loads(self._ref(kind, key).read_text("utf-8"))
            value = note["value"]
            return value if note["check"] == key_of(json.dumps(value)) else None
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            return None

    def clean(self) -> int:
        """Remove everything in the wheel cache, and nothing else. Return the number of files."""
        with self._clearing("emptied"):
            count = sum(path.is_file() for path in self.root.glob("blobs/*/*/*"))
            for part in ("blobs", "refs"):
                with contextlib.suppress(FileNotFoundError):
                    shutil.rmtree(self.root / part)
        return count

    def usage(self) -> list[Stored]:
        """Return all files, the least recently used first."""
        found = []
        for path in self.root.glob("blobs/*/*/*"):
            with contextlib.suppress(FileNotFoundError):  # a build drops what it finds damaged
                status = path.stat()
                used = max(status.st_atime, status.st_mtime)
                found.append(Stored(path=path, size=status.st_size, used=used))
        return sorted(found, key=lambda one: (one.used, one.path))

    def prune(self, *, older_than: float | None = None, max_size: int | None = None) -> list[Stored]:
        """Remove what was unused for `older_than` seconds, then down to `max_size` bytes. Return what was removed."""
        removed = []
        with self._clearing("made smaller"):
            files = self.usage()
            left, now = sum(one.size for one in files), time.time()
            for one in files:
                old = older_than is not None and now - one.used > older_than
                if not old and (max_size is None or left <= max_size):
                    break
                left -= one.size
                removed.append(one)
                one.path.unlink(missing_ok=True)
                with contextlib.suppress(OSError):  # not empty, for once
                    one.path.parent.rmdir()
            for ref in self.root.glob("refs/*/*.json"):
                entry = _entry(ref)
                if entry and not self._blob(*entry).exists():
                    ref.unlink(missing_ok=True)
        return removed

    def _blob(self, sha256: str, name: str) -> Path:
        return self.root / "blobs" / sha256[:2] / sha256 / name

    def _ref(self, kind: str, key: str) -> Path:
        return self.root / "refs" / kind / f"{key}.json"

    def _make(self) -> None:
        """Make the folder, if it is not there, closed to other users: they need not know what is built here.

        Close one that everybody may read, as older versions made it. One that a group may write to stays shared.
        """
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        facts = self.root.stat()
        if facts.st_uid == os.geteuid() and stat.S_IMODE(facts.st_mode) == _OPEN and (self.root / "blobs").is_dir():
            self.root.chmod(0o700)

    @contextlib.contextmanager
    def _clearing(self, done: str) -> Iterator[None]:
        try:
            with self._locked(alone=True):
                yield
        except OSError as error:
            raise PlatterError(
                f"the wheel cache {self.root} cannot be {done}: {error.strerror or error}", hint="is it yours?"
            ) from error

    @contextlib.contextmanager
    def _locked(self, *, alone: bool) -> Iterator[None]:
        """Lock the wheel cache, exclusively or shared, unless it does not exist or its filesystem has no locks."""
        import fcntl  # noqa: PLC0415 - Windows has none, and is told so by the front ends

        try:
            descriptor = os.open(self.root, os.O_RDONLY)
        except OSError:
            yield
            return
        try:
            kind = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
            with contextlib.suppress(OSError):
                try:
                    fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
                except BlockingIOError:
                    # A build sets this for every command that it starts: the two would wait for each other.
                    if alone and os.environ.get("PLATTER_BUILD") == "":
                        raise PlatterError(
                            f"a build uses the wheel cache {self.root}, and waits for this command",
                            hint="clear the cache when the build is over, not in a build script",
                        ) from None
                    who = "no build uses" if alone else "no other command clears"
                    self.tell(f"waiting until {who} the wheel cache {self.root}")
                    fcntl.flock(descriptor, kind)
            yield
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def _writing(self, path: Path) -> Iterator[None]:
        try:
            self._make()
            path.parent.mkdir(parents=True, exist_ok=True)
            yield
        except OSError as error:
            raise PlatterError(
                f"the wheel cache {self.root} cannot be written to: {error.strerror or error}",
                hint="choose another folder with wheel-cache, or do without one: no-wheel-cache",
            ) from error


def _entry(ref: Path) -> tuple[str, str] | None:
    """Return the hash and the name of the blob of a reference; None for a note, or a damaged one."""
    try:
        entry = json.loads(ref.read_text("utf-8"))
        sha256, name = entry["sha256"], entry["name"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return (sha256, name) if isinstance(sha256, str) and isinstance(name, str) else None
