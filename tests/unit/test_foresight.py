"""Foresight: what was foreseen is used only if it is what is asked now."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.ground.errors import DependencyError
from platter_setuptools.ground.threads import settle
from platter_setuptools.ground.values import Origin
from platter_setuptools.steps.foresight import Foresight
from platter_setuptools.steps.resolving.lock import Lock, parse_lock
from platter_setuptools.steps.store import Store
from platter_setuptools.steps.wheels.check import Described
from platter_setuptools.steps.wheels.wheelfile import describe, open_wheel
from support import handmade
from support.fakes import target

if TYPE_CHECKING:
    from pathlib import Path

HERE = target()


def described(folder: Path, name: str, version: str = "1.0", *, requires: tuple[str, ...] = ()) -> Described:
    wheel = open_wheel(handmade.wheel(folder, name, version, requires=requires), Origin.STORE)
    return Described(wheel=wheel, description=describe(wheel))


class Yesterday:
    """A store that remembers a build of `app`, and what a resolver was asked since."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store, self.asked = folder, Store(folder / "store"), list[str]()
        self.source = folder / "app"

    def foresight(self, source: Path | None = None) -> Foresight:
        return Foresight(source=source or self.source, target=HERE, store=self.store)

    def remember(self, *, requires: tuple[str, ...], others: tuple[Described, ...] = ()) -> None:
        project = described(self.folder, "app", "1.0", requires=requires)
        self.foresight().remember(project, [*others, project])

    def resolve(self, wheel: Path, name: str) -> Lock:
        with zipfile.ZipFile(wheel) as archive:
            text = archive.read(f"{name}-0.dist-info/METADATA").decode()
        self.asked.append(text)
        return parse_lock({"lock-version": "1.0", "created-by": "test", "packages": []}, base=wheel.parent, where="it")

    def lock_for(self, project: Described) -> Lock | None:
        foresight = self.foresight()
        work = self.folder / f"work{len(self.asked)}"
        work.mkdir()
        foresight.look_ahead(self.resolve, work)
        return foresight.lock_for(project)


@pytest.fixture
def yesterday(tmp_path: Path) -> Yesterday:
    return Yesterday(tmp_path)


def test_the_same_question_is_answered_also_for_another_version(yesterday: Yesterday, tmp_path: Path) -> None:
    yesterday.remember(requires=("b>=1", "a; extra == 'x'"))
    assert yesterday.lock_for(described(tmp_path, "app", "2.0", requires=("a; extra == 'x'", "b>=1")))
    assert "Name: app" in yesterday.asked[0]
    assert "Requires-Dist: b>=1\n" in yesterday.asked[0]


def test_another_question_is_not_answered(yesterday: Yesterday, tmp_path: Path) -> None:
    yesterday.remember(requires=("b>=1",))
    assert yesterday.lock_for(described(tmp_path, "app", requires=("b>=2",))) is None
    settle(10)  # it was asked in a thread of its own
    assert len(yesterday.asked) == 1


def test_a_dependency_with_a_word_about_the_project_makes_each_version_another_question(
    yesterday: Yesterday, tmp_path: Path
) -> None:
    yesterday.remember(requires=("b",), others=(described(tmp_path, "b", requires=("App>=1",)),))
    assert yesterday.lock_for(described(tmp_path, "app", requires=("b",))) is None
    assert yesterday.asked == []


def test_nothing_is_known_of_another_folder(yesterday: Yesterday, tmp_path: Path) -> None:
    yesterday.remember(requires=("b",))
    foresight = yesterday.foresight(tmp_path / "elsewhere")
    foresight.look_ahead(yesterday.resolve, tmp_path)
    assert foresight.lock_for(described(tmp_path, "app", requires=("b",))) is None
    assert yesterday.asked == []


def test_a_resolver_that_fails_is_asked_again_in_its_turn(yesterday: Yesterday, tmp_path: Path) -> None:
    yesterday.remember(requires=("b",))
    foresight = yesterday.foresight()

    def fail(_wheel: Path, _name: str) -> Lock:
        raise DependencyError("no network")

    foresight.look_ahead(fail, tmp_path)
    assert foresight.lock_for(described(tmp_path, "app", requires=("b",))) is None


@pytest.mark.parametrize(
    "note", [None, 3, [], {}, {"asked": 7, "wheels": 7}, {"asked": {"name": "app"}, "wheels": [1]}]
)
def test_a_note_that_makes_no_sense_does_no_harm(yesterday: Yesterday, tmp_path: Path, note: object) -> None:
    yesterday.remember(requires=())
    (path,) = (tmp_path / "store" / "refs" / "last").iterdir()
    yesterday.store.note("last", path.stem, note)
    assert yesterday.lock_for(described(tmp_path, "app")) is None
