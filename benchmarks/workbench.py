"""What the comparisons share: each thing is made when the first of them needs it."""

from __future__ import annotations

import functools
import shutil
from typing import TYPE_CHECKING

from benchmarks import applications, synthetic
from benchmarks.builds import Builds
from benchmarks.installs import Installs
from benchmarks.loopback import serving
from benchmarks.peers import Peers
from benchmarks.releases import Releases

if TYPE_CHECKING:
    import contextlib
    from pathlib import Path

    from benchmarks.applications import Application
    from benchmarks.yard import Yard

_HUGE = 2 * 10**9  # bytes


class Workbench:
    """One yard, its peers, and what is built and installed in it."""

    def __init__(self, yard: Yard, stack: contextlib.ExitStack) -> None:
        self.yard, self.peers, self._stack = yard, Peers(yard), stack

    @property
    def large(self) -> Application:
        return applications.SMALL if self.yard.quick else applications.LARGE

    @property
    def compiled(self) -> Application:
        return applications.COMPILED_QUICK if self.yard.quick else applications.COMPILED

    @functools.cached_property
    def builds(self) -> Builds:
        return Builds(yard=self.yard, peers=self.peers, application=self.large)

    @functools.cached_property
    def cold_builds(self) -> Builds:
        return Builds(yard=self.yard, peers=self.peers, application=self.large, cold=True)

    @functools.cached_property
    def installs(self) -> Installs:
        return Installs.unpacked(self.builds)

    @functools.cached_property
    def releases(self) -> Releases:
        return Releases(self)

    @functools.cached_property
    def lock(self) -> Path:
        """A pylock.toml of the large application, by pip's own `pip lock`."""
        project = self.large.write(self.yard.work / "to-lock", 0)
        (project / "requirements.txt").write_text("".join(f"{line}\n" for line in self.large.dependencies), "utf-8")
        pip = self.peers.bin("pip") / "pip"
        command = (pip, "lock", "--quiet", "--requirement", "requirements.txt", "--output", "pylock.toml")
        self.yard.run(*command, cwd=project)
        return project / "pylock.toml"

    @functools.cached_property
    def tools(self) -> Path:
        """The wheels that every build needs besides the application's: for the index on loopback."""
        folder = self.yard.kept / "tools"
        if not folder.is_dir():
            part = self.yard.fresh("tools")
            names = ("virtualenv", "pip", "setuptools", "wheel")
            self.yard.run(self.peers.bin("pip") / "pip", "download", "--quiet", "--dest", part, *names)
            shutil.copytree(part, folder)
        return folder

    def swarm(self, count: int, *, cold: bool) -> Builds:
        """So many tiny wheels, from an index on loopback."""
        count = count // 10 if self.yard.quick else count
        folder = self.yard.work / "tiny"
        names = synthetic.tiny_wheels(folder, count)
        index = self._stack.enter_context(serving([folder, self.tools]))
        application = applications.swarm(names)
        return Builds(yard=self.yard, peers=self.peers, application=application, cold=cold, index=index)

    @functools.cached_property
    def huge(self) -> Builds:
        """The application that needs one huge wheel, from an index on loopback."""
        folder = self.yard.kept / "huge"
        synthetic.huge_wheel(folder, "boulder", _HUGE // 10 if self.yard.quick else _HUGE)
        index = self._stack.enter_context(serving([folder, self.tools]))
        return Builds(yard=self.yard, peers=self.peers, application=applications.HEAVY, index=index)
