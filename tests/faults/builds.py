"""A building machine: a project, its dist, a store and a TMPDIR, where `platter build` runs while things go wrong."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support import projects
from support.front_ends import PLATTER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Its backend is a single module, so that a build takes no longer than needed.
PROJECT = {
    "pyproject.toml": """
        [build-system]
        requires = ["tinybackend"]
        build-backend = "tinybackend"

        [tool.tiny]
        name = "hello"
        version = "1.0"
        requires = ["branch", "alpha", "beta"]
        entry_points = "[console_scripts]\\nhello = hello:main\\n"
    """,
    "hello.py": projects.HELLO,
}


@dataclass(frozen=True, kw_only=True)
class Builder:
    """Where one try happens."""

    folder: Path
    environ: Mapping[str, str]

    @property
    def project(self) -> Path:
        return self.folder / "project"

    @property
    def dist(self) -> Path:
        return self.project / "dist"

    @property
    def scratch(self) -> Path:
        """TMPDIR of all processes."""
        return self.folder / "scratch"

    @property
    def cache(self) -> Path:
        return self.folder / "store"

    def set_up(self, cache: Path | None) -> None:
        projects.write(self.project, PROJECT)
        self.scratch.mkdir()
        if cache:
            shutil.copytree(cache, self.cache)

    def warm_up(self, other: Builder) -> None:
        """Have in the wheel cache what another machine has."""
        shutil.copytree(other.cache, self.cache, dirs_exist_ok=True)

    def start(
        self, *options: str, prefix: Sequence[str] = (), environ: Mapping[str, str] | None = None, **process: Any
    ) -> subprocess.Popen[bytes]:
        """A build in a process group of its own. What it says goes to the file `said`."""
        here = {"TMPDIR": self.scratch, "HOME": self.folder, "PLATTER_BUILD_WHEEL_CACHE": self.cache}
        known = {**self.environ, **{name: os.fspath(path) for name, path in here.items()}, **(environ or {})}
        with (self.folder / "said").open("wb") as said:
            streams = {"stdin": subprocess.DEVNULL, "stdout": said, "stderr": said}
            how = {"cwd": self.project, "env": known, **streams, **process}
            return subprocess.Popen([*prefix, PLATTER, "build", *options], start_new_session=True, **how)

    @property
    def said(self) -> str:
        return (self.folder / "said").read_text(errors="replace")

    def build(self, *options: str, damaged: Path | None = None, **process: Any) -> dict[str, str]:
        """A build that has to succeed: it leaves nothing but its artifact, whose digests are given.

        A file of the wheel cache that was `damaged` before may stay so, see `unused`.
        """
        assert self.start(*options, **process).wait(300) == 0, self.said
        assert sorted(self.scratch.rglob("*")) == []
        self.check_store(but=damaged)
        assert [path.name for path in self.dist.iterdir() if path.name.startswith(".")] == []
        return self.shown()

    def shown(self) -> dict[str, str]:
        """SHA-256 of each file that dist shows."""
        files = (path for path in self.dist.rglob("*") if path.is_file() and ".platter-" not in str(path))
        return {str(path.relative_to(self.dist)): digest(path) for path in files}

    def check_store(self, but: Path | None = None) -> None:
        """What stands under a hash has it."""
        for blob in self.cache.glob("blobs/*/*/*"):
            if not blob.name.startswith(".platter-") and blob != but:
                assert digest(blob) == blob.parent.name

    def unused(self, path: Path) -> bool:
        """Whether a build does without a file of the wheel cache: when it is not there, it is not made again."""
        path.unlink()
        self.build()
        return not path.exists()

    def wait_for_tools(self) -> None:
        """Tools that a killed build had started come to their end by themselves."""
        quiet = 0
        for _ in range(600):
            quiet = 0 if self.living() else quiet + 1
            if quiet > 1:  # one that is just being started may not show its environment
                return
            time.sleep(0.05)
        raise AssertionError(f"still running: {self.living()}")

    def living(self) -> list[str]:
        """Processes whose temporary files are ours."""
        ours, found = f"TMPDIR={self.scratch}".encode(), []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                if ours in (process / "environ").read_bytes():
                    found.append((process / "cmdline").read_text(errors="replace").replace("\0", " "))
        return [words for words in found if words]

    def check_told(self) -> None:
        """A failure is told in a line and a hint, not by a traceback; the tool's own lines are indented."""
        assert "platter: error: " in self.said
        assert not re.search("^Traceback", self.said, re.MULTILINE), self.said


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
