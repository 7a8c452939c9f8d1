"""The summary of a bundle as text, as a page, and as JSON (docs/inspect.schema.json)."""

from __future__ import annotations

import html
import io
import json
import re
from importlib import resources
from typing import TYPE_CHECKING, Any

from platter_setuptools.payload.cleaning import clean
from platter_setuptools.runtime.progress import human_size

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from platter_setuptools.inspect.summary import BundleSummary, Part
    from platter_setuptools.payload import manifest
    from platter_setuptools.payload.interpreter import Interpreter
    from platter_setuptools.payload.target import Target
    from platter_setuptools.payload.thin import Thin

_HEAD = ("wheel", "version", "size", "licence", "tag", "why it is there")
_SIZE = _HEAD.index("size")
_WIDEST = 40  # characters of a cell, except the last one of a row


def page(bundle_summary: BundleSummary) -> str:
    """Return the summary as one self-contained page: page.html with its data. It asks for nothing over a network."""
    template = resources.files(__package__).joinpath("page.html").read_text("utf-8")
    filled = {
        "title": html.escape(f"{bundle_summary.about.title} for {bundle_summary.about.platform}"),
        # Within a script element only this character could end it.
        "data": json.dumps(_with_own_names(as_json(bundle_summary))).replace("<", r"\u003c"),
    }
    return re.sub(r"\{\{(title|data)\}\}", lambda match: filled[match[1]], template)


def as_json(bundle_summary: BundleSummary, files: Mapping[str, Sequence[str]] | None = None) -> dict[str, Any]:
    """Return the object of docs/inspect.schema.json. Sizes are in bytes. `files`: see inspect/files.py."""
    about = bundle_summary.about
    return {
        "name": about.name,
        "version": about.version,
        "platform": about.platform,
        "python": [target.python for target in about.targets],
        "targets": [*map(_target, about.targets, map(about.for_target, about.targets))],
        "requires_python": about.requires_python,
        "libc": bundle_summary.libc or None,
        "libraries": bundle_summary.libraries,
        "size": bundle_summary.size,
        "installed_size": about.installed_size,
        "installed_files": about.installed_files,
        "signed": bundle_summary.signed,
        "created_by": about.created_by,
        "revision": about.revision or None,
        "interpreter": _interpreter(about.interpreter),
        "thin": _thin(bundle_summary.thin),
        "overrides": [one._asdict() for one in about.overrides],
        "shared": list(about.shared),
        "packages": [part.name for part in bundle_summary.packages],
        "scripts": bundle_summary.scripts,
        "server_scripts": [{"name": name, "sha256": sha256} for name, sha256 in bundle_summary.server_scripts.items()],
        "roots": list(bundle_summary.roots),
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
                "targets": list(part.targets),
                **({} if files is None else {"files": list(files[part.file])}),
            }
            for part in bundle_summary.parts
        ],
    }


def _interpreter(interpreter: Interpreter | None) -> dict[str, Any] | None:
    return interpreter and {**interpreter._asdict(), "libc": interpreter.libc or None}


def _target(target: Target, part: manifest.Manifest) -> dict[str, Any]:
    return {
        "id": target.id,
        "python": target.python,
        "platform": target.platform,
        "libc": target.libc or None,
        "wheels": len(part.wheels),
        "installed_size": part.installed_size,
        "installed_files": part.installed_files,
    }


def _with_own_names(data: dict[str, Any]) -> dict[str, Any]:
    """Return the data for the page, which finds wheels by name: of several targets each may have one of that name."""
    if len(data["targets"]) == 1:
        return data
    called: dict[str, list[dict[str, Any]]] = {}
    for wheel in data["wheels"]:
        called.setdefault(wheel["name"], []).append(wheel)

    def own(wheel: dict[str, Any]) -> str:
        several = len(called[wheel["name"]]) > 1
        return f"{wheel['name']} ({', '.join(wheel['targets'])})" if several else str(wheel["name"])

    def with_target_of(wheel: dict[str, Any], name: str) -> list[str]:
        return [own(one) for one in called[name] if not set(one["targets"]).isdisjoint(wheel["targets"])]

    wheels = [
        {
            **wheel,
            "name": own(wheel),
            "requires": [one for name in wheel["requires"] for one in with_target_of(wheel, name)],
            "path": [*(one for name in wheel["path"][:-1] for one in with_target_of(wheel, name)[:1]), own(wheel)],
        }
        for wheel in data["wheels"]
    ]
    return {**data, "wheels": wheels, "roots": [own(wheel) for name in data["roots"] for wheel in called[name]]}


def _thin(thin: Thin | None) -> dict[str, Any] | None:
    return thin and {"base": [one._asdict() for one in thin.base], "left_out": sorted(thin.left_out)}


