"""``install.sh --root ROOT``: install a release beside the others, then make it the active one."""

import os
from typing import Callable

from . import checksums, health, manifest, marker, nesting, program, remembered, signals, switch
from .errors import DestinationError
from .journal import INSTALL
from .names import normalised
from .options import Options
from .prune import prune
from .root import Root, checked_version
from .terminal import Terminal

Install = Callable[[Options, str, Terminal], None]


def deploy(options: Options, bundle: str, terminal: Terminal, install: Install) -> None:
    """The active release stays what it is until all has succeeded; CommandError if an operator's command fails."""
    umask = os.umask(0o022)
    plan = manifest.read_verified(bundle, checksums.read(bundle))
    version = checked_version(plan.version)
    identity = checksums.identity(bundle)
    root = Root(options.root, terminal)
    options = options._replace(destination=root.folder(version))
    root.check()
    nesting.refuse_root(root.path, root.versions)
    refuse_others(root, plan.name)
    refuse_another_signer(root, options)
    _spare(root, version, identity, force=options.force)
    if options.check:
        install(options, bundle, terminal)
        return
    with root.held(make=True):
        refuse_others(root, plan.name)
        refuse_another_signer(root, options)
        _spare(root, version, identity, force=options.force)
        commands = remembered.commands(root, options.health_check, options.reload, umask)
        before = marker.read(options.destination)
        install(options, bundle, terminal)
        signals.listen()  # again, and so do the commands that are started from here on
        anew = marker.read(options.destination) != before
        if anew:
            root.journal.write(INSTALL, "", version)
        program.leave(root, plan.created_by)
        if not options.no_activate:
            switch.activate(root, version, commands, anew=anew)
        else:
            switch.check_health(root, version, commands)
        remembered.write(root, commands)
        if options.keep:
            prune(root, options.keep, version)


def refuse_others(root: Root, name: str) -> None:
    """DestinationError if the root belongs to another project: that of its active release, else of its newest one."""
    active = root.active()
    releases = sorted(root.releases(), key=lambda one: one.version == active)
    names = [one.name for one in reversed(releases) if one.name]
    if names and normalised(names[0]) != normalised(name):
        raise DestinationError(
            "%s holds the releases of %s, and this bundle is of %s" % (root.path, names[0], name),
            hint="give each project a root of its own",
        )


def refuse_another_signer(root: Root, options: Options) -> None:
    """DestinationError if the newest release whose signer is known was signed by somebody else.

    Where no signer was asked for now, that is told. A signer is a list of names (PRINCIPALS in ssh-keygen(1)): who has
    one of these is the same.
    """
    signers = [one.signer for one in root.releases() if one.signer]
    if not signers or options.new_signer or not set(signers[-1].split(",")).isdisjoint(options.signer.split(",")):
        return
    if not options.signer:
        root.terminal.warn(
            "%s has releases that %s signed; this bundle's signature was not looked at" % (root.path, signers[-1])
        )
        return
    raise DestinationError(
        "%s has releases that %s signed, and this bundle was signed by %s" % (root.path, signers[-1], options.signer),
        hint="give each project a root of its own; if the project has a new signer, allow that with --new-signer",
    )


def _spare(root: Root, version: str, identity: str, *, force: bool) -> None:
    """A virtualenv cannot be moved, so replacing one takes a while without it: not with the active release.

    Unless its Python is gone or another one by now: nothing can be started from it any more, and it has to be repaired.
    """
    folder = root.folder(version)
    if os.path.islink(folder):
        raise DestinationError("%s is a link to %s" % (folder, os.readlink(folder)), hint="move it away")
    if version != root.active() or not os.path.lexists(folder):
        return
    note = marker.read(folder)
    occupied = force or (note is not None and note.complete and note.bundle != identity)
    if occupied and (note is None or not health.examine(folder)):
        raise DestinationError(
            "%s is the active release, and replacing it would interrupt what runs from it" % folder,
            hint="give this build a version of its own, or activate another release first and then use --force",
        )
