"""Fetch files by URL, several at once; each gets its name after its hash was checked."""

from __future__ import annotations

import contextlib
import math
import queue
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from packaging.pylock import PackageArchive, PackageSdist, PackageWheel

from platter_setuptools.errors import DependencyError, WheelError
from platter_setuptools.runtime.concurrency import Background
from platter_setuptools.runtime.files import digest_of_file
from platter_setuptools.urls import without_query, without_userinfo

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from platter_setuptools.resolve.indexes import IndexSettings
    from platter_setuptools.resolve.lock import Lock, Source
    from platter_setuptools.runtime.processes import Runner
    from platter_setuptools.wheels.transfer import Transfers

    # Called with the files that are done, the files in all, and the bytes that have come in.
    OnProgress = Callable[[int, int, int], None]

_ALGORITHMS = (
    *("sha256", "sha512", "sha384", "sha3_256", "sha3_512", "sha3_384", "blake2b", "blake2s"),
    *("sha224", "sha3_224"),
)
_WEAK = ("sha1", "md5")  # compared, but not trusted
CONNECTIONS = 8  # at most, to all servers
CHUNK = 1 << 18  # bytes
_TICK = 0.1  # seconds between two reports
_PATIENCE = 1.0  # seconds that a failed or interrupted fetch waits for its threads


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Download:
    """A file to fetch, from a lock: its URL, its name, its size and hashes.

    Instances are keys for the resulting paths; two of them are never equal.
    """

    url: str  # http, https or file
    filename: str
    hashes: Mapping[str, str]  # algorithm -> hexadecimal; all of them are compared
    size: int | None = None  # bytes
    trusted: bool = True  # whether one hash at least must be secure; some indexes give none


def as_download(lock: Lock, artifact: PackageWheel | Source) -> Download | None:
    """Return what must be fetched for a lock entry; None for a folder or a repository."""
    if not isinstance(artifact, (PackageWheel, PackageSdist, PackageArchive)):
        return None
    url = lock.url_of(artifact)
    filename = unquote(urlsplit(url).path.rpartition("/")[2])
    if not filename:
        raise DependencyError(
            f"{without_userinfo(url)} does not end in a file name", hint="name the URL of a wheel or an sdist"
        )
    return Download(url=url, hashes=artifact.hashes, filename=filename, size=artifact.size)


def fetch_all(
    downloads: Sequence[Download],
    folder: Path,
    *,
    settings: IndexSettings,
    run: Runner,
    progress: OnProgress = lambda _done, _total, _size: None,
    arrived: Callable[[Download, Path], None] = lambda _download, _path: None,
) -> dict[Download, Path]:
    """Fetch the files into the folder, in the order of `downloads`, and return their paths.

    Each is in a subfolder of its own. What is named twice is fetched once. `progress` is called often, and `arrived`
    with every file as soon as it is complete, both in the calling thread. `run` starts uv and the keyring where a login
    is missing. The first error ends the rest. Files get their names only when they are complete and checked, and no
    other file stays in the folder.

    Raise DependencyError for a file that cannot be fetched or written, and WheelError for one that is not what the lock
    says, or whose name or hashes cannot be trusted.
    """
    paths = _places(downloads, folder)
    batch = _Batch({path: download for download, path in paths.items()}, settings, run)

    def tell(path: Path) -> None:
        for download in downloads:
            if paths[download] == path:
                arrived(download, path)

    batch.run(progress, tell)
    return paths


def _places(downloads: Sequence[Download], folder: Path) -> dict[Download, Path]:
    places: dict[object, Path] = {}
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
        file = name, tuple(_expected(download).items()) or download.url
        paths[download] = places.setdefault(file, folder / str(len(places)) / name)
    return paths


def is_secure(hashes: Mapping[str, str]) -> bool:
    """Return whether one of the algorithms is secure."""
    return any(algorithm in hashes for algorithm in _ALGORITHMS)


