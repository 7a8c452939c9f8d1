"""The contexts of a build, one for each of its targets; and what all of them share in the bundle."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from packaging.version import Version

from platter_setuptools.context import BuildContext
from platter_setuptools.resolve.uv_config import uv_tables
from platter_setuptools.session import open_session
from platter_setuptools.targets.find import find_machines
from platter_setuptools.wheels.check import check_fits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from platter_setuptools.bundle.members import Member
    from platter_setuptools.config.options import Options
    from platter_setuptools.runtime.processes import Runner
    from platter_setuptools.runtime.progress import Progress
    from platter_setuptools.values import Wheel
    from platter_setuptools.wheels.check import WheelWithMetadata


@contextlib.contextmanager
def open_contexts(
    options: Options, source: Path, run: Runner, progress: Progress, tree: Path | None = None
) -> Iterator[list[BuildContext]]:
    """Open the contexts of a build, one for each target. Build scripts and the whole bundle use the first one.

    Nothing that they have started goes on, and nothing temporary stays, after the block. `tree` is the folder that the
    project's wheel is built from, if that is known.
    """
    with open_session(options, source, run, progress, tree) as session:
        targets = find_machines(options.python, options.target, run)
        contexts = [
            BuildContext(session.below(f"target-{number}"), machines, several=len(targets) > 1)
            for number, machines in enumerate(targets)
        ]
        with session.cache.in_use():
            for context in contexts:
                context.start_tools()
            _ = contexts[0].signer  # the same holds for this
            session.background.start(lambda: installer_of(contexts, virtualenv_of(contexts)))
            if tree and not options.lock:
                _warn_of_unused_locks(tree, progress)
            yield contexts


def virtualenv_of(contexts: Sequence[BuildContext]) -> Sequence[Wheel]:
    """Return the wheels of virtualenv, with what it requires, that the lowest of the targets' Pythons takes.

    They are for the later ones, too. Raise WheelError if they do not fit one.
    """
    wheels = lowest(contexts).tools.virtualenv
    for target in (context.target for context in contexts if len(contexts) > 1):
        for wheel in wheels:
            check_fits(contexts[0].analyser.describe(wheel), target)
    return wheels


def read_dependencies(contexts: Sequence[BuildContext], version: str | None) -> None:
    """Start to read what the options require, for each target; see BuildContext.read_dependencies."""
    for context in contexts:
        context.read_dependencies(version)


def finish(
    contexts: Sequence[BuildContext],
    projects: Sequence[WheelWithMetadata],
    chosen: Sequence[Sequence[WheelWithMetadata]],
) -> None:
    """Remember what the bundle was made of for each target; see BuildContext.finish."""
    virtualenv = virtualenv_of(contexts)
    for context, project, wheels in zip(contexts, projects, chosen, strict=True):
        context.finish(project, wheels, virtualenv)


def lowest(contexts: Sequence[BuildContext]) -> BuildContext:
    """Return the context of the lowest Python."""
    return min(contexts, key=lambda context: Version(context.target.version))


def installer_of(contexts: Sequence[BuildContext], virtualenv: Sequence[Wheel]) -> list[Member]:
    """Return install.sh and what it starts on the server, with bytecode for all targets."""
    compilers = {one.compiler.cache_tag: one.compiler for one in contexts if one.compiler}
    return contexts[0].installer(virtualenv, [*compilers.values()])


def _warn_of_unused_locks(tree: Path, progress: Progress) -> None:
    """Warn of a lock beside the project, or in its workspace, that is not used: it is easily believed to be."""
    if (tree / "PKG-INFO").is_file():  # an sdist was unpacked there
        return
    for folder in dict.fromkeys([tree, *(folder for folder, _ in uv_tables(tree))]):
        for name in ("pylock.toml", "uv.lock"):
            if (folder / name).is_file():
                shown = name if folder == tree else folder / name
                progress.warn(f"{shown} is not used: --lock {shown} takes it")
                return
