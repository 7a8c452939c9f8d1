"""The tree of what requires what."""

from __future__ import annotations

from typing import Any, cast

from platter_setuptools.inspect.html import tree
from platter_setuptools.inspect.summary import BundleSummary, Part


def summary(roots: str, **requires: str) -> BundleSummary:
    """A bundle of these wheels, of which nothing but names and requirements counts."""
    parts = tuple(
        Part(
            name=name,
            version="1.0",
            file=f"{name}-1.0-py3-none-any.whl",
            sha256="",
            size=0,
            installed_size=0,
            licence="",
            libc="",
            libraries=(),
            scripts=(),
            requires=tuple(wanted.split()),
            path=(name,),
        )
        for name, wanted in requires.items()
    )
    return BundleSummary(
        about=cast("Any", None), size=0, signed=False, roots=tuple(roots.split()), parts=parts, bill="", sums={}
    )


def test_what_was_shown_before_has_an_ellipsis() -> None:
    assert tree(summary("app pip", app="a b c", a="x", b="a", c="", x="", pip="")).splitlines() == [
        "app 1.0",
        "├── a 1.0",
        "│   └── x 1.0",
        "├── b 1.0",
        "│   └── a 1.0 …",
        "└── c 1.0",
        "pip 1.0",
    ]


def test_a_long_chain() -> None:
    chain = {f"p{number}": f"p{number + 1}" for number in range(1_200)}
    lines = tree(summary("p0", **chain, p1200="")).splitlines()
    assert lines[-1] == f"{' ' * 4 * 1_199}└── p1200 1.0"
