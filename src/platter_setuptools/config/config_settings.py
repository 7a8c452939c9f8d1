"""Options from a build frontend's config settings (PEP 517): `-C platter=true -C platter.format=zip`."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from platter_setuptools.config.option_sources import Source, read_strings, yes_or_no
from platter_setuptools.config.options import BY_NAME, Kind
from platter_setuptools.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SWITCH = "platter"
VARIABLE = "PLATTER_BUILD"  # the switch as an environment variable
WHERE = "config settings"
_PREFIX = f"{SWITCH}."
_TYPO = 0.85  # similarity to our name from which a key is a mistake and not another tool's


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Whether a frontend's user wants a bundle, and how."""

    bundle: bool
    by_setting: bool  # asked for in this build's settings, not in an environment that is shared with others
    options: Source


def read_wish(settings: Mapping[str, object] | None, environ: Mapping[str, str], base: Path) -> Wish:
    """Return the Wish from config settings and environment. Ignore keys of other tools. Raises UsageError."""
    ours = {key: value for key, value in (settings or {}).items() if is_ours(key)}
    options = {}
    for key, value in ours.items():
        if key == SWITCH:
            continue
        name = key.removeprefix(_PREFIX)
        if name == key:
            close = difflib.get_close_matches(key, [SWITCH, *(_PREFIX + name for name in BY_NAME)], n=1)
            hint = f"did you mean {close[0]}?" if close else f"{SWITCH}=true asks for a bundle"
            raise UsageError(f"{WHERE}: there is no {key!r}", hint=hint)
        option = BY_NAME.get(name.replace("_", "-"))
        options[name] = _strings(key, value, bare=option is not None and option.kind is Kind.FLAG)
    switch = _strings(SWITCH, ours[SWITCH], bare=True) if SWITCH in ours else environ.get(VARIABLE, "") or "no"
    if not isinstance(switch, str):
        raise UsageError(
            f"{WHERE} {SWITCH}: expected yes or no, found {len(switch)} values", hint="give it once: -C platter=true"
        )
    return Wish(
        bundle=yes_or_no(switch, f"{WHERE} {SWITCH}" if SWITCH in ours else f"the environment {VARIABLE}"),
        by_setting=bool(ours),
        options=read_strings(WHERE, base, options, prefix=_PREFIX),
    )


def is_ours(key: str) -> bool:
    """Whether a key is ours, correctly spelled or not."""
    first = key.partition(".")[0].lower()
    return first.startswith(SWITCH) or bool(difflib.get_close_matches(first, [SWITCH], cutoff=_TYPO))


def _strings(key: str, value: object, *, bare: bool) -> str | list[str]:
    """Return a setting's value as strings; a `bare` one may have no value: `-C platter`."""
    if isinstance(value, bool):  # from frontends with JSON settings
        return "yes" if value else "no"
    if value is None or value == "":
        return "yes" if bare else ""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return value
    raise UsageError(
        f"{WHERE} {key}: expected a string or a list of strings, found {value!r}",
        hint="give each value as text: -C KEY=VALUE",
    )
