"""The options that count, as a person reads them: TOML, with the place that decided beside each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from platter_setuptools.ground.dialects import Choice
from platter_setuptools.ground.options import OPTIONS, Options
from platter_setuptools.ground.urls import redact

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LONGEST = 40  # characters that a value may have and still move the others' comments to the right


def as_toml(choices: Mapping[str, Choice], *, output: Path) -> str:
    """A line for every option; those without a value are commented out. Passwords in URLs are left out."""
    defaults = Options(output=output)
    lines = []
    for option in OPTIONS:
        choice = choices.get(option.attribute) or Choice(value=getattr(defaults, option.attribute), place="default")
        if choice.value is None:
            lines.append((f"# {option.name}", "not set"))
        else:
            lines.append((f"{option.name} = {redact(_written(choice.value))}", choice.place))
    width = max(len(text) for text, _place in lines if len(text) <= _LONGEST)
    return "\n".join(f"{text:{width}}  # {place}" for text, place in lines)


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_written, value))}]"
    import tomli_w  # noqa: PLC0415

    return tomli_w.dumps({"x": str(value)}).removeprefix("x = ").rstrip("\n")
