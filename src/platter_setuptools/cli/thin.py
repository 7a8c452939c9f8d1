"""`platter thin`: write a bundle without what releases on the server have."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from platter_setuptools.cli.bundles import existing
from platter_setuptools.cli.parser import add_command
from platter_setuptools.config.options import FORMATS
from platter_setuptools.errors import UsageError
from platter_setuptools.payload.untrusted import LIST
from platter_setuptools.runtime.streams import print_notice, print_result

if TYPE_CHECKING:
    import argparse

    from platter_setuptools.cli.parser import Commands


def add_to(commands: Commands) -> None:
    """Add the command to the command line."""
    parser = add_command(
        commands,
        "thin",
        thin,
        "make a bundle that lacks what a server has",
        epilog="Exit codes: 0 written, 2 wrong usage, such as a base of another project, 5 the bundle is damaged, 6 not"
        " a readable bundle, or it cannot be written.",
    )
    parser.add_argument("bundle", metavar="BUNDLE", help="the full bundle: an archive or a folder")
    parser.add_argument(
        "--base", metavar="OLD", action="append", default=[], help="a bundle that the server has (repeatable)"
    )
    parser.add_argument("--have", metavar="FILE", help="what `ROOT/platter have` has printed on the server")
    parser.add_argument(
        "-o", "--output", metavar="DIR", help="the folder that receives the thin bundle [default: that of BUNDLE]"
    )
    parser.add_argument(
        "--format", metavar="FORMAT", choices=FORMATS, help=f"{', '.join(FORMATS)} [default: that of BUNDLE]"
    )


def thin(parsed: argparse.Namespace) -> None:
    """Write STEM-thin.FORMAT, a bundle without the wheels, bytecode and bootstrap files that other bundles have.

    Its install.sh takes them from the releases in ROOT, with --root only. Its checksums and signature are those of the
    full bundle. Print its path.
    """
    from platter_setuptools.inspect.known_files import parse_list  # noqa: PLC0415 - not needed for `--help`
    from platter_setuptools.runtime.reproducible import source_date_epoch  # noqa: PLC0415
    from platter_setuptools.thinning import make_thin  # noqa: PLC0415

    if not (parsed.base or parsed.have):
        raise UsageError(
            "it is not known what the server has",
            hint="name the bundle of a release with --base, or the output of `ROOT/platter have` with --have",
        )
    bundle = existing(parsed.bundle)
    text = _read_list(existing(parsed.have)) if parsed.have else b""
    made = make_thin(
        bundle,
        [existing(one) for one in parsed.base],
        parse_list(text, parsed.have),
        output=Path(parsed.output or bundle.parent).absolute(),
        kind=parsed.format,
        mtime=source_date_epoch(os.environ),
    )
    print_result(f"{made.path}")
    print_notice(f"{made}")


def _read_list(path: Path) -> bytes:
    """Return what the file or pipe says, one byte more than a list may have at most."""
    try:
        with path.open("rb") as file:
            return file.read(LIST + 1)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}", hint="name a file that `ROOT/platter have` has printed"
        ) from error
