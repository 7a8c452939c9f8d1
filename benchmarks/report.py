"""What came out: medians, ratios and their spread, as a table and as JSON."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.comparisons import Comparison
    from benchmarks.measure import Figures, Pair

MISSED = "NOT MET"


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One side's figures. Seconds or bytes, in the order of the runs."""

    label: str
    values: tuple[float, ...]
    user: float = 0.0
    system: float = 0.0

    @property
    def median(self) -> float:
        return statistics.median(self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One row: `figure` is what was compared, `ratio` ours to the peer's, or, without a peer, ours itself."""

    name: str
    title: str
    figure: str
    ours: Series
    peer: Series | None
    bar: float | None
    aim: float | None
    measured: str  # date
    version: str  # ours

    @property
    def ratio(self) -> float:
        return self.ours.median / self.peer.median if self.peer else self.ours.median

    @property
    def spread(self) -> tuple[float, float]:
        """The least and the greatest of what the single pairs gave."""
        if self.peer is None:
            return min(self.ours.values), max(self.ours.values)
        ratios = [ours / peer for ours, peer in zip(self.ours.values, self.peer.values, strict=True)]
        return min(ratios), max(ratios)

    @property
    def verdict(self) -> str:
        if self.bar is None or self.aim is None:
            return ""
        return "aim met" if self.ratio <= self.aim else "met" if self.ratio <= self.bar else MISSED


def result_of(
    comparison: Comparison, pair: Pair, sides: tuple[Sequence[Figures], Sequence[Figures]], version: str
) -> Result:
    """The row of a comparison that was run."""

    def series(label: str, figures: Sequence[Figures]) -> Series:
        return Series(
            label=label,
            values=tuple(round(getattr(one, comparison.figure), 4) for one in figures),
            user=round(statistics.median(one.user for one in figures), 3),
            system=round(statistics.median(one.system for one in figures), 3),
        )

    ours, peers = sides
    return Result(
        name=comparison.name,
        title=comparison.title,
        figure=comparison.figure,
        ours=series(pair.ours.label, ours),
        peer=series(pair.peer.label, peers) if pair.peer else None,
        bar=comparison.bar,
        aim=comparison.aim,
        measured=dt.datetime.now(dt.timezone.utc).date().isoformat(),
        version=version,
    )


def table(results: Sequence[Result]) -> str:
    """All rows, in Markdown that reads well on a terminal, too."""
    rows = [("comparison", "ours", "peer", "ratio", "spread", "bar", "aim", "")]
    for one in results:
        absolute = one.peer is None

        def shown(value: float | None, absolute: bool = absolute, figure: str = one.figure) -> str:
            if value is None:
                return ""
            return amount(value, figure) if absolute else f"{value:.3g}"

        low, high = one.spread
        rows.append(
            (
                one.title,
                amount(one.ours.median, one.figure),
                amount(one.peer.median, one.figure) if one.peer else "",
                shown(one.ratio),
                "" if absolute or len(one.ours.values) == 1 else f"{low:.3g} to {high:.3g}",
                shown(one.bar),
                shown(one.aim),
                one.verdict,
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def amount(value: float, figure: str) -> str:
    """A figure for people: `1.23 s`, `84 MB`."""
    if figure == "wall":
        return f"{value:.2f} s" if value >= 0.995 else f"{value * 1000:.0f} ms"  # noqa: PLR2004
    return f"{value / 1e6:.1f} MB"


def machine() -> dict[str, Any]:
    """The machine in a few words: nothing that names it or its users."""
    cpu = ""
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": cpu,
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": f"{platform.system()} {platform.machine()}, {' '.join(platform.libc_ver())}",
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
    }


def dump(results: Sequence[Result], versions: Mapping[str, str]) -> str:
    """All that was measured, as JSON."""
    rows = []
    for one in results:
        low, high = one.spread
        row: dict[str, Any] = {
            "name": one.name,
            "title": one.title,
            "figure": {"wall": "seconds", "peak": "bytes of memory", "size": "bytes"}[one.figure],
            "ours": _series(one.ours),
            "peer": _series(one.peer) if one.peer else None,
            "ratio": round(one.ratio, 4),
            "spread": [round(low, 4), round(high, 4)],
            "bar": one.bar,
            "aim": one.aim,
            "verdict": one.verdict,
            "measured": one.measured,
            "version": one.version,
        }
        rows.append(row)
    content = {"format": 1, "machine": machine(), "peers": dict(versions), "comparisons": rows}
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def load(path: Path) -> list[Result]:
    """The rows of an earlier run on a machine such as this; none if there are none."""
    if not path.exists():
        return []
    content = json.loads(path.read_text("utf-8"))
    if content.get("format") != 1 or content["machine"] != machine():
        return []
    figures = {"seconds": "wall", "bytes of memory": "peak", "bytes": "size"}
    return [
        Result(
            **{name: row[name] for name in ("name", "title", "bar", "aim", "measured", "version")},
            figure=figures[row["figure"]],
            ours=_loaded(row["ours"]),
            peer=_loaded(row["peer"]) if row["peer"] else None,
        )
        for row in content["comparisons"]
    ]


def _series(series: Series) -> dict[str, Any]:
    return {
        "label": series.label,
        "median": round(series.median, 4),
        "user": series.user,
        "system": series.system,
        "values": list(series.values),
    }


def _loaded(row: Mapping[str, Any]) -> Series:
    return Series(label=row["label"], values=tuple(row["values"]), user=row["user"], system=row["system"])
