"""Send scripts and files to a host and read its answers, whatever its login shell is and prints.

Files go through `cat`: SFTP fails if the server runs sftp-server in a login shell whose start-up files print.
"""

from __future__ import annotations

import contextlib
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import TextIO

    from paramiko import Channel, Transport

    Progress = Callable[[int, int], None]  # gets the number of bytes sent, and of all

_PIECE = 1 << 15  # bytes
_SPECIAL = re.compile(rb"[^A-Za-z0-9 _./,:;=+@|&<>{}()*?#~^\[\]-]")
# The marks separate the script's output from that of start-up files, sudo and the login shell.
_MARKED = """\
printf '%s\\n' '' {mark}; printf '%s\\n' '' {mark} >&2
(
{script}
)
status=$?
printf %s {mark}; printf %s {mark} >&2
exit $status
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a script printed, and its exit status; `whole` if both marks were found."""

    stdout: str
    stderr: str
    exited: int
    whole: bool = True


def command(script: str, mark: str) -> str:
    """Return one line that runs a script with sh, for a login shell of any kind (sh, csh, fish).

    All of these know single quotes, but treat line ends, backslashes, quotes and `!` in them differently. These are
    sent as escapes of sh's printf.
    """
    marked = _MARKED.format(mark=mark, script=script).encode("utf-8", "surrogateescape")
    text = _SPECIAL.sub(lambda found: b"%%" if found.group() == b"%" else b"\\%03o" % found.group()[0], marked)
    return f'sh -c \'eval "$(printf "{text.decode("ascii")}")"\''


def read(stdout: str, stderr: str, exited: int, mark: str) -> Answer:
    """Return the text between the marks on both streams; all of it without marks."""
    parts = [_between(text, mark) for text in (stdout, stderr)]
    out, err = (text if part is None else part for part, text in zip(parts, (stdout, stderr), strict=True))
    return Answer(stdout=out, stderr=err, exited=exited, whole=None not in parts)


def _between(text: str, mark: str) -> str | None:
    _, begun, rest = text.partition(f"\n{mark}\n")
    answer, ended, _ = rest.partition(mark)
    return answer if begun and ended else None


class Live:
    """A stream that shows the text between the marks, line by line."""

    def __init__(self, stream: TextIO, mark: str) -> None:
        self._stream = stream
        self._mark = mark
        self._text = ""
        self._shown = 0  # characters of the text between the marks

    def write(self, text: str) -> None:
        """Show the lines that are now complete."""
        self._text += text
        _, _begun, rest = self._text.partition(f"\n{self._mark}\n")
        answer, ended, _ = rest.partition(self._mark)
        end = len(answer) if ended else answer.rfind("\n") + 1
        self._stream.write(answer[self._shown : end])
        self._shown = max(self._shown, end)

    def flush(self) -> None:
        """Flush the stream."""
        self._stream.flush()


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A file on the host with the first `size` bytes of what is sent, and maybe more."""

    path: str
    size: int


def send(
    transport: Transport, file: Path, path: str, part: Part | None, then: str, mark: str, progress: Progress
) -> Answer:
    """Write a file to a path on the host, only the rest if there is a part of it. Then run the script `then`."""
    with contextlib.closing(transport.open_session()) as channel, file.open("rb") as stream:
        begin = f"head -c {part.size} {shlex.quote(part.path)} && " if part else ""
        channel.exec_command(command(f"{{ {begin}cat; }} >{shlex.quote(path)} || exit\n{then}", mark))
        sent, size = part.size if part else 0, file.stat().st_size
        stream.seek(sent)
        while piece := stream.read(_PIECE):
            try:
                channel.sendall(piece)
            except OSError:  # the host stopped reading: its answer has the reason
                break
            sent += len(piece)
            progress(sent, size)
        with contextlib.suppress(OSError):
            channel.shutdown_write()
        return _answer(channel, channel.makefile("rb").read(), mark)


def receive(transport: Transport, path: str, file: Path, mark: str, progress: Progress) -> Answer:
    """Write a file of the host to a path here. The caller checks its checksum."""
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
    """Return what the host printed besides the file, and its exit status."""
    stderr = channel.makefile_stderr("rb").read()
    out, err = (text.decode("utf-8", "replace") for text in (stdout, stderr))
    return read(out, err, channel.recv_exit_status(), mark)
