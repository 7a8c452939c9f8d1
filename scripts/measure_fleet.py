"""Deploy two releases to hosts on loopback, in several ways: python scripts/measure_fleet.py BUNDLE NEXT FIGURES.

Each host is an ssh server with a disk of its own, in memory, and new for each way. Needs root, and rsync on this
machine. A round is one way after the other, each with five hosts at once and with `current` switched in the end; then
a rollback. FIGURES, a JSON file, keeps the figures of all rounds, whenever they were run: seconds of wall time, for a
deployment divided by the number of hosts, for a rollback the median of eleven; and the bytes to and from one more host,
which a proxy in front of its server counts: TCP's payload, all of ssh included.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import socket
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.ssh import Fleet, fleet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Deploy = Callable[["Ways", Path, Sequence[int]], None]

BATCH = 5  # hosts at once
ROLLBACKS = 11
_PIECE = 1 << 16
# What is compared with what.
RATIOS = {
    "fabric": "rsync",
    "pip": "fabric",
    "fabric, next release": "rsync, next release",
    "fabric without thin bundles, next release": "fabric, next release",
    "ssh host ROOT/platter rollback": "ssh host true",
    "fab rollback": "ssh host true",
}
FABFILE = "from platter_setuptools.fabric import namespace\n\nnamespace.configure({'platter': %r})\n"


class Ways:
    """The same done with our tasks, with rsync of a finished virtualenv, and with pip from the bundle's wheels."""

    def __init__(self, hosts: Fleet, desk: Path) -> None:
        self.hosts, self.desk = hosts, desk
        self.root = f"{hosts.disk}/app"
        self.versions = f"{self.root}/versions"
        options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"]
        self.ssh_options = [f"-i{hosts.identity}", *(f"-o{option}" for option in options)]

    def with_fabric(self, bundle: Path, ports: Sequence[int], *, thin: bool = True) -> None:
        user, _, _ = self.hosts.names[0].rpartition(":")
        settings = {
            "root": self.root,
            "uploads": f"{self.hosts.disk}/uploads",
            "hosts": [f"{user}:{port}" for port in ports],
            "python": sys.executable,
            "batch": BATCH,
            "canary": 0,
            "thin": thin,
        }
        (self.desk / "fabfile.py").write_text(FABFILE % settings)
        self.fab("deploy", f"--bundle={bundle}")

    def with_full_bundles(self, bundle: Path, ports: Sequence[int]) -> None:
        self.with_fabric(bundle, ports, thin=False)

    def with_rsync(self, bundle: Path, ports: Sequence[int]) -> None:
        """The virtualenvs were made before, at the paths that they have on the hosts."""
        rsh = shlex.join(["ssh", *self.ssh_options])
        _, version, _ = bundle.name.split("-", 2)
        before = sorted(path.name for path in Path(self.versions).iterdir() if path.name < version)
        links = [f"--link-dest=../{name}" for name in before]

        def act(port: int) -> None:
            if not before:
                self.ssh(port, f"mkdir -p {self.versions}")
            source, target = f"{self.versions}/{version}/", f"127.0.0.1:{self.versions}/{version}/"
            run("rsync", "-a", *links, "-e", f"{rsh} -p {port}", source, target)
            self.ssh(port, f"ln -sfn {version} {self.versions}/current")

        everywhere(act, ports)

    def with_pip(self, bundle: Path, ports: Sequence[int]) -> None:
        stem = bundle.name.removesuffix(".tar.gz")
        name, version, _ = bundle.name.split("-", 2)

        def act(port: int) -> None:
            self.ssh(port, f"mkdir -p {self.versions}")
            there = f"127.0.0.1:{self.hosts.disk}/b.tar.gz"
            run("scp", "-q", *self.ssh_options, "-P", str(port), str(bundle), there)
            target = f"{self.versions}/{version}"
            script = f"""
                cd {self.hosts.disk} && tar -xzf b.tar.gz && {sys.executable} -m virtualenv -q {target} &&
                {target}/bin/pip install -q --no-index --find-links {stem}/data {name}=={version} &&
                ln -sfn {version} {self.versions}/current && rm -rf b.tar.gz {stem}
            """
            self.ssh(port, script)

        everywhere(act, ports)

    def ssh(self, port: int, script: str) -> None:
        run("ssh", *self.ssh_options, "-p", str(port), "127.0.0.1", script)

    def fab(self, *words: str) -> None:
        run(sys.executable, "-m", "fabric", f"-i{self.hosts.identity}", *words, cwd=self.desk)

    def rollbacks(self) -> dict[str, float]:
        """One host with two releases: bare ssh, ROOT/platter by ssh, and the task."""
        port = self.hosts.ports[0]
        sides = {
            "ssh host true": lambda: self.ssh(port, "true"),
            "ssh host ROOT/platter rollback": lambda: self.ssh(port, f"{self.root}/platter rollback"),
            "fab rollback": lambda: self.fab("rollback", f"--only={self.hosts.names[0]}"),
        }
        times: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(ROLLBACKS):  # in turns: what else the machine does falls on all
            for name, act in sides.items():
                times[name].append(timed(act))
        return {name: statistics.median(found) for name, found in times.items()}


