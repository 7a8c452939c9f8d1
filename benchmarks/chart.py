"""The chart: how long a release takes and how long an installation, as an SVG that any page can show.

A picture in a README cannot know on which background it is shown: all its colours stand out from white and from black.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.report import amount

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.report import Result

_TEXT, _OURS, _PEER = "#7d8590", "#2f81f7", "#8d96a0"
_WIDTH, _LABELS, _FIGURES = 830, 340, 70  # pixels; the bars have what is left
_ROW, _BAR, _TITLE, _GAP = 24, 14, 30, 14
_FONT = "ui-sans-serif, system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"

# What is shown together: the title, and the comparisons whose sides are its bars. The first one's time is ours.
_GROUPS = (
    (
        "Build a release, 67 dependencies, nothing new but the project",
        ("release", "release-lock", "release-platter", "release-pex", "release-shiv"),
    ),
    (
        "Install it on a server",
        ("install-uv", "install-tar", "install-uv-bytecode", "install-pip"),
    ),
    (
        "From the file on a server to the application's first answer",
        ("first-answer-pex-venv", "first-answer-pex", "first-answer-shiv"),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One line of the chart."""

    label: str
    seconds: float
    ours: bool


def draw(results: Iterable[Result]) -> str:
    """The chart of what was measured; groups without a figure are left out."""
    known = {one.name: one for one in results}
    parts: list[str] = []
    y = 0
    for title, names in _GROUPS:
        bars = _bars([known[name] for name in names if name in known])
        if bars:
            y += _GAP
            parts += _group(title, bars, y)
            y += _TITLE + _ROW * len(bars)
    height = y + _GAP
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
        f' role="img" font-family="{_FONT}" font-size="13" fill="{_TEXT}">'
    )
    about = "<title>Seconds that platter-setuptools and other tools take; shorter is better</title>"
    return "\n".join([head, about, *parts, "</svg>"]) + "\n"


def _bars(results: Sequence[Result]) -> list[Bar]:
    """Ours once for each way of ours, then the peers, the quickest first."""
    found: dict[str, Bar] = {}
    for one in results:
        sides = [(one.ours, True), (one.peer, False)]
        for series, ours in sides:
            if series and series.label not in found:
                found[series.label] = Bar(label=series.label, seconds=series.median, ours=ours)
    return sorted(found.values(), key=lambda bar: (not bar.ours, bar.seconds))


def _group(title: str, bars: Sequence[Bar], top: int) -> list[str]:
    room = _WIDTH - _LABELS - _FIGURES
    longest = max(bar.seconds for bar in bars)
    lines = [f'<text x="0" y="{top + 14}" font-weight="600" font-size="14">{html.escape(title)}</text>']
    for number, bar in enumerate(bars):
        middle = top + _TITLE + number * _ROW + _ROW // 2
        width = max(2, round(room * bar.seconds / longest))
        weight = ' font-weight="600"' if bar.ours else ""
        figure = amount(bar.seconds, "wall")
        rectangle = f'x="{_LABELS}" y="{middle - _BAR // 2}" width="{width}" height="{_BAR}" rx="2"'
        lines += [
            f'<text x="{_LABELS - 10}" y="{middle + 4}" text-anchor="end"{weight}>{html.escape(bar.label)}</text>',
            f'<rect {rectangle} fill="{_OURS if bar.ours else _PEER}"/>',
            f'<text x="{_LABELS + width + 8}" y="{middle + 4}"{weight}>{figure}</text>',
        ]
    return lines
