"""Every regular expression of ours takes time in proportion to the text, the way it is used."""

from __future__ import annotations

import ast
import importlib
import re
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import platter_setuptools

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

if sys.version_info >= (3, 11):
    from re import _parser as sre_parse  # type: ignore[attr-defined]  # sre_parse is deprecated since then
else:
    import sre_parse

SOURCES = Path(platter_setuptools.__file__).parent
METHODS = {"search", "match", "fullmatch", "findall", "finditer", "split", "sub", "subn"}
SCANNING = {"search", "findall", "finditer", "split", "sub", "subn"}
MEGABYTE = 1 << 20
LENGTH = 1 << 15  # characters: what is linear takes half a millisecond, what takes the square of it two seconds
LIMIT = 0.5  # seconds of processor time for one text
USUAL = ["a", "1", " ", "\t", "\n", "/", ".", "-", "_", '"', "://", "a@", "a.", "1.", "a ", "\\"]

# What functions put into expressions: an example of each.
LOCALS = {"prefix": b"/opt/python"}


@dataclass(frozen=True, kw_only=True)
class Expression:
    """One expression of a module, and the methods that are called of it."""

    place: str
    pattern: re.Pattern[Any]
    methods: frozenset[str]


def expressions(file: Path) -> Iterator[Expression]:
    """All that a module compiles or hands to a function of `re`."""
    tree = ast.parse(file.read_text("utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and is_of_re(node)]
    if not calls:
        return
    parts = file.relative_to(SOURCES.parent).with_suffix("").parts
    space = {**LOCALS, **vars(importlib.import_module(".".join(parts)))}
    names = {
        id(node.value): target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    used: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.attr in METHODS:
            used.setdefault(node.value.id, set()).add(node.attr)
    for call in calls:
        assert isinstance(call.func, ast.Attribute)
        method = call.func.attr
        flags = call.args[1:2] if method == "compile" else [word.value for word in call.keywords if word.arg == "flags"]
        if method in {"match", "fullmatch", "search", "findall"}:
            flags = call.args[2:3]
        methods = {method} if method != "compile" else used.get(names.get(id(call), ""), SCANNING)
        first = call.args[0]
        for node in (first.body, first.orelse) if isinstance(first, ast.IfExp) else (first,):
            pattern = re.compile(valued(node, space), valued(flags[0], space) if flags else 0)
            yield Expression(place=f"{parts[-1]}.py:{call.lineno}", pattern=pattern, methods=frozenset(methods))


def is_of_re(call: ast.Call) -> bool:
    func = call.func
    return (
        isinstance(func, ast.Attribute)
        and isinstance(func.value, ast.Name)
        and func.value.id == "re"
        and func.attr in {*METHODS, "compile"}
    )


def valued(node: ast.expr, space: dict[str, Any]) -> Any:
    return eval(compile(ast.Expression(node), "expression", "eval"), dict(space))


def texts(pattern: re.Pattern[Any]) -> Iterator[Any]:
    """Long texts of the characters that the expression itself speaks of, and of others; also such as nearly match."""
    parsed = list(sre_parse.parse(pattern.pattern, pattern.flags & ~re.DEBUG))
    letters = list(dict.fromkeys(map(chr, literals(parsed))))[:24]
    pieces = dict.fromkeys([*USUAL, *letters, "".join(letters), *(one + "a" for one in letters[:8])])
    yield ("a" * MEGABYTE).encode() if isinstance(pattern.pattern, bytes) else "a" * MEGABYTE
    for piece in filter(None, pieces):
        body = piece * (LENGTH // len(piece))
        for text in (body, "".join(letters[:1]) + body + "\0", "a" + body + "@"):
            yield text.encode("latin-1", "replace") if isinstance(pattern.pattern, bytes) else text


def literals(parsed: Any) -> Iterator[int]:
    """The characters in what the parser of `re` gives."""
    for one in parsed:
        if isinstance(one, (list, tuple, sre_parse.SubPattern)):
            kind = str(one[0]) if len(one) else ""
            if kind in {"LITERAL", "NOT_LITERAL"}:
                yield one[1]
            elif kind == "RANGE":
                yield one[1][0]
            else:
                yield from literals(one)


def run(expression: Expression, method: str, text: Any) -> None:
    if method in {"sub", "subn"}:
        getattr(expression.pattern, method)(text[:0], text)
    elif method == "finditer":
        for _ in expression.pattern.finditer(text):
            pass
    else:
        getattr(expression.pattern, method)(text)


def too_long(_signal: int, _frame: FrameType | None) -> None:
    raise TimeoutError


FILES = sorted(file for file in SOURCES.rglob("*.py") if "import re\n" in file.read_text("utf-8"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SOURCES)))
def test_time_in_proportion(file: Path) -> None:
    before = signal.signal(signal.SIGPROF, too_long)
    try:
        for expression in expressions(file):
            for method in sorted(expression.methods):
                for text in texts(expression.pattern):
                    signal.setitimer(signal.ITIMER_PROF, LIMIT)
                    try:
                        run(expression, method, text)
                    except TimeoutError:
                        pytest.fail(f"{expression.place}: {method} takes too long for {text[:20]!r}…{text[-3:]!r}")
                    finally:
                        signal.setitimer(signal.ITIMER_PROF, 0)
    finally:
        signal.signal(signal.SIGPROF, before)


def test_all_are_found() -> None:
    found = [one for file in FILES for one in expressions(file)]
    assert len(found) > 100


def test_one_that_takes_the_square_is_told() -> None:
    quadratic = Expression(place="x.py:1", pattern=re.compile(r"(a+)@"), methods=frozenset({"search"}))
    before = signal.signal(signal.SIGPROF, too_long)
    try:
        signal.setitimer(signal.ITIMER_PROF, LIMIT)
        with pytest.raises(TimeoutError):
            run(quadratic, "search", "a" * LENGTH)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
