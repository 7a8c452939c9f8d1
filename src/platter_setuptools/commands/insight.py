"""`platter inspect` and `platter diff`: what is in a bundle, and what a release changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from platter_setuptools.ground.errors import UsageError
from platter_setuptools.ground.streams import print_text

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


def inspect(parsed: argparse.Namespace) -> None:
    """`platter inspect`: what is in a bundle."""
    from platter_setuptools.insight import report  # noqa: PLC0415
    from platter_setuptools.insight.portrait import portray  # noqa: PLC0415

    bundle = Path(parsed.bundle)
    if not bundle.exists():
        raise UsageError(f"{bundle} does not exist")
    portrait = portray(bundle)
    if parsed.sbom:
        print_text(portrait.bill.removesuffix("\n"))
    elif parsed.json:
        print_text(json.dumps(report.as_json(portrait), indent=2))
    elif parsed.tree:
        print_text(report.tree(portrait))
    else:
        print_text(f"{report.summary(portrait)}\n\n{report.table(portrait)}")
