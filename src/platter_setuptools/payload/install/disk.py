"""Write an installation to the disk before it is marked complete, so that it survives a power failure."""

import contextlib
import errno
import os
from typing import Optional

from ..errors import HostError


def flush(folder: str) -> None:
    """Write the folder's filesystem to its disk: once for all files. HostError if that fails."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        import ctypes  # noqa: PLC0415 - not every Python has it

        library = ctypes.CDLL(None, use_errno=True)
        failed, number = library.syncfs(descriptor), ctypes.get_errno()
    except (ImportError, AttributeError, OSError):
        os.sync()  # all filesystems, and nobody hears whether it went well
        return
    finally:
        os.close(descriptor)
    if failed and number in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):  # a filesystem that does not know how
        os.sync()
    elif failed:
        raise HostError(
            "%s could not be written to disk: %s" % (folder, os.strerror(number)),
            hint="check the disk and the kernel's messages (dmesg)",
        )


def tells_case(folder: str) -> Optional[bool]:
    """Return whether names in the folder may differ only in case; None if nothing can be written there.

    A file is made for that, and removed.
    """
    import tempfile  # noqa: PLC0415 - hardly a bundle asks for it

    try:
        with tempfile.NamedTemporaryFile(prefix=".platter-Case-", dir=folder) as file:
            name = os.path.basename(file.name)
            return not os.path.lexists(os.path.join(folder, name.swapcase()))
    except OSError:
        return None


def sync(descriptor: int) -> None:
    """Write this one file to its disk; OSError if that fails, but not where a filesystem does not know how."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
            raise


def sync_folder(folder: str) -> None:
    """Let what was renamed or made in this folder last; where a filesystem does not know how, it stays as it is."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
