from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from platter_setuptools.payload import specifiers

PART = st.integers(0, 14)
RELEASES = st.lists(PART, min_size=1, max_size=3).map(lambda parts: ".".join(map(str, [3, *parts])))
CLAUSES = st.tuples(
    st.sampled_from(["==", "!=", "<=", ">=", "<", ">", "~="]), RELEASES, st.sampled_from(["", "", ".*"])
).map("".join)


@example("~=3.11.4.0", (3, 11, 4))
@given(st.lists(CLAUSES, max_size=3).map(",".join), st.tuples(st.just(3), PART, PART))
def test_same_verdict_as_packaging(text: str, python: tuple[int, int, int]) -> None:
    try:
        expected = SpecifierSet(text).contains(".".join(map(str, python)))
    except InvalidSpecifier:
        return
    assert specifiers.contains(text, python) is expected


@pytest.mark.parametrize("text", ["", " >= 3.8 , <4 ", ">=3.8,", "nonsense", ">=3.8rc1", "===3.11.4"])
def test_odd_ones_do_not_forbid(text: str) -> None:
    assert specifiers.contains(text, (3, 11, 4))
