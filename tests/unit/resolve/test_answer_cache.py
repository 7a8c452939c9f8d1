"""Answers of resolvers: kept under all that they depend on."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Any

import pytest

from platter_setuptools.errors import DependencyError
from platter_setuptools.resolve.answer_cache import RememberingResolver, metadata_of
from platter_setuptools.resolve.indexes import IndexSettings
from platter_setuptools.resolve.lock import Lock, parse_lock
from platter_setuptools.resolve.preferences import Preferences
from platter_setuptools.resolve.requirements import Line, Requirements
from platter_setuptools.resolve.resolver import Request
from platter_setuptools.wheel_cache import WheelCache
from support import handmade
from support.fakes import target

if TYPE_CHECKING:
    from pathlib import Path


class Answers:
    """A resolver that counts, and gives the version that it is told to."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count, self.version = folder, 0, "1.0"

    def __call__(self, request: Request) -> Lock:
        del request
        self.count += 1
        url = f"https://user:secret@host/dep-{self.version}-py3-none-any.whl"
        package = {"name": "dep", "version": self.version, "wheels": [{"url": url, "hashes": {"sha256": "ab" * 32}}]}
        tree = {"name": "tree", "directory": {"path": "tree"}}
        data = {"lock-version": "1.0", "created-by": "test", "packages": [package, tree]}
        return parse_lock(data, base=self.folder, where="it")


@pytest.fixture
def answers(tmp_path: Path) -> Answers:
    return Answers(tmp_path)


def remembering(answers: Answers, **changes: Any) -> RememberingResolver:
    resolver = RememberingResolver(
        resolver=answers,
        config="",
        settings=IndexSettings(),
        target=target(),
        cache=WheelCache(answers.folder / "store"),
        work=answers.folder,
    )
    return dataclasses.replace(resolver, **changes)


def versions(lock: Lock) -> list[str]:
    return [str(package.version) for package in lock.pylock.packages if package.version]


def test_online_a_resolver_is_asked_every_time(answers: Answers) -> None:
    resolve = remembering(answers)
    assert versions(resolve(Request(requirements=("dep",)))) == ["1.0"]
    answers.version = "2.0"
    assert versions(resolve(Request(requirements=("dep",)))) == ["2.0"]


def test_offline_the_last_answer_counts_and_is_the_whole_one(answers: Answers, tmp_path: Path) -> None:
    request = Request(requirements=("dep",))
    for answers.version in ("2.0", "1.0"):
        remembering(answers)(request)
    lock = remembering(answers, offline=True)(request)
    assert versions(lock) == ["1.0"]
    assert answers.count == 2
    directory = lock.pylock.packages[1].directory
    assert directory
    assert lock.folder_of(directory) == tmp_path / "tree"
    assert "secret" not in lock.as_toml(tmp_path)


def test_offline_nothing_else_is_an_answer(answers: Answers) -> None:
    remembering(answers)(Request(requirements=("a", "b")))
    for request in (Request(requirements=("b", "a")), Request(requirements=("a", "b"), universal=True)):
        with pytest.raises(DependencyError, match=r"no answer of a resolver to (a|b), (a|b)$") as caught:
            remembering(answers, offline=True)(request)
        assert "without no-download" in str(caught.value.hint)


def test_what_a_question_depends_on(answers: Answers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("UV_")]:
        monkeypatch.delenv(name)
    line = Line(where="line 1 of a.txt", constraint=False, text="a", shown="a")
    said = Requirements(lines=(line,))
    request = Request(requirements=("a", "b"), said=said)
    resolve = remembering(answers)
    seen = {resolve.question(request)}

    def differs(question: str) -> bool:
        known = question in seen
        seen.add(question)
        return not known

    for change in (
        {"requirements": ("b", "a")},
        {"extras": ("x",)},
        {"python_version": "3.11.0"},
        {"no_deps": True},
        {"universal": True},
        {"said": Requirements()},
        {"said": Requirements(lines=(dataclasses.replace(line, constraint=True),))},
        {"build": said},
        {"preferences": Preferences(kept=("a==1",))},
        {"preferences": Preferences(upgraded=("a==1",))},
        {"member_groups": ((tmp_path, "a==1"),)},
    ):
        assert differs(resolve.question(dataclasses.replace(request, **change))), change
    for settings in (
        IndexSettings(index_url="https://host/simple"),
        IndexSettings(pre=True),
        IndexSettings(no_binary=("a",)),
        IndexSettings(find_links=("/links",)),
    ):
        assert differs(remembering(answers, settings=settings).question(request)), settings
    assert differs(remembering(answers, config="[pip]").question(request))
    monkeypatch.setenv("UV_PRERELEASE", "allow")
    assert differs(resolve.question(request))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    assert not differs(resolve.question(request))
    secret = IndexSettings(index_url="https://user:secret@host/simple")
    plain = IndexSettings(index_url="https://host/simple")
    assert len({remembering(answers, settings=one).question(request) for one in (secret, plain)}) == 1


def test_a_new_version_asks_the_same(answers: Answers, tmp_path: Path) -> None:
    def asked(version: str, *requires: str) -> str:
        wheel = handmade.wheel(tmp_path, "app", version, requires=requires)
        return remembering(answers).question(Request(requirements=(f"app @ {wheel.as_uri()}",), project=wheel))

    assert asked("1.0", "a", "b") == asked("2.0", "a", "b") != asked("1.0", "b", "a")


def test_a_wheel_without_metadata(tmp_path: Path) -> None:
    (wheel := tmp_path / "app-1.0-py3-none-any.whl").write_bytes(b"no wheel")
    with pytest.raises(DependencyError, match="has no METADATA"):
        metadata_of(wheel)
