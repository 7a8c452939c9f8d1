"""`platter unit`: a systemd service for a command of a bundle, and its socket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from platter_setuptools.cli.bundles import existing
from platter_setuptools.cli.parser import add_command
from platter_setuptools.runtime.streams import print_text

if TYPE_CHECKING:
    import argparse

    from platter_setuptools.cli.parser import Commands


def add_to(commands: Commands) -> None:
    """Add the command to the command line."""
    parser = add_command(
        commands,
        "unit",
        unit,
        "print a systemd unit for a command of a bundle",
        epilog="Exit codes: 0 printed, 2 wrong usage, such as a command that the bundle does not have, 5 the bundle is"
        " damaged, 6 not a readable bundle.",
    )
    parser.add_argument("bundle", metavar="BUNDLE", help="an archive or a folder")
    parser.add_argument(
        "script",
        nargs="?",
        metavar="COMMAND",
        help="a command of the bundle [default: the project's only one, or the one that is called like it]",
    )
    parser.add_argument("--root", metavar="ROOT", required=True, help="the root of install.sh, on the server")
    parser.add_argument("--arguments", metavar="ARGS", default="", help="arguments for COMMAND, quoted as for a shell")
    parser.add_argument(
        "--name",
        metavar="NAME",
        help="the unit's name [default: COMMAND if it is the project's, else the project's name]",
    )
    parser.add_argument(
        "--user", metavar="USER", default="", help="who runs it [default: a user that exists while it runs]"
    )
    parser.add_argument(
        "--notify", action="store_true", help="COMMAND tells systemd when it is ready, as gunicorn does (sd_notify)"
    )
    parser.add_argument(
        "--socket",
        metavar="ADDRESS",
        help="print the socket unit instead, which listens there: 127.0.0.1:8000, /run/yourapp.sock",
    )


def unit(parsed: argparse.Namespace) -> None:
    """Print a hardened systemd service that runs a command of the active release below ROOT, or its socket.

    It may write to the project's shared folders only, and has the variables of its shared files that end in .env.
    """
    from platter_setuptools import systemd_unit  # noqa: PLC0415 - not needed for `--help`
    from platter_setuptools.inspect.summary import summarise  # noqa: PLC0415

    bundle = existing(parsed.bundle)
    summary = summarise(bundle)
    script = systemd_unit.find_script(bundle, summary, parsed.script)
    service = systemd_unit.Service(
        name=parsed.name or (script if script in summary.scripts else summary.about.name),
        root=parsed.root,
        script=script,
        arguments=tuple(systemd_unit.words(parsed.arguments)),
        user=parsed.user,
        shared=summary.about.shared,
        notifies=parsed.notify,
    )
    if parsed.socket is not None:
        text = systemd_unit.socket_unit(service.name, parsed.socket)
    else:
        systemd_unit.check(service)
        text = systemd_unit.service_unit(service)
    print_text(text.removesuffix("\n"))
