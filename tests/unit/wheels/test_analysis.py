"""What is found out of a wheel, once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.errors import InterruptedBuildError, WheelError
from platter_setuptools.runtime.processes import Runner
from platter_setuptools.values import Origin, Wheel
from platter_setuptools.wheel_cache import WheelCache
from platter_setuptools.wheels.analysis import Analyser
from platter_setuptools.wheels.metadata import describe, open_wheel
from support import handmade
from support.fakes import FakeRunner, target

if TYPE_CHECKING:
    from pathlib import Path

HERE = target()


@pytest.fixture
def cache(tmp_path: Path) -> WheelCache:
    return WheelCache(tmp_path / "store")


def analyser(cache: WheelCache, run: Runner | None = None) -> Analyser:
    return Analyser(target=HERE, cache=cache, run=run or Runner())


def made(folder: Path, *names: str) -> list[Wheel]:
    paths = [handmade.wheel(folder, name, files={f"{name}.py": "x = 1\n", "lib.so": b"\x7fELF"}) for name in names]
    return [open_wheel(path, Origin.FETCHED) for path in paths]


class TestOncePerWheel:
    def test_the_cache_remembers_what_was_found(self, tmp_path: Path, cache: WheelCache) -> None:
        (wheel,) = made(tmp_path, "one")
        found = analyser(cache).analyse(wheel)
        assert found.description == describe(wheel)
        wheel.path.unlink()
        assert analyser(cache).analyse(wheel) == found
        with pytest.raises(WheelError):
            analyser(WheelCache(tmp_path / "another")).analyse(wheel)

    def test_an_analysis_is_made_once_in_a_build(self, tmp_path: Path) -> None:
        (wheel,) = made(tmp_path, "one")
        (tmp_path / "store").write_text("no folder")  # so nothing can be noted
        one = analyser(WheelCache(tmp_path / "store"))
        found = one.analyse(wheel)
        wheel.path.unlink()
        assert one.analyse(wheel) is found

    @pytest.mark.parametrize("note", [None, 7, [], {}, {"facts": {"metadata": {"name": "a"}}}])
    def test_a_note_that_makes_no_sense_does_not_count(self, tmp_path: Path, cache: WheelCache, note: object) -> None:
        (wheel,) = made(tmp_path, "one")
        found = analyser(cache).analyse(wheel)
        (path,) = (tmp_path / "store" / "refs" / "analysis").iterdir()
        cache.note("analysis", path.stem, note)
        assert analyser(cache).analyse(wheel) == found
        assert json.loads(path.read_text())["value"]["facts"]["metadata"]["name"] == "one"

    @pytest.mark.parametrize("note", ["", "{}", "true", "[1]"])
    def test_a_note_that_is_damaged_does_not_count(self, tmp_path: Path, cache: WheelCache, note: str) -> None:
        (wheel,) = made(tmp_path, "one")
        found = analyser(cache).analyse(wheel)
        (path,) = (tmp_path / "store" / "refs" / "analysis").iterdir()
        path.write_text(note)
        assert analyser(cache).analyse(wheel) == found
        assert path.read_text() != note

    def test_what_is_not_sound_is_not_remembered(self, tmp_path: Path, cache: WheelCache) -> None:
        wheel = open_wheel(handmade.wheel(tmp_path, "app", drop=["app.py"]), Origin.FETCHED)
        one = analyser(cache, FakeRunner())
        for _ in range(2):
            with pytest.raises(WheelError, match=r"app\.py is in its RECORD"):
                one.analyse_all([wheel])
        assert not (tmp_path / "store").exists()


def test_a_build_that_is_stopped_analyses_no_further(tmp_path: Path, cache: WheelCache) -> None:
    (wheel,) = made(tmp_path, "one")
    with pytest.raises(InterruptedBuildError):
        analyser(cache, FakeRunner(stopped=True)).analyse(wheel)
