"""Reproducible builds: SOURCE_DATE_EPOCH, times in zip files, and debug information that names no folder."""

from __future__ import annotations

import contextlib
import os
import re
import struct
import time
import zipfile
from typing import TYPE_CHECKING

from platter_setuptools.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

EARLIEST, LATEST = 315532800, 4354819198  # 1980 and the end of 2107: what a zip file can hold
# APPNOTE.TXT 4.3.7 and 4.3.12: where the four bytes of time and date stand in a member's own header and in its entry of
# the central directory; in the latter also the lengths of what follows its fixed part: name, extra field and comment.
_IN_HEADER, _IN_ENTRY = 10, 12
_LENGTHS, _FIXED = 28, 46
# What tools that split the variable at spaces, and shells behind them, leave as it is.
_PLAIN = re.compile(r"[\w/.,:@%+-]+", re.ASCII)


def source_date_epoch(environ: Mapping[str, str]) -> int:
    """Seconds since 1970: SOURCE_DATE_EPOCH (reproducible-builds.org), or one fixed time. Raises UsageError."""
    text = environ.get("SOURCE_DATE_EPOCH", "")
    if not text:
        return EARLIEST
    if not text.isdecimal():
        raise UsageError(f"SOURCE_DATE_EPOCH is {text!r}", hint="it is a number of seconds since 1970")
    return min(max(int(text), EARLIEST), LATEST)


def build_epoch(environ: Mapping[str, str], commit_time: int | None) -> dict[str, str]:
    """SOURCE_DATE_EPOCH as a build gets it: the user's, else the time of the commit that is built, else none.

    No other time: build backends write it into versions, where pip and uv have today's date. Raises UsageError.
    """
    if not environ.get("SOURCE_DATE_EPOCH"):
        if commit_time is None:
            return {}
        environ = {"SOURCE_DATE_EPOCH": str(commit_time)}
    return {"SOURCE_DATE_EPOCH": str(source_date_epoch(environ))}


@contextlib.contextmanager
def reproducible_build(source: Path, commit_time: int | None) -> Iterator[None]:
    """Within the block what this process builds depends neither on the umask, nor on where it lies.

    `commit_time` is that of `source`, if it is a commit without changes, in seconds since 1970.
    """
    ours = build_epoch(os.environ, commit_time) | without_folders(os.environ, {source: "."})
    before = {name: os.environ.get(name) for name in ours}
    umask = os.umask(0o022)
    os.environ.update(ours)
    try:
        yield
    finally:
        os.umask(umask)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def set_times(path: Path, epoch: int) -> None:
    """Give every member of a zip file the time `epoch`, in seconds since 1970."""
    year, month, day, hour, minute, second = time.gmtime(epoch)[:6]
    stamp = struct.pack("<HH", hour << 11 | minute << 5 | second // 2, (year - 1980) << 9 | month << 5 | day)
    with zipfile.ZipFile(path) as archive:
        entry, members = archive.start_dir, archive.infolist()
    with path.open("r+b") as file:
        for member in members:
            for place in (member.header_offset + _IN_HEADER, entry + _IN_ENTRY):
                file.seek(place)
                file.write(stamp)
            file.seek(entry + _LENGTHS)
            entry += _FIXED + sum(struct.unpack("<HHH", file.read(6)))


def without_folders(environ: Mapping[str, str], folders: Mapping[Path, str]) -> dict[str, str]:
    """Return variables that make compilers write these names into debug information instead of these folders.

    CPPFLAGS, because what is in CFLAGS takes the place of many a package's own -O2; and this option, because every gcc
    and clang knows it. The flags that the user has set stay. A folder whose name has to be quoted is left out.
    """
    options = [
        f"-fdebug-prefix-map={os.fspath(folder)}={name}"
        for folder, name in folders.items()
        if _PLAIN.fullmatch(os.fspath(folder))
    ]
    return {"CPPFLAGS": " ".join([*filter(None, [environ.get("CPPFLAGS")]), *options])} if options else {}
