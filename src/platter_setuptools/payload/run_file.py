"""A bundle that is one file: `STEM.run`, install.sh's text with a zip archive behind it, whose members are stored."""

import calendar
import errno
import io
import os
import re
import stat
import struct
import zipfile
from typing import Any, BinaryIO, Callable, Dict, Iterator, List, Optional, Tuple, cast

from . import untrusted
from .bundle_files import AGAIN, MODULES, Entry, Opened
from .errors import BundleError
from .names import relative

INSTALLER = "install.sh"
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_SIGNATURE = b"PK\x03\x04"
_LONGEST_LINK = 4096
_MOST_LINKS = 40  # that are followed, as by the kernel
# The line of the script that tells where files lie, which is empty in install.sh.
_PARTS = re.compile(rb"^parts='([^'\n]*)'$", re.MULTILINE)


class RunFile:
    """The files of a `.run`, by their names without the top folder; the same methods as bundle_files.Folder."""

    def __init__(self, path: str) -> None:
        """Read the list of members. Raise BundleError if it is damaged."""
        self.path, self.top = path, ""
        self.members: Dict[str, Entry] = {}
        self._places: Dict[str, Tuple[int, int]] = {}  # offset and size of each content
        self._links: Dict[str, str] = {}
        self._descriptor = -1
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            self.size = os.fstat(self._descriptor).st_size
            with zipfile.ZipFile(io.BufferedReader(Part(self._descriptor, 0, self.size))) as archive:
                infos = archive.infolist()
                self._end = archive.start_dir
            self._examine(infos)
        except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError, struct.error) as error:
            raise self._damaged("it is damaged, or cut off: %s" % error) from error

    def _examine(self, infos: List[zipfile.ZipInfo]) -> None:
        """Set what is known of the members. Raise BundleError, OSError or ValueError for what no build makes."""
        if not infos or len(infos) > untrusted.FILES:
            raise self._damaged("it holds no files, or more than %d" % untrusted.FILES)
        self.top = infos[0].orig_filename.partition("/")[0]
        for info in infos:
            self._take(info)
        self._find(infos)
        self._links = {
            name: os.fsdecode(self.read(name, _LONGEST_LINK, follow=False))
            for name, one in self.members.items()
            if one.kind == stat.S_IFLNK
        }
        self._check_script(min(info.header_offset for info in infos))

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        if self._descriptor >= 0:
            close(self._descriptor)

    def join(self, name: str) -> str:
        return os.path.join(self.path, name)

    def has(self, name: str) -> bool:
        return name in self.members and self.members[name].kind != stat.S_IFDIR

    def read(self, name: str, limit: int, *, follow: bool = True) -> bytes:
        offset, size = self._locate(name, follow=follow)
        if size > limit:
            raise ValueError("it is longer than %d bytes" % limit)
        return self._bytes(offset, size)

    def open(self, name: str) -> Opened:
        offset, size = self._locate(name, follow=True)
        part = Part(self._descriptor, offset, size)
        return Opened(cast(BinaryIO, io.BufferedReader(part)), offset, size)

    def names(self) -> Iterator[str]:
        for name, one in self.members.items():
            if one.kind == stat.S_IFLNK:
                end = self._end_of_links(name)
                if end is None:
                    raise BundleError("%s: a link that leads out of the bundle" % self.join(name), hint=AGAIN)
                if self._is_folder(end) and not name.startswith(MODULES):
                    continue
            if one.kind != stat.S_IFDIR:
                yield name

    def link(self, name: str) -> str:
        """Return where a link leads, as it is written."""
        return self._links[name]

    def _take(self, info: zipfile.ZipInfo) -> None:
        name = info.orig_filename
        is_folder = name.endswith("/")
        top, _, name = relative(name[:-1] if is_folder else name, self.path).partition("/")
        kind = stat.S_IFMT(info.external_attr >> 16)
        if top != self.top or not (name or is_folder):
            raise self._damaged("%s lies outside of its one folder" % info.orig_filename)
        if kind not in ((stat.S_IFDIR,) if is_folder else (stat.S_IFREG, stat.S_IFLNK)):
            raise self._damaged("%s is neither a file nor a folder nor a symbolic link" % info.orig_filename)
        if name in self.members:
            raise self._damaged("%s is in it twice" % name)
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 0x1 or info.compress_size != info.file_size:
            raise self._damaged("%s is not stored" % name)
        try:
            mtime = calendar.timegm((*info.date_time, 0, 0, 0))
        except ValueError:
            mtime = 0
        if name:
            self.members[name] = Entry(kind, stat.S_IMODE(info.external_attr >> 16), mtime)

    def _find(self, infos: List[zipfile.ZipInfo]) -> None:
        """Set where the contents are. Raise BundleError unless members and their headers fill the archive."""
        infos.sort(key=lambda info: info.header_offset)
        position = infos[0].header_offset
        for info in infos:
            name = info.orig_filename.encode("utf-8" if info.flag_bits & 0x800 else "cp437")
            data = os.pread(self._descriptor, _LOCAL_HEADER.size + len(name), position)
            if info.header_offset != position or len(data) < _LOCAL_HEADER.size:
                raise self._damaged("there is something before %s" % info.orig_filename)
            mark, _, flags, method, _, _, crc, _, _, length, more = _LOCAL_HEADER.unpack_from(data)
            found = (mark, flags, method, crc, length, data[_LOCAL_HEADER.size :])
            if found != (_SIGNATURE, info.flag_bits, info.compress_type, info.CRC, len(name), name):
                raise self._damaged("%s is not as the list of members says" % info.orig_filename)
            position += _LOCAL_HEADER.size + length + more
            self._places[info.orig_filename.partition("/")[2]] = (position, info.file_size)
            position += info.file_size
        if position != self._end:
            raise self._damaged("there is something behind its members")

    def _check_script(self, size: int) -> None:
        """Raise BundleError unless the script is install.sh with the places of files filled in."""
        script = self._bytes(0, size) if size <= untrusted.TEXT else b""
        found = _PARTS.search(script)
        try:
            installer = self.read(INSTALLER, untrusted.TEXT)
        except (OSError, ValueError) as error:
            raise self._damaged("%s: %s" % (INSTALLER, error)) from error
        if found is None or _PARTS.sub(b"parts=''", script, count=1) != installer:
            raise self._damaged("the script at its beginning is not install.sh")
        for place in found.group(1).decode("ascii", "replace").split():
            name, _, numbers = place.rpartition("=")
            try:
                offset, length = self._locate(name, follow=False)
            except (OSError, ValueError) as error:
                raise self._damaged("%s: %s" % (name, error)) from error
            if numbers != "%d+%d" % (offset + 1, length):
                raise self._damaged("the script at its beginning says that %s lies elsewhere" % name)

    def _bytes(self, offset: int, size: int) -> bytes:
        data = os.pread(self._descriptor, size, offset)
        while len(data) < size:
            more = os.pread(self._descriptor, size - len(data), offset + len(data))
            if not more:
                raise OSError(errno.EIO, "it was cut off")
            data += more
        return data

    def _locate(self, name: str, *, follow: bool) -> Tuple[int, int]:
        """Return offset and size of a file's content. Raise OSError or ValueError if there is no such file."""
        found = self._end_of_links(name) if follow else name
        one = self.members.get(found) if found is not None else None
        if one is None and not (found is not None and self._is_folder(found)):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self.join(name))
        if one is None or one.kind == stat.S_IFDIR:
            raise ValueError("it is not a file")
        return self._places[found or ""]

    def _is_folder(self, name: str) -> bool:
        return not name or (name in self.members and self.members[name].kind == stat.S_IFDIR)

    def _end_of_links(self, name: str) -> Optional[str]:
        """Return the name that a name leads to through links; None if that is not in the bundle."""
        ahead, followed = name.split("/")[::-1], 0
        behind: List[str] = []
        while ahead:
            part = ahead.pop()
            if part == "..":
                if not behind:
                    return None
                behind.pop()
            elif part not in ("", "."):
                target = self._links.get("/".join([*behind, part]))
                if target is None:
                    behind.append(part)
                    continue
                followed += 1
                if followed > _MOST_LINKS or target.startswith("/"):
                    return None
                ahead += target.split("/")[::-1]
        return "/".join(behind)

    def _damaged(self, what: str) -> BundleError:
        return BundleError("%s: %s" % (self.path, what), hint=AGAIN)


class Part(io.RawIOBase):
    """A part of an open file as a stream of its own; the descriptor is not closed with it."""

    def __init__(self, descriptor: int, offset: int, size: int) -> None:
        super().__init__()
        self._descriptor, self._offset, self._size, self._position = descriptor, offset, size, 0

    def fileno(self) -> int:
        return self._descriptor

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to an offset, which may lie behind the end."""
        position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        if position < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._position = position
        return position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Read into the buffer as many bytes as there are."""
        view = memoryview(buffer).cast("B")
        wanted = max(0, min(len(view), self._size - self._position))
        data = os.pread(self._descriptor, wanted, self._offset + self._position) if wanted else b""
        view[: len(data)] = data
        self._position += len(data)
        return len(data)