def check_file(path: Path, download: Download, *, compared: Collection[str] = ()) -> None:
    """Raise WheelError unless a file has the size and all hashes of the download.

    Those of the algorithms in `compared` are known to be right.
    """
    wrong = ""
    if download.size not in {None, path.stat().st_size}:
        wrong = f"is not {download.size} bytes long, as the lock says"
    for algorithm, expected in _expected(download).items():
        if not wrong and algorithm not in compared and (found := digest_of_file(path, algorithm)) != expected:
            name = algorithm.upper().replace("SHA", "SHA-")
            wrong = f"does not match the lock's {name}: expected {expected}, found {found}"
    if wrong:
        raise WheelError(
            f"{download.filename} from {without_query(download.url)} {wrong}",
            hint="the file was changed or damaged on its way: lock again if you trust it as it is now",
        )


def _expected(download: Download) -> dict[str, str]:
    """Return the hashes that a file must have, the best first."""
    if download.trusted and not is_secure(download.hashes):
        raise WheelError(
            f"{download.filename} ({without_query(download.url)}) has no hash that could be trusted",
            hint=f"the lock must have one of: {', '.join(_ALGORITHMS)}",
        )
    known = (*_ALGORITHMS, *_WEAK)
    return {algorithm: download.hashes[algorithm].lower() for algorithm in known if algorithm in download.hashes}


class _Batch:
    """The files of one fetch_all, and the threads that fetch them.

    They are in the background, since one may be stuck in a socket when the user presses Ctrl-C. They change the folder
    only under a lock, and not after the batch was stopped.
    """

    def __init__(self, jobs: Mapping[Path, Download], settings: IndexSettings, run: Runner) -> None:
        self._jobs = jobs
        self._settings, self._run = settings, run
        self._waiting: queue.SimpleQueue[tuple[Path, Download]] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[BaseException | Path] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._parts: set[Path] = set()
        self._received = 0  # bytes
        self._transfers: Transfers | None = None

    def run(self, progress: OnProgress, arrived: Callable[[Path], None]) -> None:
        for job in self._jobs.items():
            self._waiting.put(job)
        if not all(_is_file(download) for download in self._jobs.values()):
            from platter_setuptools.wheels.transfer import Transfers  # noqa: PLC0415 - loads requests

            self._transfers = Transfers(self._settings, self._run)
        threads = Background()
        try:
            for _ in range(min(CONNECTIONS, len(self._jobs))):
                threads.start(self._work)
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

    def _stop(self, threads: Background) -> None:
        with self._lock:
            self._stopped.set()
            for part in self._parts:
                _discard(part)
        threads.join(_PATIENCE)
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
                self._write(file, download)
            check_file(part, download)
            with self._lock:
                if not self._stopped.is_set():
                    part.replace(path)
        except OSError as error:
            raise DependencyError(
                f"{download.filename} cannot be written to {path.parent}: {error.strerror}",
                hint="make room there, or set TMPDIR to a folder that has it",
            ) from error
        finally:
            _discard(part)

    def _write(self, file: IO[bytes], download: Download) -> None:
        """Write what comes in, until the end, the announced size or the end of the batch."""
        left = math.inf if download.size is None else download.size
        for chunk in self._chunks(download):
            file.write(chunk)
            left -= len(chunk)
            with self._lock:
                self._received += len(chunk)
            if left < 0 or self._stopped.is_set():
                return

    def _chunks(self, download: Download) -> Iterator[bytes]:
        if self._transfers is None or _is_file(download):
            return _file_chunks(download)
        label = f"{download.filename} from {without_query(download.url)}"
        return self._transfers.chunks(download.url, label=label, pause=self._stopped.wait)


def _discard(part: Path) -> None:
    # If this fails, making it has failed: its folder is a file, or somebody else's.
    with contextlib.suppress(OSError):
        part.unlink()


def _is_file(download: Download) -> bool:
    return urlsplit(download.url).scheme.lower() == "file"


def _file_chunks(download: Download) -> Iterator[bytes]:
    try:
        with Path(url2pathname(urlsplit(download.url).path)).open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk
    except OSError as error:
        raise DependencyError(
            f"{without_query(download.url)} cannot be read: {error.strerror}",
            hint="if it was moved or renewed since the lock was made, lock again",
        ) from error
