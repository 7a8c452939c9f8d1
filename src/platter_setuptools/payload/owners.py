"""Whose a file is: what another user can change is neither run nor believed by root."""

import os
import pwd
import stat
from typing import Optional


def user_name(number: int) -> str:
    """Return the user's name, or ``user 1234`` if the system does not know one."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:  # containers like users that nobody has heard of
        return "user %d" % number


def other(path: str) -> str:
    """Return who else could change this file, link or folder; empty for the superuser and the user that this runs as.

    A path that is not there belongs to nobody.
    """
    try:
        status = os.lstat(path)
    except OSError:
        return ""
    if status.st_uid not in (0, os.geteuid()):
        return user_name(status.st_uid)
    return "anybody" if status.st_mode & stat.S_IWOTH and not stat.S_ISLNK(status.st_mode) else ""


def foreign(path: str) -> Optional[str]:
    """Return a sentence if the path belongs to another user; None if it is there for us, or not there."""
    try:
        owner = os.lstat(path).st_uid
    except OSError:
        return None
    if owner in (0, os.geteuid()):
        return None
    return "%s belongs to %s, and this runs as %s" % (path, user_name(owner), user_name(os.geteuid()))
