"""The store: wheels, and what was derived from them, kept between builds under the hash of their content.

    blobs/ab/abcdef…/NAME    a file whose SHA-256 is abcdef…
    refs/KIND/KEY.json       the blob that was once made from KEY: a wheel built from a source, compiled bytecode

Builds share a store. Entries appear by rename, whole or not at all, and are hashed on the way out: what fails is
dropped and made again. While a build runs, nothing is cleared away: what it was given stays where it is.
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

from platter_setuptools.ground.errors import PlatterError, UsageError
from platter_setuptools.ground.files import obstacle, place, sha256_of_file
from platter_setuptools.ground.streams import standard_error
from platter_setuptools.ground.temporary import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


_SHA256 = re.compile("[0-9a-f]{64}")


def default_location() -> Path:
    """The platform's cache folder for this user. Raises UsageError if there is none that can be written."""
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
    """The SHA-256 of a file that the store has given out, by its place there."""
    return path.parent.name


def key_of(*parts: str) -> str:
    """A name for something that was made from `parts`: a hash that keeps them apart."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


_OPEN = 0o755


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A file of the store; `used` is when it was last read or written, as far as the file system tells (time.time)."""

    path: Path
    size: int  # bytes
    used: float


@dataclass(frozen=True, slots=True)
class Store:
    """A folder of content-addressed files. It need not exist yet."""

    root: Path
    # What was found undamaged in this build, with its time of change: it is not hashed again.
    _known: dict[Path, int] = field(default_factory=dict, compare=False, repr=False)

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """What a build does all of its work in: `clean` and `prune` wait until it is over, and it until they are."""
        with contextlib.suppress(OSError):  # where nothing can be kept, nothing is cleared away
            self._make()
        with self._locked(alone=False):
            yield

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

    def find_derived(self, kind: str, key: str) -> Path | None:
        """What `keep_derived` was told under this key, if the store still has it undamaged."""
        entry = _entry(self._ref(kind, key))
        return self.find(*entry) if entry else None

    def keep_derived(self, kind: str, key: str, source: Path) -> Path:
        """Keep a file that was made from what `key` stands for; gives its place in the store."""
        sha256, _size = sha256_of_file(source)
        path = self.add(source, sha256)
        ref = self._ref(kind, key)
        with self._writing(ref), replacing(ref) as temporary:
            temporary.write_text(json.dumps({"name": source.name, "sha256": sha256}), "utf-8")
        return path

    def note(self, kind: str, key: str, value: object) -> None:
        """Keep a small value (JSON) under a key, if that can be: a hint, which nobody may rely on."""
        ref = self._ref(kind, key)
        # A store that cannot be written to is no reason to fail.
        with contextlib.suppress(PlatterError), self._writing(ref), replacing(ref) as temporary:
            temporary.write_text(json.dumps({"value": value, "check": key_of(json.dumps(value))}), "utf-8")

    def recall(self, kind: str, key: str) -> Any:
        """What was noted under the key; None if nothing was, or if it is damaged."""
        try:
            note = json.loads(self._ref(kind, key).read_text("utf-8"))
            value = note["value"]
            return value if note["check"] == key_of(json.dumps(value)) else None
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            return None

    def derived(self, kind: str) -> Iterator[Path]:
        """Where everything is, or was, that `keep_derived` was told of this kind."""
        for ref in self.root.glob(f"refs/{kind}/*.json"):
            if entry := _entry(ref):
                yield self._blob(*entry)

    def wheels(self) -> Iterator[Path]:
        """All wheels that the store has, the latest first, unverified."""
        found = self.root.glob("blobs/*/*/*.whl")
        return iter(sorted(found, key=lambda path: (path.stat().st_mtime, path.name), reverse=True))

    def clean(self) -> int:
        """Remove everything that is kept here, and nothing else; gives the number of files."""
        with self._clearing("emptied"):
            count = sum(path.is_file() for path in self.root.glob("blobs/*/*/*"))
            for part in ("blobs", "refs"):
                with contextlib.suppress(FileNotFoundError):
                    shutil.rmtree(self.root / part)
        return count

    def usage(self) -> list[Stored]:
        """All files that are kept, the one that was not used for longest first."""
        found = []
        for path in self.root.glob("blobs/*/*/*"):
            with contextlib.suppress(FileNotFoundError):  # a build drops what it finds damaged
                status = path.stat()
                used = max(status.st_atime, status.st_mtime)
                found.append(Stored(path=path, size=status.st_size, used=used))
        return sorted(found, key=lambda one: (one.used, one.path))

    def prune(self, *, older_than: float | None = None, max_size: int | None = None) -> list[Stored]:
        """Remove what was not used for `older_than` seconds, and more until it is `max_size` bytes; gives what went."""
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
        """Make the folder, if it is not there: other users need not know what is built here.

        One of older releases, which everybody may read, is closed. One that a group may write to is shared on purpose.
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
        """Hold the store, alone or with others; without a lock where it does not exist, or its disk knows no locks."""
        import fcntl  # noqa: PLC0415 - Windows has none, and is told so by the doors

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
                    # As every command that a build starts has it: the two would wait for each other.
                    if alone and os.environ.get("PLATTER_BUILD") == "":
                        raise PlatterError(
                            f"a build uses the wheel cache {self.root}, and waits for what it has started",
                            hint="clear the cache when the build is over, not in a build script",
                        ) from None
                    who = "no build uses" if alone else "nobody clears"
                    standard_error().write(f"waiting until {who} the wheel cache {self.root}\n")
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
    """The hash and the name of the blob that a reference leads to; None for one that is a note, or damaged."""
    try:
        entry = json.loads(ref.read_text("utf-8"))
        sha256, name = entry["sha256"], entry["name"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return (sha256, name) if isinstance(sha256, str) and isinstance(name, str) else None
