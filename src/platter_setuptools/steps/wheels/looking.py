"""Looking: all that a build wants to know of a wheel, found out once and noted in the store.

To look into a large wheel takes a second. Many are shared among processes: threads would wait for each other (the GIL).
"""

from __future__ import annotations

import gc
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platter_setuptools.ground.errors import CommandError, PlatterError, WheelError
from platter_setuptools.ground.threads import CORES
from platter_setuptools.ground.values import Origin
from platter_setuptools.payload import crew
from platter_setuptools.steps.store import Store
from platter_setuptools.steps.wheels.needs import linkage_of
from platter_setuptools.steps.wheels.soundness import places_of
from platter_setuptools.steps.wheels.wheelfile import describe_once, open_wheel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from platter_setuptools.ground.run import Runner
    from platter_setuptools.ground.values import Wheel
    from platter_setuptools.steps.target import Target

_MANY = 8 << 20  # bytes, from which on it is worth to start a process
# Not this process: it has threads, and so must not fork.
_PROGRAM = (
    "import json, sys; request = json.load(sys.stdin); sys.path[:] = request['path'];"
    " from platter_setuptools.steps.wheels.looking import serve; serve(request)"
)


def look_into(wheel: Wheel, platform: str, interpreter: Path, store: Store, work: Path) -> None:
    """Find out what is asked of a wheel later. Raises WheelError for one that is not sound."""
    describe_once(wheel, store)
    linkage_of(wheel, platform, interpreter, store, work)
    places_of(wheel, store)


def look_into_all(wheels: Sequence[Wheel], target: Target, store: Store, run: Runner, work: Path) -> None:
    """Look into wheels that came just now. Raises WheelError for the first that is not sound."""
    if sum(wheel.size for wheel in wheels) < _MANY:
        for wheel in wheels:
            look_into(wheel, target.platform, target.executable, store, work)
        return
    request = {
        "path": sys.path,
        # The largest first: begun last it would leave the other processes idle.
        "wheels": [[os.fspath(wheel.path), wheel.sha256] for wheel in sorted(wheels, key=lambda wheel: -wheel.size)],
        "processes": CORES,
        "platform": target.platform,
        "interpreter": os.fspath(target.executable),
        "store": os.fspath(store.root),
        "work": os.fspath(work),
    }
    try:
        answer = run([sys.executable, "-I", "-c", _PROGRAM], stdin=json.dumps(request))
    except CommandError as error:
        raise PlatterError(
            f"looking into {len(wheels)} fetched or built wheel{'s' * (len(wheels) > 1)} failed",
            hint="is there room in TMPDIR and in the wheel cache, and memory?",
            output=error.output,
        ) from error
    if answer:
        message, hint = json.loads(answer)
        raise WheelError(message, hint=hint)


def serve(request: dict[str, Any]) -> None:
    """What the process does: look, and print as JSON the message and the hint of the first error, if there is one."""
    gc.disable()  # it would take a twentieth of the time, and this process ends soon
    store, work = Store(Path(request["store"])), Path(request["work"])

    def work_on(number: int) -> list[str | None] | None:
        path, sha256 = request["wheels"][number]
        try:
            wheel = open_wheel(Path(path), Origin.FETCHED, sha256=sha256)
            look_into(wheel, request["platform"], Path(request["interpreter"]), store, work)
        except WheelError as error:
            return [error.message, error.hint]
        return None

    results = dict(crew.run(len(request["wheels"]), work_on, request["processes"]))
    if errors := [error for _, error in sorted(results.items()) if error]:
        json.dump(errors[0], sys.stdout)
