"""Getting files by URL, several at once, each checked against its hash before it bears its name."""

from __future__ import annotations

import contextlib
import hashlib
import queue
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from platter_setuptools.ground.errors import DependencyError, WheelError
from platter_setuptools.ground.interrupts import signals_held_back
from platter_setuptools.ground.urls import without_query

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from platter_setuptools.steps.resolving.credentials import Login
    from platter_setuptools.steps.resolving.indexes import IndexSettings
    from platter_setuptools.steps.wheelhouse.transfer import Transfers

    # Called with the files that are done, the files in all, and the bytes that have come in.
    OnProgress = Callable[[int, int, int], None]
    # Called with a URL that wants a login which no URL of the settings names.
    Ask = Callable[[str], Login | None]

_ALGORITHMS = (
    *("sha256", "sha512", "sha384", "sha3_256", "sha3_512", "sha3_384", "blake2b", "blake2s"),
    *("sha224", "sha3_224"),
)
_WEAK = ("sha1", "md5")  # compared, but not trusted
_CHUNK = 1 << 18
_TICK = 0.1  # seconds between two reports
_PATIENCE = 1.0  # seconds that a failed or interrupted fetch waits for its threads


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Download:
    """A file to get, as a lock names it: where it is, what it is to be called, and what it must be.

    A key for the path that it ends up at; two of them are never equal.
    """

    url: str  # http, https or file
    filename: str
    hashes: Mapping[str, str]  # algorithm -> hexadecimal; all of them are compared
    size: int | None = None  # bytes
    trusted: bool = True  # one hash at least has to be secure; else what the index offers is taken, as it gives none


def fetch_all(
    downloads: Sequence[Download],
    folder: Path,
    *,
    settings: IndexSettings,
    progress: OnProgress = lambda _done, _total, _size: None,
    arrived: Callable[[Download, Path], None] = lambda _download, _path: None,
    ask: Ask = lambda _url: None,
    connections: int = 8,
) -> dict[Download, Path]:
    """Get the files into the folder and give their paths.

    A path is `folder/filename`, or lies in a subfolder where two different files bear one name; what is named
    twice is fetched once. `progress` is called often, and `arrived` with every file as soon as it is whole, both in the
    calling thread; the files are begun in the order of `downloads`. `ask` knows logins that no URL of the settings
    names. The first error ends the rest. Files appear under their names only when they are whole and right, and nothing
    else stays in the folder.

    Raises DependencyError for a file that cannot be had or written, WheelError for one that is not what the lock
    says, or whose name or hashes cannot be trusted.
    """
    paths = _places(downloads, folder)
    batch = _Batch({path: download for download, path in paths.items()}, settings, ask)

    def tell(path: Path) -> None:
        for download in downloads:
            if paths[download] == path:
                arrived(download, path)

    batch.run(progress, tell, connections)
    return paths


def _places(downloads: Sequence[Download], folder: Path) -> dict[Download, Path]:
    taken: dict[str, str] = {}  # names as a case-blind disk sees them -> digest
    paths = {}
    for download in downloads:
        name = download.filename
        if not name or name.startswith(".") or any(char in "/\\" or not char.isprintable() for char in name):
            raise WheelError(
                f"{name!r} ({without_query(download.url)}) is not a safe name for a file",
                hint="do not trust the lock or the index that names it",
            )
        if urlsplit(download.url).scheme.lower() not in {"http", "https", "file"}:
            raise DependencyError(
                f"{name} from {without_query(download.url)} cannot be fetched: only http, https and file URLs can",
                hint="name the distribution by such a URL, or by its version on an index",
            )
        digest = next(iter(_expected(download).values()), hashlib.sha256(download.url.encode()).hexdigest())
        same = taken.setdefault(name.casefold(), digest) == digest
        paths[download] = folder / name if same else folder / digest[:16] / name
    return paths


def is_secure(hashes: Mapping[str, str]) -> bool:
    """Whether one of the algorithms is secure."""
    return any(algorithm in hashes for algorithm in _ALGORITHMS)


def check_file(path: Path, download: Download) -> None:
    """Raise WheelError if a file at hand has not the size and all hashes of what it is taken for."""
    expected = _expected(download)
    digests = [hashlib.new(algorithm, usedforsecurity=False) for algorithm in expected if algorithm != "sha256"]
    if digests:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                for digest in digests:
                    digest.update(chunk)
    _check(download, path.stat().st_size, digests, expected)


def _expected(download: Download) -> dict[str, str]:
    """The hashes that a file has to have, the best first."""
    if download.trusted and not is_secure(download.hashes):
        raise WheelError(
            f"{download.filename} ({without_query(download.url)}) has no hash that could be trusted",
            hint=f"the lock must have one of: {', '.join(_ALGORITHMS)}",
        )
    known = (*_ALGORITHMS, *_WEAK)
    return {algorithm: download.hashes[algorithm].lower() for algorithm in known if algorithm in download.hashes}


