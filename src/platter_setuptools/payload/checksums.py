"""SHA256SUMS: every file of the bundle but itself and its signature, in the format of coreutils' sha256sum."""

import contextlib
import hashlib
import os
import re
from typing import AbstractSet, BinaryIO, Dict, Iterable, Iterator, List, Tuple

from .errors import BundleError
from .names import relative
from .untrusted import FILES, LIST, read_file

FILE = "SHA256SUMS"
SIGNATURE = FILE + ".sig"
CHUNK = 1 << 20
_LINE = re.compile(r"(\\?)([0-9a-f]{64})  (.+)")
_ESCAPES = {"\\\\": "\\", "\\n": "\n", "\\r": "\r"}
_SHOWN = 10
_REMOVE = (
    "remove them, or unpack the bundle again into a folder of its own; if post-install.sh wrote them, have it write"
    " elsewhere, such as into $VIRTUAL_ENV"
)
MODULES = "data/bootstrap/"
_AGAIN = "copy the bundle to this machine again; if that does not help, build it again"


def read(bundle: str) -> Dict[str, str]:
    """Path relative to the bundle -> SHA-256 in lower-case hexadecimal digits."""
    path = os.path.join(bundle, FILE)
    try:
        content = read_file(path, LIST)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise BundleError("%s cannot be read: %s" % (path, reason), hint=_AGAIN) from error
    return parse(content, path)


def parse(content: bytes, path: str = FILE) -> Dict[str, str]:
    """As ``read``, from what stands in the file."""
    sums: Dict[str, str] = {}
    lines = content.decode("utf-8", "surrogateescape").split("\n")
    if len(lines) > FILES:
        raise BundleError("%s lists more than %d files" % (path, FILES), hint="leave files out of the bundle")
    if lines.pop():
        raise BundleError("%s is cut off in its last line" % path, hint=_AGAIN)
    for number, line in enumerate(lines, 1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise BundleError("%s, line %d: not a checksum" % (path, number), hint=_AGAIN)
        escaped, digest, name = match.groups()
        if escaped:
            name = re.sub(r"\\[\\nr]", lambda found: _ESCAPES[found.group()], name)
        if name in sums:
            raise BundleError("%s, line %d: %s is listed twice" % (path, number, name), hint=_AGAIN)
        sums[name if "\\" in name else relative(name, path)] = digest
    return sums


def digest(stream: BinaryIO) -> str:
    """SHA-256 of the rest of an open file, in constant memory."""
    state = hashlib.sha256()
    # Most files are small: to clear a whole chunk for each takes longer than to hash it.
    buffer = bytearray(min(CHUNK, os.fstat(stream.fileno()).st_size) or 1)
    view = memoryview(buffer)
    while True:
        count = stream.readinto(buffer)  # type: ignore[attr-defined]  # BinaryIO lacks it, every real file has it
        if not count:
            return state.hexdigest()
        state.update(view[:count])


def identity(bundle: str) -> str:
    """What makes two bundles the same: the hash of their SHA256SUMS."""
    with open(os.path.join(bundle, FILE), "rb") as stream:
        return digest(stream)


def verify_file(bundle: str, sums: Dict[str, str], name: str) -> None:
    """BundleError unless this one file is there and as it was built."""
    verdict = _verdict(bundle, sums, name) if name in sums else "not listed in " + FILE
    if verdict:
        raise BundleError("%s: %s" % (os.path.join(bundle, name), verdict), hint=_AGAIN)


def verify(bundle: str, sums: Dict[str, str], deferred: AbstractSet[str]) -> None:
    """BundleError that names every missing, extra or altered file; the contents of deferred ones are not read."""
    present = set(_files(bundle))
    findings: List[Tuple[str, str]] = []
    for name in sums:
        if name not in present:
            findings.append((name, "missing"))
        elif name not in deferred:
            verdict = _verdict(bundle, sums, name)
            if verdict:
                findings.append((name, verdict))
    extra = [(name, "not listed in " + FILE) for name in _extra(present, sums)]
    if findings:
        findings += extra
        raise BundleError("the bundle %s is damaged:\n%s" % (bundle, _list(findings)), hint=_AGAIN)
    if extra:
        raise BundleError("the bundle %s has files that are not its own:\n%s" % (bundle, _list(extra)), hint=_REMOVE)


def sweep(bundle: str, sums: Dict[str, str]) -> None:
    """Remove the bytecode that Python left beside modules of the bundle, since these were run where they are."""
    for name in _extra(_files(bundle), sums):
        folder = os.path.dirname(os.path.join(bundle, name))
        if os.path.basename(folder) == "__pycache__" and name.endswith(".pyc"):
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(bundle, name))
                os.rmdir(folder)


def _extra(present: Iterable[str], sums: Dict[str, str]) -> List[str]:
    return sorted(set(present) - set(sums) - {FILE, SIGNATURE})


def _list(findings: List[Tuple[str, str]]) -> str:
    findings.sort()
    lines = ["  %s: %s" % finding for finding in findings[:_SHOWN]]
    return "\n".join(lines + (["  and %d more" % (len(findings) - _SHOWN)] if len(findings) > _SHOWN else []))


def _verdict(bundle: str, sums: Dict[str, str], name: str) -> str:
    try:
        with open(os.path.join(bundle, name), "rb", buffering=0) as stream:
            return "" if digest(stream) == sums[name] else "altered"
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return "cannot be read: %s" % error.strerror


def _files(bundle: str) -> Iterator[str]:
    """Every file below the bundle; a link to one counts as one, and none may lead out of the bundle.

    A build script may link to folders, whose files are listed where they are. But where modules are looked for, a link
    would give them other names.
    """
    root = os.path.realpath(bundle)
    pending = [""]
    while pending:
        prefix = pending.pop()
        with os.scandir(os.path.join(root, prefix)) as entries:
            for entry in entries:
                name = prefix + entry.name
                if entry.is_symlink() and not _inside(os.path.realpath(entry.path), root):
                    raise BundleError("%s: a link that leads out of the bundle" % entry.path, hint=_AGAIN)
                if entry.is_dir(follow_symlinks=False):
                    pending.append(name + "/")
                elif entry.is_file() or (entry.is_symlink() and (not entry.is_dir() or name.startswith(MODULES))):
                    yield name
                elif not entry.is_symlink():
                    raise BundleError("%s: neither a file nor a folder" % entry.path, hint=_AGAIN)


def _inside(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")
