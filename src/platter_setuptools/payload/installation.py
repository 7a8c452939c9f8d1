"""The whole installation on one page, from the command line to the exit code."""

import os
import time
from typing import Dict, List, Optional, Sequence

from . import checksums, extraction, filling, host, manifest, process, signals, thin
from .bundle_files import files as files_of
from .errors import DestinationError, HostError, InstallError, PythonError, UsageError, advice, describe
from .findings import Finding, report
from .install import environment, install_state, interpreter, owners, post_install
from .install.destination import Destination, real_path
from .install.install_state import State
from .install.shared_folder import SharedFolder
from .install.tree import refuse_dangling
from .options import Options, parse
from .preflight import checks, health, nesting
from .terminal import Terminal, exit_code
from .wheels import contents, supply, unpacking


def main(arguments: Sequence[str], bundle: str, unpacked: str = "") -> int:
    """Install the bundle. Return the exit code. `unpacked`: see Options."""
    terminal = Terminal("install.sh" if os.path.isdir(bundle) else os.path.basename(bundle))
    return exit_code(terminal, lambda: _run(arguments, os.path.realpath(bundle), unpacked, terminal))


def _run(arguments: Sequence[str], bundle: str, unpacked: str, terminal: Terminal) -> None:
    call = "./install.sh" if os.path.isdir(bundle) else "sh " + terminal.program
    options = parse(arguments, os.environ.pop("PLATTER_SIGNER", ""), call)._replace(unpacked=unpacked)
    terminal.quiet = options.quiet
    if options.describe:
        from . import describe  # noqa: PLC0415 - nothing is installed then

        terminal.result(describe.as_text(describe.describe()))
    elif options.verify or options.extract:
        _verify_all(options, bundle, terminal)
    elif options.root:
        from .releases import deploy  # noqa: PLC0415 - most installations go without it

        deploy.deploy(options, bundle, terminal, install)
    else:
        install(options, bundle, terminal)


def _verify_all(options: Options, bundle: str, terminal: Terminal) -> None:
    """Compare all files of the bundle with its checksums. With `extract`, make its folder."""
    sums = checksums.read(bundle)
    plan = manifest.read_verified(bundle, sums)
    thin.verify(bundle, sums, frozenset(), thin.absent(bundle, sums, plan))
    if options.extract:
        terminal.step("Extracted %s to %s." % (plan.title, extraction.extract(bundle, options.extract)))
    else:
        terminal.step("%s: its %d files are as they were built." % (plan.title, len(sums)))


def install(options: Options, bundle: str, terminal: Terminal) -> None:
    """Make the destination an installation of the bundle, unless it is one already."""
    began, before = time.monotonic(), dict(os.environ)
    os.umask(0o022)
    sums, identity = checksums.read(bundle), checksums.identity(bundle)
    whole, here = manifest.read_verified(bundle, sums), host.examine()
    plan = whole.for_host(here)
    destination = Destination(_destination(options, plan.name), identity, terminal.error)
    shared = _shared(options, plan, destination.path)
    base = interpreter.base(plan.interpreter, options.unpacked, options.root, destination.path)
    installed = (state := destination.state()) is State.INSTALLED and not options.force
    _look(options, bundle, plan, destination, state, here, base, shared, terminal, installed=installed)
    if options.check:
        _verify(bundle, sums, whole, plan, options, installed=installed)
        base.verify()
    if installed and not options.check:
        with signals.postponed():
            destination.tidy()
    if installed or options.check:
        said = "is installed in %s already" if installed else "can be installed into %s"
        terminal.step("%s %s." % (plan.title, said % destination.path))
        return
    terminal.step("Installing %s into %s" % (plan.title, destination.path))
    terminal.step("  checking the bundle")
    supplied = _verify(bundle, sums, whole, plan, options)
    note = _marker(identity, plan, here, base, options)
    try:
        with signals.postponed():
            destination.acquire()
            # Again, now that nobody else changes it.
            if (state := destination.state()) is State.INSTALLED and not options.force:
                terminal.step("%s was installed in %s meanwhile." % (plan.title, destination.path))
                return
            destination.prepare(note, state, force=options.force)
        base.settle()
        unpacked, written = filling.fill(
            destination.path, bundle, sums, plan, options, supplied, here=here, base=base, terminal=terminal
        )
        shared.settle()
        note = note._replace(link_mode=unpacked.link_mode, shared_files=unpacked.shared_files)
        if files_of(bundle).has(post_install.FILE):
            terminal.step("  running %s" % post_install.FILE)
            setting = post_install.Setting(
                before, options.root, plan.version, options.commands.command_timeout or process.LIMIT
            )
            post_install.run(bundle, sums, destination.path, setting)
            filling.note_changes(destination.path, written)
        signals.ignore_signals()
        destination.finish(note._replace(state="complete", when=install_state.now()))
    except BaseException as error:
        _undo(error, destination, base, shared)
        raise
    finally:
        signals.ignore_signals()
        destination.release()
    files, seconds = sum(one.files for one in unpacked.installed), time.monotonic() - began
    terminal.step("Installed %s: %d packages, %d files, %.1f s." % (plan.title, len(plan.wheels), files, seconds))


