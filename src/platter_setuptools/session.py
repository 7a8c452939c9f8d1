"""The session: what all steps of one build share, and its end, after which nothing goes on and nothing stays."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from platter_setuptools.runtime.concurrency import Background
from platter_setuptools.runtime.signals import signals_held_back
from platter_setuptools.runtime.streams import print_notice
from platter_setuptools.runtime.temporary import temporary_folder
from platter_setuptools.wheel_cache import WheelCache, default_location
from platter_setuptools.wheels.sources import Checkout

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from platter_setuptools.config.options import Options
    from platter_setuptools.runtime.processes import Runner
    from platter_setuptools.runtime.progress import Progress

_PATIENCE = 3.0  # seconds to wait for background threads at the end: the processes are gone by then


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The options, the project's folder, the tools of every step, and a folder for temporary files."""

    options: Options
    source: Path
    run: Runner
    progress: Progress
    work: Path
    background: Background
    checkout: Checkout
    cache: WheelCache

    def below(self, name: str) -> Session:
        """Return the session with a folder of this name in its own, which is made."""
        work = self.work / name
        work.mkdir()
        return dataclasses.replace(self, work=work)


@contextlib.contextmanager
def open_session(
    options: Options, source: Path, run: Runner, progress: Progress, tree: Path | None = None
) -> Iterator[Session]:
    """Open what a build needs. After the block its processes and threads end, then its temporary files go.

    `tree` is the folder that the project's wheel is built from, if that is known.
    """
    background = Background()
    with temporary_folder() as work:
        (work / "tmp").mkdir()
        run.keep_temporary_files_in(work / "tmp")
        root = work / "store" if options.no_wheel_cache else options.wheel_cache or default_location()
        before, tempfile.tempdir = tempfile.tempdir, os.fspath(work / "tmp")  # for the libraries that we use
        try:
            yield Session(
                options=options,
                source=source,
                run=run,
                progress=progress,
                work=work,
                background=background,
                checkout=Checkout(tree, run, record=options.record_git_state),
                cache=WheelCache(root, print_notice),
            )
        finally:
            with signals_held_back():
                run.stop()
                background.join(_PATIENCE)
                tempfile.tempdir = before
