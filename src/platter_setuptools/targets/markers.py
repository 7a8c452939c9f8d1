"""Markers (PEP 508) for a target of which not everything is known, such as the release of its kernel."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.markers import Marker

from platter_setuptools.errors import DependencyError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# What the name of a target does not say. packaging would take the building machine's for what an environment lacks.
NEVER_NAMED = ("platform_release", "platform_version")
_HINT = "describe the server with its bundle's ./install.sh --describe, and name that file with --target"
_OPERATOR = "(?:[<>=!~]+|not in|in)"
_VALUE = r"""(?:"[^"]*"|'[^']*')"""
_COMPARISON = re.compile(rf"\b(\w+) *{_OPERATOR} *{_VALUE}|{_VALUE} *{_OPERATOR} *(\w+)\b")
_ALWAYS, _NEVER = 'os_name != ""', 'os_name == ""'


class Unknown(str):
    """The value of a marker that is not known: any will do where the others decide."""

    __slots__ = ()


UNKNOWN = Unknown("0")  # both a version and a string


def evaluate(marker: Marker, environment: Mapping[str, str], wanted: str) -> bool:
    """Return whether a marker holds that decides whether something is `wanted`.

    Raise DependencyError if that depends on a value that is not known. Raise ValueError for a comparison that is not
    defined.
    """

    def judge(one: Marker) -> bool:
        return one.evaluate(dict(environment))

    check_decided(marker, environment, wanted, judge)
    return judge(marker)


def check_decided(marker: Marker, environment: Mapping[str, str], wanted: str, judge: Callable[[Marker], bool]) -> None:
    """Raise DependencyError, which names the marker, if what `judge` says depends on a value that is not known."""
    text = str(marker)
    unknown = {name for name, value in environment.items() if isinstance(value, Unknown)}
    found = [name for pair in _COMPARISON.findall(text) for name in pair if name in unknown]
    if not found:
        return

    def bounded(value: str) -> Marker:
        return Marker(_COMPARISON.sub(lambda one: one[0] if unknown.isdisjoint(one.groups()) else value, text))

    # A marker has no negations: what it says with these comparisons true and false is all that it can say.
    if judge(bounded(_ALWAYS)) != judge(bounded(_NEVER)):
        raise DependencyError(
            f"whether {wanted} is required cannot be said: {found[0]} of the target is not known ({marker})",
            hint=_HINT,
        )
