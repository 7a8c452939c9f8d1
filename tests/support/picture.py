"""The picture of the imports, docs/imports.svg, drawn from the imports that are really there.

A row is a layer of the contract in pyproject.toml. A line says that something above imports something below; where
that can be seen from other lines already it is left out. Boxes bring their own ground, and lines are of a middle grey:
the picture can be read on a light page and on a dark one.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "platter_setuptools"
# The payload is of no layer: it runs on another machine. What every setup() call loads imports nothing.
BESIDE = {"payload": "ground", "announce": "build_meta"}
# How far from the left each stands, so that no line runs behind a box.
COLUMNS = {
    "__main__": 1.1,
    "cli": 1.1,
    "bdist_platter": 2.1,
    "build_meta": 3.2,
    "fabric": 4.3,
    "announce": 5.2,
    "commands": 0.7,
    "insight": 0,
    "frontends": 3.3,
    "schema": 5.2,
    "project": 0.8,
    "locking": 1.6,
    "assemble": 2.5,
    "bundling": 2.4,
    "complete_set": 1.6,
    "workshop": 1.6,
    "resolvers": 1.6,
    "dependencies": 1.6,
    "steps": 1.6,
    "payload": 1.0,
    "ground": 3.3,
}
_LETTER, _HEIGHT, _COLUMN, _ROW, _EDGE = 8.0, 30.0, 126.0, 74.0, 20.0


def layers() -> list[list[str]]:
    """The rows from above, each with the names of modules and packages."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    (found,) = (one["layers"] for one in contracts if one["type"] == "layers" and "containers" not in one)
    rows = [[part.strip().rpartition(".")[2] for part in row.split("|")] for row in found]
    for name, neighbour in BESIDE.items():
        next(row for row in rows if neighbour in row).append(name)
    return rows


def imports() -> dict[str, set[str]]:
    """What each module or package at the top imports of the others, wherever in it the import stands."""
    names = [name for row in layers() for name in row]
    found: dict[str, set[str]] = {name: set() for name in names}
    for path in PACKAGE.rglob("*.py"):
        own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if own == "__init__":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                targets = [f"{node.module}.{one.name}" for one in node.names]
            elif isinstance(node, ast.Import):
                targets = [one.name for one in node.names]
            else:
                continue
            for target in targets:
                package, _, rest = target.partition(".")
                name = rest.partition(".")[0]
                if package == PACKAGE.name and name in found and name != own:
                    found[own].add(name)
    return found


def reduced(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """The graph without the arrows that follow from others."""

    def reach(name: str) -> set[str]:
        return graph[name].union(*(reach(below) for below in graph[name]))

    return {name: {one for one in to if not any(one in reach(other) for other in to)} for name, to in graph.items()}


def picture() -> str:
    """The picture as SVG."""
    rows = layers()
    widths = {name: len(name) * _LETTER + 20 for row in rows for name in row}
    middles = {name: _EDGE + widths["insight"] / 2 + COLUMNS[name] * _COLUMN for name in widths}
    boxes = {
        name: (middles[name] - widths[name] / 2, _EDGE + number * _ROW)
        for number, row in enumerate(rows)
        for name in row
    }
    whole = max(left + widths[name] for name, (left, _top) in boxes.items()) + _EDGE
    lines = [_line(boxes, widths, name, below) for name, to in reduced(imports()).items() for below in sorted(to)]
    height = 2 * _EDGE + (len(rows) - 1) * _ROW + _HEIGHT
    drawn = [_box(name, *boxes[name], widths[name]) for name in boxes]
    size = f'viewBox="0 0 {whole:g} {height:g}" width="{whole:g}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" font-family="monospace" font-size="13">',
            f"<title>{_told(rows)}</title>",
            '<g fill="none" stroke="#808080" stroke-width="1.4">',
            *lines,
            "</g>",
            *drawn,
            "</svg>\n",
        ]
    )


def _told(rows: list[list[str]]) -> str:
    return "The layers from above: " + "; ".join(", ".join(row) for row in rows)


def _line(boxes: dict[str, tuple[float, float]], widths: dict[str, float], above: str, below: str) -> str:
    """Down, with one bend: before the lower box, or where something is in the way, after the upper one."""
    left, top = boxes[above][0] + widths[above] / 2, boxes[above][1] + _HEIGHT
    right, bottom = boxes[below][0] + widths[below] / 2, boxes[below][1]
    gap = _ROW - _HEIGHT
    free = not any(
        top < y < bottom - gap and x < left < x + widths[name] for name, (x, y) in boxes.items() if name != below
    )
    start, end = (bottom - gap, bottom) if free else (top, top + gap)
    middle = (start + end) / 2
    return (
        f'<path d="M{left:g} {top:g}V{start:g}C{left:g} {middle:g} {right:g} {middle:g} {right:g} {end:g}V{bottom:g}"/>'
    )


def _box(name: str, left: float, top: float, width: float) -> str:
    fill, edge = ("#fff1d6", "#b07500") if name == "payload" else ("#e3eefb", "#3d6fa8")
    return (
        f'<rect x="{left:g}" y="{top:g}" width="{width:g}" height="{_HEIGHT:g}" rx="5" fill="{fill}" stroke="{edge}"/>'
        f'<text x="{left + width / 2:g}" y="{top + 20:g}" text-anchor="middle" fill="#1b1f24">{name}</text>'
    )
