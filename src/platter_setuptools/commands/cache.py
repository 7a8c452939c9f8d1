"""`platter cache`: how full the wheel cache is, and making it smaller. `platter clean-cache` empties it."""

from __future__ import annotations

import argparse
import re
import time
from typing import TYPE_CHECKING

from platter_setuptools.ground.streams import print_result, print_text, standard_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from platter_setuptools.steps.store import Store

    OpenStore = Callable[[argparse.Namespace], Store]

_DAY = 24 * 60 * 60
_UNITS_OF_TIME = {"h": 60 * 60, "d": _DAY, "w": 7 * _DAY}  # seconds
_UNITS_OF_SIZE = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}  # bytes


def add_to(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    wheel_cache: argparse.ArgumentParser,
    open_store: OpenStore,
) -> None:
    """Add the command to the command line; `wheel_cache` brings the option, `open_store` obeys it."""
    parser = commands.add_parser(
        "cache", help="look into the wheel cache, or make it smaller", description="Look after the wheel cache."
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    parser.set_defaults(parser=parser)
    folder = actions.add_parser(
        "dir", parents=[wheel_cache], help="print where it is", description="Print where the wheel cache is."
    )
    folder.set_defaults(run=lambda parsed: print_result(f"{open_store(parsed).root}"))
    info = actions.add_parser(
        "info",
        parents=[wheel_cache],
        help="print where it is and how full",
        description="Print where the wheel cache is, and how full.",
    )
    info.set_defaults(run=lambda parsed: _info(open_store(parsed)))
    prune = actions.add_parser(
        "prune",
        parents=[wheel_cache],
        help="remove what has not been used for long",
        description="Remove files from the wheel cache, those first that have not been used for longest. What a build"
        " misses afterwards it fetches or makes again.",
    )
    prune.set_defaults(run=lambda parsed: _prune(open_store(parsed), parsed, prune))
    prune.add_argument("--older-than", metavar="TIME", type=_time, help="what nobody used for so long: 12h, 30d, 8w")
    prune.add_argument("--max-size", metavar="SIZE", type=_size, help="until so much is left: 500MB, 2GB")


def _info(store: Store) -> None:
    from platter_setuptools.ground.progress import human_size  # noqa: PLC0415

    files = store.usage()
    kinds = ((".whl", "wheels"), (".zip", "bytecode"), ("", "others"))
    lines, rest = [f"{store.root}"], files
    for suffix, kind in kinds:
        some = [one for one in rest if one.path.name.endswith(suffix)]
        rest = [one for one in rest if not one.path.name.endswith(suffix)]
        lines.append(f"  {kind:<12} {len(some):>6} {human_size(sum(one.size for one in some)):>10}")
    lines.append(f"  {'all':<12} {len(files):>6} {human_size(sum(one.size for one in files)):>10}")
    if files:
        days = int((time.time() - files[0].used) // _DAY)
        lines.append(f"  the longest unused one: {days} days")
    print_text("\n".join(lines))


def _prune(store: Store, parsed: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    from platter_setuptools.ground.progress import human_size  # noqa: PLC0415

    if parsed.older_than is None and parsed.max_size is None:
        parser.error("one of --older-than and --max-size is needed (platter clean-cache removes everything)")
    removed = store.prune(older_than=parsed.older_than, max_size=parsed.max_size)
    size = human_size(sum(one.size for one in removed))
    standard_error().write(f"removed {len(removed)} files, {size}, from {store.root}\n")


def _time(text: str) -> int:
    return _amount(text, _UNITS_OF_TIME, "a time such as 12h, 30d or 8w")


def _size(text: str) -> int:
    return _amount(text, _UNITS_OF_SIZE, "a size such as 500MB or 2GB")


def _amount(text: str, units: dict[str, int], expected: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip().lower())
    if match is None or match[2] not in units:
        raise argparse.ArgumentTypeError(f"{text!r} is not {expected}")
    return int(float(match[1]) * units[match[2]])
