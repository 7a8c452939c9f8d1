"""The command line of ROOT/platter, the program that manages the releases of a root. It needs no bundle."""

import json
import os
from typing import TYPE_CHECKING, Callable, Dict, List, Mapping, NamedTuple, Sequence

from ..errors import DestinationError, UsageError
from ..options import commands, did_you_mean, number, scan
from ..terminal import Terminal, exit_code
from .root import Root, previous

if TYPE_CHECKING:
    from .commands import Commands

HELP = """\
usage: platter COMMAND [OPTIONS]

Manage the releases beside this program.

  list [--json]      print each release: its state, when it was installed, and
                     whether it is active
  activate VERSION   point versions/current at this release
  rollback           activate the release that was active before; a second
                     rollback undoes the first
  prune --keep N     remove all but the N newest releases, the active one and
                     the one before it, interpreters that none of them uses,
                     and what interrupted installations left
  doctor [VERSION]   check interpreters, files, links and shared paths
  have [--json]      print what thin bundles may leave out: the SHA-256, kind
                     and name of each file that releases can give
  -h, --help         print this page
  -V, --version      print the version of this program

With activate and rollback:
  --health-check CMD   run CMD before the switch
  --reload CMD         run CMD after the switch
  --ready CMD          after that, run CMD until it succeeds
  --ready-timeout SECONDS
                       for at most this time (30)
  --command-timeout SECONDS
                       end a command that takes longer (300)
  --no-health-check, --no-reload, --no-ready
                       run none
  Without these options the commands of the last install.sh --root run again.
  CMD runs with sh -c in the release's folder, with its virtualenv active and
  HERE, PLATTER_ROOT, PLATTER_VERSION and PLATTER_PREVIOUS set. So do the
  release's pre-activate.sh, before the health check and not with rollback, and
  post-activate.sh, before the reload, if it has them. If one fails, the
  previous release is active again (and reloaded).

Each change is recorded in platter-journal.jsonl.

Exit codes: 0 done, 1 failed, 2 usage, 3 no Python, 4 doctor found damage,
5 not writable, somebody else's, or shared paths missing, 6 no such release,
unfinished, nothing to go back to, or locked, 7 script of the release failed,
8 health check, reload or ready command failed.
"""
_HINT = "platter --help lists the commands"
_COMMANDS = {"--" + name: name for name in ("health-check", "reload", "ready", "ready-timeout", "command-timeout")}
_NO_COMMANDS = {"--" + name: name for name in ("no-health-check", "no-reload", "no-ready")}


class Words(NamedTuple):
    """The command line after the name of the command."""

    given: Dict[str, str]
    operands: List[str]
    umask: int

    def commands(self, root: Root) -> "Commands":
        from . import last_commands  # noqa: PLC0415 - to list releases goes without it

        return last_commands.commands(root, commands(self.given, _HINT), self.umask)


def main(arguments: Sequence[str], program: str) -> int:
    """Run a command in the program's folder. Return the exit code."""
    terminal = Terminal("platter")
    folder = os.path.dirname(os.path.realpath(program))
    return exit_code(terminal, lambda: _run(arguments, Root(folder, terminal), os.umask(0o022)))


def _run(arguments: Sequence[str], root: Root, umask: int) -> None:
    if not arguments:
        root.terminal.step(HELP)
        raise UsageError("expected a command", hint=_HINT)
    name, rest = arguments[0], arguments[1:]
    if name in ("-h", "--help"):
        root.terminal.step(HELP.rstrip())
        return
    if name in ("-V", "--version"):
        from . import install_program  # noqa: PLC0415 - a rollback may be urgent

        root.terminal.result("platter %s" % install_program.version_of(os.path.join(root.path, install_program.NAME)))
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
        raise DestinationError("there are no releases: %s does not exist" % root.versions, hint="install one")
    words = Words(given, operands, umask)
    if not one.changes:
        one.function(root, words)
        return
    root.check()
    with root.held():
        one.function(root, words)


def _list(root: Root, words: Words) -> None:
    active, before = root.active(), previous(root)[0]
    rows = [
        {
            "version": one.version,
            "state": one.state,
            "when": one.note.when or None,
            "active": one.version == active,
            "previous": one.version == before,
            "revision": one.note.revision or None,
            "project": one.note.name or None,
            "stranger": one.stranger or None,
            "signer": one.note.signer or None,
            "link_mode": one.note.link_mode or None,
            "shared_files": one.note.shared_files,
            "interpreter": one.note.bundled_interpreter or None,
            "shared_paths": list(one.note.shared_paths),
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
    from . import switch  # noqa: PLC0415 - to list releases goes without it

    switch.activate(root, words.operands[0], words.commands(root))


def _rollback(root: Root, words: Words) -> None:
    from . import switch  # noqa: PLC0415 - to list releases goes without it

    switch.rollback(root, words.commands(root))


def _prune(root: Root, words: Words) -> None:
    if "keep" not in words.given:
        raise UsageError("prune needs --keep N", hint=_HINT)
    from . import prune  # noqa: PLC0415 - a rollback may be urgent

    prune.prune(root, number("--keep", words.given["keep"], _HINT))


def _doctor(root: Root, words: Words) -> None:
    from . import doctor  # noqa: PLC0415 - a rollback may be urgent

    doctor.examine(root, words.operands)


def _have(root: Root, words: Words) -> None:
    from . import have  # noqa: PLC0415 - a rollback may be urgent

    found = have.have(root)
    if "json" in words.given:
        root.terminal.result(json.dumps([one._asdict() for one in found], indent=2))
    elif found:
        root.terminal.result("\n".join("%s  %s  %s" % one for one in found))


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
    "have": Command(_have, flags={"--json": "json"}, changes=False),
}
