"""Errors on the server: a class and an exit code for each kind."""

import errno
from typing import List, Sequence, Union

SIGNALLED = 128  # what a shell adds to the number of the signal that ended a process


class InstallError(Exception):
    """The base class of all errors for users: what failed and where, and on a separate line what to do."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return "%s\nhint: %s" % (self.message, self.hint)


class UsageError(InstallError):
    exit_code = 2


class PythonError(InstallError):
    """The interpreter is not the one that the bundle was made for."""

    exit_code = 3


class BundleError(InstallError):
    """The bundle is damaged, or contains something that no build makes."""

    exit_code = 4


class HostError(InstallError):
    """The machine or the filesystem does not fit the bundle."""

    exit_code = 5


class DestinationError(InstallError):
    """The destination is in the way, locked, or not a place to install into."""

    exit_code = 6


class HookError(InstallError):
    """A script of the project failed: post-install.sh, pre-activate.sh or post-activate.sh."""

    exit_code = 7


class CommandError(InstallError):
    """The operator's health check, reload or ready command failed; the previous release is active."""

    exit_code = 8


class Interrupted(BaseException):
    """A signal, raised by its handler at any line, so that cleaning up is the same as after a failure.

    Not an Exception: code that handles failures must not handle it. The exit code is the shell's: 128 plus the number
    of the signal.
    """

    hint = "everything is cleaned up: you can run it again"

    def __init__(self, message: str, *, number: int) -> None:
        super().__init__(message)
        self.message = message
        self.exit_code = SIGNALLED + number

    def __str__(self) -> str:
        return "%s\nhint: %s" % (self.message, self.hint)


BY_EXIT_CODE = {
    kind.exit_code: kind
    for kind in (
        InstallError,
        UsageError,
        PythonError,
        BundleError,
        HostError,
        DestinationError,
        HookError,
        CommandError,
    )
}

_ROOM = "make room there (df -h and df -i show how much there is), then try again"
_RIGHTS = (
    "check the owner, mode and attributes of that path (ls -ld, lsattr); or choose a folder on another filesystem, if"
    " this one lacks modes, times or links"
)
_LACKS = "its filesystem lacks what an installation needs; choose a folder on another one"
_HINTS = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EPERM: _RIGHTS,
    errno.EACCES: _RIGHTS,
    errno.EROFS: "it is mounted read-only; choose a folder on another filesystem",
    errno.ENOSYS: _LACKS,
    errno.EOPNOTSUPP: _LACKS,
    errno.EINVAL: _LACKS,
    errno.EFBIG: "allow larger files (ulimit -f), or choose a folder on another filesystem",
    errno.EIO: "check the disk and the kernel's messages (dmesg)",
    errno.ENOMEM: "give the machine more memory, or free some, then try again",
    errno.EMFILE: "allow more open files (ulimit -n), then try again",
    errno.ENFILE: "end other processes, since the machine has too many open files, then try again",
    errno.ENAMETOOLONG: "choose a folder with a shorter path",
}
_ANY_OTHER = "try again; if that does not help, set PLATTER_DEBUG=1 to see where it happens"


def foreseen(error: BaseException) -> Union[InstallError, Interrupted]:
    """Return an error with a hint for any exception."""
    if isinstance(error, (InstallError, Interrupted)):
        return error
    return InstallError(describe(error), hint=advice(error))


def describe(error: BaseException) -> str:
    """Return one line about an unexpected exception."""
    if isinstance(error, OSError) and error.strerror:
        name = error.filename2 or error.filename  # of two, the one that was to be made
        return "%s: %s" % (name, error.strerror) if name else error.strerror
    return "%s: %s" % (type(error).__name__, error)


def reason(error: Union[OSError, ValueError]) -> str:
    """Return why something cannot be read, without its name."""
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


def first(texts: Sequence[str], most: int = 10) -> List[str]:
    """Return the first of these texts, and how many more there are."""
    more = len(texts) - most
    return [*texts[:most], *(["and %d more" % more] if more > 0 else [])]


def advice(error: BaseException) -> str:
    """Return the hint for an unexpected exception."""
    return _HINTS.get(error.errno or 0, _ANY_OTHER) if isinstance(error, OSError) else _ANY_OTHER
