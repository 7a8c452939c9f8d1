from __future__ import annotations

import pytest

from platter_setuptools.payload.install import environment
from platter_setuptools.payload.shared_paths import fault, is_folder, name_of
from platter_setuptools.payload.untrusted import PART, SHARED


@pytest.mark.parametrize(
    "paths",
    [
        (),
        ("media/", "app.env"),
        ("var/log/", "var/media/", "var/app.env"),
        ("a", "ab/", "a.b/"),  # none of them lies in another one
        ("médias/", "_x", ".env", "user@host-1.2+3"),
        ("library/", "binary", "share/lib/", "x/bin/python"),
        ("x" * PART,),
        tuple(f"folder{number}/" for number in range(SHARED)),
    ],
)
def test_what_can_be_shared(paths: tuple[str, ...]) -> None:
    assert fault(paths) == ""


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        (["/srv/media/"], "'/srv/media/': it is absolute"),
        (["/"], "it is absolute"),
        ([""], "a part that is empty, . or .."),
        (["."], "a part that is empty, . or .."),
        (["./"], "a part that is empty, . or .."),
        ([".."], "a part that is empty, . or .."),
        (["../media/"], "a part that is empty, . or .."),
        (["media/../../x"], "a part that is empty, . or .."),
        (["media//"], "a part that is empty, . or .."),
        (["a//b"], "a part that is empty, . or .."),
        (["./media/"], "a part that is empty, . or .."),
        (["media\n"], r"'media\n': it has other characters"),
        (["a\0b"], "other characters"),
        (["user uploads/"], "other characters"),
        (["a\\b"], "other characters"),
        (["$HOME/"], "other characters"),
        (["~/media/"], "other characters"),
        (["media/*"], "other characters"),
        (["-rf"], "begins with one of"),
        (["\ud800"], "other characters"),
        (["e\u0301"], "other characters"),  # which another normal form would write as one
        (["x" * (PART + 1)], "longer than 255 bytes"),
        (["é" * 128], "longer than 255 bytes"),
        (["bin/"], "bin belongs to the virtualenv"),
        (["bin/run"], "bin belongs to the virtualenv"),
        (["Lib/x/"], "Lib belongs to the virtualenv"),
        (["lib64"], "lib64 belongs to the virtualenv"),
        (["include/"], "include belongs to the virtualenv"),
        (["pyvenv.cfg"], "pyvenv.cfg belongs to the virtualenv"),
        ([".python/"], ".python belongs to the virtualenv"),
        ([".platter-release.json"], "names that begin with .platter- are the installer's own"),
        (["var/.Platter-new/"], "names that begin with .platter- are the installer's own"),
        (["media/", "media/"], "'media/': 'media/' is the same path"),
        (["media/", "media"], "'media': 'media/' is the same path"),
        (["Media/", "media/"], "'media/': 'Media/' is the same path"),
        (["media/", "media/x"], "'media/x': it lies in 'media/'"),
        (["media/x/y", "media/"], "'media/x/y': it lies in 'media/'"),
        (["a", "A/b/c/"], "'A/b/c/': it lies in 'a'"),
        ([f"folder{number}/" for number in range(SHARED + 1)], "65 paths are shared, and 64 can be"),
    ],
)
def test_what_cannot(paths: list[str], said: str) -> None:
    assert said in fault(paths)


@pytest.mark.parametrize(
    "place", ["pyvenv.cfg", ".gitignore", ".lock", "CACHEDIR.TAG", ".python", "bin", "include", "lib", "lib64"]
)
def test_nothing_that_a_virtualenv_has_at_its_top_is_shared(place: str) -> None:
    assert environment.is_own(place)
    assert fault([place])
    assert fault([place + "/"])


def test_nothing_that_is_the_installers_own_is_shared() -> None:
    assert environment.is_own(".platter-anything")
    assert fault([".platter-anything"])


def test_a_slash_at_the_end_makes_a_folder() -> None:
    assert [is_folder(path) for path in ("media/", "app.env")] == [True, False]
    assert [name_of(path) for path in ("var/media/", "app.env")] == ["var/media", "app.env"]
