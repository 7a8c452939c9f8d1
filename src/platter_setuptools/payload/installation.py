"""The whole installation on one page, from the command line to the exit code."""

import os
import time
from typing import FrozenSet, List, Mapping, Sequence

from . import checksums, extraction, host, manifest, process, signals, thin
from .bundle_files import files
from .errors import DestinationError, HostError, InstallError, PythonError, UsageError, advice, describe
from .filling import Work, fill, note_changes
from .findings import Finding, report
from .install import environment, install_state, interpreter, owners, post_install
from .install.destination import Destination, real_path
from .install.install_state import State
from .install.shared_folder import SharedFolder
from .install.tree import refuse_dangling
from .options import COPY, Options, parse
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
    work = _read(options, bundle, terminal)
    state = work.destination.state()
    installed = state is State.INSTALLED and not options.force
    _look(work, state, _examine_base(work, installed=installed), installed=installed)
    if installed or options.check:
        _confirm(work, installed=installed)
    else:
        _make(work, before, began)


def _read(options: Options, bundle: str, terminal: Terminal) -> Work:
    sums = checksums.read(bundle)
    whole, here = manifest.read_verified(bundle, sums), host.examine()
    plan = whole.for_host(here)
    folder = _folder(options, plan.name)
    if plan.shared and not options.root:
        raise UsageError(
            "%s shares %s with its other releases in a root" % (plan.title, ", ".join(plan.shared)),
            hint="use --root, where these are links to ROOT/shared",
        )
    return Work(
        options=options,
        bundle=bundle,
        sums=sums,
        whole=whole,
        plan=plan,
        here=here,
        base=interpreter.base(plan.interpreter, options.unpacked, options.root, folder),
        destination=Destination(folder, checksums.identity(bundle), terminal.error),
        shared=SharedFolder(options.root, folder, plan.shared),
        terminal=terminal,
    )


def _confirm(work: Work, *, installed: bool) -> None:
    """With `--check` verify the bundle; say what was found."""
    if work.options.check:
        lacking = _verify(work)
        if not installed:
            _supply(work, lacking)
        work.base.verify()
    else:
        with signals.postponed():
            work.destination.tidy()
    said = "is installed in %s already" if installed else "can be installed into %s"
    work.terminal.step("%s %s." % (work.plan.title, said % work.folder))


def _make(work: Work, before: Mapping[str, str], began: float) -> None:
    """Install. `before` is the environment that post-install.sh gets; `began` is when, by the monotonic clock."""
    options, plan, destination, say = work.options, work.plan, work.destination, work.terminal.step
    say("Installing %s into %s" % (plan.title, work.folder))
    say("  checking the bundle")
    supplied = _supply(work, _verify(work))
    note = _marker(work)
    try:
        with signals.postponed():
            destination.acquire()
            # Again, now that nobody else changes it.
            if (state := destination.state()) is State.INSTALLED and not options.force:
                say("%s was installed in %s meanwhile." % (plan.title, work.folder))
                return
            destination.prepare(note, state, force=options.force)
        work.base.settle()
        unpacked, written = fill(work, supplied)
        work.shared.settle()
        if files(work.bundle).has(post_install.FILE):
            say("  running %s" % post_install.FILE)
            limit = options.commands.command_timeout or process.LIMIT
            post_install.run(
                work.bundle, work.sums, work.folder, post_install.Setting(before, options.root, plan.version, limit)
            )
            note_changes(work.folder, written)
        signals.ignore_signals()
        note = note._replace(link_mode=unpacked.link_mode, shared_files=unpacked.shared_files)
        destination.finish(note._replace(state="complete", when=install_state.now()))
    except BaseException as error:
        _undo(work, error)
        raise
    finally:
        signals.ignore_signals()
        destination.release()
    count, seconds = sum(one.files for one in unpacked.installed), time.monotonic() - began
    say("Installed %s: %d packages, %d files, %.1f s." % (plan.title, len(plan.wheels), count, seconds))


def _undo(work: Work, error: BaseException) -> None:
    """Make everything what it was before. Raise an error for users in place of an OSError."""
    signals.ignore_signals()
    work.destination.rollback()
    work.base.withdraw()
    work.shared.withdraw()
    if isinstance(error, OSError):
        raise InstallError(
            "installing into %s failed: %s" % (work.folder, describe(error)), hint=advice(error)
        ) from error


def _marker(work: Work) -> install_state.Marker:
    return install_state.Marker(
        bundle=work.destination.bundle,
        name=work.plan.name,
        version=work.plan.version,
        platform=work.plan.platform,
        python=work.here.full_python,
        interpreter=work.base.program,
        abi=work.here.abi,
        libc=work.here.libc,
        target=work.plan.targets[0].id,
        revision=work.plan.revision,
        signer=work.options.signer,
        bundled_interpreter=work.base.name,
        shared_paths=work.plan.shared,
    )


def _verify(work: Work) -> FrozenSet[str]:
    """Verify the bundle. Return the files that it lacks if it is thin."""
    lacking = thin.absent(work.bundle, work.sums, work.whole)
    # The wheels and their bytecode are hashed by the processes that unpack them, so they are read from disk once.
    deferred = frozenset() if work.options.check else unpacking.deferred(work.plan)
    thin.verify(work.bundle, work.sums, deferred, lacking)
    return lacking or frozenset()


def _supply(work: Work, lacking: FrozenSet[str]) -> supply.Supply:
    """Return what the releases of the root give, such as what the bundle lacks."""
    options = work.options
    if lacking and not options.root:
        raise UsageError(
            "this is a thin bundle, which takes files from the releases of a root",
            hint="use --root, or send the full bundle",
        )
    return supply.find(
        work.bundle,
        work.sums,
        work.plan,
        lacking,
        options.releases,
        bytecode=work.bytecode_fits,
        sharing=options.link_mode != COPY,
        hashed=options.check,
    )


def _examine_base(work: Work, *, installed: bool) -> List[Finding]:
    """Return what is wrong with the interpreter that the bundle brought; repair it first, unless this only checks."""
    if not (installed or work.options.root):
        return []
    return work.base.examine() if work.options.check else work.base.repair(work.bundle, work.terminal.warn)


def _look(work: Work, state: State, of_base: List[Finding], *, installed: bool) -> None:
    """Raises all that stands against the installation, or against what is installed already, as one error."""
    options, plan = work.options, work.plan
    if installed:
        findings = health.examine(work.folder)
        says = "cannot run any more" if findings else "is not as it was installed"
        title = "%s in %s %s" % (plan.title, work.folder, says)
        findings += contents.examine(work.folder)
    else:
        title = "%s cannot be installed" % plan.title
        needs = work.base.needs()
        findings = checks.examine(
            plan, work.here, work.destination, work.bundle, state=state, force=options.force, further=needs
        )
        if options.check:  # to install asks virtualenv itself
            findings += [Finding(PythonError, one.message, one.hint) for one in environment.missing()]
    findings += of_base
    findings += work.shared.examine(installed=installed)
    refusals = [one for one in findings if one.kind]
    for one in findings:
        if not one.kind:
            work.terminal.warn(one.text)
    if refusals:
        raise report(refusals, title)


def _folder(options: Options, name: str) -> str:
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
