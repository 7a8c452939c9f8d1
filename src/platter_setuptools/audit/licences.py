"""Which licences are allowed: SPDX expressions (PEP 639), evaluated with license-expression."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from platter_setuptools.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

DENIED, NOT_ALLOWED, UNKNOWN = "denied", "not allowed", "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The licences that are denied, and those that alone are allowed; None: all others."""

    denied: frozenset[str] = frozenset()
    allowed: frozenset[str] | None = None

    def judge(self, licence: str) -> str:
        """Return what is wrong with a distribution of this licence: one of the constants above, or nothing.

        An OR needs one licence that may be used, an AND all of them. What is not an SPDX expression is unknown.
        """
        try:
            expression = _parse(canonicalize_license_expression(licence))
        except InvalidLicenseExpression:
            return UNKNOWN
        if not _holds(expression, self.denied.isdisjoint):
            return DENIED
        return "" if _holds(expression, self._may_be_used) else NOT_ALLOWED

    def _may_be_used(self, names: frozenset[str]) -> bool:
        return self.denied.isdisjoint(names) and (self.allowed is None or not self.allowed.isdisjoint(names))


def read_policy(denied: Iterable[str], allowed: Iterable[str]) -> Policy:
    """Return the policy of these options. Raises UsageError for what is not one SPDX licence."""
    listed = frozenset(_one("--allow-licence", text) for text in allowed)
    return Policy(denied=frozenset(_one("--deny-licence", text) for text in denied), allowed=listed or None)


def is_expression(text: str) -> bool:
    """Return whether this is an SPDX expression."""
    try:
        canonicalize_license_expression(text)
    except InvalidLicenseExpression:
        return False
    return True


def _one(option: str, text: str) -> str:
    try:
        expression = _parse(canonicalize_license_expression(text))
        if not _is_group(expression):
            return str(expression.render())
        reason = "it is an expression of several licences"
    except InvalidLicenseExpression as error:
        reason = f"{error}"
    raise UsageError(
        f"{option} {text}: {reason}",
        hint="name one SPDX licence, such as MIT or LicenseRef-Proprietary, and repeat the option for others",
    )


def _holds(expression: Any, may_be_used: Callable[[frozenset[str]], bool]) -> bool:
    """Evaluate an expression: `may_be_used` gets the names of a licence, with and without what is added to it."""
    if _is_group(expression):
        choose = any if isinstance(expression, _licensing().OR) else all
        return choose(_holds(one, may_be_used) for one in expression.args)
    bare = str(getattr(expression, "license_symbol", expression).key)
    return may_be_used(frozenset({str(expression.render()), bare, bare.removesuffix("+")}))


def _is_group(expression: Any) -> bool:
    return isinstance(expression, (_licensing().OR, _licensing().AND))


def _parse(text: str) -> Any:
    """Return the tree of an expression. GPL-2.0+, as SPDX wrote it once, is read as GPL-2.0-or-later."""
    return _licensing().parse(text)


@cache
def _licensing() -> Any:
    from license_expression import get_spdx_licensing  # noqa: PLC0415 - 50 ms

    return get_spdx_licensing()
