"""Files in bin/: their first line, and the scripts of entry points."""

import re
from typing import Dict, Iterator, List, NamedTuple, Tuple

from ..errors import BundleError
from ..names import size
from ..untrusted import PART

# Linux cut the line off after 127 characters until 5.1; to most other systems as well that much is safe.
_LONGEST_LINE = 127
_CODING = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_PYTHON_LINE = re.compile(rb"#!pythonw?[\d.]*(?:[ \t]([^\r\n]*))?\r?(?:\n|\Z)")


class EntryPoint(NamedTuple):
    """`extras` are those of the distribution that the script needs."""

    name: str
    module: str
    attribute: str
    extras: Tuple[str, ...] = ()


def header(python: str, argument: str = "", coding: bytes = b"") -> bytes:
    """Return the first lines of a script for this interpreter, whatever the path's length and characters."""
    plain = "#!%s%s\n" % (python, " " + argument if argument else "")
    encoded = plain.encode("utf-8", "surrogateescape")
    if len(encoded) <= _LONGEST_LINE and not re.search(r"\s", python):
        return encoded
    # To a shell: exec PYTHON "$0" "$@". To Python: a string of three quotes that nobody reads.
    words = [_quoted(python)] + ([_quoted(argument)] if argument else [])
    shell = "'''exec' %s \"$0\" \"$@\"\n' '''\n" % " ".join(words)
    comment = b"# -*- coding: " + coding + b" -*-\n" if coding else b""
    return b"#!/bin/sh\n" + comment + shell.encode("utf-8", "surrogateescape")


def _quoted(word: str) -> str:
    """Return a quoted word for the shell, without three quotes in a row or an escape that Python warns about."""
    return "".join(
        {"'": '"\'"', "\\": '"\\\\"'}.get(part, "'%s'" % part) for part in re.findall(r"['\\]|[^'\\]+", word)
    )


def rewriting(chunks: Iterator[bytes], python: str) -> Iterator[bytes]:
    """Yield the result of `rewritten` in pieces, the first with the first line: scripts may have any size."""
    yield rewritten(next(chunks, b""), python)
    yield from chunks


def rewritten(content: bytes, python: str) -> bytes:
    """Return a script of a wheel's scripts folder, with the virtualenv's Python for `#!python` in its first line."""
    match = _PYTHON_LINE.match(content)
    if match is None:
        return content
    rest = content[match.end() :]
    coding = _CODING.match(rest)
    argument = (match.group(1) or b"").decode("utf-8", "surrogateescape").strip()
    return header(python, argument, coding.group(1) if coding else b"") + rest


def generated(entry: EntryPoint, python: str) -> bytes:
    """Return a script that calls an entry point."""
    body = "import sys\n\nfrom {0} import {1}\n\nif __name__ == '__main__':\n    sys.exit({2}())\n"
    return header(python) + body.format(entry.module, entry.attribute.split(".")[0], entry.attribute).encode("utf-8")


def entry_points(text: str, where: str) -> Tuple[EntryPoint, ...]:
    """Return the console and GUI scripts of an entry_points.txt. Raises BundleError for wrong names.

    Names become file names and references become source code, so both must follow the specification exactly.
    """
    found: Dict[str, EntryPoint] = {}
    section = ""
    for raw in text.splitlines():
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1].strip()
        elif section in ("console_scripts", "gui_scripts"):
            name, equals, reference = (part.strip() for part in line.partition("="))
            reference, _, extras = reference.rstrip("] ").partition("[")
            module, colon, attribute = reference.strip().partition(":")
            module, attribute = module.strip(), attribute.strip()
            if not (equals and colon and _dotted(module) and _dotted(attribute) and _file_name(name)):
                raise BundleError(
                    "%s: not an entry point: %s" % (where, ascii(line)),
                    hint="do not use this bundle; build it again with another release of that package",
                )
            found[name] = EntryPoint(
                name, module, attribute, tuple(re.split(r"[,\s]+", extras.strip())) if extras else ()
            )
    return tuple(found.values())


def with_pip_names(entries: Tuple[EntryPoint, ...], version: Tuple[int, int]) -> Tuple[EntryPoint, ...]:
    """Return the scripts with `pip3.11` added for pip, whose wheel has only `pip` and `pip3`."""
    extra: List[EntryPoint] = [one._replace(name="pip%d.%d" % version) for one in entries if one.name == "pip"]
    return entries + tuple(extra)


def _dotted(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))


def _file_name(text: str) -> bool:
    return text not in ("", ".", "..") and "/" not in text and text.isprintable() and size(text) <= PART
