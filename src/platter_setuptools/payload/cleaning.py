"""Clean text for output, on the server and the build machine: no secrets, and no control characters.

Every expression here takes time in proportion to the text, which may come from others.
"""

import re
from typing import Match

# Where a URL's authority begins. A path made of a URL has one slash left.
_AUTHORITY = re.compile(r"(:/(?:/|(?<=tp:/)|(?<=tps:/)|(?<=ssh:/)))")
# Up to the last @ before a slash, whatever stands before it: passwords hold quotes, and @ itself. A port that is no
# number is the beginning of a password with a slash in it, or with spaces, which end at the first @.
_USERINFO = re.compile(r"[^/\s]+@|[^/\s:@\[]*:(?!\d+(?:[/\s]|\Z)|\s)(?:\S*@|[^\n@]*@)")
# C0 but the newline, DEL and C1; what has no width, separates lines or turns the direction of text; lone surrogates.
_OBEYED = re.compile(
    "[\0-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
    "|[\U000e0000-\U000e007f]"
)
_COLOUR = re.compile("\x1b\\[[0-9;]{0,32}m")


def clean(text: str) -> str:
    """Return the text without secrets, with control characters as escapes with their numbers.

    Colours are removed, tabs become spaces, and line ends of other systems newlines.
    """
    text = redact(text)
    if text.isprintable():
        return text
    text = _COLOUR.sub("", text.replace("\r\n", "\n")).replace("\t", "    ")
    return _OBEYED.sub(_escape, text)


def redact(text: str) -> str:
    """Return the text without the `user:password@` of URLs."""
    if "@" not in text:
        return text
    parts = _AUTHORITY.split(text)
    parts[2::2] = map(_without_userinfo, parts[2::2])
    return "".join(parts)


def _without_userinfo(part: str) -> str:
    # Twice: a user can be an address of mail, with a password that has a slash in it.
    for _ in range(2):
        found = _USERINFO.match(part)
        part = part[found.end() :] if found else part
    return part


def _escape(found: Match[str]) -> str:
    code = ord(found.group())
    if 0xDC80 <= code <= 0xDCFF:  # noqa: PLR2004 - a byte of a name that is not UTF-8 (PEP 383)
        code -= 0xDC00
    return "\\x%02x" % code if code < 0x100 else "\\u%04x" % code if code < 0x10000 else "\\U%08x" % code  # noqa: PLR2004
