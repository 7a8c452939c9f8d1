"""SHA256SUMS: the hash of every file of a bundle, as `sha256sum -c` reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from platter_setuptools.bundle.members import Member, from_bytes
from platter_setuptools.errors import WheelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def checksums(members: Iterable[Member]) -> Member:
    """Return SHA256SUMS of all files, as `sha256sum -c` reads it; links are followed."""
    by_name = {member.name: member for member in members}
    lines = []
    for name in sorted(by_name):
        sha256 = by_name.get(end_of_links(by_name, name), by_name[name]).sha256
        if sha256:
            lines.append(_line(sha256, name))
    return from_bytes("SHA256SUMS", "".join(lines).encode("utf-8", "surrogateescape"))


def end_of_links(by_name: Mapping[str, Member], name: str) -> str:
    """Return the name that a name leads to through links. Raises WheelError for a circle."""
    ahead, behind, followed = name.split("/")[::-1], list[str](), 0
    while ahead:
        part = ahead.pop()
        if part == "..":
            behind = behind[:-1]
        elif part not in {"", "."}:
            member = by_name.get("/".join([*behind, part]))
            if member is None or member.link is None:
                behind.append(part)
            else:
                followed += 1
                ahead += member.link.split("/")[::-1]
        if followed > 40:  # noqa: PLR2004 - as many as the kernel follows
            raise WheelError(f"the link {name} leads in a circle", hint="let the link name a file or a folder")
    return "/".join(behind)


def _line(sha256: str, name: str) -> str:
    # A name with a newline or a backslash is escaped, and the line marked, as coreutils does.
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    mark = "\\" if escaped != name else ""
    return f"{mark}{sha256}  {escaped}\n"
