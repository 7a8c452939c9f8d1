"""What git knows of the project's source tree. Where there is no git, or no repository, it knows nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from platter_setuptools.ground.configuration import PROJECT_FILES
from platter_setuptools.ground.errors import PlatterError
from platter_setuptools.ground.threads import Later
from platter_setuptools.payload.manifest import is_revision

if TYPE_CHECKING:
    from pathlib import Path

    from platter_setuptools.ground.progress import Progress
    from platter_setuptools.ground.run import Runner

# git writes to its index when it compares, unless it is told not to.
_READ_ONLY = {"GIT_OPTIONAL_LOCKS": "0"}


class Checkout:
    """The source tree that the project's wheel is built from; None for `tree` if that is not known."""

    def __init__(self, tree: Path | None, run: Runner, *, record: bool = False) -> None:
        self.tree, self._run, self._record = tree, run, record
        self._tracked = Later(self._list)
        self.revision: str | None = None

    @property
    def tracked(self) -> tuple[str, ...]:
        """The files that git tracks, by their paths from the tree; none if it does not track the project itself."""
        return self._tracked.result()

    @property
    def commit_time(self) -> int | None:
        """The time of the commit, in seconds since 1970; None where there is none, or tracked files differ from it."""
        if not self.tracked or self._describe().endswith("-dirty"):
            return None
        time = self._git("rev-list", "--max-count=1", "--timestamp", "HEAD").partition(" ")[0]
        return int(time) if time.isdecimal() else None

    def read_revision(self, progress: Progress) -> None:
        """Set `revision`, if it is to be recorded: the commit, with `-dirty` behind it if tracked files differ."""
        if not self._record:
            return
        said = self._describe() if self.tracked else ""
        if is_revision(said):
            self.revision = said
        else:
            what = (
                f"git knows no commit of {self.tree}" if self.tree else "what commit a finished wheel is of is unknown"
            )
            progress.warn(f"record-git-state: {what}; the bundle records none")

    def _describe(self) -> str:
        # `--abbrev`: as long as the commit is. `--exclude`: no names of tags.
        return self._git("describe", "--always", "--dirty", "--abbrev=64", "--exclude=*").strip()

    def _list(self) -> tuple[str, ...]:
        # Names with a line break or a quote are quoted, and then no names.
        tracked = tuple(self._git("-c", "core.quotePath=false", "ls-files").splitlines())
        # A folder that git does not track may lie in a repository: an unpacked sdist in `build`, for one.
        return () if set(PROJECT_FILES).isdisjoint(tracked) else tracked

    def _git(self, *words: str) -> str:
        """What git says; nothing if it is not there or fails."""
        try:
            return self._run(["git", "-C", self.tree, *words], env=_READ_ONLY) if self.tree else ""
        except PlatterError:
            return ""
