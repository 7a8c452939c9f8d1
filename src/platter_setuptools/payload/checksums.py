"""SHA256SUMS: every file of the bundle except itself and its signature, in the format of coreutils' sha256sum."""

import contextlib
import hashlib
import os
import re
from typing import AbstractSet, BinaryIO, Dict, Iterable, List, Optional, Tuple

from . import bundle_files
from .bundle_files import AGAIN, BundleFiles, files
from .errors import BundleError, first
from .names import relative
from .untrusted import FILES, LIST

FILE = "SHA256SUMS"
SIGNATURE = FILE + ".sig"
CHUNK = 1 << 20
_LINE = re.compile(r"(\\?)([0-9a-f]{64})  (.+)")
_ESCAPES = {"\\\\": "\\", "\\n": "\n", "\\r": "\r"}
_REMOVE = (
    "remove them, or unpack the bundle again into a folder of its own; if post-install.sh wrote them, have it write"
    " elsewhere, such as into $VIRTUAL_ENV"
)


def read(bundle: str) -> Dict[str, str]:
    """Return the SHA-256 in lower-case hexadecimal digits by path relative to the bundle."""
    return parse(bundle_files.read(bundle, FILE, LIST), os.path.join(bundle, FILE))


def parse(content: bytes, path: str = FILE) -> Dict[str, str]:
    """Return the same as `read` from the file's content."""
    sums: Dict[str, str] = {}
    lines = content.decode("utf-8", "surrogateescape").split("\n")
    if len(lines) > FILES:
        raise BundleError("%s lists more than %d files" % (path, FILES), hint="leave files out of the bundle")
    if lines.pop():
        raise BundleError("%s is cut off in its last line" % path, hint=AGAIN)
    for number, line in enumerate(lines, 1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise BundleError("%s, line %d: not a checksum" % (path, number), hint=AGAIN)
        escaped, digest, name = match.groups()
        if escaped:
            name = re.sub(r"\\[\\nr]", lambda found: _ESCAPES[found.group()], name)
        if name in sums:
            raise BundleError("%s, line %d: %s is listed twice" % (path, number, name), hint=AGAIN)
        sums[name if "\\" in name else relative(name, path)] = digest
    return sums


def digest(stream: BinaryIO, size: Optional[int] = None) -> str:
    """Return the SHA-256 of the rest of an open file, in constant memory. `size` is its length, if known."""
    state = hashlib.sha256()
    # Most files are small: to clear a whole chunk for each takes longer than to hash it.
    buffer = bytearray(min(CHUNK, os.fstat(stream.fileno()).st_size if size is None else size) or 1)
    view = memoryview(buffer)
    while True:
        count = stream.readinto(buffer)  # type: ignore[attr-defined]  # BinaryIO lacks it, every real file has it
        if not count:
            return state.hexdigest()
        state.update(view[:count])


def identity(bundle: str) -> str:
    """Return the hash of SHA256SUMS, which identifies a bundle."""
    with files(bundle).open(FILE).stream as stream:
        return digest(stream)


def verify_file(bundle: str, sums: Dict[str, str], name: str) -> None:
    """Raise BundleError unless this file exists and is unchanged."""
    verdict = _verdict(files(bundle), sums, name) if name in sums else "not listed in " + FILE
    if verdict:
        raise BundleError("%s: %s" % (os.path.join(bundle, name), verdict), hint=AGAIN)


def verify(
    bundle: str,
    sums: Dict[str, str],
    deferred: AbstractSet[str],
    absent: AbstractSet[str] = frozenset(),
    unlisted: AbstractSet[str] = frozenset(),
) -> None:
    """Raise BundleError that names every missing, extra or altered file; deferred ones are not read.

    `absent` are listed files that may be missing, `unlisted` are others that may be there.
    """
    there = files(bundle)
    present = set(there.names())
    findings: List[Tuple[str, str]] = []
    for name in sums:
        if name not in present:
            if name not in absent:
                findings.append((name, "missing"))
        elif name not in deferred:
            verdict = _verdict(there, sums, name)
            if verdict:
                findings.append((name, verdict))
    extra = [(name, "not listed in " + FILE) for name in _extra(present - unlisted, sums)]
    if findings:
        findings += extra
        raise BundleError("the bundle %s is damaged:\n%s" % (bundle, _list(findings)), hint=AGAIN)
    if extra:
        raise BundleError("the bundle %s has files that are not its own:\n%s" % (bundle, _list(extra)), hint=_REMOVE)


def sweep(bundle: str, sums: Dict[str, str]) -> None:
    """Remove the bytecode that Python left beside modules of the bundle, since these were run where they are."""
    for name in _extra(files(bundle).names(), sums):
        folder = os.path.dirname(os.path.join(bundle, name))
        if os.path.basename(folder) == "__pycache__" and name.endswith(".pyc"):
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(bundle, name))
                os.rmdir(folder)


def _extra(present: Iterable[str], sums: Dict[str, str]) -> List[str]:
    return sorted(set(present) - set(sums) - {FILE, SIGNATURE})


def _list(findings: List[Tuple[str, str]]) -> str:
    return "\n".join("  " + line for line in first(["%s: %s" % finding for finding in sorted(findings)]))


def _verdict(there: BundleFiles, sums: Dict[str, str], name: str) -> str:
    try:
        opened = there.open(name)
        with opened.stream as stream:
            return "" if digest(stream, opened.size) == sums[name] else "altered"
    except ValueError as error:
        return str(error)
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return "cannot be read: %s" % error.strerror
