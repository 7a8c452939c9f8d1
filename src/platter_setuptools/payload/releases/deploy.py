"""`install.sh --root ROOT`: install a release beside the others, then activate it."""

import os
from typing import Callable, Tuple

from .. import checksums, manifest, signals
from ..errors import DestinationError
from ..install import install_state
from ..names import normalised
from ..options import Options
from ..preflight import health, nesting
from ..terminal import Terminal
from . import install_program, last_commands, switch
from .commands import Steps
from .journal import INSTALL
from .prune import prune
from .root import COMPLETE, Root, checked_version

Install = Callable[[Options, str, Terminal], None]


def deploy(options: Options, bundle: str, terminal: Terminal, install: Install) -> None:
    """Install a release and activate it if everything succeeds. Raises CommandError if an operator's command fails."""
    umask = os.umask(0o022)
    plan = manifest.read_verified(bundle, checksums.read(bundle))
    version = checked_version(plan.version)
    identity = checksums.identity(bundle)
    root = Root(options.root, terminal)
    options = options._replace(destination=root.folder(version), root=root.path)
    root.check()
    nesting.refuse_root(root.path, root.versions)
    refuse_others(root, plan.name)
    refuse_another_signer(root, options)
    _spare(root, version, identity, force=options.force)
    if options.check:
        install(options._replace(releases=_others(root, version)), bundle, terminal)
        return
    with root.held(make=True):
        refuse_others(root, plan.name)
        refuse_another_signer(root, options)
        _spare(root, version, identity, force=options.force)
        commands = last_commands.commands(root, options.commands, umask)
        before = install_state.read(options.destination)
        limits = options.commands._replace(command_timeout=commands.command_timeout)
        options = options._replace(releases=_others(root, version), commands=limits)
        install(options, bundle, terminal)
        signals.listen()  # again, and so do the commands that are started from here on
        note = install_state.read(options.destination)
        anew = note != before
        if anew:
            root.journal.write(INSTALL, "", version)
        install_program.leave(root, plan.created_by, note.interpreter if note and note.bundled_interpreter else "")
        switched = not options.no_activate and switch.activate(root, version, commands, anew=anew)
        if options.no_activate:
            Steps(root, commands, root.active()).check_health(version)
        others = last_commands.write(root, commands)
        if others and not switched:
            root.terminal.step("  kept for later switches: %s" % ", ".join(others))
        if options.keep:
            prune(root, options.keep, version)


def _others(root: Root, version: str) -> Tuple[str, ...]:
    """Return the folders of the complete releases besides this one, the newest first."""
    complete = [one.version for one in root.releases() if one.state == COMPLETE and one.version != version]
    return tuple(map(root.folder, reversed(complete)))


def refuse_others(root: Root, name: str) -> None:
    """Raise DestinationError if the root belongs to another project, by its active or else newest release."""
    active = root.active()
    releases = sorted(root.releases(), key=lambda one: one.version == active)
    names = [one.note.name for one in reversed(releases) if one.note.name]
    if names and normalised(names[0]) != normalised(name):
        raise DestinationError(
            "%s holds the releases of %s, and this bundle is of %s" % (root.path, names[0], name),
            hint="give each project a root of its own",
        )


def refuse_another_signer(root: Root, options: Options) -> None:
    """Raise DestinationError if the newest signed release has another signer.

    Warn if no signer was asked for. A signer is a list of names (PRINCIPALS in ssh-keygen(1)), which match if they have
    one in common.
    """
    signers = [one.note.signer for one in root.releases() if one.note.signer]
    if not signers or options.new_signer or not set(signers[-1].split(",")).isdisjoint(options.signer.split(",")):
        return
    if not options.signer:
        root.terminal.warn(
            "%s has releases that %s signed; this bundle's signature was not checked" % (root.path, signers[-1])
        )
        return
    raise DestinationError(
        "%s has releases that %s signed, and this bundle was signed by %s" % (root.path, signers[-1], options.signer),
        hint="give each project a root of its own; if the project has a new signer, allow that with --new-signer",
    )


def _spare(root: Root, version: str, identity: str, *, force: bool) -> None:
    """Refuse to replace the active release: a virtualenv cannot be moved, so this takes a while without it.

    A release whose Python is gone or another one may be replaced: nothing can be started from it.
    """
    folder = root.folder(version)
    if os.path.islink(folder):
        raise DestinationError("%s is a link to %s" % (folder, os.readlink(folder)), hint="move it away")
    if version != root.active() or not os.path.lexists(folder):
        return
    note = install_state.read(folder)
    occupied = force or (note is not None and note.complete and note.bundle != identity)
    if occupied and (note is None or not health.examine(folder)):
        raise DestinationError(
            "%s is the active release, and replacing it would interrupt what runs from it" % folder,
            hint="give this build a version of its own, or activate another release first and then use --force",
        )
