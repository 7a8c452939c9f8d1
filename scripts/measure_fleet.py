"""Deploy a bundle to many hosts on loopback, three ways, and go back: python scripts/measure_fleet.py BUNDLE.

Each host is an ssh server with a disk of its own, in memory. Needs root, and rsync on this machine. All three ways
serve five hosts at a time and end with `current` switched. The figures are seconds of wall time: for all hosts, divided
by their number; and medians for a rollback.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.ssh import Fleet, fleet

if TYPE_CHECKING:
    from collections.abc import Callable

AT_ONCE = 5
ROLLBACKS = 11
FABFILE = "from platter_setuptools.fabric import namespace\n\nnamespace.configure({'platter': %r})\n"


class Ways:
    """The same done with our tasks, with rsync of a finished virtualenv, and with pip from the bundle's wheels."""

    def __init__(self, hosts: Fleet, bundle: Path, desk: Path) -> None:
        self.hosts, self.bundle, self.desk = hosts, bundle, desk
        self.stem = bundle.name.removesuffix(".tar.gz")
        self.name, self.version = self.stem.split("-")[:2]
        self.versions = f"{hosts.disk}/app/versions"
        options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"]
        self.ssh_options = [f"-i{hosts.identity}", *(f"-o{option}" for option in options)]

    def with_fabric(self) -> None:
        settings = {
            "root": f"{self.hosts.disk}/app",
            "uploads": f"{self.hosts.disk}/uploads",
            "hosts": self.hosts.names,
            "python": sys.executable,
            "batch": AT_ONCE,
            "canary": 0,
        }
        (self.desk / "fabfile.py").write_text(FABFILE % settings)
        self.fab("deploy", f"--bundle={self.bundle}")

    def with_rsync(self) -> None:
        """The virtualenv was made before, at the path that it has on the hosts."""
        rsh = shlex.join(["ssh", *self.ssh_options])

        def act(port: int) -> None:
            self.ssh(port, f"mkdir -p {self.versions}")
            target = f"127.0.0.1:{self.versions}/"
            run("rsync", "-a", "-e", f"{rsh} -p {port}", f"{self.versions}/{self.version}", target)
            self.ssh(port, f"ln -sfn {self.version} {self.versions}/current")

        self.everywhere(act)

    def with_pip(self) -> None:
        def act(port: int) -> None:
            self.ssh(port, f"mkdir -p {self.versions}")
            run(
                "scp",
                "-q",
                *self.ssh_options,
                "-P",
                str(port),
                str(self.bundle),
                f"127.0.0.1:{self.hosts.disk}/b.tar.gz",
            )
            target = f"{self.versions}/{self.version}"
            script = f"""
                cd {self.hosts.disk} && tar -xzf b.tar.gz && {sys.executable} -m virtualenv -q {target} &&
                {target}/bin/pip install -q --no-index --find-links {self.stem}/data {self.name}=={self.version} &&
                ln -sfn {self.version} {self.versions}/current && rm -rf b.tar.gz {self.stem}
            """
            self.ssh(port, script)

        self.everywhere(act)

    def everywhere(self, act: Callable[[int], None]) -> None:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(act, self.hosts.ports))

    def ssh(self, port: int, script: str) -> None:
        run("ssh", *self.ssh_options, "-p", str(port), "127.0.0.1", script)

    def fab(self, *words: str) -> None:
        run(sys.executable, "-m", "fabric", f"-i{self.hosts.identity}", *words, cwd=self.desk)

    def rollbacks(self) -> dict[str, float]:
        """One host with two releases: bare ssh, ROOT/platter by ssh, and the task."""
        port, root = self.hosts.ports[0], f"{self.hosts.disk}/app"
        self.hosts.run(0, "cp", "-a", f"{self.versions}/{self.version}", f"{self.versions}/0.0.1")
        self.ssh(port, f"{root}/platter activate 0.0.1")
        sides = {
            "ssh host true": lambda: self.ssh(port, "true"),
            "ssh host ROOT/platter rollback": lambda: self.ssh(port, f"{root}/platter rollback"),
            "fab rollback": lambda: self.fab("rollback", f"--only={self.hosts.names[0]}"),
        }
        times: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(ROLLBACKS):  # in turns: what else the machine does falls on all
            for name, act in sides.items():
                times[name].append(timed(act))
        return {name: statistics.median(found) for name, found in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("bundle", type=Path, help="a .tar.gz for the Python that runs this")
    parser.add_argument("--hosts", type=int, default=20)
    given = parser.parse_args()
    bundle = given.bundle.resolve()
    figures: dict[str, float] = {}
    for name in ("with_fabric", "with_rsync", "with_pip"):
        with (
            tempfile.TemporaryDirectory() as scratch,
            fleet(Path(scratch, "hosts"), given.hosts, ["3g"] * given.hosts) as hosts,
        ):
            desk = Path(scratch, "desk")
            desk.mkdir()
            ways = Ways(hosts, bundle, desk)
            if name == "with_rsync":
                install_here(bundle, desk, Path(ways.versions, ways.version))
            figures[f"deploy {name}, s per host"] = timed(getattr(ways, name)) / given.hosts
            if name == "with_fabric":
                figures.update(ways.rollbacks())
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}, indent=2))


def install_here(bundle: Path, desk: Path, target: Path) -> None:
    target.parent.mkdir(parents=True)
    with tarfile.open(bundle) as archive:
        archive.extractall(desk, filter="data")
    (folder,) = (path.parent for path in desk.glob("*/install.sh"))
    run("sh", str(folder / "install.sh"), "-p", sys.executable, str(target))


def timed(act: Callable[[], None]) -> float:
    start = time.monotonic()
    act()
    return time.monotonic() - start


def run(*command: str, cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, env=dict(os.environ), check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{shlex.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")


if __name__ == "__main__":
    main()
