"""The commands and time limits of the last deployment: `ROOT/.platter-commands.json`.

They may contain passwords, so the file has mode 0600. It is used only if it belongs to the user that runs this and
nobody else may read or write it, since its content is run.
"""

import contextlib
import json
import os
import stat
from typing import Any, Dict, List, Mapping, Optional, Union

from .. import untrusted
from ..errors import reason
from ..install import disk
from ..install.owners import user_name
from ..options import Given
from ..process import LIMIT
from .commands import READY_TIMEOUT, Commands
from .root import Root

FILE = ".platter-commands.json"
_DRAFT = FILE + ".new"
_DEFAULTS = {"health-check": "", "reload": "", "ready": "", "ready-timeout": READY_TIMEOUT, "command-timeout": LIMIT}
_NEEDED = ("health-check", "reload")  # others came later


def commands(root: Root, given: Given, umask: int) -> Commands:
    """Return what is to be run around a switch, with its time limits."""
    last: Mapping[str, Any] = {} if None not in given else _read(root)
    known = {**_DEFAULTS, **last}
    told = {key: known[key] if value is None else value for key, value in _named(given).items()}
    return Commands(
        dict(os.environ),
        health_check=told["health-check"],
        reload=told["reload"],
        ready=told["ready"],
        umask=umask,
        ready_timeout=told["ready-timeout"],
        command_timeout=told["command-timeout"],
    )


def write(root: Root, done: Commands) -> List[str]:
    """Keep the commands of a successful deployment. Return the options for those that are others now.

    Only warn of errors. The commands themselves are not in what is returned.
    """
    path, draft = os.path.join(root.path, FILE), os.path.join(root.path, _DRAFT)
    kept, before = _named(done), _known(path)
    others = [_option(key, value) for key, value in kept.items() if value != {**_DEFAULTS, **(before or {})}[key]]
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft)
        if before is not None and not others:
            return []
        if kept == _DEFAULTS:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            return others
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
        return []
    return others


def _option(key: str, value: object) -> str:
    """Return the option that stands for this, without the command."""
    if isinstance(value, int):
        return "--%s %d" % (key, value)
    return "--%s" % key if value else "--no-%s" % key


def _read(root: Root) -> Dict[str, Any]:
    """Return the commands that are known: none if the file is not there or is no good, and then that is told."""
    path = os.path.join(root.path, FILE)
    try:
        return _kept(path)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        why = reason(error)
        root.terminal.error("the commands of the last deployment in %s are not used: %s" % (path, why))
        return {}


def _known(path: str) -> Optional[Dict[str, Any]]:
    """Return what the file says, nothing if there is none; None if it is not to be believed."""
    try:
        return _kept(path)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        return None


def _kept(path: str) -> Dict[str, Any]:
    """Return what is in the file. OSError if it cannot be read, ValueError if it is not to be believed."""
    status, user = os.lstat(path), os.geteuid()
    if status.st_uid != user:
        raise ValueError("it belongs to %s, and this runs as %s" % (user_name(status.st_uid), user_name(user)))
    if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o077:
        raise ValueError("it is not a file with mode 0600")
    data = untrusted.parse_json(untrusted.read_file(path, untrusted.TEXT, os.O_NOFOLLOW))
    found = {key: data[key] for key in _DEFAULTS if key in data} if isinstance(data, dict) else {}
    if not all(key in found for key in _NEEDED) or not all(map(_is_right, found, found.values())):
        raise ValueError("it holds something else")
    return found


def _is_right(key: str, value: object) -> bool:
    """Whether this is a command, or a time limit."""
    if isinstance(_DEFAULTS[key], str):
        return isinstance(value, str)
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _named(given: Union[Given, Commands]) -> Dict[str, Any]:
    """Return the commands and time limits by their names in the file."""
    return {key: getattr(given, key.replace("-", "_")) for key in _DEFAULTS}
