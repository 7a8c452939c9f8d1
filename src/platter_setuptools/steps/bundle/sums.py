"""SHA256SUMS against what is in a bundle, by the judgement of the installer (payload/checksums.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from platter_setuptools.ground.errors import WheelError
from platter_setuptools.payload import checksums as sums
from platter_setuptools.payload.errors import InstallError
from platter_setuptools.steps.bundle.contents import Contents, above
from platter_setuptools.steps.bundle.manifest import checksums, end_of_links

if TYPE_CHECKING:
    from collections.abc import Iterator


def differences(contents: Contents) -> Iterator[str]:
    """SHA256SUMS lists every file but itself and its signature, and says the truth about it."""
    if sums.FILE not in contents.texts:
        yield f"{sums.FILE}: missing"
        return
    members = [one for name, one in contents.members.items() if name not in {sums.FILE, sums.SIGNATURE}]
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
            yield f"{name}: missing"
        elif name not in listed:
            yield f"{name}: not listed in {sums.FILE}"
        elif listed[name] != there[name]:
            yield f"{name}: altered"


def _strange_links(contents: Contents) -> Iterator[str]:
    """Links that lead to no file, but where the installer wants one: nowhere, and where it looks for modules."""
    folders = {folder for name in contents.members for folder in (name, *above(name))}
    for name, member in contents.members.items():
        if member.link is not None:
            end = end_of_links(contents.members, name)
            found = contents.members.get(end)
            is_folder = found.is_folder if found else end in folders or not end
            if name.startswith(sums.MODULES) if is_folder else found is None:
                yield name
