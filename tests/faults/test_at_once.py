"""Many at the same time: builds that share a cold store, and installations that want one folder."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

from faults.server import MARKER

if TYPE_CHECKING:
    from collections.abc import Callable

    from faults.builds import Builder
    from faults.ledger import Trials
    from faults.server import Server

EIGHT = 8
LOCKED = 6


def test_builds_with_one_cold_store(
    trials: Trials, new_builder: Callable[[], Builder], expected: Callable[[str], dict[str, str]]
) -> None:
    for trial in trials("eight builds with one cold store", full=5, few=1):
        with trial:
            builders = [new_builder() for _ in range(EIGHT)]
            shared = {
                "PLATTER_BUILD_WHEEL_CACHE": str(builders[0].cache),
                "UV_CACHE_DIR": str(builders[0].folder / "uv"),
                "TMPDIR": str(builders[0].scratch),
            }
            processes = [one.start(environ=shared) for one in builders]
            codes = [process.wait(300) for process in processes]
            assert codes == [0] * EIGHT, [one.said for one in builders]
            assert [one.shown() for one in builders] == [expected("tar.gz")] * EIGHT
            assert list(builders[0].scratch.iterdir()) == []
            builders[0].check_store()
            assert not list(builders[0].cache.rglob("*.tmp"))


def test_installations_into_one_folder(trials: Trials, new_server: Callable[[], Server]) -> None:
    """One installs. The others say that it does, or, once it is done, that there is nothing to do."""
    for trial in trials("eight installations into one folder", full=12, few=1):
        with trial:
            server = new_server()
            logs = [dataclasses.replace(server, folder=server.folder / f"log{number}") for number in range(EIGHT)]
            for one in logs:
                one.folder.mkdir()
            options = ["--force"] if trial.number % 3 == 2 else []
            processes = [one.start(*options, dst=str(server.dst)) for one in logs]
            codes = [process.wait(120) for process in processes]
            assert set(codes) <= {0, LOCKED}, [one.said for one in logs]
            for one, code in zip(logs, codes, strict=True):
                assert code == 0 or "another installation into this folder is running" in one.said
            winners = [one for one in logs if "Installed greet 1.0" in one.said]
            assert len(winners) == 1 or (options and winners)
            server.check_installed()


def test_installations_into_many_folders(trials: Trials, new_server: Callable[[], Server]) -> None:
    for trial in trials("eight installations into eight folders", full=8, few=1):
        with trial:
            first = new_server()
            servers = [dataclasses.replace(first, name=f"1.{number}") for number in range(EIGHT)]
            processes = [one.start() for one in servers]
            assert [process.wait(120) for process in processes] == [0] * EIGHT
            states = [json.loads((one.dst / MARKER).read_text())["state"] for one in servers]
            assert states == ["complete"] * EIGHT
            first.check_no_litter("0.9", *(one.name for one in servers))