WAYS: dict[str, tuple[Deploy, bool]] = {  # the second: whether the next release is deployed so, too
    "fabric": (Ways.with_fabric, True),
    "rsync": (Ways.with_rsync, True),
    "fabric without thin bundles": (Ways.with_full_bundles, True),
    "pip": (Ways.with_pip, False),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("bundle", type=Path, help="a .tar.gz for the Python that runs this")
    parser.add_argument("next", type=Path, help="one of the next version")
    parser.add_argument("figures", type=Path, help="a JSON file to add to")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--hosts", type=int, default=20)
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    given = parser.parse_args()
    rounds = json.loads(given.figures.read_text()) if given.figures.exists() else []
    for _ in range(given.rounds):
        rounds.append(measure([given.bundle.resolve(), given.next.resolve()], given.hosts, given.ways))
        given.figures.write_text(json.dumps(rounds, indent=2) + "\n")
    for name in dict.fromkeys(name for one in rounds for name in one):
        found = [one[name] for one in rounds if name in one]
        print(f"{name}: {statistics.median(found):.{0 if 'bytes' in name else 2}f}")
    for name, base in RATIOS.items():
        ratios = [one[name] / one[base] for one in rounds if name in one and base in one]
        if ratios:
            spread = f"{min(ratios):.2f} to {max(ratios):.2f} in {len(ratios)} rounds"
            print(f"{name}: {statistics.median(ratios):.2f} of {base} ({spread})")


def measure(bundles: Sequence[Path], count: int, names: Sequence[str]) -> dict[str, float]:
    """One round."""
    figures: dict[str, float] = {}
    for name in names:
        deploy, also_next = WAYS[name]
        with (
            tempfile.TemporaryDirectory() as scratch,
            fleet(Path(scratch, "hosts"), count + 1, ["3g"] * (count + 1)) as hosts,
            counting(hosts.ports[-1]) as (counted, counts),
        ):
            desk = Path(scratch, "desk")
            desk.mkdir()
            ways = Ways(hosts, desk)
            for bundle, suffix in zip(bundles[: 1 + also_next], ("", ", next release"), strict=False):
                if name == "rsync":
                    install_here(bundle, desk, ways.root)
                seconds = timed(lambda: deploy(ways, bundle, hosts.ports[:-1]))  # noqa: B023 - it is called at once
                figures[f"{name}{suffix}"] = seconds / count
                before = list(counts)
                deploy(ways, bundle, [counted])
                for direction, (old, new) in zip(("to", "from"), zip(before, counts, strict=True), strict=True):
                    figures[f"{name}{suffix}, bytes {direction} a host"] = new - old
            if name == "fabric":
                figures.update(ways.rollbacks())
    return figures


def install_here(bundle: Path, desk: Path, root: str) -> None:
    """Install it as a release: files that it shares with the one before have the same times."""
    with tarfile.open(bundle) as archive:
        archive.extractall(desk, filter="data")
    script = desk / bundle.name.removesuffix(".tar.gz") / "install.sh"
    run("sh", str(script), "-p", sys.executable, "--root", root, "--no-activate")


def everywhere(act: Callable[[int], None], ports: Sequence[int]) -> None:
    with ThreadPoolExecutor(BATCH) as pool:
        list(pool.map(act, ports))


@contextlib.contextmanager
def counting(port: int) -> Iterator[tuple[int, list[int]]]:
    """Forward connections to a port of this machine; give the port to use, and the bytes to and from it."""
    counts = [0, 0]

    def forward(source: socket.socket, target: socket.socket, direction: int) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(_PIECE):
                counts[direction] += len(piece)
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", port))
                for words in ((client, server, 0), (server, client, 1)):
                    threading.Thread(target=forward, args=words, daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1], counts


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