def summary(bundle_summary: BundleSummary) -> str:
    """Return the facts about the whole bundle."""
    about = bundle_summary.about
    pythons = ", ".join(dict.fromkeys(f"{target.implementation} {target.python}" for target in about.targets))
    facts = {
        "python": f"{pythons} ({about.requires_python})" if about.requires_python else pythons,
        "needs": ", ".join([bundle_summary.libc or "any C library", *bundle_summary.libraries]),
        "size": f"{human_size(bundle_summary.size)}, {human_size(_wheels(bundle_summary))} of it wheels",
        "installed": _installed(about),
        "commands": ", ".join(bundle_summary.scripts) or "none",
        "signed": "yes (platter verify shows by whom)" if bundle_summary.signed else "no",
        "built by": about.created_by,
    }
    if len(bundle_summary.packages) > 1:
        facts = {"packages": ", ".join(f"{part.name} {part.version}" for part in bundle_summary.packages), **facts}
    if about.interpreter:
        version, size = about.interpreter.version, human_size(about.interpreter.installed_size)
        facts["brings"] = f"cpython {version}, {size} installed: the server needs no Python"
    if bundle_summary.server_scripts:
        facts["runs"] = f"{', '.join(bundle_summary.server_scripts)} (the project's, on the server)"
    if about.shared:
        facts["shared"] = f"{', '.join(about.shared)} (links to ROOT/shared)"
    if about.revision:
        facts["revision"] = about.revision
    if bundle_summary.thin:
        wheels, bases = len(bundle_summary.wheels_left_out()), [one.version for one in bundle_summary.thin.base]
        facts["thin"] = f"{len(bundle_summary.thin.left_out)} files are left out, {wheels} of them wheels"
        facts["thin"] += f", compared with {', '.join(bases)}" if bases else ""
    overrides = [("" if number else "overrides", _override(one)) for number, one in enumerate(about.overrides)]
    lines = [
        f"{about.title} for {about.platform}",
        *(f"  {name:<10} {value}" for name, value in (*facts.items(), *overrides)),
    ]
    return "\n".join(lines)


def _installed(about: manifest.Manifest) -> str:
    """Return what is installed, for each of several targets."""
    parts = [(target.id, about.for_target(target)) for target in about.targets]
    sizes = [(name, f"{human_size(one.installed_size)} in {one.installed_files} files") for name, one in parts]
    return ", ".join(f"{size} ({name})" if len(sizes) > 1 else size for name, size in sizes)


def _wheels(bundle_summary: BundleSummary) -> int:
    return sum(part.size for part in bundle_summary.parts)


def _override(one: manifest.Override) -> str:
    """Return an override as text."""
    instead = ", ".join(one.instead) or "nothing"
    whose = " ".join(filter(None, (one.of, one.version))) or "any wheel"
    return f"{instead}, not what {whose} requires{f' of {one.name}' if one.name else ''}"


def table(bundle_summary: BundleSummary) -> str:
    """Return a row for each wheel, the largest first."""
    return "\n".join(columns([_HEAD, *_rows(bundle_summary)], right={_SIZE}))


def table_for(bundle_summary: BundleSummary, width: int) -> str:
    """Return the table for a terminal of so many columns, with wrapped cells."""
    from rich.console import Console  # noqa: PLC0415 - loaded for a terminal alone: it takes longer than all the rest
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    drawn = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for place, title in enumerate(_HEAD):
        fixed = title in {"version", "size"}
        drawn.add_column(title, justify="right" if place == _SIZE else "left", no_wrap=fixed, overflow="fold")
    for row in _rows(bundle_summary):
        drawn.add_row(*(Text(clean(cell)) for cell in row))
    file = io.StringIO()
    Console(file=file, width=width, color_system=None, force_terminal=False).print(drawn)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


def listing(bundle_summary: BundleSummary, files: Mapping[str, Sequence[str]]) -> str:
    """Return the files that each wheel installs, below its name."""
    return "\n".join(
        line
        for part in bundle_summary.parts
        for line in (f"{part.name} {part.version}", *(f"  {one}" for one in files[part.file]))
    )


def _rows(bundle_summary: BundleSummary) -> Iterator[tuple[str, ...]]:
    for one in bundle_summary.parts:
        licence, size = one.licence or "unknown", human_size(one.size)
        yield one.name, one.version, size, licence, _short(one.tag), why(one, bundle_summary)


def tree(bundle_summary: BundleSummary) -> str:
    """Return the tree of requirements. A wheel whose requirements were shown before has an ellipsis."""
    parts = {part.name: part for part in bundle_summary.parts}
    versions = {
        name: ", ".join(sorted({part.version for part in bundle_summary.parts if part.name == name})) for name in parts
    }
    shown, lines = set[str](), list[str]()
    ahead = [(root, "", "") for root in reversed(bundle_summary.roots)]  # with what precedes it, and what is below it
    while ahead:
        name, first, rest = ahead.pop()
        requires = parts[name].requires
        again = name in shown and bool(requires)
        lines.append(f"{first}{name} {versions[name]}{' …' * again}")
        shown.add(name)
        branches = [("├── ", "│   ")] * (len(requires) - 1) + [("└── ", "    ")]
        below = [(other, rest + one, rest + two) for other, (one, two) in zip(requires, branches, strict=False)]
        ahead += [] if again else reversed(below)
    return "\n".join(lines)


def why(part: Part, bundle_summary: BundleSummary) -> str:
    """Return the path from the project to a wheel, and its targets if not all take it."""
    some = len(part.targets) < len(bundle_summary.about.targets)
    takers = f" ({', '.join(part.targets)})" if some and part.targets else ""
    if part.path[0] in {one.name for one in bundle_summary.packages}:
        return " > ".join(part.path) + takers
    beside = "in every virtualenv" if part.path[0] == "pip" else "asked for beside the project"
    return " > ".join([beside, *part.path[1:]]) + takers


def columns(rows: Sequence[Sequence[str]], *, right: Collection[int] = ()) -> list[str]:
    """Return rows of cells as lines; the columns in `right` are right-aligned."""
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
    """Return the tag with only the first of several platforms."""
    return tag.split(".", maxsplit=1)[0] if "manylinux" in tag or "musllinux" in tag else tag
