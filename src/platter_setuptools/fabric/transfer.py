"""Files on their way to a host and back, through `cat` and between marks.

SFTP would break where the server runs sftp-server in a login shell whose start-up files print.
"""

from __future__ import annotations

import contextlib
import shlex
import time
from typing import TYPE_CHECKING

from platter_setuptools.fabric.answers import Answer, command, read
from platter_setuptools.fabric.fleet import tell
from platter_setuptools.ground.progress import human_size

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from paramiko import Channel, Transport

    Progress = Callable[[int, int], None]

_PIECE = 1 << 15  # bytes
_EVERY = 2.0  # seconds between two lines about a file


def on_way(name: str) -> Progress:
    """Return a function that tells from time to time how far a file of this host is."""
    told = time.monotonic()

    def tell_how_far(sent: int, size: int) -> None:
        nonlocal told
        if time.monotonic() - told >= _EVERY and sent < size:
            told = time.monotonic()
            tell(f"{name}: {100 * sent // size} % of {human_size(size)}")

    return tell_how_far


def send(transport: Transport, file: Path, path: str, mark: str, progress: Progress) -> Answer:
    """Write a file to a path on the host; `progress` is told the bytes that are sent, and all."""
    with contextlib.closing(transport.open_session()) as channel, file.open("rb") as stream:
        channel.exec_command(command(f"cat >{shlex.quote(path)}", mark))
        sent, size = 0, file.stat().st_size
        while piece := stream.read(_PIECE):
            try:
                channel.sendall(piece)
            except OSError:  # the host reads no more: its answer says why
                break
            sent += len(piece)
            progress(sent, size)
        with contextlib.suppress(OSError):
            channel.shutdown_write()
        return _answer(channel, channel.makefile("rb").read(), mark)


def receive(transport: Transport, path: str, file: Path, mark: str, progress: Progress) -> Answer:
    """Write a file of the host to a path here; whether it is whole, its checksum tells."""
    with contextlib.closing(transport.open_session()) as channel, file.open("wb") as target:
        quoted = shlex.quote(path)
        channel.exec_command(command(f"wc -c <{quoted} && cat {quoted}", mark))
        stream, begin = channel.makefile("rb"), f"{mark}\n".encode()
        before = b""
        while line := stream.readline():
            before += line
            if line == begin:
                break
        first = stream.readline()
        left = size = int(first) if first.strip().isdigit() else 0
        while left and (piece := stream.read(min(left, _PIECE))):
            target.write(piece)
            left -= len(piece)
            progress(size - left, size)
        return _answer(channel, before + (b"" if size else first) + stream.read(), mark)


def _answer(channel: Channel, stdout: bytes, mark: str) -> Answer:
    """Return what the host said beside the file, and how that ended."""
    stderr = channel.makefile_stderr("rb").read()
    out, err = (text.decode("utf-8", "replace") for text in (stdout, stderr))
    return read(out, err, channel.recv_exit_status(), mark)
