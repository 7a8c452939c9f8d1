"""Deploy a bundle to hosts on loopback, three ways, and go back: python scripts/measure_fleet.py BUNDLE FIGURES.

Each host is an ssh server with a disk of its own, in memory, and new for each way. Needs root, and rsync on this
machine. A round is a batch of five hosts: the three ways one after the other, each with all five at once and with
`current` switched in the end. FIGURES, a JSON file, keeps the seconds of all rounds, whenever they were run: of wall
time, for a deployment divided by the number of hosts, for a rollback the median of eleven.
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

HOSTS = 5
ROLLBACKS = 11
# What is compared with what.
RATIOS = {
    "fabric": "rsync",
    "pip": "fabric",
    "ssh host ROOT/platter rollback": "ssh host true",
    "fab rollback": "ssh host true",
}
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
            "batch": HOSTS,
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
        with ThreadPoolExecutor(HOSTS) as pool:
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
    parser.add_argument("figures", type=Path, help="a JSON file to add to")
    parser.add_argument("--rounds", type=int, default=4)
    given = parser.parse_args()
    rounds = json.loads(given.figures.read_text()) if given.figures.exists() else []
    for _ in range(given.rounds):
        rounds.append(measure(given.bundle.resolve()))
        given.figures.write_text(json.dumps(rounds, indent=2) + "\n")
    for name, base in RATIOS.items():
        ratios = [one[name] / one[base] for one in rounds]
        spread = f"{min(ratios):.2f} to {max(ratios):.2f} in {len(ratios)} rounds"
        print(f"{name}: {statistics.median(one[name] for one in rounds):.2f} s")
        print(f"    {statistics.median(ratios):.2f} of {base} ({spread})")


def measure(bundle: Path) -> dict[str, float]:
    """One round."""
    figures: dict[str, float] = {}
    for name, way in (("fabric", Ways.with_fabric), ("rsync", Ways.with_rsync), ("pip", Ways.with_pip)):
        with (
            tempfile.TemporaryDirectory() as scratch,
            fleet(Path(scratch, "hosts"), HOSTS, ["3g"] * HOSTS) as hosts,
        ):
            desk = Path(scratch, "desk")
            desk.mkdir()
            ways = Ways(hosts, bundle, desk)
            if name == "rsync":
                install_here(bundle, desk, Path(ways.versions, ways.version))
            figures[name] = timed(lambda: way(ways)) / HOSTS  # noqa: B023 - it is called at once
            if name == "fabric":
                figures.update(ways.rollbacks())
    return figures


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
