"""The files beside the destination: what --force replaces, and what is waiting to be deleted.

What cannot be deleted is reported once and moved aside as `.NAME.platter-left`, which is never used again.
"""

import os
import stat
from typing import Callable, List

from ..errors import DestinationError
from . import removal


class Beside:
    """`replaced` and `trash` are paths, which may not exist."""

    def __init__(self, path: str, warn: Callable[[str], None]) -> None:
        """`path` is the destination; `warn` gets what could not be deleted."""
        self.path = path
        self.warn = warn
        self.parent, self._name = os.path.split(path)
        self.replaced = self._place("replaced")
        self.trash = self._place("trash")

    def leftover(self) -> DestinationError:
        return DestinationError(
            "%s stands beside %s, and both may be wanted" % (self.replaced, self.path),
            hint="an earlier --force set it aside; move or delete one of the two by hand",
        )

    def distrust_replaced(self) -> None:
        """Refuse a replaced folder of another user: in a folder such as /tmp anybody can create one."""
        beside, owner = os.stat(self.parent).st_mode, os.lstat(self.replaced).st_uid
        if beside & stat.S_IWOTH and owner not in (0, os.geteuid()):
            raise self.leftover()

    def discard_replaced(self) -> None:
        """Delete the replaced folder, since the new installation is complete. Only warn of errors."""
        if not os.path.lexists(self.replaced):
            return
        try:
            self.sweep()
            os.rename(self.replaced, self.trash)
        except OSError as error:
            self.warn("%s could not be removed: %s" % (self.replaced, removal.reason(error, self.replaced)))
        self.sweep()

    def sweep(self) -> None:
        """Delete what is only waiting for that."""
        if os.path.lexists(self.trash):
            kept = removal.remove(self.trash)
            if kept:
                self.leave(self.trash, kept)

    def leave(self, path: str, kept: List[str]) -> None:
        """Set aside, for good, what cannot be deleted, and tell."""
        left = self._place("left")
        number = 1
        while os.path.lexists(left + ("-%d" % number if number > 1 else "")):
            number += 1
        left += "-%d" % number if number > 1 else ""
        try:
            os.rename(path, left)
        except OSError:
            left = path
        self.warn(
            "not everything of %s could be removed (%s); the rest is in %s, for you to remove"
            % (self.path, removal.shown(kept), left)
        )

    def _place(self, what: str) -> str:
        return os.path.join(self.parent, ".%s.platter-%s" % (self._name, what))
