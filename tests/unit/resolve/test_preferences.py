"""What an earlier lock says for the next one, and how the two differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from platter_setuptools.errors import UsageError
from platter_setuptools.resolve.lock import Lock, parse_lock
from platter_setuptools.resolve.preferences import NO_PREFERENCES, differences, preferences_of, unknown_to

SHA = "ab" * 32


def wheel(name: str, version: str, *, sha256: str = SHA, tag: str = "py3-none-any", **more: Any) -> dict[str, Any]:
    file = {"url": f"https://host/{name}-{version}-{tag}.whl", "hashes": {"sha256": sha256}}
    return {"name": name, "version": version, "wheels": [file], **more}


def lock(*packages: dict[str, Any], **more: Any) -> Lock:
    data = {"lock-version": "1.0", "created-by": "test", "packages": list(packages), **more}
    return parse_lock(data, base=Path("/project"), where="it")


class TestPreferences:
    def test_what_comes_from_an_index_is_kept(self) -> None:
        known = lock(
            wheel("a", "1.0"),
            wheel("b", "2.0", marker="python_version < '3.11'"),
            {"name": "c", "version": "3", "sdist": {"url": "https://host/c-3.tar.gz", "hashes": {"sha256": SHA}}},
            wheel("d", "4", marker="'x' in extras"),
            {"name": "e", "version": "5", "directory": {"path": "../e"}},
            {"name": "f", "vcs": {"type": "git", "url": "https://host/f", "commit-id": "1" * 40}},
        )
        kept = ("a==1.0", 'b==2.0 ; python_version < "3.11"', "c==3", "d==4")
        assert preferences_of(known, ()).kept == kept
        assert preferences_of(known, ["A", "c<3"]).upgraded == ("A", "c<3")
        assert preferences_of(known, ["A", "c<3"]).as_constraints() == [kept[1], "d==4", "c<3"]
        assert preferences_of(None, ["a"]).kept == ()

    @pytest.mark.parametrize("text", ["", "a b", "../a", "a @ https://user:secret@host/a.whl", "a @ file:///a"])
    def test_what_is_no_name(self, text: str) -> None:
        with pytest.raises(UsageError, match="--upgrade-package") as caught:
            preferences_of(None, ["b", text])
        assert "secret" not in caught.value.message

    def test_names_that_a_lock_lacks(self) -> None:
        assert unknown_to(lock(wheel("a", "1")), ["A<2", "Z.z", "y"]) == ["y", "z-z"]

    def test_nothing_is_written_for_nothing(self, tmp_path: Path) -> None:
        NO_PREFERENCES.write_lock(tmp_path / "pylock.toml")
        assert not list(tmp_path.iterdir())


class TestDifferences:
    def test_none(self) -> None:
        one = lock(wheel("a", "1"), wheel("b", "1", marker="os_name == 'posix'"), **{"requires-python": ">=3.11"})
        other = lock(wheel("b", "1", marker='os_name == "posix"'), wheel("a", "1"), **{"requires-python": ">=3.11"})
        assert list(differences(one, other)) == []

    def test_further_files_are_none(self) -> None:
        more = wheel("a", "1", tag="py3-none-win32")
        more["wheels"] += wheel("a", "1")["wheels"]
        assert list(differences(lock(wheel("a", "1")), lock(more))) == []
        assert list(differences(lock(more), lock(wheel("a", "1")))) == []

    @pytest.mark.parametrize(
        ("one", "other", "told"),
        [
            ([wheel("a", "1")], [wheel("a", "2")], "a: 1 -> 2"),
            ([wheel("a", "1")], [], "a: 1 -> not there"),
            ([], [wheel("a", "1")], "a: not there -> 1"),
            ([wheel("a", "1")], [wheel("a", "1", sha256="cd" * 32)], "a: a-1-py3-none-any.whl has another hash"),
            (
                [wheel("a", "1")],
                [wheel("a", "1", marker="os_name == 'nt'")],
                'a: 1 -> 1 if os_name == "nt"',
            ),
            (
                [wheel("a", "1", marker="os_name == 'nt'"), wheel("a", "2", marker="os_name != 'nt'")],
                [wheel("a", "2")],
                'a: 1 if os_name == "nt", 2 if os_name != "nt" -> 2',
            ),
            ([wheel("a", "1")], [{"name": "a", "directory": {"path": "../a"}}], "a: 1 -> ../a"),
            (
                [{"name": "a", "vcs": {"type": "git", "url": "https://u:p@host/a", "commit-id": "1" * 40}}],
                [{"name": "a", "vcs": {"type": "git", "url": "https://host/a", "commit-id": "2" * 40}}],
                f"a: https://host/a {'1' * 40} -> https://host/a {'2' * 40}",
            ),
            (
                [{"name": "a", "archive": {"url": "https://host/a.zip", "hashes": {"sha256": SHA}}}],
                [{"name": "a", "archive": {"url": "https://host/a.zip", "hashes": {"sha256": "cd" * 32}}}],
                f"a: https://host/a.zip sha256:{SHA} -> https://host/a.zip sha256:{'cd' * 32}",
            ),
        ],
    )
    def test_of_a_distribution(self, one: list[dict[str, Any]], other: list[dict[str, Any]], told: str) -> None:
        assert list(differences(lock(*one), lock(*other))) == [told]

    def test_of_the_whole(self) -> None:
        one = lock(**{"requires-python": ">=3.11"})
        other = lock(**{"requires-python": ">=3.12", "environments": ["os_name == 'posix'"]})
        assert list(differences(one, other)) == [
            '[environments]: not there -> os_name == "posix"',
            "[requires-python]: >=3.11 -> >=3.12",
        ]
