"""The command line of ROOT/platter, the program that looks after the releases of a root. It needs no bundle."""

import json
import os
from typing import Callable, Dict, List, Mapping, NamedTuple, Sequence

from . import remembered, signals, switch
from .errors import DestinationError, Interrupted, UsageError, foreseen
from .options import command, did_you_mean, number, scan
from .root import Root
from .terminal import Terminal

HELP = """\
usage: platter COMMAND [OPTIONS]

Look after the releases beside this program.

  list [--json]      versions, their state, when they were installed, and which
                     is active
  activate VERSION   let versions/current point at this release
  rollback           activate the release that was active before; a second
                     rollback undoes the first
  prune --keep N     remove all but the N newest releases, the active one and
                     the one before it; clear what interrupted installations
                     left
  doctor [VERSION]   look whether interpreters, files and links are as they
                     should be
  -h, --help         print this page
  -V, --version      print the version of this program

With activate and rollback:
  --health-check CMD   run it before the switch
  --reload CMD         run it after the switch
  --no-health-check, --no-reload
                       leave it out
  Otherwise those of the last install.sh --root are run again. They are for
  sh -c, in the release's folder, with its virtualenv active and HERE,
  PLATTER_ROOT and PLATTER_VERSION set. If one fails, the release that was
  active before is active again (and reloaded).

Each change is a line in platter-journal.jsonl.

Exit codes: 0 done, 1 failed, 2 usage, 3 no Python, 4 doctor found damage,
5 not writable or somebody else's, 6 no such release, unfinished, nothing to go
back to, or locked, 8 health check or reload failed.
"""
_HINT = "platter --help lists the commands"
_COMMANDS = {"--health-check": "health-check", "--reload": "reload"}
_NO_COMMANDS = {"--no-health-check": "no-health-check", "--no-reload": "no-reload"}


class Words(NamedTuple):
    """What was given on the command line after the name of the command."""

    given: Dict[str, str]
    operands: List[str]
    umask: int

    def commands(self, root: Root) -> switch.Commands:
        check, reload = (command(self.given, name, _HINT) for name in ("health-check", "reload"))
        return remembered.commands(root, check, reload, self.umask)


def main(arguments: Sequence[str], program: str) -> int:
    """Run a command in the folder that holds the program; the exit code."""
    terminal = Terminal("platter")
    try:
        signals.listen()
        _run(arguments, Root(os.path.dirname(os.path.realpath(program)), terminal), os.umask(0o022))
    except (Exception, Interrupted) as error:
        signals.turn_deaf()
        if os.environ.get("PLATTER_DEBUG"):
            raise
        told = foreseen(error)
        terminal.error(str(told))
        return told.exit_code
    return 0


def _run(arguments: Sequence[str], root: Root, umask: int) -> None:
    if not arguments:
        root.terminal.step(HELP)
        raise UsageError("expected a command", hint=_HINT)
    name, rest = arguments[0], arguments[1:]
    if name in ("-h", "--help"):
        root.terminal.step(HELP.rstrip())
        return
    if name in ("-V", "--version"):
        from . import program  # noqa: PLC0415 - a rollback may be urgent

        root.terminal.result("platter %s" % program.version_of(os.path.join(root.path, program.NAME)))
        return
    if name not in _TABLE:
        raise UsageError("unknown command %s" % name, hint=did_you_mean(name, _TABLE) or _HINT)
    one = _TABLE[name]
    given, operands = scan(rest, {**one.flags, "-h": "help", "--help": "help"}, one.values, _HINT)
    if "help" in given:
        root.terminal.step(HELP.rstrip())
        return
    if not one.least <= len(operands) <= one.most:
        raise UsageError("platter %s takes %s, found %d" % (name, one.operands, len(operands)), hint=_HINT)
    if not os.path.isdir(root.versions):
        raise DestinationError("there are no releases: %s is not there" % root.versions, hint="install one")
    words = Words(given, operands, umask)
    if not one.changes:
        one.function(root, words)
        return
    root.check()
    with root.held():
        one.function(root, words)


def _list(root: Root, words: Words) -> None:
    active, before = root.active(), switch.previous(root)[0]
    rows = [
        {
            "version": one.version,
            "state": one.state,
            "when": one.when or None,
            "active": one.version == active,
            "previous": one.version == before,
            "revision": one.revision or None,
            "project": one.name or None,
            "stranger": one.stranger or None,
            "signer": one.signer or None,
        }
        for one in root.releases()
    ]
    if "json" in words.given:
        root.terminal.result(json.dumps(rows, indent=2))
        return
    width, project = (max([len(str(row[key] or "-")) for row in rows], default=0) for key in ("version", "project"))
    for row in rows:
        note = "active" if row["active"] else "before" if row["previous"] else ""
        commit, dash, dirty = str(row["revision"] or "").partition("-")
        revision = commit[:12] + dash + dirty
        line = "%-*s  %-10s  %-24s  %-6s  %-*s  %s" % (
            width,
            row["version"],
            row["state"],
            row["when"] or "-",
            note,
            project,
            row["project"] or "-",
            revision,
        )
        root.terminal.result(line.rstrip())
        if row["stranger"]:
            root.terminal.error(str(row["stranger"]))
    if active and active not in [row["version"] for row in rows]:
        root.terminal.error("current points at %s, which is not there or no release" % active)


def _activate(root: Root, words: Words) -> None:
    switch.activate(root, words.operands[0], words.commands(root))


def _rollback(root: Root, words: Words) -> None:
    switch.rollback(root, words.commands(root))


def _prune(root: Root, words: Words) -> None:
    if "keep" not in words.given:
        raise UsageError("prune needs --keep N", hint=_HINT)
    from . import prune  # noqa: PLC0415 - a rollback may be urgent

    prune.prune(root, number("--keep", words.given["keep"], _HINT))


def _doctor(root: Root, words: Words) -> None:
    from . import doctor  # noqa: PLC0415 - a rollback may be urgent

    doctor.examine(root, words.operands)


class Command(NamedTuple):
    function: Callable[[Root, Words], None]
    flags: Mapping[str, str] = {}
    values: Mapping[str, str] = {}
    least: int = 0
    most: int = 0
    changes: bool = True

    @property
    def operands(self) -> str:
        return {(0, 0): "no operand", (1, 1): "one version"}.get((self.least, self.most), "at most one version")


_TABLE = {
    "list": Command(_list, flags={"--json": "json"}, changes=False),
    "activate": Command(_activate, flags=_NO_COMMANDS, values=_COMMANDS, least=1, most=1),
    "rollback": Command(_rollback, flags=_NO_COMMANDS, values=_COMMANDS),
    "prune": Command(_prune, values={"--keep": "keep"}),
    "doctor": Command(_doctor, most=1, changes=False),
}
