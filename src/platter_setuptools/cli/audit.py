"""`platter audit`: known vulnerabilities and unwanted licences in a bundle or an installed release."""

from __future__ import annotations

from typing import TYPE_CHECKING

from platter_setuptools.cli.bundles import existing
from platter_setuptools.cli.parser import add_command, add_json
from platter_setuptools.errors import UsageError
from platter_setuptools.runtime.streams import print_json, print_notice, print_text

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from platter_setuptools.audit.report import Subject
    from platter_setuptools.cli.parser import Commands


def add_to(commands: Commands) -> None:
    """Add the command to the command line."""
    parser = add_command(
        commands,
        "audit",
        audit,
        "find known vulnerabilities and unwanted licences",
        epilog="Exit codes: 0 nothing found, 1 found, 2 wrong usage, 5 the bundle is damaged, or the release not"
        " complete, 6 the bundle or the database cannot be read.",
    )
    parser.add_argument("subject", metavar="BUNDLE", help="an archive, a folder, or the folder of an installed release")
    add_json(parser, "audit")
    parser.add_argument(
        "--db",
        metavar="PATH",
        action="append",
        default=[],
        help="known vulnerabilities: a folder of OSV records, or OSV's PyPI/all.zip (repeatable)",
    )
    parser.add_argument(
        "--ignore",
        metavar="ID",
        action="append",
        default=[],
        help="a vulnerability to pass over, by any of its ids, such as CVE-2024-22195 (repeatable)",
    )
    parser.add_argument(
        "--deny-licence",
        metavar="SPDX",
        action="append",
        default=[],
        help="a licence that must not be needed, such as AGPL-3.0-only (repeatable)",
    )
    parser.add_argument(
        "--allow-licence",
        metavar="SPDX",
        action="append",
        default=[],
        help="a licence that may be used, such as MIT: then no other may, and none may be unknown (repeatable)",
    )
    parser.add_argument(
        "--licence",
        metavar="NAME=SPDX",
        action="append",
        default=[],
        help="the licence of a distribution that does not tell it as an SPDX expression (repeatable)",
    )


def audit(parsed: argparse.Namespace) -> int:
    """Find known vulnerabilities and unwanted licences in a bundle of any format, or in an installed release.

    Vulnerabilities are those of a database on this machine; no network is used. A licence is an SPDX expression, by
    which one of several may be chosen or all of them count.
    """
    from platter_setuptools.audit import report as auditing  # noqa: PLC0415 - not needed for `--help`
    from platter_setuptools.audit.advisories import read_database  # noqa: PLC0415
    from platter_setuptools.audit.licences import read_policy  # noqa: PLC0415

    if not (parsed.db or parsed.deny_licence or parsed.allow_licence):
        raise UsageError(
            "nothing is asked for",
            hint="name a database of vulnerabilities with --db, or licences with --deny-licence or --allow-licence",
        )
    licences = dict(map(_licence, parsed.licence))
    policy = None
    if parsed.deny_licence or parsed.allow_licence:
        policy = read_policy(parsed.deny_licence, parsed.allow_licence)
    path, places = existing(parsed.subject), [existing(one) for one in parsed.db]
    subject = _open(path)
    databases = [read_database(place, {one.name for one in subject.distributions}) for place in places]
    report = auditing.audit(subject, databases, policy, ignored=parsed.ignore, licences=licences)
    if parsed.json:
        print_json({"path": f"{path.absolute()}", **auditing.as_json(report)})
    elif found := auditing.text(report):
        print_text(found)
    for unused in auditing.unused(report, parsed.ignore):
        print_notice(f"warning: --ignore {unused}: nothing here is affected by it")
    for unseen in subject.unseen:
        print_notice(f"warning: not looked at: {unseen}")
    print_notice(auditing.conclusion(report))
    return 0 if report.passed else 1


def _open(path: Path) -> Subject:
    """Return what is in a bundle, all of whose files were compared with its metadata, or in a release."""
    from platter_setuptools.audit.report import open_bundle, open_release  # noqa: PLC0415
    from platter_setuptools.inspect.release import is_release  # noqa: PLC0415
    from platter_setuptools.inspect.verify import verify  # noqa: PLC0415
    from platter_setuptools.runtime.processes import Runner  # noqa: PLC0415
    from platter_setuptools.runtime.progress import BufferedProgress  # noqa: PLC0415
    from platter_setuptools.runtime.temporary import temporary_folder  # noqa: PLC0415

    if is_release(path):
        return open_release(path)
    with temporary_folder() as work:
        verify(path, allowed_signers=None, run=Runner(), progress=BufferedProgress(), work=work)
    return open_bundle(path)


def _licence(text: str) -> tuple[str, str]:
    from packaging.utils import canonicalize_name  # noqa: PLC0415

    from platter_setuptools.audit.licences import is_expression  # noqa: PLC0415

    name, _, licence = text.partition("=")
    if not (name and is_expression(licence)):
        raise UsageError(
            f"--licence {text}: expected NAME=SPDX, found no SPDX expression",
            hint="write it as in --licence numpy=BSD-3-Clause",
        )
    return canonicalize_name(name), licence