class _Batch:
    """The files of one fetch_all, and the threads that get them.

    The threads are daemons that nobody has to wait for: one may be stuck in a socket while the user has pressed
    Ctrl-C. What they do to the folder they do under a lock, and not at all once the batch is stopped.
    """

    def __init__(self, jobs: Mapping[Path, Download], settings: IndexSettings, ask: Ask) -> None:
        self._jobs = jobs
        self._ask = ask
        self._settings = settings
        self._waiting: queue.SimpleQueue[tuple[Path, Download]] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[BaseException | Path] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._parts: set[Path] = set()
        self._received = 0  # bytes
        self._transfers: Transfers | None = None

    def run(self, progress: OnProgress, arrived: Callable[[Path], None], connections: int) -> None:
        for job in self._jobs.items():
            self._waiting.put(job)
        if not all(_is_file(download) for download in self._jobs.values()):
            from platter_setuptools.steps.wheelhouse.transfer import Transfers  # noqa: PLC0415 - loads requests

            self._transfers = Transfers(self._settings, connections=connections, ask=self._ask)
        threads = [
            threading.Thread(target=self._work, name=f"fetch-{number}", daemon=True)
            for number in range(min(connections, len(self._jobs)))
        ]
        try:
            with signals_held_back():
                for thread in threads:
                    thread.start()
            self._wait(progress, arrived)
        finally:
            self._stop(threads)

    def _wait(self, progress: OnProgress, arrived: Callable[[Path], None]) -> None:
        done, total = 0, len(self._jobs)
        while done < total:
            try:
                result = self._results.get(timeout=_TICK)
            except queue.Empty:
                pass
            else:
                if isinstance(result, BaseException):
                    raise result
                done += 1
                arrived(result)
            progress(done, total, self._received)

    def _stop(self, threads: Sequence[threading.Thread]) -> None:
        with self._lock:
            self._stopped.set()
            for part in self._parts:
                _discard(part)
        deadline = time.monotonic() + _PATIENCE
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if self._transfers:
            self._transfers.close()

    def _work(self) -> None:
        while not self._stopped.is_set():
            try:
                path, download = self._waiting.get_nowait()
            except queue.Empty:
                return
            try:
                self._get(path, download)
            except BaseException as error:  # noqa: BLE001 - raised again in the calling thread
                self._results.put(error)
                return
            self._results.put(path)

    def _get(self, path: Path, download: Download) -> None:
        part = path.with_name(path.name + ".part")
        try:
            with self._lock:
                if self._stopped.is_set():
                    return
                path.parent.mkdir(parents=True, exist_ok=True)
                self._parts.add(part)
                file = part.open("wb")
            with file:
                whole = self._write(file, download)
            with self._lock:
                if whole and not self._stopped.is_set():
                    part.replace(path)
        except OSError as error:
            raise DependencyError(
                f"{download.filename} cannot be written to {path.parent}: {error.strerror}",
                hint="make room there, or set TMPDIR to a folder that has it",
            ) from error
        finally:
            _discard(part)

    def _write(self, file: IO[bytes], download: Download) -> bool:
        """Write and check what comes in; False if the batch was stopped before the end."""
        expected = _expected(download)
        digests = [hashlib.new(algorithm, usedforsecurity=False) for algorithm in expected]
        size = 0
        for chunk in self._chunks(download):
            if self._stopped.is_set():
                return False
            size += len(chunk)
            if download.size is not None and size > download.size:
                break
            for digest in digests:
                digest.update(chunk)
            file.write(chunk)
            with self._lock:
                self._received += len(chunk)
        if self._stopped.is_set():
            return False
        _check(download, size, digests, expected)
        return True

    def _chunks(self, download: Download) -> Iterator[bytes]:
        if self._transfers is None or _is_file(download):
            return _file_chunks(download)
        label = f"{download.filename} from {without_query(download.url)}"
        return self._transfers.chunks(download.url, label=label, size=_CHUNK, pause=self._stopped.wait)


def _discard(part: Path) -> None:
    # Where this fails, it failed to be made: its folder is none, or not ours.
    with contextlib.suppress(OSError):
        part.unlink()


def _is_file(download: Download) -> bool:
    return urlsplit(download.url).scheme.lower() == "file"


def _file_chunks(download: Download) -> Iterator[bytes]:
    try:
        with Path(url2pathname(urlsplit(download.url).path)).open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk
    except OSError as error:
        raise DependencyError(
            f"{without_query(download.url)} cannot be read: {error.strerror}",
            hint="if it was moved or renewed since the lock was made, lock again",
        ) from error


def _check(download: Download, size: int, digests: Sequence[hashlib._Hash], expected: Mapping[str, str]) -> None:
    wrong = [
        f"has not the {digest.name} of the lock: expected {expected[digest.name]}, found {digest.hexdigest()}"
        for digest in digests
        if digest.hexdigest() != expected[digest.name]
    ]
    if download.size not in {None, size}:
        wrong = [f"is not {download.size} bytes long, as the lock says"]
    if wrong:
        raise WheelError(
            f"{download.filename} from {without_query(download.url)} {wrong[0]}",
            hint="the file was changed or damaged on its way: lock again if you trust it as it is now",
        )
