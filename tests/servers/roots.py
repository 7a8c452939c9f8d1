"""Bare Debian roots to install bundles in, and how commands get into them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

from .once import once

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .visit import Plan, Seen

HERE = Path(__file__).parent
ROOT_TOOL = HERE.parents[1].parent / "shared" / "tools" / "bare-root"

SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
ROOT = 0
NOBODY = 65534  # Debian's: the home /nonexistent, which is not there
UNLISTED = 4711  # a number that /etc/passwd does not know, as containers like to use

NAMESPACES = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child"]


class RootsImpossible(Exception):  # noqa: N818
    """Why bare roots cannot be made or entered on this machine."""


def bare_root(suite: str) -> Path:
    """The root as debootstrap made it, which stays as it is. Made at first use and kept between runs.

    Its place is $PLATTER_TEST_ROOTS, else the user's cache folder. Raises RootsImpossible.
    """
    check_namespaces()
    home = os.environ.get("PLATTER_TEST_ROOTS")
    folder = Path(home).absolute() if home else platformdirs.user_cache_path("platter-setuptools-tests") / "roots"
    return once(folder / suite, lambda root: debootstrap(suite, root))


def check_namespaces() -> None:
    if os.geteuid() != 0:
        raise RootsImpossible("only root can make and enter a bare root")
    if not ROOT_TOOL.exists():
        raise RootsImpossible(f"{ROOT_TOOL.name}, which makes bare roots, is not on this machine")
    if shutil.which("unshare") is None or outcome([*NAMESPACES, "true"]).returncode:
        raise RootsImpossible("this machine does not allow new network, mount and process namespaces")


def debootstrap(suite: str, root: Path) -> None:
    run = outcome([str(ROOT_TOOL), suite, str(root)])
    if run.returncode:
        last = (run.stderr.splitlines() or ["it said nothing"])[-1]
        raise RootsImpossible(f"no bare root of {suite} could be made: {last}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """One machine: a bare root under a layer of its own, which takes all that is written."""

    base: Path
    layer: Path

    def run(
        self,
        *command: str,
        user: int = ROOT,
        cwd: str = "/",
        environment: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        timeout: float = 300,
    ) -> subprocess.CompletedProcess[str]:
        """Run it without a network and, but for a PATH, without an environment; loopback is up.

        Each run has namespaces of its own: no process outlives it, and files are what passes to the next.
        """
        spec = {
            "root": str(self.layer / "root"),
            "mount": overlay(self.base, self.layer),
            "user": user,
            "cwd": cwd,
            "environment": {"PATH": SYSTEM_PATH, **(environment or {})},
            "command": command,
        }
        enter = [*NAMESPACES, sys.executable, "-I", str(HERE / "enter.py"), json.dumps(spec)]
        return outcome(enter, stdin=stdin, timeout=timeout)

    def check_run(self, *command: str, user: int = ROOT, **more: Any) -> str:
        """Return its output; it has to succeed."""
        run = self.run(*command, user=user, **more)
        assert run.returncode == 0, f"{command}: {run.stdout}{run.stderr}"
        return run.stdout

    def unpack(self, archive: Path, folder: str, *, user: int) -> str:
        """Unpack a bundle in that folder, which is to be the user's own, and return the bundle's folder in it."""
        self.check_run("install", "-d", "-o", str(user), "-g", str(user), folder)
        self.check_run("tar", "-xzf", "-", "-C", folder, user=user, stdin=archive.read_bytes())
        return f"{folder}/{archive.name.removesuffix('.tar.gz')}"

    def visit(self, plan: Plan, *, user: int) -> Seen:
        """Carry out a plan of visit.py under the server's own Python."""
        script = (HERE / "visit.py").read_bytes()
        seen: Seen = json.loads(self.check_run("python3", "-I", "-", json.dumps(plan), user=user, stdin=script))
        return seen


def new_server(base: Path, layer: Path) -> Server:
    for name in ("root", "upper", "work"):
        (layer / name).mkdir(parents=True)
    (layer / "upper").chmod(0o755)
    if outcome([*NAMESPACES, *overlay(base, layer)]).returncode:
        # No overlays here (the layer lies on one itself, say): a copy, which costs a second and some space.
        subprocess.run(["cp", "--archive", "--reflink=auto", "--", f"{base}/.", layer / "root"], check=True)
        (layer / "upper").rmdir()
    return Server(base=base, layer=layer)


def overlay(base: Path, layer: Path) -> list[str]:
    if not (layer / "upper").exists():
        return []
    layers = f"lowerdir={base},upperdir={layer / 'upper'},workdir={layer / 'work'}"
    return ["mount", "--types", "overlay", "--options", layers, "overlay", str(layer / "root")]


def outcome(command: Sequence[str], *, stdin: bytes = b"", timeout: float = 600) -> subprocess.CompletedProcess[str]:
    run = subprocess.run(command, check=False, input=stdin, capture_output=True, timeout=timeout)
    said, complained = (stream.decode(errors="replace") for stream in (run.stdout, run.stderr))
    return subprocess.CompletedProcess(command, run.returncode, said, complained)
