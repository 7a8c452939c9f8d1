"""The options that count, with the place that decided each: as TOML for people, and for JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from platter_setuptools.ground.dialects import Choice
from platter_setuptools.ground.options import OPTIONS, Options
from platter_setuptools.ground.urls import redact

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_LONGEST = 40  # characters that a value may have and still move the others' comments to the right


def as_toml(choices: Mapping[str, Choice], *, output: Path) -> str:
    """A line for every option; those without a value are commented out. Passwords in URLs are left out."""
    lines = []
    for name, choice in _all(choices, output):
        if choice.value is None:
            lines.append((f"# {name}", "not set"))
        else:
            lines.append((f"{name} = {redact(_written(choice.value))}", choice.place))
    width = max(len(text) for text, _place in lines if len(text) <= _LONGEST)
    return "\n".join(f"{text:{width}}  # {place}" for text, place in lines)


def as_json(choices: Mapping[str, Choice], *, output: Path) -> dict[str, dict[str, Any]]:
    """Return value and place of every option by name (docs/config.schema.json). Passwords in URLs are left out."""
    return {
        name: {"value": _plain(choice.value), "place": "not set" if choice.value is None else choice.place}
        for name, choice in _all(choices, output)
    }


def _all(choices: Mapping[str, Choice], output: Path) -> Iterator[tuple[str, Choice]]:
    defaults = Options(output=output)
    for option in OPTIONS:
        default = Choice(value=getattr(defaults, option.attribute), place="default")
        yield option.name, choices.get(option.attribute) or default


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    return [_plain(one) for one in value] if isinstance(value, tuple) else redact(str(value))


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_written, value))}]"
    import tomli_w  # noqa: PLC0415

    return tomli_w.dumps({"x": str(value)}).removeprefix("x = ").rstrip("\n")
