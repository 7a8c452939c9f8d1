"""Looking into wheels: here, or in a process of its own, with the same result."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from platter_setuptools.ground.errors import PlatterError, WheelError
from platter_setuptools.ground.run import Processes
from platter_setuptools.ground.values import Origin, Wheel
from platter_setuptools.steps.store import Store
from platter_setuptools.steps.wheels import looking
from platter_setuptools.steps.wheels.looking import look_into_all
from platter_setuptools.steps.wheels.needs import linkage_of
from platter_setuptools.steps.wheels.soundness import places_of
from platter_setuptools.steps.wheels.wheelfile import describe_once, open_wheel
from support import handmade
from support.fakes import FakeRunner, target

if TYPE_CHECKING:
    from pathlib import Path

HERE = target()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def made(folder: Path, *names: str) -> list[Wheel]:
    paths = [handmade.wheel(folder, name, files={f"{name}.py": "x = 1\n", "lib.so": b"\x7fELF"}) for name in names]
    return [open_wheel(path, Origin.FETCHED) for path in paths]


@pytest.fixture
def always_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "_MANY", 0)


@pytest.mark.usefixtures("always_apart")
def test_what_another_process_found_is_in_the_store(tmp_path: Path, store: Store) -> None:
    wheels = made(tmp_path, "one", "two", "three")
    look_into_all(wheels, HERE, store, Processes(), tmp_path)
    for wheel in wheels:
        wheel.path.unlink()  # so nobody can look again
        assert describe_once(wheel, store).name == wheel.name
        assert f"site-packages/{wheel.name}.py" in places_of(wheel, store)
        assert linkage_of(wheel, HERE.platform, HERE.executable, store, tmp_path)["needs"] == []


@pytest.mark.usefixtures("always_apart")
def test_the_one_that_is_not_sound_is_named(tmp_path: Path, store: Store) -> None:
    wheels = made(tmp_path, "one", "two")
    path = handmade.wheel(tmp_path, "bad", drop=["bad-1.0.dist-info/RECORD"])
    wheels.append(open_wheel(path, Origin.FETCHED))
    with pytest.raises(
        WheelError, match=r"^bad-1\.0-py3-none-any\.whl: bad-1\.0\.dist-info/RECORD is missing"
    ) as apart:
        look_into_all(wheels, HERE, store, Processes(), tmp_path)
    with pytest.raises(WheelError) as here:
        looking.look_into(wheels[-1], HERE.platform, HERE.executable, store, tmp_path)
    assert (apart.value.message, apart.value.hint) == (here.value.message, here.value.hint)


@pytest.mark.usefixtures("always_apart")
def test_a_process_that_fails_is_told_of_with_its_last_words(tmp_path: Path, store: Store) -> None:
    wheels = made(tmp_path, "one")
    wheels[0].path.unlink()
    with pytest.raises(PlatterError, match="looking into 1 fetched or built wheel failed") as caught:
        look_into_all(wheels, HERE, store, Processes(), tmp_path)
    assert any("No such file" in line for line in caught.value.output)


def test_for_little_no_process_is_started(tmp_path: Path, store: Store) -> None:
    (wheel,) = made(tmp_path, "one")
    run = FakeRunner()
    look_into_all([wheel], HERE, store, run, tmp_path)
    assert run.calls == []
    wheel.path.unlink()
    assert describe_once(wheel, store).name == "one"
