"""The health check and the reload command of the last deployment: `ROOT/.platter-commands.json`.

They may contain passwords, so the file has mode 0600. It is used only if it belongs to the user that runs this and
nobody else may read or write it, since its content is run.
"""

import contextlib
import json
import os
import stat
from typing import Dict, Optional

from .. import untrusted
from ..install import disk
from ..install.owners import user_name
from .root import Root
from .switch import Commands

FILE = ".platter-commands.json"
_DRAFT = FILE + ".new"
_KEYS = ("health-check", "reload")


def commands(root: Root, health_check: Optional[str], reload: Optional[str], umask: int) -> Commands:
    """Return what is to be run around a switch: what was given, an empty text for nothing; None as the last time."""
    last = {} if health_check is not None and reload is not None else _read(root)
    return Commands(
        dict(os.environ),
        last.get("health-check", "") if health_check is None else health_check,
        last.get("reload", "") if reload is None else reload,
        umask,
    )


def write(root: Root, done: Commands) -> None:
    """Keep the commands of a successful deployment. Only warn of errors."""
    path, draft = os.path.join(root.path, FILE), os.path.join(root.path, _DRAFT)
    kept = {"health-check": done.health_check, "reload": done.reload}
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft)
        if not any(kept.values()):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            return
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            os.fchmod(descriptor, 0o600)  # a default ACL may have given it another one
            json.dump(kept, stream, indent=2)
            stream.write("\n")
            stream.flush()
            disk.sync(descriptor)
        os.replace(draft, path)
    except OSError as error:
        root.terminal.error("%s cannot be written: %s" % (path, error.strerror))


def _read(root: Root) -> Dict[str, str]:
    """Return the commands that are known: none if the file is not there or is no good, and then that is told."""
    path = os.path.join(root.path, FILE)
    try:
        return _kept(path)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        root.terminal.error("the commands of the last deployment in %s are not used: %s" % (path, why))
        return {}


def _kept(path: str) -> Dict[str, str]:
    """Return what is in the file. OSError if it cannot be read, ValueError if it is not to be believed."""
    status, user = os.lstat(path), os.geteuid()
    if status.st_uid != user:
        raise ValueError("it belongs to %s, and this runs as %s" % (user_name(status.st_uid), user_name(user)))
    if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o077:
        raise ValueError("it is not a file with mode 0600")
    data = untrusted.parse_json(untrusted.read_file(path, untrusted.TEXT, os.O_NOFOLLOW))
    if not isinstance(data, dict) or not all(isinstance(data.get(key), str) for key in _KEYS):
        raise ValueError("it holds something else")
    return {key: data[key] for key in _KEYS}
