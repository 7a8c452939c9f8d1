"""The commands for finished bundles: `latest`, `verify`, `inspect` and `diff`."""

from __future__ import annotations

import dataclasses
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from platter_setuptools.cli.parser import add_command, add_json
from platter_setuptools.errors import ArchiveError, UsageError
from platter_setuptools.runtime.streams import print_json, print_notice, print_result, print_text, standard_error
from platter_setuptools.runtime.temporary import replacing

if TYPE_CHECKING:
    import argparse

    from platter_setuptools.cli.parser import Commands


def add_to(commands: Commands) -> None:
    """Add the commands to the command line."""
    parser = add_command(commands, "latest", latest, "print the path of the newest bundle")
    add_json(parser, "latest")
    parser.add_argument("folder", nargs="?", metavar="DIR", help="the folder to look in [default: dist]")
    parser.add_argument("--name", metavar="NAME", help="the project, if DIR has bundles of several")
    parser.add_argument("--platform", metavar="PLATFORM", help="the platform, such as linux-x86_64")
    parser.add_argument("-p", "--python", metavar="PYTHON", help="the Python, such as 3.11 or cp311")
    parser.add_argument("--pre", action="store_true", help="also consider pre-releases")
    parser.add_argument("--thin", action="store_true", help="find the newest thin bundle, not a full one")

    parser = add_command(
        commands,
        "verify",
        verify,
        "check a bundle without installing it",
        epilog="Exit codes: 0 in order, 2 wrong usage, 5 damaged or wrong, 6 not a readable bundle, or not signed by an"
        " allowed signer.",
    )
    add_json(parser, "verify")
    parser.add_argument("bundle", metavar="BUNDLE", help="an archive or a folder")
    parser.add_argument(
        "--allowed-signers",
        metavar="FILE",
        help="require a signature by one of these signers (format: ssh-keygen(1))",
    )

    parser = add_command(commands, "inspect", inspect, "show what is in a bundle")
    parser.add_argument("bundle", metavar="BUNDLE", help="an archive or a folder")
    form = parser.add_mutually_exclusive_group()
    add_json(form, "inspect")
    form.add_argument("--tree", action="store_true", help="print what requires what")
    form.add_argument("--sbom", action="store_true", help="print its bill of materials (CycloneDX 1.6, JSON)")
    form.add_argument("--html", metavar="FILE", help="write a page for a browser, which loads nothing")
    parser.add_argument(
        "--files", action="store_true", help="list the files that each wheel installs; with --json, too"
    )

    parser = add_command(
        commands,
        "diff",
        diff,
        "compare two bundles, or a bundle and a release",
        epilog="Exit codes: 0 no difference, 1 different, 2 wrong usage, 5 and 6 not comparable.",
    )
    parser.add_argument("old", metavar="OLD", help="an archive, a folder, or the folder of an installed release")
    parser.add_argument("new", metavar="NEW", help="what to compare it with")
    add_json(parser, "diff")


def latest(parsed: argparse.Namespace) -> None:
    """Print the path of the newest bundle, by version; wheels and sdists are ignored."""
    from platter_setuptools.inspect.find import newest  # noqa: PLC0415 - not needed for `--help`

    folder = Path(parsed.folder).resolve() if parsed.folder else Path.cwd() / "dist"
    wanted = {key: getattr(parsed, key) for key in ("name", "platform", "python", "pre", "thin")}
    found = newest(folder, **wanted)
    if not parsed.json:
        print_result(f"{found.path}")
        return
    print_json(
        {
            "path": f"{found.path}",
            "name": found.name,
            "version": f"{found.version}",
            "platform": found.platform,
            "python": found.python,
            "format": found.format,
            "thin": found.thin,
        }
    )


def verify(parsed: argparse.Namespace) -> None:
    """Check a bundle of any format without installing it.

    Files must match SHA256SUMS, and wheels their RECORD and info.json; the wheels' requirements must be met; no path
    may lead outside; it must not contain a password.
    """
    from platter_setuptools.inspect.verify import verify as check  # noqa: PLC0415
    from platter_setuptools.runtime.processes import Runner  # noqa: PLC0415
    from platter_setuptools.runtime.progress import Progress  # noqa: PLC0415
    from platter_setuptools.runtime.temporary import temporary_folder  # noqa: PLC0415

    bundle, signers = existing(parsed.bundle), parsed.allowed_signers and existing(parsed.allowed_signers)
    with temporary_folder() as work:
        progress = Progress(standard_error())
        verdict = check(bundle, allowed_signers=signers, run=Runner(), progress=progress, work=work)
    if parsed.json:
        print_json({"path": f"{bundle.absolute()}", **dataclasses.asdict(verdict)})
    trust = "signed, signer not checked" if verdict.signed else "not signed"
    if verdict.signer:
        trust = f"signed by {verdict.signer}"
    what = f"{verdict.title}, {verdict.files} files, {verdict.wheels} wheels, {trust}"
    if verdict.left_out:
        what += f"; not checked: {len(verdict.left_out)} files that this thin bundle leaves out"
    print_notice(f"{bundle} is in order: {what}")


def inspect(parsed: argparse.Namespace) -> None:
    """Show what is in a bundle of any format.

    Print what it needs, its size, and a table of its wheels, each with its path from the project.
    """
    from platter_setuptools.inspect import html  # noqa: PLC0415
    from platter_setuptools.inspect.files import files_of  # noqa: PLC0415
    from platter_setuptools.inspect.summary import summarise  # noqa: PLC0415

    bundle = existing(parsed.bundle)
    if parsed.files and (parsed.sbom or parsed.tree or parsed.html):
        raise UsageError("--files goes with --json, or alone", hint="ask for one after the other")
    bundle_summary = summarise(bundle)
    files = files_of(bundle, bundle_summary) if parsed.files else None
    if parsed.sbom:
        print_text(bundle_summary.bill.removesuffix("\n"))
    elif parsed.json:
        print_json(html.as_json(bundle_summary, files))
    elif parsed.html is not None:
        _write(Path(parsed.html), html.page(bundle_summary))
    elif parsed.tree:
        print_text(html.tree(bundle_summary))
    elif files is not None:
        print_text(html.listing(bundle_summary, files))
    else:
        table = html.table(bundle_summary)
        if sys.stdout is not None and sys.stdout.isatty():
            table = html.table_for(bundle_summary, shutil.get_terminal_size().columns)
        print_text(f"{html.summary(bundle_summary)}\n\n{table}")


def existing(name: str) -> Path:
    path = Path(name)
    if not path.exists():
        raise UsageError(f"{path} does not exist", hint="correct the path")
    return path


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
            hint="check the folder's permissions and free space (ls -ld, df -h), or choose another",
        ) from error
    print_result(f"{path}")


def diff(parsed: argparse.Namespace) -> int:
    """Compare two bundles, or a bundle and an installed release.

    Show which wheels were added, removed, upgraded or downgraded, or changed in the same version, and how the size
    changes.
    """
    from platter_setuptools.inspect.diff import as_json, compare, text  # noqa: PLC0415
    from platter_setuptools.inspect.snapshot import open_sides  # noqa: PLC0415

    difference = compare(*open_sides(Path(parsed.old), Path(parsed.new)))
    if parsed.json:
        print_json(as_json(difference))
    else:
        print_text(text(difference))
    return 0 if difference.is_none else 1
