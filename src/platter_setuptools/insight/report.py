"""A portrait for people to read, and as JSON (docs/inspect.schema.json)."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from platter_setuptools.ground.progress import human_size
from platter_setuptools.payload.cleaning import clean

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from platter_setuptools.insight.portrait import Part, Portrait
    from platter_setuptools.payload import manifest

_HEAD = ("wheel", "version", "size", "licence", "tag", "why it is there")
_SIZE = _HEAD.index("size")
_WIDEST = 40  # characters of one cell; the last one of a row may be as long as it is


def as_json(portrait: Portrait, files: Mapping[str, Sequence[str]] | None = None) -> dict[str, Any]:
    """What docs/inspect.schema.json describes. Sizes are in bytes. `files`: see insight/files.py."""
    about = portrait.about
    return {
        "name": about.name,
        "version": about.version,
        "platform": about.platform,
        "python": [target.python for target in about.targets],
        "requires_python": about.requires_python,
        "libc": portrait.libc or None,
        "libraries": portrait.libraries,
        "size": portrait.size,
        "installed_size": about.installed_size,
        "installed_files": about.installed_files,
        "signed": portrait.signed,
        "created_by": about.created_by,
        "revision": about.revision or None,
        "overrides": [one._asdict() for one in about.overrides],
        "scripts": list(portrait.project.scripts),
        "roots": list(portrait.roots),
        "wheels": [
            {
                "name": part.name,
                "version": part.version,
                "file": part.file,
                "tag": part.tag,
                "sha256": part.sha256,
                "size": part.size,
                "installed_size": part.installed_size,
                "licence": part.licence or None,
                "libc": part.libc or None,
                "libraries": list(part.libraries),
                "scripts": list(part.scripts),
                "requires": list(part.requires),
                "path": list(part.path),
                **({} if files is None else {"files": list(files[part.file])}),
            }
            for part in portrait.parts
        ],
    }


def summary(portrait: Portrait) -> str:
    """The facts that concern the whole bundle."""
    about = portrait.about
    pythons = ", ".join(f"{target.implementation} {target.python}" for target in about.targets)
    facts = {
        "python": f"{pythons} ({about.requires_python})" if about.requires_python else pythons,
        "needs": ", ".join([portrait.libc or "any C library", *portrait.libraries]),
        "size": f"{human_size(portrait.size)}, {human_size(sum(part.size for part in portrait.parts))} of it wheels",
        "installed": f"{human_size(about.installed_size)} in {about.installed_files} files",
        "commands": ", ".join(portrait.project.scripts) or "none",
        "signed": "yes (platter verify tells by whom)" if portrait.signed else "no",
        "built by": about.created_by,
    }
    if about.revision:
        facts["revision"] = about.revision
    overrides = [("" if number else "overrides", _override(one)) for number, one in enumerate(about.overrides)]
    lines = [
        f"{about.title} for {about.platform}",
        *(f"  {name:<10} {value}" for name, value in (*facts.items(), *overrides)),
    ]
    return "\n".join(lines)


def _override(one: manifest.Override) -> str:
    """What the user has put in the place of requirements."""
    instead = ", ".join(one.instead) or "nothing"
    whose = " ".join(filter(None, (one.of, one.version))) or "any wheel"
    return f"{instead}, not what {whose} requires{f' of {one.name}' if one.name else ''}"


def table(portrait: Portrait) -> str:
    """One row for each wheel, the largest first."""
    return "\n".join(columns([_HEAD, *_rows(portrait)], right={_SIZE}))


def table_for(portrait: Portrait, width: int) -> str:
    """The same for a terminal of so many columns: cells are wrapped instead of cut off."""
    from rich.console import Console  # noqa: PLC0415 - loaded for a terminal alone: it takes longer than all the rest
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    drawn = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for place, title in enumerate(_HEAD):
        fixed = title in {"version", "size"}
        drawn.add_column(title, justify="right" if place == _SIZE else "left", no_wrap=fixed, overflow="fold")
    for row in _rows(portrait):
        drawn.add_row(*(Text(clean(cell)) for cell in row))
    file = io.StringIO()
    Console(file=file, width=width, color_system=None, force_terminal=False).print(drawn)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


def listing(portrait: Portrait, files: Mapping[str, Sequence[str]]) -> str:
    """The files that each wheel installs, below its name."""
    return "\n".join(
        line
        for part in portrait.parts
        for line in (f"{part.name} {part.version}", *(f"  {one}" for one in files[part.file]))
    )


def _rows(portrait: Portrait) -> Iterator[tuple[str, ...]]:
    for one in portrait.parts:
        licence, size = one.licence or "unknown", human_size(one.size)
        yield one.name, one.version, size, licence, _short(one.tag), why(one, portrait)


def tree(portrait: Portrait) -> str:
    """What requires what. A wheel whose requirements were shown further up has an ellipsis instead."""
    parts = {part.name: part for part in portrait.parts}
    shown: set[str] = set()

    def lines(name: str, first: str, rest: str) -> Iterator[str]:
        part = parts[name]
        again = name in shown and bool(part.requires)
        yield f"{first}{name} {part.version}{' …' * again}"
        shown.add(name)
        for number, other in enumerate(() if again else part.requires, start=1):
            last = number == len(part.requires)
            yield from lines(other, rest + ("└── " if last else "├── "), rest + ("    " if last else "│   "))

    return "\n".join(line for root in portrait.roots for line in lines(root, "", ""))


def why(part: Part, portrait: Portrait) -> str:
    """The way from the project to a wheel."""
    if part.path[0] == portrait.roots[0]:
        return " > ".join(part.path)
    beside = "in every virtualenv" if part.path[0] == "pip" else "asked for beside the project"
    return " > ".join([beside, *part.path[1:]])


def columns(rows: Sequence[Sequence[str]], *, right: Collection[int] = ()) -> list[str]:
    """Rows of cells as lines; the columns of `right` are aligned on that side."""
    cut = [[cell if len(cell) <= _WIDEST else f"{cell[: _WIDEST - 1]}…" for cell in row[:-1]] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cut, strict=True)]
    lines = []
    for cells, row in zip(cut, rows, strict=True):
        padded = [
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        lines.append("  ".join([*padded, row[-1]]).rstrip())
    return lines


def _short(tag: str) -> str:
    """Of several platforms in a tag the first."""
    return tag.split(".", maxsplit=1)[0] if "manylinux" in tag or "musllinux" in tag else tag
