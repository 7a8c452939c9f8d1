"""Write the files of a bundle that is one file into a folder."""

import os
import shutil
import stat
import tempfile
from typing import Callable

from . import signals
from .bundle_files import BundleFiles, Folder, files
from .errors import DestinationError, InstallError, UsageError, advice, describe
from .install.tree import open_to_all

_PIECE = 1 << 20


def extract(bundle: str, parent: str) -> str:
    """Make the bundle's folder, which has its checksums, in the folder `parent`. Return its path."""
    there = files(bundle)
    if isinstance(there, Folder):
        raise UsageError("%s is a folder already" % bundle, hint="copy it: cp -a")
    folder = os.path.join(os.path.abspath(parent), there.top)
    if os.path.lexists(folder):
        raise DestinationError("%s is in the way" % folder, hint="move it away, or name another folder")
    draft = ""
    try:
        os.makedirs(parent, exist_ok=True)
        draft = tempfile.mkdtemp(prefix=".platter-", suffix=".tmp", dir=parent)
        write(there, os.path.join(draft, there.top), lambda _: True)
        os.rename(os.path.join(draft, there.top), folder)
    except OSError as error:
        raise InstallError("writing %s failed: %s" % (folder, describe(error)), hint=advice(error)) from error
    finally:
        with signals.postponed():
            shutil.rmtree(draft, ignore_errors=True)
    return folder


def write(there: BundleFiles, folder: str, wanted: Callable[[str], bool]) -> None:
    """Write the files with these names, their modes and times, into a new folder."""
    times = {folder: 0}
    os.makedirs(folder)
    members = there.members
    for name in sorted(members):
        one, path = members[name], os.path.join(folder, name)
        if not wanted(name):
            continue
        parent = os.path.dirname(path)
        os.makedirs(parent, exist_ok=True)
        if one.kind == stat.S_IFDIR:
            os.makedirs(path, exist_ok=True)
            times[path] = one.mtime
        elif one.kind == stat.S_IFLNK:
            os.symlink(there.link(name), path)
        else:
            with there.open(name).stream as source, open(path, "xb") as target:
                os.fchmod(target.fileno(), one.mode)
                shutil.copyfileobj(source, target, _PIECE)
            os.utime(path, (one.mtime, one.mtime))
            times[folder] = one.mtime
    for path, mtime in times.items():
        open_to_all(path)
        os.utime(path, (mtime, mtime))
