"""Debug information without folders: the variable that tells compilers so."""

from __future__ import annotations

from pathlib import Path

import pytest

from platter_setuptools.runtime.reproducible import without_folders

FLAG = "-fdebug-prefix-map=/home/me/app=."


@pytest.mark.parametrize(
    ("given", "wanted"), [({}, FLAG), ({"CPPFLAGS": ""}, FLAG), ({"CPPFLAGS": "-DX=1"}, f"-DX=1 {FLAG}")]
)
def test_what_the_user_has_set_stays(given: dict[str, str], wanted: str) -> None:
    assert without_folders(given, {Path("/home/me/app"): "."}) == {"CPPFLAGS": wanted}


def test_several() -> None:
    found = without_folders({}, {Path("/tmp/env"): "environments", Path("/home/me/app"): "."})
    assert found == {"CPPFLAGS": f"-fdebug-prefix-map=/tmp/env=environments {FLAG}"}


@pytest.mark.parametrize("folder", ["/my app", "/it's", "/a$b", "/a;b", "/a=b", "/a\nb", "/ä", "/*"])
def test_names_that_tools_would_take_apart(folder: str) -> None:
    assert without_folders({"CPPFLAGS": "-DX"}, {Path(folder): "."}) == {}
