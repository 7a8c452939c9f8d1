"""Fill the folder of an installation: its virtualenv, its packages, and the record of them."""

import contextlib
import os
from typing import Dict, NamedTuple, Tuple

from . import worker_pool
from .bundle_files import Folder, files
from .host import Host
from .install import activation_scripts, disk, environment, final_check, install_state, post_install
from .install.destination import Destination
from .install.interpreter import Base
from .install.shared_folder import SharedFolder
from .manifest import Manifest
from .options import AUTO, CLONE, COPY, Options
from .preflight import checks
from .terminal import Terminal
from .wheels import bootstrap, contents, kept, supply, unpacking


class Work(NamedTuple):
    """What is installed, into what, and with what: the `bundle` has these `sums`, the virtualenv is based on `base`.

    `plan` is the part of the `whole` manifest that is for `here`. Paths are real.
    """

    options: Options
    bundle: str
    sums: Dict[str, str]
    whole: Manifest
    plan: Manifest
    here: Host
    base: Base
    destination: Destination
    shared: SharedFolder
    terminal: Terminal

    @property
    def folder(self) -> str:
        return self.destination.path

    @property
    def bytecode_fits(self) -> bool:
        """Whether this interpreter can use the bytecode of the bundle."""
        return checks.bytecode_fits(self.plan.targets[0])


def fill(work: Work, supplied: supply.Supply) -> Tuple[unpacking.Unpacked, int]:
    """Make everything that comes into the folder but what post-install.sh adds.

    Return what was unpacked, and when the list of what was installed was written: see contents.py.
    """
    options, terminal = work.options, work.terminal
    terminal.step("  making a virtualenv with Python %s (%s)" % (work.here.full_python, work.base.program))
    sources = unpacking.sources(
        work.bundle, work.sums, work.plan, bytecode=work.bytecode_fits, compiling=options.compiling
    )
    environment.clean()
    # In a process of its own, which virtualenv changes.
    ((_, made),) = worker_pool.run(1, lambda _: _make_environment(work, supplied), 1)
    scheme = environment.Scheme(*made)
    terminal.step("  installing %d packages" % len(work.plan.wheels))
    mode = options.link_mode
    if mode == AUTO and files(work.bundle).has(post_install.FILE):
        mode = CLONE  # it may change files in place, which would be those of other releases, too
    providers = {os.path.join(work.bundle, "data", name): one for name, one in supplied.providers.items()}
    with contextlib.closing(unpacking.Archives(work.bundle, providers, mode)) as archives:
        unpacked = unpacking.unpack(scheme, sources, work.here.python[:2], archives, keeping=bool(options.root))
    for release, count in sorted(unpacked.altered.items()):
        source = "the bundle" if supplied.bootstrap is None else "elsewhere"
        terminal.warn(
            "%d files of %s are not as they were installed: taken from %s" % (count, os.path.basename(release), source)
        )
    if options.root:
        kept.write(scheme, unpacked.kept)
        _keep_bootstrap(work, supplied)
    activation_scripts.keep(work.bundle, work.sums, work.folder)
    terminal.step("  checking what was installed")
    answer = final_check.inspect(
        scheme.python, [(one.name, one.version) for one in unpacked.installed], work.base.in_place(os.__file__)
    )
    written = contents.write(work.folder, contents.of(work.folder, answer))
    disk.flush(work.folder)  # most of it, while a signal can still end this
    return unpacked, written


def _make_environment(work: Work, supplied: supply.Supply) -> environment.Scheme:
    place = os.path.join(work.bundle, "data", "bootstrap")
    if supplied.bootstrap is not None or not isinstance(files(work.bundle), Folder):
        place = bootstrap.lay_out(os.path.join(work.folder, environment.WORK), _bootstrap(work, supplied))
    python = work.base.program if work.base.name else ""  # since this process goes on in another folder
    system = work.plan.system_site_packages
    return environment.create(work.folder, place, system_site_packages=system, python=python)


def _keep_bootstrap(work: Work, supplied: supply.Supply) -> None:
    place = os.path.join(work.folder, install_state.WHEELS, bootstrap.FILE)
    others = supply.bootstraps(work.options.releases) if work.options.link_mode != COPY else ()
    if not bootstrap.share(place, work.sums, others):
        bootstrap.keep(place, _bootstrap(work, supplied))


def _bootstrap(work: Work, supplied: supply.Supply) -> Dict[str, bytes]:
    return bootstrap.read(work.bundle, work.sums) if supplied.bootstrap is None else supplied.bootstrap


def note_changes(folder: str, written: int) -> None:
    """Write the list of what was installed again, now that post-install.sh has run; see contents.py."""
    answer = final_check.ask(os.path.join(folder, "bin", "python"))
    contents.write(folder, contents.after(folder, answer, written))
