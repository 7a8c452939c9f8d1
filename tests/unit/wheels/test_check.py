"""The last look: do the wheels fit the target, and each other?"""

from __future__ import annotations

import dataclasses

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from platter_setuptools.errors import UsageError, WheelError
from platter_setuptools.wheels.check import (
    Asked,
    WheelWithMetadata,
    check_extras,
    check_fits,
    check_set,
    needed_by_other_patches,
    told_of_repairs,
)
from support.fakes import described, target

HERE = target()


def problems(*wheels: WheelWithMetadata, extras: str = "", environment: dict[str, str] | None = None) -> list[str]:
    """What the check says of a set whose first wheel is the project's."""
    asked = Asked(extras={wheels[0].wheel.name: frozenset(extras.split())})
    try:
        check_set(wheels, asked, target(environment=environment))
    except WheelError as error:
        return [line.strip() for line in error.message.splitlines()[1:]]
    return []


def pure(name: str, *requires: str, version: str = "1.0", requires_python: str | None = None) -> WheelWithMetadata:
    return described(f"{name}-{version}-py3-none-any.whl", *requires, requires_python=requires_python)


def test_told_of_repairs() -> None:
    one = pure("old")
    assert told_of_repairs(one) == ""
    description = dataclasses.replace(one.description, repaired=((">=3.6.*", ">=3.6"), ("x (>=1.*)", "x>=1")))
    told = told_of_repairs(dataclasses.replace(one, description=description))
    assert told.startswith("old-1.0-py3-none-any.whl: ")
    assert told.endswith("'>=3.6.*' is read as '>=3.6'; 'x (>=1.*)' is read as 'x>=1'")


class TestOne:
    @pytest.mark.parametrize(
        "tag", ["py3-none-any", "py2.py3-none-any", f"{HERE.tags[0]}", f"cp38-abi3-{HERE.tags[0].platform}"]
    )
    def test_fits(self, tag: str) -> None:
        check_fits(described(f"app-1.0-{tag}.whl"), HERE)

    @pytest.mark.parametrize("tag", ["py2-none-any", "cp27-cp27m-manylinux1_x86_64", "py3-none-win_amd64"])
    def test_does_not_fit(self, tag: str) -> None:
        with pytest.raises(WheelError, match=f"app-1.0-{tag}.whl does not fit CPython") as caught:
            check_fits(described(f"app-1.0-{tag}.whl"), HERE)
        assert str(HERE.executable) in str(caught.value.hint)

    @pytest.mark.parametrize(
        ("requires", "version", "fits"),
        [
            (">=3.9", "3.9.0", True),
            (">=3.9", "3.8.18", False),
            (">=3.9,<4", "3.13.1", True),
            ("<3.13", "3.13.0", False),
            (">=3.14", "3.14.0rc1", False),
            ("<3.14", "3.13.0rc1", True),
            ("==3.11.*", "3.11.7", True),
            ("!=3.11.7", "3.11.7", False),
        ],
    )
    def test_requires_python(self, requires: str, version: str, fits: bool) -> None:
        one = pure("app", requires_python=requires)
        if fits:
            check_fits(one, target(full_version=version))
        else:
            with pytest.raises(WheelError, match="requires Python"):
                check_fits(one, target(full_version=version))


