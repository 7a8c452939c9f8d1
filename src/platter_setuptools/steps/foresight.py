"""Foresight: while the resolver works, get ready what it will most likely say.

Most builds take the same wheels as the last one of the same project. Hashing them, reading their metadata and finding
their bytecode costs as much time as the resolver leaves a processor idle. A wrong guess costs nothing but that.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from platter_setuptools.ground.errors import PlatterError
from platter_setuptools.ground.interrupts import signals_held_back
from platter_setuptools.ground.values import Origin
from platter_setuptools.steps.bytecode import find_compiled
from platter_setuptools.steps.soundness import places_of
from platter_setuptools.steps.store import key_of
from platter_setuptools.steps.wheelfile import describe, open_wheel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.utils import NormalizedName

    from platter_setuptools.ground.values import Wheel
    from platter_setuptools.steps.store import Store
    from platter_setuptools.steps.target import Target

_KIND = "last"


def look_ahead(project: NormalizedName, target: Target, store: Store) -> None:
    """Begin, in the background, with what `remember` was told last."""
    with signals_held_back():
        threading.Thread(target=_look, args=(project, target, store), daemon=True).start()


def remember(project: NormalizedName, target: Target, store: Store, wheels: Iterable[Wheel]) -> None:
    """Note what a build took; a store that cannot be written to is no reason to fail."""
    taken = [[wheel.sha256, wheel.filename] for wheel in wheels if wheel.origin is not Origin.PROJECT]
    with contextlib.suppress(PlatterError):
        store.note(_KIND, key_of(project, target.key), taken)


def _look(project: NormalizedName, target: Target, store: Store) -> None:
    # A note may hold anything: whatever is wrong with it, the build goes on without it.
    with contextlib.suppress(PlatterError, ValueError, TypeError, AttributeError, OSError):
        for sha256, filename in store.recall(_KIND, key_of(project, target.key)) or ():
            path = store.find(sha256, filename)
            if path:
                wheel = open_wheel(path, Origin.STORE, sha256=sha256)
                describe(wheel)
                places_of(wheel, store)
                find_compiled(wheel, target, store)
