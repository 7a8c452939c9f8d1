"""`platter inspect` and `platter diff`: what is in a bundle, and what a release changes."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from platter_setuptools.ground.errors import ArchiveError, UsageError
from platter_setuptools.ground.streams import print_result, print_text
from platter_setuptools.ground.temporary import replacing

if TYPE_CHECKING:
    import argparse


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands to the command line."""
    parser = commands.add_parser(
        "inspect",
        help="show what is in a bundle",
        description="Show what is in a bundle of any format: what it needs, its size, and a table of its wheels, each"
        " with the way that leads to it from the project.",
    )
    parser.set_defaults(run=inspect)
    parser.add_argument("bundle", metavar="BUNDLE", help="an archive or a folder")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print it as JSON (schema: docs/inspect.schema.json)")
    form.add_argument("--tree", action="store_true", help="print what requires what")
    form.add_argument("--sbom", action="store_true", help="print its bill of materials (CycloneDX 1.6, JSON)")
    form.add_argument("--html", metavar="FILE", help="write it as a page for a browser, which loads nothing")
    parser.add_argument(
        "--files", action="store_true", help="list the files that each wheel installs; with --json, too"
    )

    parser = commands.add_parser(
        "diff",
        help="compare two bundles, or a bundle and a release",
        description="Compare two bundles, or a bundle and an installed release: which wheels were added, removed,"
        " upgraded or downgraded, which have other content in the same version, and what that does to the size.",
        epilog="Exit codes: 0 no difference, 1 different, 2 wrong usage, 5 and 6 what cannot be compared.",
    )
    parser.set_defaults(run=diff)
    parser.add_argument("old", metavar="OLD", help="an archive, a folder, or the folder of an installed release")
    parser.add_argument("new", metavar="NEW", help="what to compare it with")
    parser.add_argument("--json", action="store_true", help="print it as JSON (schema: docs/diff.schema.json)")


def inspect(parsed: argparse.Namespace) -> None:
    """`platter inspect`: what is in a bundle."""
    from platter_setuptools.insight import report  # noqa: PLC0415
    from platter_setuptools.insight.files import files_of  # noqa: PLC0415
    from platter_setuptools.insight.page import page  # noqa: PLC0415
    from platter_setuptools.insight.portrait import portray  # noqa: PLC0415

    bundle = Path(parsed.bundle)
    if not bundle.exists():
        raise UsageError(f"{bundle} does not exist", hint="correct the path")
    if parsed.files and (parsed.sbom or parsed.tree or parsed.html):
        raise UsageError("--files goes with --json, or alone", hint="ask for one after the other")
    portrait = portray(bundle)
    files = files_of(bundle, portrait) if parsed.files else None
    if parsed.sbom:
        print_text(portrait.bill.removesuffix("\n"))
    elif parsed.json:
        print_text(json.dumps(report.as_json(portrait, files), indent=2))
    elif parsed.html is not None:
        _write(Path(parsed.html), page(portrait))
    elif parsed.tree:
        print_text(report.tree(portrait))
    elif files is not None:
        print_text(report.listing(portrait, files))
    else:
        terminal = sys.stdout is not None and sys.stdout.isatty()
        table = report.table_for(portrait, shutil.get_terminal_size().columns) if terminal else report.table(portrait)
        print_text(f"{report.summary(portrait)}\n\n{table}")


def _write(path: Path, text: str) -> None:
    try:
        if path.exists() and not path.is_file():  # such as /dev/stdout
            path.write_text(text, "utf-8")
            return
        with replacing(path) as temporary:
            temporary.write_text(text, "utf-8")
    except OSError as error:
        raise ArchiveError(
            f"{path} cannot be written: {error.strerror}",
            hint="look at the rights of that folder and at the room there (ls -ld, df -h), or choose another",
        ) from error
    print_result(f"{path}")


def diff(parsed: argparse.Namespace) -> int:
    """`platter diff`: what is different; gives the exit code."""
    from platter_setuptools.insight.difference import as_json, compare, text  # noqa: PLC0415
    from platter_setuptools.insight.side import open_sides  # noqa: PLC0415

    difference = compare(*open_sides(Path(parsed.old), Path(parsed.new)))
    print_text(json.dumps(as_json(difference), indent=2) if parsed.json else text(difference))
    return 0 if difference.is_none else 1
