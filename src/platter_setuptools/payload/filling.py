"""Fill the folder of an installation: its virtualenv, its packages, and the record of them."""

import os
from typing import Dict, Optional, Tuple

from . import host, manifest, worker_pool
from .bundle_files import Folder
from .bundle_files import files as files_of
from .install import activation_scripts, disk, environment, final_check, install_state, interpreter, post_install
from .options import AUTO, CLONE, COPY, Options
from .preflight import checks
from .terminal import Terminal
from .wheels import bootstrap, contents, kept, providers, supply, unpacking


def fill(
    folder: str,
    bundle: str,
    sums: Dict[str, str],
    plan: manifest.Manifest,
    options: Options,
    supplied: Optional[supply.Supply],
    *,
    here: host.Host,
    base: interpreter.Base,
    terminal: Terminal,
) -> Tuple[unpacking.Unpacked, int]:
    """Make everything that comes into the folder but what post-install.sh adds.

    Return what was unpacked, and when the list of what was installed was written: see contents.py.
    """
    terminal.step("  making a virtualenv with Python %s (%s)" % (here.full_python, base.program))
    fits = checks.bytecode_fits(plan.targets[0])
    sources = unpacking.sources(bundle, sums, plan, bytecode=fits, compiling=options.compiling)
    environment.clean()
    mode = options.link_mode
    if mode == AUTO and files_of(bundle).has(post_install.FILE):
        mode = CLONE  # it may change files in place, which would be those of other releases, too

    def find_providers() -> Dict[str, providers.Provider]:
        found = providers.providers(options.releases if mode != COPY else (), plan.wheels, bytecode=fits)
        found = {name: provider for name, provider in found.items() if provider.shared}
        found.update(supplied.providers if supplied else {})
        return {os.path.join(bundle, "data", name): provider for name, provider in found.items()}

    def make_environment(_: int) -> environment.Scheme:
        place = os.path.join(bundle, "data", "bootstrap")
        if supplied or not isinstance(files_of(bundle), Folder):
            contents = supplied.bootstrap if supplied else bootstrap.read(bundle, sums)
            place = bootstrap.lay_out(os.path.join(folder, environment.WORK), contents)
        python = base.program if base.name else ""  # since this process goes on in another folder
        return environment.create(folder, place, system_site_packages=plan.system_site_packages, python=python)

    # In a process of its own, which virtualenv changes.
    ((_, made),) = worker_pool.run(1, make_environment, 1)
    scheme = environment.Scheme(*made)
    terminal.step("  installing %d packages" % len(plan.wheels))
    archives = unpacking.Archives(bundle, find_providers(), mode)
    unpacked = unpacking.unpack(scheme, sources, here.python[:2], archives, keeping=bool(options.root))
    for release, count in sorted(unpacked.altered.items()):
        terminal.warn(
            "%d files of %s are not as they were installed: taken from %s"
            % (count, os.path.basename(release), "elsewhere" if supplied else "the bundle")
        )
    if options.root:
        kept.write(scheme, unpacked.kept)
        place = os.path.join(folder, install_state.WHEELS, bootstrap.FILE)
        others = supply.bootstraps(options.releases) if options.link_mode != COPY else ()
        if not bootstrap.share(place, sums, others):
            bootstrap.keep(place, supplied.bootstrap if supplied else bootstrap.read(bundle, sums))
    activation_scripts.keep(bundle, sums, folder)
    terminal.step("  checking what was installed")
    answer = final_check.inspect(
        scheme.python, [(one.name, one.version) for one in unpacked.installed], base.in_place(os.__file__)
    )
    written = contents.write(folder, contents.of(folder, answer))
    disk.flush(folder)  # most of it, while a signal can still end this
    return unpacked, written


def note_changes(folder: str, written: int) -> None:
    """Write the list of what was installed again, now that post-install.sh has run; see contents.py."""
    answer = final_check.ask(os.path.join(folder, "bin", "python"))
    contents.write(folder, contents.after(folder, answer, written))
