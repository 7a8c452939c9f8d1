"""Foresight: what was foreseen is used only if it is what is asked now."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.ground.errors import DependencyError
from platter_setuptools.ground.threads import settle
from platter_setuptools.ground.values import Origin
from platter_setuptools.steps.foresight import Foresight
from platter_setuptools.steps.resolving.lock import Lock, parse_lock
from platter_setuptools.steps.resolving.remembered import metadata_of
from platter_setuptools.steps.resolving.resolver import Request
from platter_setuptools.steps.store import Store
from platter_setuptools.steps.wheels.check import Described
from platter_setuptools.steps.wheels.wheelfile import describe, open_wheel
from support import handmade
from support.fakes import target

if TYPE_CHECKING:
    from pathlib import Path

HERE = target()


def described(
    folder: Path, name: str, version: str = "1.0", *, requires: tuple[str, ...] = (), metadata: str = ""
) -> Described:
    wheel = open_wheel(handmade.wheel(folder, name, version, requires=requires, metadata=metadata), Origin.STORE)
    return Described(wheel=wheel, description=describe(wheel))


class Yesterday:
    """A store that remembers a build of `app`, and what a resolver was asked since."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store, self.asked = folder, Store(folder / "store"), list[bytes]()
        self.source = folder / "app"

    def foresight(self, source: Path | None = None) -> Foresight:
        return Foresight(
            source=source or self.source,
            target=HERE,
            store=self.store,
            resolve=self.resolve,
        )

    def remember(self, *, requires: tuple[str, ...] = (), metadata: str = "") -> None:
        project = described(self.folder / "then", "app", requires=requires, metadata=metadata)
        self.foresight().remember(project, [project], [])

    def resolve(self, request: Request) -> Lock:
        assert request.project
        self.asked.append(metadata_of(request.project))
        base = request.project.parent
        return parse_lock({"lock-version": "1.0", "created-by": "test", "packages": []}, base=base, where="it")

    def lock_for(self, project: Described, more: str = "") -> Lock | None:
        foresight = self.foresight()
        work = self.folder / f"work{len(self.asked)}"
        work.mkdir()
        foresight.look_ahead(request_for, work)
        return foresight.lock_for(request_for(project.wheel.path, more))


def request_for(wheel: Path, *more: str) -> Request:
    return Request(requirements=(f"app @ {wheel.as_uri()}", *filter(None, more)), project=wheel)


@pytest.fixture
def yesterday(tmp_path: Path) -> Yesterday:
    return Yesterday(tmp_path)


def test_the_same_question_is_answered(yesterday: Yesterday, tmp_path: Path) -> None:
    project = described(tmp_path, "app", requires=("b>=1", "a; extra == 'x'"))
    yesterday.remember(requires=("b>=1", "a; extra == 'x'"))
    assert yesterday.lock_for(project)
    assert yesterday.asked == [metadata_of(project.wheel.path)]


@pytest.mark.parametrize(
    ("version", "requires", "more"),
    [("1.0", ("b>=1", "a"), ""), ("1.0", ("a", "b>=2"), ""), ("2.0", ("a", "b>=1"), ""), ("1.0", ("a", "b>=1"), "c")],
)
def test_another_question_is_not_answered(
    yesterday: Yesterday, tmp_path: Path, version: str, requires: tuple[str, ...], more: str
) -> None:
    yesterday.remember(requires=("a", "b>=1"))
    assert yesterday.lock_for(described(tmp_path, "app", version, requires=requires), more) is None
    settle(10)  # it was asked in a thread of its own
    assert len(yesterday.asked) == 1


def test_metadata_that_is_not_utf_8_is_the_same_bytes(yesterday: Yesterday, tmp_path: Path) -> None:
    project = described(tmp_path, "app")
    text = "Metadata-Version: 2.1\nName: app\nVersion: 1.0\n\nna\u00efve\r\n"
    yesterday.remember(metadata=text)
    assert yesterday.lock_for(project) is None
    settle(10)
    assert yesterday.asked == [text.encode()]


def test_a_tree_that_is_being_built_is_not_resolved_beside(yesterday: Yesterday, tmp_path: Path) -> None:
    yesterday.remember(requires=("b",))
    foresight = yesterday.foresight()
    foresight.look_ahead(lambda wheel: dataclasses.replace(request_for(wheel), tree=tmp_path), tmp_path)
    settle(10)
    assert yesterday.asked == []


def test_nothing_is_known_of_another_folder(yesterday: Yesterday, tmp_path: Path) -> None:
    yesterday.remember(requires=("b",))
    foresight = yesterday.foresight(tmp_path / "elsewhere")
    foresight.look_ahead(request_for, tmp_path)
    project = described(tmp_path, "app", requires=("b",))
    assert foresight.lock_for(request_for(project.wheel.path)) is None
    assert yesterday.asked == []


def test_a_resolver_that_fails_is_asked_again_in_its_turn(
    yesterday: Yesterday, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    yesterday.remember(requires=("b",))

    def fail(_request: Request) -> Lock:
        raise DependencyError("no network")

    monkeypatch.setattr(yesterday, "resolve", fail)
    assert yesterday.lock_for(described(tmp_path, "app", requires=("b",))) is None


@pytest.mark.parametrize(
    "note",
    [
        *(None, 3, [], {}),
        {"filename": 7, "metadata": 7, "wheels": 7},
        {"filename": "../../app-1.0-py3-none-any.whl", "metadata": "Name: app", "wheels": []},
        {"filename": "app", "metadata": "Name: app", "wheels": [1]},
    ],
)
def test_a_note_that_makes_no_sense_does_no_harm(yesterday: Yesterday, tmp_path: Path, note: object) -> None:
    yesterday.remember(requires=())
    (path,) = (tmp_path / "store" / "refs" / "last").iterdir()
    yesterday.store.note("last", path.stem, note)
    assert yesterday.lock_for(described(tmp_path, "app")) is None
