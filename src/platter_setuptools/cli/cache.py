"""`platter cache`: report on the wheel cache, and make it smaller. `platter clean-cache` empties it."""

from __future__ import annotations

import argparse
import re
import time
from typing import TYPE_CHECKING

from platter_setuptools.cli.parser import add_command, add_options, default_output, read_options
from platter_setuptools.config.option_sources import merge
from platter_setuptools.runtime.progress import human_size
from platter_setuptools.runtime.streams import print_notice, print_result, print_text

if TYPE_CHECKING:
    from platter_setuptools.cli.parser import Commands
    from platter_setuptools.wheel_cache import WheelCache

_DAY = 24 * 60 * 60
_UNITS_OF_TIME = {"h": 60 * 60, "d": _DAY, "w": 7 * _DAY}  # seconds
_UNITS_OF_SIZE = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}  # bytes


def add_to(commands: Commands) -> None:
    """Add the commands to the command line."""
    empty = add_command(commands, "clean-cache", clean_cache, "empty the wheel cache")
    parser = commands.add_parser(
        "cache", help="report on the wheel cache, or make it smaller", description="Manage the wheel cache."
    )
    parser.set_defaults(parser=parser)
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    where = add_command(actions, "dir", cache_dir, "print where it is")
    about = add_command(actions, "info", cache_info, "print where it is and how full")
    smaller = add_command(actions, "prune", cache_prune, "remove what has not been used for long")
    for one in (empty, where, about, smaller):
        add_options(one, "wheel-cache")
    smaller.add_argument(
        "--older-than", metavar="TIME", type=_time, help="remove what is unused for so long: 12h, 30d, 8w"
    )
    smaller.add_argument(
        "--max-size", metavar="SIZE", type=_size, help="remove files until so much is left: 500MB, 2GB"
    )
    smaller.set_defaults(parser=smaller)


def _open_cache(parsed: argparse.Namespace) -> WheelCache:
    from platter_setuptools.wheel_cache import WheelCache, default_location  # noqa: PLC0415 - not for `--help`

    options = merge(read_options(parsed), output=default_output())
    return WheelCache(options.wheel_cache or default_location(), print_notice)


def clean_cache(parsed: argparse.Namespace) -> None:
    """Empty the wheel cache."""
    cache = _open_cache(parsed)
    print_notice(f"removed {cache.clean()} files from {cache.root}")


def cache_dir(parsed: argparse.Namespace) -> None:
    """Print where the wheel cache is."""
    print_result(f"{_open_cache(parsed).root}")


def cache_info(parsed: argparse.Namespace) -> None:
    """Print where the wheel cache is, and how full."""
    cache = _open_cache(parsed)
    files = cache.usage()
    kinds = {".whl": "wheels", ".zip": "bytecode"}
    sizes: dict[str, list[int]] = {kind: [] for kind in (*kinds.values(), "others")}
    for file in files:
        sizes[kinds.get(file.path.suffix, "others")].append(file.size)
    sizes["all"] = [file.size for file in files]
    lines = [f"{cache.root}"]
    lines += [f"  {kind:<12} {len(some):>6} {human_size(sum(some)):>10}" for kind, some in sizes.items()]
    if files:
        lines.append(f"  longest unused: {int((time.time() - files[0].used) // _DAY)} days")
    print_text("\n".join(lines))


def cache_prune(parsed: argparse.Namespace) -> None:
    """Remove files from the wheel cache, the least recently used first. Builds fetch or make missing ones again."""
    if parsed.older_than is None and parsed.max_size is None:
        parsed.parser.error("one of --older-than and --max-size is needed (platter clean-cache removes everything)")
    cache = _open_cache(parsed)
    removed = cache.prune(older_than=parsed.older_than, max_size=parsed.max_size)
    size = human_size(sum(one.size for one in removed))
    print_notice(f"removed {len(removed)} files, {size}, from {cache.root}")


def _time(text: str) -> int:
    return _amount(text, _UNITS_OF_TIME, "a time such as 12h, 30d or 8w")


def _size(text: str) -> int:
    return _amount(text, _UNITS_OF_SIZE, "a size such as 500MB or 2GB")


def _amount(text: str, units: dict[str, int], expected: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip().lower())
    if match is None or match[2] not in units:
        raise argparse.ArgumentTypeError(f"{text!r} is not {expected}")
    return int(float(match[1]) * units[match[2]])
