"""Names that came from others, checked before they become paths."""

import re

from .errors import BundleError


def normalised(name: str) -> str:
    """Project name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def relative(path: str, where: str) -> str:
    """The path itself, if it is relative, stays below its root and means the same everywhere; else BundleError."""
    # One test for all the dangerous spellings: an empty part covers "/x", "x//y" and "x/".
    if "\\" in path or "\0" in path or not all(part not in ("", ".", "..") for part in path.split("/")):
        raise BundleError(
            "%s: the name %r could leave its folder" % (where, path),
            hint="do not use this bundle; build it again from sources you trust",
        )
    return path
