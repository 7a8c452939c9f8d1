"""The folder of one build: everything in it is thrown away in the end."""

from __future__ import annotations

import contextlib
import os
import tempfile
from typing import TYPE_CHECKING

from platter_setuptools.ground.interrupts import signals_held_back
from platter_setuptools.ground.temporary import temporary_folder
from platter_setuptools.ground.threads import settle

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from platter_setuptools.ground.run import Processes

_PATIENCE = 3.0  # seconds that an end waits for what was begun in the background: the processes are gone by then


@contextlib.contextmanager
def temporary_workspace(run: Processes) -> Iterator[Path]:
    """A folder for everything that is thrown away. Processes and threads are ended before it goes."""
    with temporary_folder() as folder:
        (folder / "tmp").mkdir()
        run.keep_temporary_files_in(folder / "tmp")
        before, tempfile.tempdir = tempfile.tempdir, os.fspath(folder / "tmp")  # for the libraries that we use
        try:
            yield folder
        finally:
            with signals_held_back():
                run.stop()
                settle(_PATIENCE)
                tempfile.tempdir = before