class TestSet:
    def test_all_is_well(self) -> None:
        assert problems(pure("app", "dep>=1"), pure("dep", "deeper~=2.1"), pure("deeper", version="2.9")) == []

    def test_every_problem_is_told_once(self) -> None:
        app = pure("app", "dep>=2", "gone", "dep>=2", "deeper[x]")
        assert problems(app, pure("dep", "Other_Thing<1"), pure("deeper", "gone")) == [
            "app 1.0 requires dep>=2, and the set has 1.0",
            "app 1.0 requires gone, which is missing",
            "deeper 1.0 requires gone, which is missing",
            "dep 1.0 requires Other_Thing<1, which is missing",
        ]

    def test_names_are_compared_normalized(self) -> None:
        assert problems(pure("app", "My.Dep", "MY_dep>=1"), pure("my_dep")) == []

    def test_prereleases_count(self) -> None:
        assert problems(pure("app", "dep>=1.0b1"), pure("dep", version="1.0rc1")) == []
        assert problems(pure("app", "dep>=0.9"), pure("dep", version="1.0rc1")) == []
        assert problems(pure("app", "dep>=1.0"), pure("dep", version="1.0rc1")) == [
            "app 1.0 requires dep>=1.0, and the set has 1.0rc1"
        ]

    def test_local_versions_and_epochs(self) -> None:
        assert problems(pure("app", "dep==2.0"), pure("dep", version="2.0+g12ab")) == []
        assert problems(pure("app", "dep>=2.0"), pure("dep", version="1!1.0")) == []
        assert problems(pure("app", "dep<3"), pure("dep", version="1!1.0")) != []

    def test_a_url_says_nothing_of_the_version(self) -> None:
        assert problems(pure("app", "dep @ https://host/dep-7.zip"), pure("dep")) == []
        assert problems(pure("app", "dep @ https://host/dep-7.zip")) == ["app 1.0 requires dep, which is missing"]

    def test_markers_are_the_targets_not_the_builders(self) -> None:
        wheels = (pure("app", "old; python_version < '3.4'", "win; sys_platform == 'win32'", "x; os_name == 'plan9'"),)
        assert problems(*wheels) == []
        environment = {"python_version": "3.3", "sys_platform": "win32", "os_name": "plan9"}
        assert len(problems(*wheels, environment=environment)) == 3
        assert problems(pure("app", "posix; os_name != 'plan9'"), environment=environment) == []

    def test_extras_are_followed_from_the_root(self) -> None:
        app = pure("app", "one; extra == 'a'", "two; extra == 'b'")
        assert problems(app) == []
        assert problems(app, extras="a") == ["app 1.0 requires one, which is missing"]
        assert len(problems(app, extras="a b")) == 2
        assert problems(app, pure("one"), pure("two"), extras="a b") == []

    @pytest.mark.parametrize("spelling", ["my_extra", "my-extra", "My.Extra"])
    def test_extras_are_compared_normalized(self, spelling: str) -> None:
        assert problems(pure("app", "one; extra == 'My_Extra'"), extras=spelling) != []

    def test_extras_that_refer_to_their_own_project(self) -> None:
        app = pure("app", "app[a,b]; extra == 'all'", "one; extra == 'a'", "two; extra == 'b'", "no; extra == 'c'")
        assert problems(app, extras="all") == [
            "app 1.0 requires one, which is missing",
            "app 1.0 requires two, which is missing",
        ]
        assert problems(app, pure("one"), pure("two"), extras="all") == []

    def test_extras_of_dependencies(self) -> None:
        dep = pure("dep", "deeper; extra == 'x'", "never; extra == 'y'")
        assert problems(pure("app", "dep[x]"), dep) == ["dep 1.0 requires deeper, which is missing"]
        assert problems(pure("app", "dep[x,unheard-of]"), dep, pure("deeper")) == []
        assert problems(pure("app", "dep"), dep) == []

    def test_circles_end(self) -> None:
        wheels = (pure("app", "dep[x]"), pure("dep", "app[y]; extra == 'x'"), pure("app2"))
        assert problems(*wheels) == []
        assert problems(pure("app", "app[a]; extra == 'a'", "app"), extras="a") == []

    def test_wheels_that_no_other_requires_are_looked_at_too(self) -> None:
        assert problems(pure("app"), pure("stray", "gone")) == ["stray 1.0 requires gone, which is missing"]

    def test_the_error(self) -> None:
        with pytest.raises(WheelError, match="do not fit each other") as caught:
            check_set([pure("app", "gone")], Asked(), HERE)
        assert caught.value.exit_code == 5
        assert caught.value.hint

    def test_two_of_one_name(self) -> None:
        with pytest.raises(WheelError, match=r"would hold dep-1\.0-py3-none-any\.whl and dep-2\.0"):
            check_set([pure("app"), pure("dep"), pure("dep", version="2.0")], Asked(), HERE)

    def test_each_must_fit(self) -> None:
        with pytest.raises(WheelError, match="does not fit"):
            check_set([pure("app"), described("dep-1.0-py3-none-win32.whl")], Asked(), HERE)


