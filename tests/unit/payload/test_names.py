from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.utils import canonicalize_name

from platter_setuptools.payload import names
from platter_setuptools.payload.errors import BundleError


@given(st.text(alphabet="aB3-_.", min_size=1))
def test_normalised_as_packaging_does(name: str) -> None:
    assert names.normalised(name) == canonicalize_name(name)


@pytest.mark.parametrize("path", ["a", "a/b.py", "a b/ü", ".hidden", "..x/y..", "-rf", "$(x)", "a\nb"])
def test_paths_below_their_root(path: str) -> None:
    assert names.relative(path, "here") == path


@pytest.mark.parametrize(
    "path", ["", "/", "/etc/passwd", "..", "../x", "a/../b", "a/..", "./a", "a//b", "a/", "a\\b", "C:\\x", "a\0b"]
)
def test_paths_that_could_leave_their_root(path: str) -> None:
    with pytest.raises(BundleError, match="here"):
        names.relative(path, "here")
