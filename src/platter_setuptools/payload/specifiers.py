"""Requires-Python: compare version specifiers (PEP 440) with the releases of interpreters."""

import re
from typing import Tuple

from .names import is_version

_OPERATOR = re.compile(r"===|==|!=|~=|<=|>=|<|>")
_CLAUSE = re.compile(r"\s*(===|==|!=|~=|<=|>=|<|>)\s*v?(\d+(?:\.\d+)*)(\.\*)?\s*")


def valid(specifiers: str) -> bool:
    """Whether this is a set of version specifiers (PEP 440); a star may follow each operator, as in old metadata."""
    return all(_is_clause(clause.strip()) for clause in specifiers.split(",") if clause.strip())


def _is_clause(clause: str) -> bool:
    match = _OPERATOR.match(clause)
    if match is None:
        return False
    version = clause[match.end() :].strip()
    return is_version(re.sub(r"\.\*\Z", "", version))


def contains(specifiers: str, python: Tuple[int, ...]) -> bool:
    """Whether the release is allowed. A clause that cannot be read allows everything: the build has judged it."""
    return all(_allows(clause, python) for clause in specifiers.split(",") if clause.strip())


def _allows(clause: str, python: Tuple[int, ...]) -> bool:
    match = _CLAUSE.fullmatch(clause)
    if match is None:
        return True
    operator, text, wildcard = match.groups()
    wanted = tuple(int(part) for part in text.split("."))
    if wildcard or operator == "~=":
        stem = wanted if wildcard else wanted[:-1]
        same = _padded(python, len(stem))[: len(stem)] == stem
        if operator == "!=":
            return not same
        return same and (wildcard is not None or _padded(python, len(wanted)) >= wanted)
    width = max(len(wanted), len(python))
    left, right = _padded(python, width), _padded(wanted, width)
    return {
        "===": left == right,
        "==": left == right,
        "!=": left != right,
        "<=": left <= right,
        ">=": left >= right,
        "<": left < right,
        ">": left > right,
    }[operator]


def _padded(release: Tuple[int, ...], width: int) -> Tuple[int, ...]:
    return release + (0,) * (width - len(release))
