"""The owners of files: root neither runs nor reads what another user can change."""

import glob
import os
import pwd
import stat

_TRUSTED = (".platter-release.json", ".platter-scripts", "pyvenv.cfg", "bin", "lib", "lib64")

HINT = "do this as that user, with sudo -u for one; or remove it and install it again"


def user_name(number: int) -> str:
    """Return the user's name, or `user 1234` if the system does not know one."""
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


def stranger(folder: str) -> str:
    """Return who else could change what runs from a virtualenv, as a sentence; empty if it can be trusted.

    The superuser trusts nothing that anybody else could change. Others trust what lies where not everybody may make
    files, since a group may share it.
    """
    if os.geteuid():
        try:
            shared = os.stat(os.path.dirname(folder)).st_mode & stat.S_IWOTH
        except OSError:
            return ""
        paths = [folder] if shared else []
    else:
        paths = [folder, *(os.path.join(folder, name) for name in _TRUSTED)]
        paths += glob.glob(glob.escape(folder) + "/.platter-scripts/*")
        paths += glob.glob(glob.escape(folder) + "/bin/*") + glob.glob(glob.escape(folder) + "/lib*/python*")
        paths += glob.glob(glob.escape(folder) + "/lib*/python*/site-packages")
    for path in paths:
        found = other(path)
        if found:
            owned = "can be changed by anybody" if found == "anybody" else "belongs to %s" % found
            return "%s %s, and this runs as %s" % (path, owned, user_name(os.geteuid()))
    return ""
