"""Requirements that uv's configuration or its lock replaces."""

from __future__ import annotations

from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from platter_setuptools.resolve.amendments import Amendment, amended, amendments_of, manifest_amendments

NAME = canonicalize_name("dep")


class TestAmendments:
    @pytest.mark.parametrize(
        ("table", "requires", "expected"),
        [
            ({"override-dependencies": ["a>=2"]}, ["a<2", "b"], ["a>=2", "b"]),
            ({"override-dependencies": ["A_B>=2"]}, ["a-b<2; python_version < '3'"], ["A_B>=2"]),
            ({"override-dependencies": ["a>=2"]}, ["a<2; extra == 'x'"], ["a>=2; extra == 'x'"]),
            (
                {"override-dependencies": ["a>=2; os_name == 'posix'", "a<1; os_name == 'nt'"]},
                ["a"],
                ["a>=2; os_name == 'posix'", "a<1; os_name == 'nt'"],
            ),
            ({"exclude-dependencies": ["a"], "override-dependencies": ["a>=2"]}, ["a", "b"], ["b"]),
            ({"exclude-dependencies": [{"package": {"name": "Dep"}, "dependencies": ["a"]}]}, ["a", "b"], ["b"]),
            (
                {"exclude-dependencies": [{"package": {"name": "dep", "version": "2"}, "dependencies": ["a"]}]},
                ["a"],
                ["a"],
            ),
            (
                {"override-dependencies": ["a>2", {"package": {"name": "dep"}, "dependencies": ["a>3"]}]},
                ["a"],
                ["a>3"],
            ),
            ({"dependency-metadata": [{"name": "dep", "version": "1.0", "requires-dist": ["c"]}]}, ["a"], ["c"]),
            ({"dependency-metadata": [{"name": "dep"}], "override-dependencies": ["a>2"]}, ["a"], []),
            ({"override-dependencies": ["=", 3, {"package": 1}], "exclude-dependencies": [3, {}]}, ["a"], ["a"]),
            ({"override-dependencies": "a"}, ["a"], ["a"]),
        ],
    )
    def test_requirements(self, table: dict[str, Any], requires: list[str], expected: list[str]) -> None:
        found = amended(list(map(Requirement, requires)), NAME, Version("1.0"), amendments_of(table))
        assert list(found) == list(map(Requirement, expected))

    def test_a_lock_tells_them_by_their_parts(self) -> None:
        manifest = {
            "overrides": [
                {"name": "a", "specifier": ">=2", "marker": "os_name == 'posix'"},
                {"name": "b", "extras": ["x"], "git": "https://host/b?rev=1"},
            ],
            "excludes": ["c"],
        }
        assert manifest_amendments(manifest) == (
            Amendment(name=canonicalize_name("c")),
            Amendment(name=canonicalize_name("a"), instead=(Requirement("a>=2; os_name == 'posix'"),)),
            Amendment(name=canonicalize_name("b"), instead=(Requirement("b[x] @ https://host/b?rev=1"),)),
        )
