"""Folders in the lower layer of an overlay, such as an image's: they can be copied and deleted, but not renamed."""

import os
import shutil
import stat


def copy(source: str, target: str, spared: str) -> None:
    """Copy a folder, but nothing of the name `spared`.

    Modes, times, extended attributes, owners and links are kept. OSError, with one line of text, if that cannot be
    done: for a device or a socket in it, for one.
    """
    try:
        shutil.copytree(source, target, symlinks=True, copy_function=_copy, ignore=lambda *_: [spared])
    except shutil.Error as error:
        found = error.args[0]
        raise OSError(str(found[0][2]) if isinstance(found, list) else str(found)) from error
    for folder, _, _ in os.walk(target):
        _own(os.path.join(source, os.path.relpath(folder, target)), folder)


def _copy(source: str, target: str) -> None:
    shutil.copy2(source, target, follow_symlinks=False)
    _own(source, target)


def _own(source: str, target: str) -> None:
    status = os.lstat(source)
    os.chown(target, status.st_uid, status.st_gid, follow_symlinks=False)
    if not stat.S_ISLNK(status.st_mode):  # a change of owner takes the bits for other users' rights away
        os.chmod(target, stat.S_IMODE(status.st_mode))
