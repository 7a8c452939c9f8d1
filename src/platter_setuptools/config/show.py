"""Show the options that are in effect, and where each comes from: `platter config`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from platter_setuptools.config.option_sources import Choice
from platter_setuptools.config.options import OPTIONS, Options
from platter_setuptools.urls import redact

if TYPE_CHECKING:
    from pathlib import Path

    from platter_setuptools.config.option_sources import Source

_LONGEST = 40  # characters; longer values in the output of `platter config` do not move its comments to the right


def as_json(choices: Source, *, output: Path) -> dict[str, dict[str, Any]]:
    """Return value and place of every option by name (docs/config.schema.json). Passwords in URLs are left out."""
    defaults = Options(output=output)
    shown = {}
    for option in OPTIONS:
        default = Choice(value=getattr(defaults, option.attribute), place="default")
        choice = choices.get(option.attribute, default)
        place = "not set" if choice.value is None else choice.place
        shown[option.name] = {"value": _plain(choice.value), "place": place}
    return shown


def as_toml(choices: Source, *, output: Path) -> str:
    """Return a line for every option; one without a value is commented out. Passwords in URLs are left out."""
    lines = []
    for name, shown in as_json(choices, output=output).items():
        text = f"# {name}" if shown["value"] is None else f"{name} = {_as_toml(shown['value'])}"
        lines.append((text, shown["place"]))
    width = max(len(text) for text, _place in lines if len(text) <= _LONGEST)
    return "\n".join(f"{text:{width}}  # {place}" for text, place in lines)


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    return [_plain(one) for one in value] if isinstance(value, tuple) else redact(str(value))


def _as_toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(map(_as_toml, value))}]"
    import tomli_w  # noqa: PLC0415

    return tomli_w.dumps({"x": value}).removeprefix("x = ").rstrip("\n")
