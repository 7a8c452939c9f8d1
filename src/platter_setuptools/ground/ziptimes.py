"""The times in a zip file, set in place: nothing is compressed again."""

from __future__ import annotations

import struct
import time
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# APPNOTE.TXT 4.3.7 and 4.3.12: where the four bytes of time and date stand in a member's own header and in its entry of
# the central directory; in the latter also the lengths of what follows its fixed part: name, extra field and comment.
_IN_HEADER, _IN_ENTRY = 10, 12
_LENGTHS, _FIXED = 28, 46


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
