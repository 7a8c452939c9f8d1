"""URLs without secrets: nothing that is shipped contains a user name, password or token."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

from platter_setuptools.payload.cleaning import redact

__all__ = ["has_secret", "redact", "without_userinfo"]

_VARIABLE = re.compile(r"\$(\w+|\{\w+\})")
# In JSON and TOML a URL ends at its quote.
_USERINFO = re.compile(r"([^/\s\"]+)@")
_LONGEST_SCHEME = 32  # characters that are looked at


def without_userinfo(url: str) -> str:
    """Return the URL without `user:password@`; `ssh://git@host/` keeps its user, a part of the address."""
    parts = urlsplit(url)
    userinfo, at, host = parts.netloc.rpartition("@")
    if not at or (parts.scheme.endswith("ssh") and ":" not in userinfo):
        return url
    return urlunsplit(parts._replace(netloc=host))


def without_query(url: str) -> str:
    """Return the URL as it may be printed: queries hold signatures and tokens as userinfo holds passwords."""
    return urlsplit(without_userinfo(url))._replace(query="", fragment="").geturl()


def has_secret(text: str) -> bool:
    """Whether a URL in the text has userinfo that could be a secret. Takes time in proportion to the text.

    That is all but the lone user of an SSH address, and `$NAME` or `${NAME}`, where somebody else fills one in.
    """
    before, *rest = text.split("://")
    for part in rest:
        if found := _USERINFO.match(part):
            _, colon, password = found[1].partition(":")
            is_ssh = before[-_LONGEST_SCHEME:].lower().endswith("ssh")
            if (colon or not is_ssh) and not _VARIABLE.fullmatch(password or found[1]):
                return True
        before = part
    return False
