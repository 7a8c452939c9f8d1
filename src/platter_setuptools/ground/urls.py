"""URLs without their secrets: nothing that is printed or shipped carries a user name, password or token."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

# Up to the last @ before a slash, whatever stands before it: passwords hold quotes, and @ itself.
_USERINFO = re.compile(r"(?<=://)[^/\s]+@")
_VARIABLE = re.compile(r"\$(\w+|\{\w+\})")
# In JSON and TOML a URL ends at its quote.
_WITH_USERINFO = re.compile(r"([\w+.-]+)://([^/\s\"]+)@")


def redact(text: str) -> str:
    """The text with `user:password@` taken out of every URL in it."""
    return _USERINFO.sub("", text)


def without_userinfo(url: str) -> str:
    """The URL without `user:password@`; `ssh://git@host/` keeps its user, which is part of the address there."""
    parts = urlsplit(url)
    userinfo, at, host = parts.netloc.rpartition("@")
    if not at or (parts.scheme.endswith("ssh") and ":" not in userinfo):
        return url
    return urlunsplit(parts._replace(netloc=host))


def has_secret(text: str) -> bool:
    """Whether a URL in the text has userinfo that could be a secret.

    That is all but the lone user of an SSH address, and `$NAME` or `${NAME}`, where somebody else fills one in.
    """
    for scheme, userinfo in _WITH_USERINFO.findall(text):
        _, colon, password = userinfo.partition(":")
        if (colon or not scheme.lower().endswith("ssh")) and not _VARIABLE.fullmatch(password or userinfo):
            return True
    return False
