"""The resolvers of a build: what is newer than the answer, and passed over, is told."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from platter_setuptools.config.options import Options
from platter_setuptools.errors import DependencyError
from platter_setuptools.resolve.indexes import IndexSettings
from platter_setuptools.resolve.lock import Lock, parse_lock
from platter_setuptools.resolve.requirements import NOTHING
from platter_setuptools.resolve.resolver import Request
from platter_setuptools.resolve.uv_config import UvConfig
from platter_setuptools.resolvers import Resolvers
from platter_setuptools.runtime.concurrency import Background
from platter_setuptools.session import Session
from platter_setuptools.targets.find import Machines
from platter_setuptools.wheel_cache import WheelCache
from platter_setuptools.wheels.sources import Checkout
from support.fakes import Diary, FakeRunner, target

if TYPE_CHECKING:
    from pathlib import Path

LATER = f"{target().version}.99"


class Play:
    """A resolver of one distribution, `dep`; `passed_over` is its version where all patch releases count."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.taken, self.passed_over, self.asked = folder, "1.0", "2.0", list[str | None]()

    def __call__(self, request: Request) -> Lock:
        self.asked.append(request.python_version)
        version = self.passed_over if request.python_version == LATER else self.taken
        if not version:
            raise DependencyError("there is no network", hint="mend it")
        digest = {"sha256": "0" * 64}
        wheel = {"url": f"https://host/dep-{version}-py3-none-any.whl", "hashes": digest}
        packages = [{"name": "dep", "version": version, "wheels": [wheel]}]
        data = {"lock-version": "1.0", "created-by": "test", "packages": packages}
        return parse_lock(data, base=self.folder, where="it")

    def build(self) -> list[str]:
        """Resolve as a build does, and give what is told."""
        diary, here, run = Diary(), target(), FakeRunner()
        dependencies: Any = SimpleNamespace(
            settings=IndexSettings(),
            requirements=NOTHING,
            uv_config=UvConfig(),
            pins=lambda universal: None,  # noqa: ARG005
        )
        found = Resolvers(
            Session(
                options=Options(output=self.folder),
                source=self.folder,
                run=run,
                progress=diary,
                work=self.folder,
                background=Background(),
                checkout=Checkout(None, run),
                cache=WheelCache(self.folder / "cache"),
            ),
            Machines(here, here),
            dependencies,
            shared_python=lambda: self.folder,
        )
        found.project = found._checked(self, found.target, IndexSettings)
        found.resolve(Request(requirements=("dep",)))
        found.tell_of_newer()
        return diary.said("warn")


@pytest.fixture
def play(tmp_path: Path) -> Play:
    return Play(tmp_path)


def test_what_is_passed_over_is_told_each_time_and_asked_once_a_day(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 10.0
    monkeypatch.setattr(time, "time", lambda: now)
    (told,) = play.build()
    assert "dep 2.0 (1.0 is taken)" in told
    assert play.build() == [told]
    assert play.asked.count(LATER) == 1
    play.taken = "1.1"  # another answer is another matter
    assert "dep 2.0 (1.1 is taken)" in play.build()[0]
    play.passed_over = "1.1"
    now += 24 * 60 * 60
    assert play.build() == play.build() == []
    assert play.asked.count(LATER) == 3


def test_a_failure_is_not_remembered(play: Play) -> None:
    play.passed_over = ""
    assert play.build() == []
    play.passed_over = "2.0"
    assert len(play.build()) == 1
