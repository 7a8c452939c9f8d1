"""What is sent to a host: the bundle, or the thin bundle without what the host says that it has."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from platter_setuptools.inspect.known_files import common_to, parse_list, read_base
from platter_setuptools.runtime.files import sha256_of_file
from platter_setuptools.runtime.progress import human_size
from platter_setuptools.thinning import make_thin

if TYPE_CHECKING:
    from pathlib import Path

    from platter_setuptools.inspect.known_files import Known

_PIECE = 1 << 20  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """A file to send; `about` is what users are told of it."""

    path: Path
    sha256: str
    size: int  # bytes
    about: str

    @classmethod
    def of(cls, path: Path, about: str = "") -> Shipment:
        """Read and hash a file. `about` is its size if nothing else is given."""
        sha256, size = sha256_of_file(path)
        return cls(path=path, sha256=sha256, size=size, about=about or human_size(size))

    def begins_with(self, size: int, sha256: str) -> bool:
        """Whether the first `size` bytes have this SHA-256."""
        if size > self.size:
            return False
        state = hashlib.sha256()
        with self.path.open("rb") as stream:
            while size and (piece := stream.read(min(size, _PIECE))):
                state.update(piece)
                size -= len(piece)
        return state.hexdigest() == sha256


class Shipments:
    """The full bundle, and the thin ones that are made from it: one for each set of its files that hosts have."""

    def __init__(self, full: Path, work: Path, mtime: int) -> None:
        """Hash the bundle. `work` is the folder for thin ones, `mtime` the time of the files in them."""
        self.full = Shipment.of(full)
        self._work = work
        self._mtime = mtime
        self._lock = threading.Lock()
        self._thin: dict[Known, Shipment | None] = {}

    def without(self, answer: str) -> Shipment | None:
        """Return the thin bundle for a host that answers this to `ROOT/platter have`; None if it has nothing of it.

        Raise PlatterError if the answer or the bundle cannot be read.
        """
        have = parse_list(answer.encode("utf-8", "surrogateescape"), "its list of what it has")
        with self._lock:
            common = common_to(have, self._contents)
            if common and common not in self._thin:
                self._thin[common] = self._make(common, self._work / f"{len(self._thin)}")
            return self._thin.get(common)

    @cached_property
    def _contents(self) -> Known:
        return read_base(self.full.path)[1]

    def _make(self, have: Known, output: Path) -> Shipment | None:
        made = make_thin(self.full.path, [], have, output=output, kind=None, mtime=self._mtime)
        return Shipment.of(made.path, f"{made}") if made.left_out else None