class TestOtherPatches:
    def needed(self, *wheels: WheelWithMetadata, extras: str = "") -> tuple[str, ...]:
        environment = {"python_version": "3.11", "python_full_version": "3.11.7"}
        here = target(version="3.11", full_version="3.11.7", environment=environment)
        return needed_by_other_patches(wheels, Asked(extras={wheels[0].wheel.name: frozenset(extras.split())}), here)

    def test_what_an_older_or_a_newer_one_needs(self) -> None:
        app = pure(
            "app",
            "old[x]>=1; python_full_version < '3.11.3'",
            "new; python_full_version >= '3.11.20'",
            "never; python_full_version < '3.11'",
            "also-never; python_version < '3.11'",
            "always",
        )
        assert self.needed(app, pure("always")) == ("new", "old[x]>=1")

    def test_what_is_there_is_not_needed(self) -> None:
        app = pure("app", "Old_One; python_full_version < '3.11.3'")
        assert self.needed(app, pure("old_one")) == ()

    def test_extras_too(self) -> None:
        app = pure("app", "tomli; extra == 'x' and python_full_version <= '3.11.0a6'", "y; extra == 'x'")
        assert self.needed(app, pure("y"), extras="x") == ()
        app = pure("app", "tomli; extra == 'x' and python_full_version <= '3.11.2'")
        assert self.needed(app, extras="x") == ("tomli",)
        assert self.needed(app) == ()


def test_extras() -> None:
    project = described("app-1.0-py3-none-any.whl", extras=["My_Extra", "b"])
    check_extras(project, [])
    check_extras(project, ["my-extra", "B"])
    with pytest.raises(UsageError, match=r"app has no extra c, d-e$") as caught:
        check_extras(project, ["my-extra", "c", "C", "d.e"])
    assert caught.value.hint == "it has: My_Extra, b"


def test_extras_of_several_packages() -> None:
    project = described("app-1.0-py3-none-any.whl", extras=["a"])
    others = {canonicalize_name("worker"): ["b", "c.d"], canonicalize_name("none"): []}
    check_extras(project, ["A", "b", "c-d"], others)
    with pytest.raises(UsageError, match=r"^app and worker and none have no extra e$") as caught:
        check_extras(project, ["a", "e"], others)
    assert caught.value.hint == "they have: a, b, c.d"


class TestAsked:
    def test_groups_are_roots(self) -> None:
        asked = Asked(groups=(Requirement("dep[x]>=2"), Requirement("gone; sys_platform == 'nowhere'")))
        dep = pure("dep", "deeper; extra == 'x'")
        with pytest.raises(WheelError) as caught:
            check_set([pure("app"), dep], asked, HERE)
        assert [line.strip() for line in caught.value.message.splitlines()[1:]] == [
            "a dependency group requires dep>=2, and the set has 1.0",
            "dep 1.0 requires deeper, which is missing",
        ]

    def test_what_is_excluded_may_be_missing(self) -> None:
        asked = Asked(excluded=frozenset({canonicalize_name("Dep")}))
        check_set([pure("app", "DEP>=2")], asked, HERE)
        with pytest.raises(WheelError, match=r"app 1\.0 requires gone, which is missing"):
            check_set([pure("app", "dep", "gone")], asked, HERE)