def _shared(options: Options, plan: manifest.Manifest, folder: str) -> SharedFolder:
    if plan.shared and not options.root:
        raise UsageError(
            "%s shares %s with its other releases in a root" % (plan.title, ", ".join(plan.shared)),
            hint="use --root, where these are links to ROOT/shared",
        )
    return SharedFolder(options.root, folder, plan.shared)


def _undo(error: BaseException, destination: Destination, base: interpreter.Base, shared: SharedFolder) -> None:
    """Make everything what it was before. Raise an error for users in place of an OSError."""
    signals.ignore_signals()
    destination.rollback()
    base.withdraw()
    shared.withdraw()
    if isinstance(error, OSError):
        raise InstallError(
            "installing into %s failed: %s" % (destination.path, describe(error)), hint=advice(error)
        ) from error


def _marker(
    identity: str, plan: manifest.Manifest, here: host.Host, base: interpreter.Base, options: Options
) -> install_state.Marker:
    return install_state.Marker(
        "unfinished",
        identity,
        plan.name,
        plan.version,
        plan.platform,
        here.full_python,
        created=True,
        interpreter=base.program,
        abi=here.abi,
        libc=here.libc,
        target=plan.targets[0].id,
        revision=plan.revision,
        signer=options.signer,
        bundled_interpreter=base.name,
        shared_paths=plan.shared,
    )


def _verify(
    bundle: str,
    sums: Dict[str, str],
    whole: manifest.Manifest,
    plan: manifest.Manifest,
    options: Options,
    *,
    installed: bool = False,
) -> Optional[supply.Supply]:
    """Verify the bundle. Return what releases have of the files that a thin one lacks, unless it is `installed`.

    `plan` is the part of the `whole` manifest that is installed here.
    """
    lacking = thin.absent(bundle, sums, whole)
    # The wheels and their bytecode are hashed by the processes that unpack them, so they are read from disk once.
    thin.verify(bundle, sums, frozenset() if options.check else unpacking.deferred(plan), lacking)
    if not lacking or installed:
        return None
    if not options.root:
        raise UsageError(
            "this is a thin bundle, which takes files from the releases of a root",
            hint="use --root, or send the full bundle",
        )
    fits = checks.bytecode_fits(plan.targets[0])
    return supply.find(bundle, sums, plan, lacking, options.releases, bytecode=fits, hashed=options.check)


def _look(
    options: Options,
    bundle: str,
    plan: manifest.Manifest,
    destination: Destination,
    state: State,
    here: host.Host,
    base: interpreter.Base,
    shared: SharedFolder,
    terminal: Terminal,
    *,
    installed: bool,
) -> None:
    """Raises all that stands against the installation, or against what is installed already, as one error."""
    of_base: List[Finding] = []
    if installed or options.root:
        of_base = base.examine() if options.check else base.repair(bundle, terminal.warn)
    if installed:
        findings = health.examine(destination.path)
        says = "cannot run any more" if findings else "is not as it was installed"
        title = "%s in %s %s" % (plan.title, destination.path, says)
        findings += contents.examine(destination.path)
    else:
        title = "%s cannot be installed" % plan.title
        findings = checks.examine(
            plan, here, destination, bundle, state=state, force=options.force, further=base.needs()
        )
        if options.check:  # to install asks virtualenv itself
            findings += [Finding(PythonError, one.message, one.hint) for one in environment.missing()]
    findings += of_base
    findings += shared.examine(installed=installed)
    refusals = [one for one in findings if one.kind]
    for one in findings:
        if not one.kind:
            terminal.warn(one.text)
    if refusals:
        raise report(refusals, title)


def _destination(options: Options, name: str) -> str:
    """Return the real folder for the path that the user named, for the project of this name.

    A link to a folder means that folder. But nothing is replaced through a link, and a broken link is not followed: a
    link such as `current` names another release.
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
