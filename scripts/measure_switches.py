"""Switch releases of a web application under load: python scripts/measure_switches.py FIGURES.

gunicorn with two workers (sync) has a socket that stays open while it is restarted, as systemd keeps that of a socket
unit. Four threads ask for a page without a pause, each request on a connection of its own, and nothing is tried again.
What is not the page, within 30 seconds, is lost. 50 switches between two releases, then 10 to one that does not start:
half of them end at the health check, half after the switch, when the ready command gets no answer. For comparison, 5
switches where gunicorn opens its port itself.

Then, in turns and without load: `ROOT/platter rollback`, which restarts the service, and the restart alone; each until
the first answer after it. FIGURES, a JSON file, gets counts and seconds of wall time.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support import gunicorn
from support.gunicorn import BROKEN, NEW, OLD
from support.load import Load
from support.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable

SWITCHES, FAILED, ALONE, PAIRS = 50, 10, 5, 25
CHECK = ("--health-check", "gunicorn --check-config yourapp:app")


def main() -> None:
    (figures,) = map(Path, sys.argv[1:])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        root = gunicorn.root(folder)
        found = {
            "with a socket": under_load(root, folder / "socket", SWITCHES, FAILED, activated=True),
            "alone": under_load(root, folder / "alone", ALONE, 0, activated=False),
            "rollback": rollbacks(root, folder / "rollback"),
        }
    figures.write_text(json.dumps(found, indent=2) + "\n")
    print(figures.read_text(), end="")


def under_load(root: Path, folder: Path, switches: int, failed: int, *, activated: bool) -> dict[str, object]:
    run(root / "platter", "activate", OLD)
    folder.mkdir()
    with serve(root, folder, activated=activated) as service:
        reload = ("--reload", service.restart_command)
        ready = ("--ready", service.ask_command(timeout=2))
        in_vain = ("--no-health-check", *reload, *ready, "--ready-timeout", "3")
        with Load(service.url) as load:
            for number in range(switches):
                version = OLD if number % 2 else NEW
                run(root / "platter", "activate", version, *CHECK, *reload, *ready)
                load.await_answer(ask(service, version))
            for number in range(failed):
                words = in_vain if number % 2 else (*CHECK, *reload, *ready)
                run(root / "platter", "activate", BROKEN, *words, code=8)
                load.await_answer(ask(service, OLD))
    answers = {text.split()[0]: count for text, count in load.answers.items()}
    return {"switches": switches, "failed": failed, "answers": answers, "lost": dict(load.lost)}


def rollbacks(root: Path, folder: Path) -> dict[str, object]:
    run(root / "platter", "activate", NEW)
    run(root / "platter", "activate", OLD)
    folder.mkdir()
    times: dict[str, list[float]] = {"rollback": [], "restart": []}
    with serve(root, folder, activated=True) as service:
        for number in range(PAIRS):
            version = OLD if number % 2 else NEW
            back = partial(run, root / "platter", "rollback", "--reload", service.restart_command)
            times["rollback"].append(timed(back, service, version))
            times["restart"].append(timed(partial(run, "sh", "-c", service.restart_command), service, version))
    ratios = [ours / theirs for ours, theirs in zip(times["rollback"], times["restart"], strict=True)]
    medians = {name: statistics.median(found) for name, found in times.items()}
    low, _, high = statistics.quantiles(ratios)
    return {"pairs": PAIRS, **medians, "middle half of the ratios": [low, high], "spread": [min(ratios), max(ratios)]}


def timed(act: Callable[[], None], service: Service, version: str) -> float:
    start = time.perf_counter()
    act()
    ask(service, version)
    return time.perf_counter() - start


def serve(root: Path, folder: Path, *, activated: bool) -> Service:
    service = Service(folder, gunicorn.command(root, ["gunicorn"], activated=activated), activated=activated)
    if not service.start():
        sys.exit(service.log.read_text())
    return service


def ask(service: Service, version: str) -> str:
    """Return the page, which has to be of this version."""
    text = service.ask()
    if text.split()[0] != version:
        sys.exit(f"{version} was expected to answer, and {text!r} came")
    return text


def run(*words: str | Path, code: int = 0) -> None:
    done = subprocess.run(words, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != code:
        sys.exit(f"{words} ended with {done.returncode}: {done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
