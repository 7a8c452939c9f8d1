"""The whole installation on one page, from the command line to the exit code."""

import os
import time
from typing import Dict, Sequence, Tuple

from . import (
    checksums,
    contents,
    crew,
    environment,
    health,
    hook,
    host,
    inspection,
    manifest,
    marker,
    nesting,
    owners,
    preflight,
    signals,
    unpacking,
)
from .destination import Destination, State, real_path
from .errors import DestinationError, HostError, InstallError, Interrupted, PythonError, advice, describe, foreseen
from .findings import Finding, report
from .options import Options, parse
from .terminal import Terminal
from .tree import refuse_dangling


def main(arguments: Sequence[str], bundle: str) -> int:
    """Install the bundle; the exit code. No traceback reaches the user unless PLATTER_DEBUG is set."""
    terminal = Terminal()
    try:
        signals.listen()
        options = parse(arguments, os.environ.pop("PLATTER_SIGNER", ""))
        terminal.quiet = options.quiet
        bundle = os.path.realpath(bundle)
        if options.root:
            from . import deploy  # noqa: PLC0415 - most installations go without it

            deploy.deploy(options, bundle, terminal, install)
        else:
            install(options, bundle, terminal)
    except (Exception, Interrupted) as error:
        signals.turn_deaf()
        if os.environ.get("PLATTER_DEBUG"):
            raise
        told = foreseen(error)
        terminal.error(str(told))
        return told.exit_code
    return 0


def install(options: Options, bundle: str, terminal: Terminal) -> None:
    """Make the destination an installation of the bundle, unless it is one already."""
    began = time.monotonic()
    before = dict(os.environ)
    os.umask(0o022)
    sums = checksums.read(bundle)
    plan = manifest.read_verified(bundle, sums)
    identity = checksums.identity(bundle)
    destination = Destination(_destination(options, plan.name), identity, terminal.error)
    here = host.examine()
    installed = destination.state() is State.INSTALLED and not options.force
    _look(options, bundle, plan, destination, here, terminal, installed=installed)
    if options.check:
        checksums.verify(bundle, sums, frozenset())
    if installed and not options.check:
        with signals.postponed():
            destination.tidy()
    if installed or options.check:
        said = "is installed in %s already" if installed else "can be installed into %s"
        terminal.step("%s %s." % (plan.title, said % destination.path))
        return
    terminal.step("Installing %s into %s" % (plan.title, destination.path))
    terminal.step("  checking the bundle")
    # The wheels and their bytecode are hashed by the processes that unpack them, so they are read from disk once.
    checksums.verify(bundle, sums, unpacking.deferred(plan))
    note = marker.Marker(
        "unfinished",
        identity,
        plan.name,
        plan.version,
        plan.platform,
        here.full_python,
        created=True,
        interpreter=environment.base_interpreter(),
        abi=here.abi,
        libc=here.libc,
        revision=plan.revision,
        signer=options.signer,
    )
    try:
        with signals.postponed():
            destination.acquire()
            if destination.state() is State.INSTALLED and not options.force:
                terminal.step("%s was installed in %s meanwhile." % (plan.title, destination.path))
                return
            destination.prepare(note, force=options.force)
        files, answer = _fill(destination.path, bundle, sums, plan, options, here=here, terminal=terminal)
        written = contents.write(destination.path, contents.of(destination.path, answer))
        if os.path.exists(os.path.join(bundle, hook.FILE)):
            terminal.step("  running %s" % hook.FILE)
            hook.run(bundle, sums, destination.path, before)
            answer = inspection.ask(os.path.join(destination.path, "bin", "python"))
            contents.write(destination.path, contents.after(destination.path, answer, written))
        signals.turn_deaf()
        destination.finish(note._replace(state="complete", when=marker.now()))
    except BaseException as error:
        signals.turn_deaf()
        destination.rollback()
        if isinstance(error, OSError):
            raise InstallError(
                "installing into %s failed: %s" % (destination.path, describe(error)), hint=advice(error)
            ) from error
        raise
    finally:
        signals.turn_deaf()
        destination.release()
    seconds = time.monotonic() - began
    terminal.step("Installed %s: %d packages, %d files, %.1f s." % (plan.title, len(plan.wheels), files, seconds))


def _look(
    options: Options,
    bundle: str,
    plan: manifest.Manifest,
    destination: Destination,
    here: host.Host,
    terminal: Terminal,
    *,
    installed: bool,
) -> None:
    """Raises all that stands against the installation, or against what is installed already, as one error."""
    if installed:
        findings = health.examine(destination.path)
        says = "cannot run any more" if findings else "is not as it was installed"
        title = "%s in %s %s" % (plan.title, destination.path, says)
        findings += contents.examine(destination.path)
    else:
        title = "%s cannot be installed" % plan.title
        findings = preflight.examine(plan, here, destination, bundle, force=options.force)
        if options.check:  # to install asks virtualenv itself
            findings += [Finding(PythonError, one.message, one.hint) for one in environment.missing()]
    refusals = [one for one in findings if one.kind]
    for one in findings:
        if not one.kind:
            terminal.warn(one.text)
    if refusals:
        raise report(refusals, title)


def _destination(options: Options, name: str) -> str:
    """The real folder behind what the user named, for the project of this name.

    A link to a folder stands for that folder. But nothing is replaced through a link, and a link to nothing is not
    followed: a link such as ``current`` names a release of its own.
    """
    named = options.destination.rstrip("/") or "/"
    if os.path.islink(named) and (options.force or not os.path.isdir(named)):
        raise DestinationError(
            "%s is a link to %s" % (named, os.readlink(named)),
            hint="name the folder itself",
        )
    refuse_dangling(os.path.abspath(named))
    path = real_path(named)
    nesting.refuse_destination(path, name)
    found = "" if options.force else owners.stranger(path)
    if found:
        raise HostError(found, hint=owners.HINT)
    return path


def _fill(
    folder: str,
    bundle: str,
    sums: Dict[str, str],
    plan: manifest.Manifest,
    options: Options,
    *,
    here: host.Host,
    terminal: Terminal,
) -> Tuple[int, inspection.Answer]:
    """Everything that comes into the folder but what post-install.sh adds.

    Return the number of the packages' files, and what the new interpreter says of itself.
    """
    terminal.step("  making a virtualenv with Python %s (%s)" % (here.full_python, environment.base_interpreter()))
    fits = preflight.bytecode_fits(preflight.target_for(plan, here))
    sources = unpacking.sources(bundle, sums, plan, bytecode=fits, compiling=options.compiling)
    bootstrap = os.path.join(bundle, "data", "bootstrap")
    environment.clean()
    with unpacking.Ahead() as ahead:
        # In a process of its own: meanwhile this one begins with the wheels, as far as that goes without a folder.
        with crew.Crew(
            1, lambda _: environment.create(folder, bootstrap, system_site_packages=plan.system_site_packages), 1
        ) as making:
            ahead.read(sources, making.busy)
            ((_, made),) = making.results()
        scheme = environment.Scheme(*made)
        terminal.step("  installing %d packages" % len(plan.wheels))
        installed = unpacking.unpack(scheme, sources, here.python[:2], ahead)
    terminal.step("  checking what was installed")
    answer = inspection.inspect(scheme.python, [(one.name, one.version) for one in installed], os.__file__)
    return sum(one.files for one in installed), answer
