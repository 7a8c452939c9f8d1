"""Compare a bundle with SHA256SUMS, with the installer's code (payload/checksums.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from platter_setuptools.bundle.checksums import checksums, end_of_links
from platter_setuptools.errors import WheelError
from platter_setuptools.inspect.archive_reader import above
from platter_setuptools.payload import checksums as sums
from platter_setuptools.payload import thin
from platter_setuptools.payload.bundle_files import MODULES
from platter_setuptools.payload.errors import InstallError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from platter_setuptools.inspect.bundle_reader import Contents


def differences(contents: Contents, left_out: Collection[str] | None = None) -> Iterator[str]:
    """Yield what is wrong: SHA256SUMS must list every file except itself and its signature, with the right hash.

    `left_out` are the files that a thin bundle lacks; None for a full one.
    """
    if sums.FILE not in contents.texts:
        yield f"{sums.FILE}: missing"
        return
    unlisted_files = {sums.FILE, sums.SIGNATURE} | ({thin.FILE} if left_out is not None else set())
    members = [one for name, one in contents.members.items() if name not in unlisted_files]
    try:
        listed = sums.parse(contents.texts[sums.FILE])
        there = sums.parse(checksums(members).content or b"")
    except (InstallError, WheelError) as error:
        yield error.message
        return
    unlisted = set(_strange_links(contents))
    for name in sorted(listed.keys() | there.keys() | unlisted):
        if name in unlisted:
            yield f"{name}: a link that is not listed in {sums.FILE}"
        elif name not in there:
            if name not in (left_out or ()):
                yield f"{name}: missing"
        elif name not in listed:
            yield f"{name}: not listed in {sums.FILE}"
        elif listed[name] != there[name]:
            yield f"{name}: altered"


def _strange_links(contents: Contents) -> Iterator[str]:
    """Yield links to no file that the installer refuses: broken ones, and those where it imports modules."""
    folders = {folder for name in contents.members for folder in (name, *above(name))}
    for name, member in contents.members.items():
        if member.link is not None:
            end = end_of_links(contents.members, name)
            found = contents.members.get(end)
            is_folder = found.is_folder if found else end in folders or not end
            if name.startswith(MODULES) if is_folder else found is None:
                yield name
