"""What requirements files say, once they are read: the project among them, and settings of single builds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from platter_setuptools.errors import DependencyError
from platter_setuptools.resolve.requirements import Line, Required, Requirements, requirement_line

TREE = Path("/srv/app")
DEP = canonicalize_name("dep")


def line(text: str, **facts: Any) -> Line:
    values = {"name": "", "url": "", "folder": False, "hashable": False, "pinned": False, "applies": True, **facts}
    return Line(where="line 1 of r.txt", constraint=False, text=text, shown=text, requirement=Required(**values))


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"url": "file:///srv/app", "folder": True}, "app @ file:///a.whl"),
        ({"url": "file:///srv/app/", "folder": True, "extras": ("a", "b")}, "app[a,b] @ file:///a.whl"),
        (
            {"url": "file:///srv/app", "folder": True, "marker": "os_name == 'x'"},
            "app @ file:///a.whl ; os_name == 'x'",
        ),
        ({"url": "file:///srv/app/lib", "folder": True}, "-e ."),
        ({"url": "https://host/srv/app"}, "-e ."),
        ({"name": "app"}, "-e ."),
    ],
)
def test_the_project_is_its_wheel(facts: dict[str, Any], expected: str) -> None:
    said = Requirements(lines=(line("-e .", **facts),))
    found = said.with_wheel(Path("/a.whl"), "app", TREE)
    assert [one.text for one in found.lines] == [expected]
    assert [one.shown for one in found.lines] == ["-e ."]


def test_settings_of_builds() -> None:
    lines = (
        line("dep", name="dep", config_settings={"a": "b"}),
        line("dep", name="dep", config_settings={"a": "c"}, applies=False),
        line("other", name="other", config_settings={"a": "d"}),
        Line(where="line 2 of r.txt", constraint=False, text="--pre", shown="--pre"),
    )
    assert [one for one in Requirements(lines=lines).config_settings(DEP) if one] == [{"a": "b"}]
    nameless = Requirements(lines=(line("https://host/x.zip", config_settings={"a": "b"}),))
    with pytest.raises(DependencyError, match=r"line 1 of r\.txt: --config-settings") as caught:
        list(nameless.config_settings(DEP))
    assert caught.value.hint


@pytest.mark.parametrize(("extras", "expected"), [((), "my-app"), (("a", "b"), "my-app[a,b]")])
def test_the_requirement_for_a_wheel_at_hand(extras: tuple[str, ...], expected: str, tmp_path: Path) -> None:
    wheel = tmp_path / "wh eel" / "my_app-1!2.0+g12ab-py3-none-any.whl"
    line = requirement_line(wheel, "my-app", extras)
    assert line.startswith(f"{expected} @ file:///")
    parsed = Requirement(line)
    assert (parsed.name, parsed.extras, parsed.url) == ("my-app", set(extras), wheel.as_uri())
