"""Licences: SPDX expressions against what is denied and allowed."""

from __future__ import annotations

import pytest

from platter_setuptools.audit.licences import DENIED, NOT_ALLOWED, UNKNOWN, is_expression, read_policy
from platter_setuptools.errors import UsageError


@pytest.mark.parametrize(
    ("licence", "denied", "problem"),
    [
        ("MIT", "GPL-3.0-only", ""),
        ("GPL-3.0-only", "GPL-3.0-only", DENIED),
        ("gpl-3.0-ONLY", "GPL-3.0-only", DENIED),
        ("MIT OR GPL-3.0-only", "GPL-3.0-only", ""),
        ("MIT AND GPL-3.0-only", "GPL-3.0-only", DENIED),
        # AND binds tighter than OR.
        ("GPL-3.0-only AND MIT OR ISC", "GPL-3.0-only", ""),
        ("GPL-3.0-only AND (MIT OR ISC)", "GPL-3.0-only", DENIED),
        ("MIT OR GPL-3.0-only AND ISC", "GPL-3.0-only", ""),
        # An exception leaves it the licence that it is, but one may be meant alone.
        ("GPL-2.0-only WITH Classpath-exception-2.0", "GPL-2.0-only", DENIED),
        ("GPL-2.0-only WITH Classpath-exception-2.0", "GPL-2.0-only WITH Classpath-exception-2.0", DENIED),
        ("GPL-2.0-only", "GPL-2.0-only WITH Classpath-exception-2.0", ""),
        # What SPDX has other names for now.
        ("GPL-2.0", "GPL-2.0-only", DENIED),
        ("GPL-2.0+", "GPL-2.0-or-later", DENIED),
        ("GPL-3.0-only", "GPL-3.0", DENIED),
        ("GPL-3.0-or-later", "GPL-3.0-only", ""),
        ("Apache-2.0+", "Apache-2.0", DENIED),
        ("LicenseRef-Proprietary", "LicenseRef-proprietary", ""),
        ("LicenseRef-Proprietary", "LicenseRef-Proprietary", DENIED),
        ("GNU General Public License v3", "GPL-3.0-only", UNKNOWN),
        ("", "MIT", UNKNOWN),
        ("MIT OR", "MIT", UNKNOWN),
        ("(" * 150 + "MIT" + ")" * 150, "MIT", DENIED),
        ("(" * 9_000 + "MIT" + ")" * 9_000, "MIT", UNKNOWN),
    ],
)
def test_denied(licence: str, denied: str, problem: str) -> None:
    assert read_policy([denied], []).judge(licence) == problem


@pytest.mark.parametrize(
    ("licence", "problem"),
    [
        ("MIT", ""),
        ("Apache-2.0", ""),
        ("MIT AND Apache-2.0", ""),
        ("MIT AND ISC", NOT_ALLOWED),
        ("ISC OR MIT", ""),
        ("ISC OR BSD-3-Clause", NOT_ALLOWED),
        ("Apache-2.0 WITH LLVM-exception", ""),
        ("MIT OR GPL-3.0-only", ""),
        ("GPL-3.0-only", DENIED),
        ("MIT AND GPL-3.0-only", DENIED),
        # Neither side may be used: one is denied, the other not allowed.
        ("GPL-3.0-only OR ISC", NOT_ALLOWED),
        ("MIT License", UNKNOWN),
    ],
)
def test_allowed(licence: str, problem: str) -> None:
    assert read_policy(["GPL-3.0-only"], ["MIT", "apache-2.0", "GPL-3.0-only"]).judge(licence) == problem


def test_an_allowed_exception_is_not_the_bare_licence() -> None:
    policy = read_policy([], ["GPL-3.0-only WITH GCC-exception-3.1"])
    assert policy.judge("GPL-3.0-only WITH GCC-exception-3.1") == ""
    assert policy.judge("GPL-3.0-only") == NOT_ALLOWED


@pytest.mark.parametrize("text", ["GPL3", "MIT OR ISC", "", "MIT License", "MIT AND", "WITH"])
@pytest.mark.parametrize("option", ["--deny-licence", "--allow-licence"])
def test_a_word_that_is_no_licence(text: str, option: str) -> None:
    """A licence that is written wrongly would deny nothing."""
    given = ([text], []) if option == "--deny-licence" else ([], [text])
    with pytest.raises(UsageError, match=option) as caught:
        read_policy(*given)
    assert "such as MIT" in (caught.value.hint or "")


def test_expressions() -> None:
    assert [text for text in ("MIT", "MIT or ISC", "BSD", "", "MIT,ISC") if is_expression(text)] == [
        "MIT",
        "MIT or ISC",
    ]
