"""Prefetch: what was foreseen is used only if it is what is asked now."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from platter_setuptools.errors import DependencyError
from platter_setuptools.prefetch import Prefetch
from platter_setuptools.resolve.answer_cache import metadata_of
from platter_setuptools.resolve.lock import Lock, parse_lock
from platter_setuptools.resolve.resolver import Request
from platter_setuptools.runtime.concurrency import Background
from platter_setuptools.values import Origin
from platter_setuptools.wheel_cache import WheelCache
from platter_setuptools.wheels.analysis import Analyser
from platter_setuptools.wheels.check import WheelWithMetadata
from platter_setuptools.wheels.metadata import describe, open_wheel
from support import handmade
from support.fakes import FakeRunner, target

if TYPE_CHECKING:
    from pathlib import Path

HERE = target()


def described(
    folder: Path, name: str, version: str = "1.0", *, requires: tuple[str, ...] = (), metadata: str = ""
) -> WheelWithMetadata:
    wheel = open_wheel(handmade.wheel(folder, name, version, requires=requires, metadata=metadata), Origin.STORE)
    return WheelWithMetadata(wheel=wheel, description=describe(wheel))


class Yesterday:
    """A store that remembers a build of `app`, and what a resolver was asked since."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.cache, self.asked = folder, WheelCache(folder / "store"), list[bytes]()
        self.source, self.background = folder / "app", Background()

    def prefetch(self, source: Path | None = None) -> Prefetch:
        return Prefetch(
            source=source or self.source,
            target=HERE,
            cache=self.cache,
            resolve=self.resolve,
            analyser=Analyser(target=HERE, cache=self.cache, run=FakeRunner()),
            background=self.background,
        )

    def remember(self, *, requires: tuple[str, ...] = (), metadata: str = "") -> None:
        project = described(self.folder / "then", "app", requires=requires, metadata=metadata)
        self.prefetch().remember(project, [project], [])

    def resolve(self, request: Request) -> Lock:
        assert request.project
        self.asked.append(metadata_of(request.project))
        base = request.project.parent
        return parse_lock({"lock-version": "1.0", "created-by": "test", "packages": []}, base=base, where="it")

    def lock_for(self, project: WheelWithMetadata, more: str = "", version: str | None = None) -> Lock | None:
        prefetch = self.prefetch()
        work = self.folder / f"work{len(self.asked)}"
        work.mkdir()
        prefetch.start(request_for, work, version)
        return prefetch.lock_for(request_for(project.wheel.path, more))


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
    yesterday.background.join(10)  # it was asked in a thread of its own
    assert len(yesterday.asked) == 1


@pytest.mark.parametrize(
    ("told", "declared", "version", "found"),
    [
        ("2.0", "", "2.0", True),
        ("2.0-rc1", "", "2.0rc1", True),
        (None, 'version = "2.0"', "2.0", True),
        ("2.0", 'version = "1.5"', "2.0", True),  # a front end knows better
        (None, 'dynamic = ["version"]', "1.0", True),
        ("2.0", "", "2.1", False),
        ("no version", "", "2.0", False),
    ],
)
def test_a_new_version_is_foreseen(
    yesterday: Yesterday, tmp_path: Path, told: str | None, declared: str, version: str, found: bool
) -> None:
    yesterday.remember(requires=("a", "b>=1"))
    yesterday.source.mkdir()
    (yesterday.source / "pyproject.toml").write_text(f'[project]\nname = "app"\n{declared}\n')
    project = described(tmp_path, "app", version, requires=("a", "b>=1"))
    assert bool(yesterday.lock_for(project, version=told)) == found


def test_metadata_that_is_not_utf_8_is_the_same_bytes(yesterday: Yesterday, tmp_path: Path) -> None:
    project = described(tmp_path, "app")
    text = "Metadata-Version: 2.1\nName: app\nVersion: 1.0\n\nna\u00efve\r\n"
    yesterday.remember(metadata=text)
    assert yesterday.lock_for(project) is None
    yesterday.background.join(10)
    assert yesterday.asked == [text.encode()]


def test_a_tree_that_is_being_built_is_not_resolved_beside(yesterday: Yesterday, tmp_path: Path) -> None:
    yesterday.remember(requires=("b",))
    prefetch = yesterday.prefetch()
    prefetch.start(lambda wheel: dataclasses.replace(request_for(wheel), tree=tmp_path), tmp_path)
    yesterday.background.join(10)
    assert yesterday.asked == []


def test_nothing_is_known_of_another_folder(yesterday: Yesterday, tmp_path: Path) -> None:
    yesterday.remember(requires=("b",))
    prefetch = yesterday.prefetch(tmp_path / "elsewhere")
    prefetch.start(request_for, tmp_path)
    project = described(tmp_path, "app", requires=("b",))
    assert prefetch.lock_for(request_for(project.wheel.path)) is None
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
    yesterday.cache.note("last", path.stem, note)
    assert yesterday.lock_for(described(tmp_path, "app")) is None
