"""Where an operator sits: a folder with a fabfile and a dist, and some hosts behind ssh."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING, Any

from support import handmade

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from support.ssh import Fleet

_FABFILE = "from platter_setuptools.fabric import namespace\n\n"


def archive(folder: Path, version: str, size: int = 0, pre_activate: str = "") -> Path:
    """A bundle of an application that greets with its version, and of its one dependency, as a file in `folder`.

    It is larger than so many bytes; it may have a pre-activate.sh.
    """
    work = folder.parent / "work" / version
    text = f"def main():\n    print('greet {version}')\n"
    points = "[console_scripts]\ngreet = greet:main\n"
    files: dict[str, str | bytes] = {"greet.py": text, "noise": os.urandom(size)}
    wheel = handmade.wheel(work / "wheels", "greet", version, files=files, entry_points=points)
    leaf = handmade.wheel(work / "wheels", "leaf")
    made = handmade.bundle(work, [wheel, leaf], bytecode=True)
    if pre_activate:
        (made.path / "pre-activate.sh").write_text(pre_activate)
        made.seal()
    folder.mkdir(exist_ok=True)
    path = folder / f"{made.path.name}.tar.gz"
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        tar.add(made.path, made.path.name)
    return path


class Desk:
    def __init__(self, folder: Path, hosts: Fleet, **settings: Any) -> None:
        self.folder, self.hosts = folder, hosts
        (folder / "dist").mkdir(parents=True)
        self.configure(**settings)

    @property
    def root(self) -> str:
        return f"{self.hosts.disk}/app"

    def configure(self, fabfile: str = _FABFILE, **settings: Any) -> None:
        """Write the fabfile, with the hosts and these settings on top of what it says."""
        base = {
            "root": self.root,
            "uploads": f"{self.hosts.disk}/uploads",
            "hosts": self.hosts.names,
            "python": sys.executable,
        }
        line = f"namespace.configure({{'platter': { ({**base, **settings})!r}}})\n"
        (self.folder / "fabfile.py").write_text(fabfile + line)

    def install(self, bundle: Path) -> None:
        """Have a bundle installed on every host, without ssh: for tests of what comes afterwards.

        All hosts have their disk at the same path, so they can have copies of the first one's release.
        """
        folder = self.folder / "unpacked"
        folder.mkdir()
        subprocess.run(["tar", "-xzf", bundle, "-C", folder, "--strip-components=1"], check=True)
        self.hosts.run(0, folder / "install.sh", "-q", "-p", sys.executable, "--root", self.root)
        copy = self.folder / "installed.tar"
        self.hosts.run(0, "tar", "-cf", copy, self.root)
        for number in range(1, len(self.hosts.ports)):
            self.hosts.run(number, "tar", "-xpf", copy, "-C", "/")

    def take(self, *bundles: Path) -> None:
        """Have bundles in dist."""
        for bundle in bundles:
            (self.folder / "dist" / bundle.name).write_bytes(bundle.read_bytes())

    def fab(self, *words: str, code: int = 0) -> tuple[str, str]:
        """Run Fabric to its end; gives what it says on both streams."""
        return self.run(sys.executable, "-m", "fabric", "-i", str(self.hosts.identity), *words, code=code)

    def run(self, *command: str, code: int = 0, environ: Mapping[str, str] | None = None) -> tuple[str, str]:
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), **(environ or {})}
        done = subprocess.run(
            command, cwd=self.folder, env=environment, check=False, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout, done.stderr

    def greet(self, number: int) -> str:
        """What the active release on a host says."""
        return self.hosts.run(number, f"{self.root}/versions/current/bin/greet")

    def greetings(self) -> list[str]:
        return [self.greet(number) for number in range(len(self.hosts.ports))]
